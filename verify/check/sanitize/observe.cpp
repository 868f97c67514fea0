// The calls under their schedules, and the sums over their launches.
#include "verify/check/sanitize/observe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "verify/data/random.hpp"

namespace abn::verify::check::sanitize {
namespace {

using emulator::Schedule;

/// The first two are for the same calls out of place and in place.
constexpr std::array<std::pair<Schedule, const char*>, 6> rotation{
    {{Schedule::random, "random"},
     {Schedule::random, "random"},
     {Schedule::thread_ahead, "one thread far ahead"},
     {Schedule::block_behind, "one block far behind"},
     {Schedule::reversed, "reversed"},
     {Schedule::last_block_first, "last block first"}}};

bool ends_launch(const emulator::Finding& finding) {
  return finding.kind != emulator::data_race && finding.kind != emulator::unwritten_read;
}

/// The row in which the executor counts replays; it is no buffer.
constexpr std::string_view shared_memory = "shared memory";

std::vector<LaunchCounts> launches_of(const call::Call& call) {
  std::vector<LaunchCounts> launches;
  for (const emulator::LaunchTraffic& launch : call.report.traffic) {
    launches.push_back({launch.kernel, launch.instructions, launch.divergences, 0, launch.lines});
    for (const emulator::Traffic& moved : launch.buffers)
      if (moved.buffer == shared_memory) launches.back().replays += moved.load_sectors;
  }
  return launches;
}

/// What the launches of one call moved, added up by buffer.
std::vector<results::BufferTraffic> traffic_of(const call::Call& call) {
  std::vector<results::BufferTraffic> buffers;
  for (const emulator::LaunchTraffic& launch : call.report.traffic)
    for (const emulator::Traffic& moved : launch.buffers) {
      if (moved.buffer == shared_memory) continue;
      auto at = std::find_if(
          buffers.begin(), buffers.end(),
          [&](const results::BufferTraffic& one) { return one.buffer == moved.buffer; });
      if (at == buffers.end()) {
        at = buffers.emplace(buffers.end());
        at->buffer = moved.buffer;
      }
      at->loaded += moved.bytes_loaded, at->stored += moved.bytes_stored;
      at->load_requests += moved.load_requests, at->store_requests += moved.store_requests;
      at->load_sectors += moved.load_sectors, at->store_sectors += moved.store_sectors;
      at->atomics += moved.atomics;
    }
  return buffers;
}

/// Is this the arena's buffer that is watched by this name? Of two that are one the arena has the
/// output; the statistic that forward writes is `var` in kernel.h.
bool is_watched_as(std::string_view arena, std::string_view watched) {
  const auto at = watched.rfind(" = ");
  return arena == (at == watched.npos ? watched : watched.substr(at + 3)) ||
         (arena == "variance" && watched == "var");
}

void add_sizes(std::vector<results::BufferTraffic>& buffers, std::vector<std::uint64_t>& addresses,
               const call::Call& call) {
  constexpr std::array<std::string_view, 5> tensors{"x", "z", "xhat", "dz", "dx"};
  const auto views = call.arena->views();
  const auto view_of = [&](const results::BufferTraffic& buffer) {
    return std::find_if(views.begin(), views.end(), [&](const call::Arena::View& one) {
      return is_watched_as(one.name, buffer.buffer);
    });
  };
  // A worker whose memory a plug-in has spoilt may name anything.
  std::erase_if(buffers, [&](const auto& buffer) { return view_of(buffer) == views.end(); });
  for (results::BufferTraffic& buffer : buffers) {
    const auto view = view_of(buffer);
    buffer.bytes = view->bytes;
    buffer.tensor = std::find(tensors.begin(), tensors.end(), view->name) != tensors.end();
    addresses.push_back(reinterpret_cast<std::uintptr_t>(view->address));
  }
}

}  // namespace

Fault fault_of(const std::string& kind) {
  using namespace emulator;
  if (kind == data_race || kind == async_copy || kind == missing_proxy_fence) return Fault::races;
  if (kind == unwritten_read) return Fault::unwritten_reads;
  for (const char* const one : {out_of_bounds, read_only_write, misaligned_access, shared_overrun,
                                stack_overflow, cluster_peer})
    if (kind == one) return Fault::bounds;
  return Fault::barriers;
}

Observed observe(const call::Subject& subject, const problem::Inputs& inputs,
                 const abn_claims& claims, std::uint64_t seed, const problem::Saved* saved,
                 int schedules) {
  call::Subject sanitised = subject;
  sanitised.variant = subject.instrumented;
  sanitised.emulated = true;
  const call::Caller caller(sanitised, inputs, claims, seed);
  const bool may_alias = (saved != nullptr ? claims.dx_may_alias_dz : claims.z_may_alias_x) == 1;
  const data::Stream seeds = data::Stream(caller.draws().schedule[0]).fork(1);
  Observed observed;
  std::set<std::tuple<std::string, std::string, std::string, unsigned, std::string, unsigned>> seen;
  for (int i = 0; i < schedules; ++i) {
    const auto number = static_cast<std::uint64_t>(i);
    const auto& [schedule, name] = rotation[number < rotation.size() ? number : 0];
    const bool asks_all = i < 2, in_place = may_alias && i % 2 == 1;
    if (i == 1 && !may_alias) continue;
    call::CallSettings setup{
        call::Poison::nan, caller.draws().poison[i % 2], seeds.bits(number), in_place, {},
        schedule};
    if (!asks_all) setup.asked = caller.draws().asked_less;
    if (in_place) setup.asked.dx = true;
    const call::Call call =
        saved != nullptr ? caller.backward(setup, *saved) : caller.forward(setup);
    bool whole = true;
    for (const emulator::Finding& finding : call.report.findings) {
      if (finding.kind == emulator::not_instrumented) {
        observed.trouble = fmt::format("{} in {}: {}", finding.kind, finding.kernel, finding.text);
        return observed;
      }
      whole = whole && !ends_launch(finding);
      if (seen.emplace(finding.kind, finding.kernel, finding.file, finding.line, finding.other.file,
                       finding.other.line)
              .second)
        observed.sightings.push_back(
            {finding,
             fmt::format("{}{}, schedule {}", in_place ? "in place, " : "", name, setup.schedule)});
    }
    if (call.report.findings.empty() && !call.trouble.empty()) {
      observed.trouble = call.trouble;
      return observed;
    }
    observed.complete = observed.complete && whole;
    if (!whole || !asks_all) continue;
    observed.traffic.push_back(traffic_of(call));
    observed.launches.push_back(launches_of(call));
    add_sizes(observed.traffic.back(), observed.addresses, call);
  }
  return observed;
}

}  // namespace abn::verify::check::sanitize
