// Sessions, and the way from a launch request to the machine: what a GPU would refuse is refused
// here.
#include <algorithm>
#include <cstdio>
#include <utility>

#include "cuda/emulator/machine.hpp"
#include "cuda/emulator/occupancy.hpp"
#include "cuda/emulator/sanitizer.hpp"
#include "cuda/emulator/wording.hpp"

namespace abn::emulator {

struct Session::State {
  Settings settings;
  Report report;
  State* outer = nullptr;
  std::uint64_t launch_number = 0;
  std::unique_ptr<Sanitizer> sanitizer;  // null: nobody looks at memory accesses
};

namespace {

thread_local constinit Session::State* innermost = nullptr;

// The limits of CUDA's compute capability 8.0 to 10.0.
constexpr std::uint64_t max_threads = 1024, max_block_z = 64, max_grid_x = 0x7fffffff,
                        max_grid_yz = 65535;

// Gives every launch of a session a schedule of its own (the golden ratio, so that no two seeds
// meet).
constexpr std::uint64_t launch_stride = 0x9e3779b97f4a7c15;

std::string text_of(uint3 size) {
  return std::to_string(size.x) + " x " + std::to_string(size.y) + " x " + std::to_string(size.z);
}

// Why a GPU would not take the launch, and its code for that; an empty text if it would.
std::string refusal(const LaunchRequest& request, int& code) {
  const uint3 grid = request.grid, block = request.block;
  code = invalid_configuration;
  if (current) return "a kernel cannot launch kernels here";
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z,
                      blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  if (block.x == 0 || block.y == 0 || block.z == 0)
    return "the block " + text_of(block) + " has no threads";
  if (grid.x == 0 || grid.y == 0 || grid.z == 0)
    return "the grid " + text_of(grid) + " has no blocks";
  if (block.x > max_threads || block.y > max_threads || block.z > max_block_z ||
      threads > max_threads)
    return "the block " + text_of(block) + " exceeds 1024 x 1024 x 64 or 1024 threads in all";
  if (grid.x > max_grid_x || grid.y > max_grid_yz || grid.z > max_grid_yz)
    return "the grid " + text_of(grid) + " exceeds 2147483647 x 65535 x 65535";
  if (request.shared_bytes > most_shared_per_block) {
    code = invalid_value;
    return std::to_string(request.shared_bytes) +
           " bytes of shared memory exceed the 232448 that a block can have";
  }
  const uint3 cluster = request.cluster;
  const std::uint64_t cluster_size = std::uint64_t{cluster.x} * cluster.y * cluster.z;
  if (cluster_size == 0 || cluster_size > largest_cluster) {
    code = invalid_cluster_size;
    return "a cluster of " + text_of(cluster) + " blocks; 1 to " + std::to_string(largest_cluster) +
           " of them can form one";
  }
  if (grid.x % cluster.x != 0 || grid.y % cluster.y != 0 || grid.z % cluster.z != 0)
    return "the grid " + text_of(grid) + " is no multiple of the cluster " + text_of(cluster);
  const std::uint64_t together = cluster_size == 1
                                     ? most_resident_blocks(threads, request.shared_bytes)
                                     : most_active_clusters(static_cast<unsigned>(cluster_size),
                                                            threads, request.shared_bytes) *
                                           cluster_size;
  if (request.cooperative && blocks > together) {
    code = cooperative_launch_too_large;
    return "a cooperative launch of " + std::to_string(blocks) + " blocks; at most " +
           std::to_string(together) + " of these fit on a GPU of 132 multiprocessors at once";
  }
  return {};
}

}  // namespace

Session::Session(Settings settings) : state_(std::make_unique<State>()) {
  state_->settings = settings;
  if (settings.sanitize) state_->sanitizer = std::make_unique<Sanitizer>();
  state_->outer = innermost;
  innermost = state_.get();
}

Session::~Session() { innermost = state_->outer; }

Report Session::take_report() { return std::exchange(state_->report, {}); }

void Session::watch(const WatchedBuffer& buffer) {
  if (state_->sanitizer) state_->sanitizer->watch(buffer);
}
void Session::written(const void* data, std::size_t bytes) {
  if (state_->sanitizer) state_->sanitizer->mark(data, bytes, true);
}
void Session::unwritten(const void* data, std::size_t bytes) {
  if (state_->sanitizer) state_->sanitizer->mark(data, bytes, false);
}
void Session::forget_buffers() {
  if (state_->sanitizer) state_->sanitizer->forget_buffers();
}

int launch(const LaunchRequest& request) {
  static thread_local Session::State without_session;
  Session::State& state = innermost ? *innermost : without_session;
  const std::size_t known = state.report.findings.size();
  int code = success;
  if (std::string why = refusal(request, code); !why.empty()) {
    state.report.findings.push_back(
        make_finding(request, launch_configuration, std::move(why), nullptr));
  } else if (state.sanitizer && !request.instrumented) {
    code = invalid_configuration;
    state.report.findings.push_back(make_finding(
        request, not_instrumented,
        "the session sanitises, but nobody would see this kernel's memory accesses, and it was "
        "not run; compile its file with the flags that abn_sanitize() in ci/cmake/sanitizer.cmake "
        "sets",
        nullptr));
  } else {
    code = Machine::of_this_thread().launch(
        request, state.settings,
        state.settings.schedule_seed + state.launch_number++ * launch_stride, state.report,
        state.sanitizer.get());
  }
  if (&state == &without_session) {
    for (std::size_t i = known; i < state.report.findings.size(); ++i)
      std::fprintf(stderr, "emulator: %s in %s: %s\n", state.report.findings[i].kind.c_str(),
                   state.report.findings[i].kernel.c_str(), state.report.findings[i].text.c_str());
    state.report = {};
  }
  return code;
}

}  // namespace abn::emulator
