// Rounds of floors and variants.
#include "verify/bench/measure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cuda/plan.h"
#include "verify/bench/timed_outputs.hpp"
#include "verify/bench/timed_variant.hpp"
#include "verify/call/device.hpp"
#include "verify/call/parallel.hpp"
#include "verify/check/sanitize/traffic.hpp"
#include "verify/data/case.hpp"
#include "verify/data/random.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::bench {
namespace {

constexpr double memory_share = 0.9;  // of what is free; workspaces and graphs want some, too

/// Something that is timed by turns: a floor or a variant.
struct Runner {
  std::unique_ptr<Recording> before, timed;
  double calls = 1;  ///< in `timed`
  std::vector<double> times;
  void turn(TimingDevice& device, bool counts) {
    const double microseconds = device.time(*before, *timed) / calls;
    if (counts) times.push_back(microseconds);
  }
};

struct Pool {
  DeviceBuffer memory;
  std::size_t slot_bytes = 0;
  int sets = 0, slots = 0;
  std::byte* set(int index) const {
    return memory.at(static_cast<std::size_t>(index * slots) * slot_bytes);
  }
};

template <class Each>
int for_each_set(const Pool& pool, const Each& each) {
  int code = 0;
  for (int i = 0; i < pool.sets && code == 0; ++i) code = each(pool.set(i));
  return code;
}

Runner runner_of(TimingDevice& device, const TimedVariant& variant, const Pool& pool) {
  Runner runner;
  runner.before = device.record([&](void* stream) {
    return for_each_set(pool, [&](std::byte* set) { return variant.fill(set, stream); });
  });
  runner.timed = device.record([&](void* stream) {
    return for_each_set(pool, [&](std::byte* set) { return variant.call(set, stream); });
  });
  runner.calls = pool.sets;
  return runner;
}

/// All slots of the pool one after the other. A copy goes half of the pool further, so that neither
/// end is still in the cache.
Runner floor_of(TimingDevice& device, const Pool& pool, const TimedVariant& filler, bool copies,
                const void* source) {
  const abn_floors* const floors = abn_in_tree_floors(device.memory());
  if (floors == nullptr)
    throw call::DeviceError("this build has no floor kernels for " + device.name());
  const int regions = pool.sets * pool.slots;
  const auto region = [&pool](int index) {
    return pool.memory.at(static_cast<std::size_t>(index) * pool.slot_bytes);
  };
  Runner runner;
  runner.calls = regions;
  runner.before = device.record([&](void* stream) {
    return for_each_set(pool, [&](std::byte* set) { return filler.fill(set, stream); });
  });
  runner.timed = device.record(
      [floors, regions, region, copies, source, bytes = pool.slot_bytes](void* stream) {
        int code = 0;
        for (int i = 0; i < regions && code == 0; ++i) {
          const void* const from = regions > 1 ? region((i + regions / 2) % regions) : source;
          code = copies ? floors->copy(region(i), from, bytes, stream)
                        : floors->scale(region(i), bytes, stream);
        }
        return code;
      });
  return runner;
}

struct Entry {
  SpeedRow row;
  abn_claims claims{};
  std::unique_ptr<TimedVariant> variant;
  Runner runner;
};

/// Runs `attempt`, or writes into the row why that was not possible.
template <class Attempt>
void guarded(SpeedRow& row, const Attempt& attempt) {
  try {
    attempt();
  } catch (const call::DeviceError& wrong) {
    row.failed = true, row.measured = false;
    row.note = wrong.what();
  }
}

std::vector<Entry> entries_of(TimingDevice& device, const SpeedData& data, int direction,
                              std::span<const abn_variant* const> variants) {
  std::vector<Entry> entries;
  for (const abn_variant* const variant : variants) {
    Entry& entry = entries.emplace_back();
    entry.row.variant = variant->name;
    const problem::Claimed claimed = problem::claims_of(*variant, data.problem);
    if (claimed.status == ABN_ERROR_UNSUPPORTED) {
      entry.row.note = "does not support the problem";
      continue;
    }
    if (claimed.status != ABN_OK || !claimed.nonsense.empty()) {
      entry.row.failed = true;
      entry.row.note = claimed.nonsense.empty() ? "claims() failed"
                                                : "the claims make no sense: " + claimed.nonsense;
      continue;
    }
    entry.claims = claimed.claims;
    guarded(entry.row, [&] {
      entry.variant =
          std::make_unique<TimedVariant>(device, data, *variant, entry.claims, direction);
      entry.row.measured = true;
    });
    entry.row.predicted = predicted_microseconds(*variant, data.problem, direction);
  }
  return entries;
}

/// Fresh data for all, and whether the timed calls compute what they should; those that do not are
/// not timed any more.
void judge_outputs(TimingDevice& device, SpeedData& data, const Pool& pool,
                   std::vector<Entry>& entries, std::uint64_t seed) {
  draw_speed_data(device, data, seed);
  std::vector<std::byte*> sets;
  for (int i = 0; i < pool.sets; ++i) sets.push_back(pool.set(i));
  for (Entry& entry : entries) {
    if (!entry.row.measured) continue;
    guarded(entry.row, [&] {
      entry.variant->prepare();
      const std::string wrong = wrong_outputs(
          device, data, *entry.variant, sets,
          [&](void*) {
            entry.runner.before->enqueue(), entry.runner.timed->enqueue();
            return 0;
          },
          seed);
      if (!wrong.empty()) throw call::DeviceError("its time is no time: " + wrong);
    });
  }
}

/// Nothing that has to go through memory is faster than half of the time that the floor takes for
/// as many bytes; such a time is of a call that did something else.
void refuse_impossible(SpeedRow& row, double floor_bytes, double copied_bytes,
                       double copy_microseconds) {
  constexpr double share = 0.5;
  const double least = floor_bytes / copied_bytes * copy_microseconds;
  if (row.microseconds.median >= share * least) return;
  row.failed = true, row.measured = false;
  row.note = fmt::format(
      "its time is no time: {:.3g} us, and copying as many bytes as it has to move takes {:.3g}",
      row.microseconds.median, least);
}

}  // namespace

