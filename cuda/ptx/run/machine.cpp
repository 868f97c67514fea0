// Blocks of an ordinary launch run a few clusters at a time; those of a cooperative one are all in
// flight. Among those in flight warps take turns.
#include "cuda/ptx/run/machine.hpp"

#include <algorithm>
#include <cstring>

#include "cuda/ptx/run/step.hpp"
#include "cuda/ptx/state/special.hpp"

namespace abn::ptx {
namespace {

// Where warps wait in loops for each other a turn is short.
constexpr std::uint64_t long_turn = 1 << 14, short_turn = 1 << 10;
constexpr std::uint32_t most_threads = 1024, most_shared = 232448, without_opt_in = 49152;

/// Random numbers of a launch (splitmix64).
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t end) {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t bits = state_;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9ULL;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111ebULL;
    return (bits ^ bits >> 31) % end;
  }

 private:
  std::uint64_t state_;
};

Size3 index_in(const Size3& size, std::uint64_t linear) {
  return {static_cast<std::uint32_t>(linear % size.x),
          static_cast<std::uint32_t>(linear / size.x % size.y),
          static_cast<std::uint32_t>(linear / size.x / size.y)};
}

class Machine {
 public:
  Machine(const Program& program, Configuration configuration, GlobalMemory* memory)
      : draw_(configuration.seed) {
    launch_.program = &program, launch_.memory = memory;
    launch_.configuration = std::move(configuration);
    const bool sanitize = launch_.configuration.sanitize;
    if (sanitize || launch_.configuration.count) launch_.executed.resize(program.code.size());
    if (!sanitize) return;
    launch_.order =
        std::make_unique<Order>(static_cast<std::uint32_t>(launch_.configuration.block.count()));
  }

  Outcome run() {
    Outcome outcome;
    const Configuration& how = launch_.configuration;
    if (const std::string why = why_not(*launch_.program, how); !why.empty()) {
      emulator::Finding finding;
      finding.kind = emulator::launch_configuration;
      finding.kernel = launch_.program->kernel->name, finding.text = why;
      outcome.findings.push_back(finding);
      return outcome;
    }
    if (how.cooperative) {
      launch_.grid_workspace.resize(256);
      const std::uint32_t size = 256;
      std::memcpy(launch_.grid_workspace.data(), &size, sizeof size);
    }
    if (launch_.memory != nullptr) {
      launch_.memory->begin_launch();
      if (!launch_.memory->empty() && how.cooperative) {
        const auto begin = reinterpret_cast<std::uint64_t>(launch_.grid_workspace.data());
        Range range;
        range.begin = begin, range.end = begin + launch_.grid_workspace.size();
        range.name = "the grid's barrier";
        launch_.memory->add(range);
      }
    }
    try {
      run_all();
      outcome.finished = true;
    } catch (Stop& stopped) {
      launch_.findings.push_back(std::move(stopped.finding));
    }
    if (launch_.memory != nullptr && how.cooperative)
      launch_.memory->remove(reinterpret_cast<std::uint64_t>(launch_.grid_workspace.data()),
                             launch_.grid_workspace.size());
    outcome.findings = std::move(launch_.findings);
    outcome.blocks = how.grid.count();
    outcome.threads = outcome.blocks * how.block.count();
    outcome.instructions = launch_.instructions;
    outcome.executed = std::move(launch_.executed);
    outcome.lane_instructions = launch_.lane_instructions, outcome.splits = launch_.splits;
    outcome.replays = launch_.replays;
    return outcome;
  }

 private:
  void run_all() {
    const Configuration& how = launch_.configuration;
    const Size3 clusters{how.grid.x / how.cluster.x, how.grid.y / how.cluster.y,
                         how.grid.z / how.cluster.z};
    const std::uint64_t count = clusters.count();
    constexpr std::uint64_t few = 8;
    const bool many = how.cooperative || how.seed != 0;
    const std::uint64_t in_flight = how.cooperative ? count : many ? 1 + draw_.below(few) : 1;
    std::uint64_t begun = 0;
    std::vector<std::unique_ptr<Cluster>> running;
    const bool backwards = how.seed != 0 && draw_.below(2) == 1;
    while (begun < count || !running.empty()) {
      while (begun < count && running.size() < in_flight) {
        std::unique_ptr<Cluster> cluster =
            spare_.empty() ? std::make_unique<Cluster>() : std::move(spare_.back());
        if (!spare_.empty()) spare_.pop_back();
        begin(*cluster, clusters, backwards ? count - 1 - begun : begun);
        ++begun;
        running.push_back(std::move(cluster));
      }
      take_turns(running, many || how.cluster.count() > 1 ? short_turn : long_turn);
      for (std::size_t i = running.size(); i-- > 0;)
        if (std::all_of(running[i]->blocks.begin(), running[i]->blocks.end(),
                        [](const auto& block) { return block->left; })) {
          spare_.push_back(std::move(running[i]));
          running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
  }

  void take_turns(std::vector<std::unique_ptr<Cluster>>& running, std::uint64_t turn) {
    std::uint64_t done = 0;
    const std::uint64_t seed = launch_.configuration.seed;
    const std::size_t first = seed != 0 ? draw_.below(running.size()) : 0;
    for (std::size_t c = 0; c < running.size(); ++c) {
      Cluster& cluster = *running[(first + c) % running.size()];
      for (const auto& block : cluster.blocks) {
        if (block->left) continue;
        const std::size_t warps = block->warps.size();
        const std::size_t from = seed != 0 ? draw_.below(warps) : 0;
        const bool down = seed != 0 && draw_.below(2) == 1;
        for (std::size_t w = 0; w < warps; ++w) {
          const std::size_t which = (from + (down ? warps - w : w)) % warps;
          Warp& warp = block->warps[which];
          if (warp.groups.empty()) continue;
          done += run_warp(warp, seed != 0 ? 1 + draw_.below(2 * turn) : turn);
        }
      }
    }
    if (done == 0) give_up(running);
  }

  /// All wait, and nobody will come.
  [[noreturn]] void give_up(const std::vector<std::unique_ptr<Cluster>>& running) {
    for (const auto& cluster : running)
      for (const auto& block : cluster->blocks)
        for (const Warp& warp : block->warps)
          for (const Group& group : warp.groups) {
            const Instruction& in = launch_.program->code[group.pc];
            const auto lane = static_cast<unsigned>(std::countr_zero(group.mask));
            if (group.state == Group::State::together)
              stop(warp, in, lane, emulator::shuffle_mask,
                   "lanes wait for others that their member mask names and that never come");
            if (group.state == Group::State::barrier)
              stop(warp, in, lane, emulator::barrier_divergence,
                   "threads wait at a barrier at which only " +
                       std::to_string(block->barriers[group.waits_for].arrived) + " of " +
                       std::to_string(block->barriers[group.waits_for].expected) +
                       " threads arrive; " + std::to_string(block->threads - block->live) +
                       " have returned");
            stop(warp, in, lane, emulator::barrier_divergence,
                 "threads wait at the cluster's barrier for others that never arrive");
          }
    emulator::Finding finding;
    finding.kind = emulator::deadlock, finding.kernel = launch_.program->kernel->name;
    finding.text = "nothing can go on";
    throw Stop{finding};
  }

  void begin(Cluster& cluster, const Size3& clusters, std::uint64_t linear) {
    const Configuration& how = launch_.configuration;
    cluster.index = index_in(clusters, linear);
    cluster.phase = 0, cluster.arrived = 0;
    cluster.copies.clear();
    for (Sync& sync : cluster.syncs) sync.clear();
    const std::uint64_t count = how.cluster.count();
    while (cluster.blocks.size() < count) cluster.blocks.push_back(std::make_unique<Block>());
    for (std::uint64_t rank = 0; rank < count; ++rank) {
      Block& block = *cluster.blocks[rank];
      const Size3 inside = index_in(how.cluster, rank);
      block.launch = &launch_, block.cluster = &cluster;
      block.rank = static_cast<std::uint32_t>(rank);
      block.index = {cluster.index.x * how.cluster.x + inside.x,
                     cluster.index.y * how.cluster.y + inside.y,
                     cluster.index.z * how.cluster.z + inside.z};
      begin(block);
    }
    for (const auto& block : cluster.blocks)
      for (Warp& warp : block->warps) write_specials(warp);
  }

  void begin(Block& block) {
    const Configuration& how = launch_.configuration;
    const Program& program = *launch_.program;
    const std::size_t shared = program.static_shared + how.dynamic_shared;
    block.shared.assign(shared, std::byte{0xff});  // NaN in every floating-point type
    block.shared_written.assign(how.sanitize ? shared : 0, 0);
    block.touched.forget();
    const Size3 &at = block.index, &grid = how.grid;
    block.number = (std::uint64_t{at.z} * grid.y + at.y) * grid.x + at.x;
    block.barriers.fill({});
    block.threads = block.live = static_cast<std::uint32_t>(how.block.count());
    block.left = block.met_peers = false;
    if (launch_.order != nullptr) block.clocks.begin(block.number, block.threads);
    block.warps.resize((block.threads + lanes - 1) / lanes);
    for (std::uint32_t number = 0; number < block.warps.size(); ++number) {
      Warp& warp = block.warps[number];
      warp.memory.assign(program.register_bytes + 64, std::byte{0});
      auto address = reinterpret_cast<std::uintptr_t>(warp.memory.data());
      warp.registers = warp.memory.data() + (64 - address % 64) % 64;
      warp.base[0] = warp.registers, warp.base[1] = program.constants.data();
      warp.local.assign(std::size_t{program.local_bytes} * lanes, std::byte{0xff});
      warp.block = &block, warp.number = number;
      const std::uint32_t left = block.threads - number * lanes;
      warp.live = left >= lanes ? full_mask : (1U << left) - 1;
      warp.groups.assign(1, Group{0, warp.live, Group::State::ready, 0});
      warp.slices = 0, warp.cluster_arrived = 0;
      for (unsigned lane = 0; lane < lanes; ++lane)
        warp.open[lane].clear(), warp.committed[lane].clear(), warp.bulk_groups[lane] = 0;
    }
  }

  Launch launch_;
  Draw draw_;
  std::vector<std::unique_ptr<Cluster>> spare_;
};

}  // namespace

std::string why_not(const Program& program, const Configuration& how) {
  const Kernel& kernel = *program.kernel;
  const auto text = [](std::uint64_t number) { return std::to_string(number); };
  const std::uint64_t threads = how.block.count(), cluster = how.cluster.count();
  if (how.grid.count() == 0 || threads == 0)
    return "an empty grid or block; launch nothing where there is nothing to do";
  if (threads > most_threads || how.block.z > 64)
    return "a block of " + text(threads) + " threads, and a GPU takes 1024; use smaller blocks";
  if (how.grid.y > 65535 || how.grid.z > 65535 || how.grid.x > 0x7fffffff)
    return "a grid that is larger than a GPU takes; y and z end at 65535";
  if (kernel.most_threads != 0 && threads > kernel.most_threads)
    return "a block of " + text(threads) + " threads of a kernel that was compiled for " +
           text(kernel.most_threads) + " (__launch_bounds__); raise the bound";
  const std::uint32_t* const required = kernel.required_threads;
  if (required[0] != 0 &&
      (how.block.x != required[0] || how.block.y != required[1] || how.block.z != required[2]))
    return "a block of another shape than the kernel was compiled for; use that one";
  if (std::uint64_t{program.static_shared} > without_opt_in)
    return text(program.static_shared) +
           " bytes of static shared memory, and 49152 are the most; use dynamic shared memory";
  if (std::uint64_t{program.static_shared} + how.dynamic_shared > most_shared)
    return text(std::uint64_t{program.static_shared} + how.dynamic_shared) +
           " bytes of shared memory, and an H100 has 232448 for a block; use less";
  if (kernel.parameter_bytes > 32764)
    return "more than 32764 bytes of parameters; put them into memory";
  if (how.parameters.size() != kernel.parameter_bytes)
    return text(how.parameters.size()) + " bytes of parameters for a kernel that takes " +
           text(kernel.parameter_bytes) + "; build host and device code from one source";
  if (cluster == 0 || cluster > 16 || how.grid.x % how.cluster.x != 0 ||
      how.grid.y % how.cluster.y != 0 || how.grid.z % how.cluster.z != 0)
    return "a cluster of " + text(cluster) +
           " blocks that do not divide the grid, or are more than 16; choose another size";
  const std::uint32_t* const clusters = kernel.required_cluster;
  if (clusters[0] != 0 && (how.cluster.x != clusters[0] || how.cluster.y != clusters[1] ||
                           how.cluster.z != clusters[2]))
    return "a cluster of another shape than the kernel was compiled for (__cluster_dims__)";
  return "";
}

Outcome run(const Program& program, Configuration configuration, GlobalMemory* memory) {
  return Machine(program, std::move(configuration), memory).run();
}

}  // namespace abn::ptx