double predicted_microseconds(const abn_variant& variant, const abn_problem& problem,
                              int direction) {
  if (std::string_view(variant.name) == "auto")
    for (const PlanRow& row : plan_rows(problem, direction))
      if (row.chosen) return row.microseconds;
  return std::numeric_limits<double>::quiet_NaN();
}

SpeedGroup measure_speed(TimingDevice& device, const SpeedProblem& subject, int direction,
                         std::span<const abn_variant* const> variants, double seconds,
                         std::uint64_t seed) {
  SpeedGroup group;
  group.subject = subject, group.direction = direction;
  const bool backward = direction == ABN_BACKWARD;
  const abn_problem& problem = subject.problem;
  group.tensor_bytes = static_cast<double>(problem::element_count(problem)) *
                       problem::format_of(problem.dtype).bytes;
  group.floor_bytes = check::sanitize::floor_sweeps(backward) * group.tensor_bytes;
  const double needed =
      group.tensor_bytes * (backward ? 2.0 + 2.0 * static_cast<double>(variants.size()) : 2.0);
  if (const double free = device.free_bytes(); needed > memory_share * free) {
    group.skipped =
        fmt::format("needs {:.1f} GB of memory and {:.1f} GB are free", needed / 1e9, free / 1e9);
    return group;
  }
  SpeedData data = make_speed_data(device, problem, backward, seed);
  std::vector<Entry> entries = entries_of(device, data, direction, variants);
  const auto finish = [&] {
    for (Entry& entry : entries) group.rows.push_back(std::move(entry.row));
  };
  Pool pool;
  pool.slot_bytes = data.slot_bytes;
  const TimedVariant* filler = nullptr;
  for (const Entry& entry : entries) {
    if (!entry.row.measured) continue;
    pool.slots = std::max(pool.slots, entry.variant->slots());
    if (filler == nullptr) filler = entry.variant.get();
  }
  if (filler == nullptr) {
    group.skipped = "no variant can do it";
    finish();
    return group;
  }
  const double footprint = static_cast<double>(pool.slot_bytes) * pool.slots;
  pool.sets = group.sets =
      sets_of(footprint, device.cache_bytes(), memory_share * device.free_bytes());
  if (pool.sets == 0) {
    group.skipped = fmt::format(
        "a set of {:.1f} GB of buffers does not fit the memory that is free", footprint / 1e9);
    for (Entry& entry : entries) entry.row.measured = false;
    finish();
    return group;
  }
  pool.memory =
      DeviceBuffer(device, static_cast<std::size_t>(pool.sets * pool.slots) * pool.slot_bytes);

  Runner copy = floor_of(device, pool, *filler, true, data.x.data()),
         scale = floor_of(device, pool, *filler, false, nullptr);
  for (Entry& entry : entries)
    if (entry.row.measured)
      guarded(entry.row, [&] { entry.runner = runner_of(device, *entry.variant, pool); });

  // The data change before the rounds, behind a drawn one of those that all have, and after them.
  const data::Stream draw = data::Stream(seed).fork(5);
  const int between = static_cast<int>(draw.below(least_rounds - 1, 0));
  judge_outputs(device, data, pool, entries, draw.below(data::readable_seeds, 1));
  // One round that does not count: clocks rise, and the first replay of a graph is slower.
  const call::Stopwatch watch;
  for (int round = -1; round < most_rounds && (round < least_rounds || watch.seconds() < seconds);
       ++round) {
    const bool counts = round >= 0;
    copy.turn(device, counts), scale.turn(device, counts);
    for (Entry& entry : entries)
      if (entry.row.measured) guarded(entry.row, [&] { entry.runner.turn(device, counts); });
    if (counts) ++group.rounds;
    if (round == between)
      judge_outputs(device, data, pool, entries, draw.below(data::readable_seeds, 2));
  }
  judge_outputs(device, data, pool, entries, draw.below(data::readable_seeds, 3));
  group.copy = quantiles_of(copy.times), group.scale = quantiles_of(scale.times);
  for (Entry& entry : entries) {
    SpeedRow& row = entry.row;
    if (!row.measured) continue;
    row.microseconds = quantiles_of(entry.runner.times);
    if (device.has_pace()) {
      refuse_impossible(row, group.floor_bytes, 2 * group.tensor_bytes, group.copy.median);
      if (!row.measured) continue;
    }
    row.bytes = entry.variant->claimed_bytes();
    row.claimed = row.bytes > 0;
    if (!row.claimed) row.bytes = group.floor_bytes;
    const int launches = entry.runner.timed->launches();
    if (launches >= 0) row.launches = launches / entry.runner.calls;
    row.note = entry.runner.timed->note();
  }
  finish();
  return group;
}

}  // namespace abn::verify::bench
