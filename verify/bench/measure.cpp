// Rounds of floors and variants.
#include "verify/bench/measure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cuda/plan.h"
#include "verify/bench/own_clock.hpp"
#include "verify/bench/timed_outputs.hpp"
#include "verify/bench/timed_variant.hpp"
#include "verify/call/device.hpp"
#include "verify/call/parallel.hpp"
#include "verify/check/sanitize/traffic.hpp"
#include "verify/data/case.hpp"
#include "verify/data/random.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"
#include "verify/worker/losses.hpp"

namespace abn::verify::bench {
namespace {

constexpr double memory_share = 0.9;  // of what is free; workspaces and graphs want some, too

/// Something that is timed by turns: a floor or a variant.
struct Runner {
  std::unique_ptr<Recording> before, timed, nothing;
  double calls = 1;  ///< in `timed`
  std::vector<double> times;
  OwnClock clock;  ///< of a worker's: behind every turn that counts, its own and ours

  void turn(TimingDevice& device, bool counts) {
    // Twice, as the first question wakes a worker that has waited.
    for (int i = 0; nothing != nullptr && i < 2; ++i) device.time(*before, *nothing);
    const double alone = device.seen();
    const double microseconds = device.time(*before, *timed);
    if (counts) times.push_back(microseconds / calls);
    if (nothing == nullptr) return;
    clock.said.push_back(microseconds), clock.seen.push_back(device.seen());
    clock.before.push_back(alone);
    if (const std::string wrong = impossible_time(clock); !wrong.empty())
      throw call::DeviceError(wrong);
  }
};

struct Pool {
  DeviceBuffer memory;
  std::size_t slot_bytes = 0;
  int sets = 0, slots = 0;
  std::byte* set(int index) const {
    return memory.at(static_cast<std::size_t>(index * slots) * slot_bytes);
  }
  std::vector<std::byte*> all_sets() const {
    std::vector<std::byte*> all;
    for (int i = 0; i < sets; ++i) all.push_back(set(i));
    return all;
  }
};

/// Where variants are timed: the judge's device, or the worker of one of them.
struct Site {
  TimingDevice& device;
  SpeedData data;
  Pool pool;
};

template <class Each>
int for_each_set(const Pool& pool, const Each& each) {
  int code = 0;
  for (int i = 0; i < pool.sets && code == 0; ++i) code = each(pool.set(i));
  return code;
}

Runner runner_of(const Site& site, const TimedVariant& variant) {
  TimingDevice& device = site.device;
  const Pool& pool = site.pool;
  Runner runner;
  runner.before = device.record([&](void* stream) {
    return for_each_set(pool, [&](std::byte* set) { return variant.fill(set, stream); });
  });
  runner.timed = device.record([&](void* stream) {
    return for_each_set(pool, [&](std::byte* set) { return variant.call(set, stream); });
  });
  if (!std::isnan(device.seen())) runner.nothing = device.record([](void*) { return 0; });
  runner.calls = pool.sets;
  return runner;
}

/// All slots of the pool one after the other, behind what fills the inputs of a variant. A copy
/// goes half of the pool further, so that neither end is still in the cache.
Runner floor_of(const Site& site, int inputs, bool copies) {
  TimingDevice& device = site.device;
  const Pool& pool = site.pool;
  const abn_floors* const floors = abn_in_tree_floors(device.memory());
  if (floors == nullptr)
    throw call::DeviceError("this build has no floor kernels for " + device.name());
  const int regions = pool.sets * pool.slots;
  const auto region = [&pool](int index) {
    return pool.memory.at(static_cast<std::size_t>(index) * pool.slot_bytes);
  };
  const void* const source = site.data.x.data();
  Runner runner;
  runner.calls = regions;
  runner.before =
      device.record([&device, &pool, inputs, source, bytes = site.data.tensor_bytes](void* stream) {
        return for_each_set(pool, [&](std::byte* set) {
          int code = 0;
          for (int i = 0; i < inputs && code == 0; ++i)
            code = device.copy(set + static_cast<std::size_t>(i) * pool.slot_bytes, source, bytes,
                               stream);
          return code;
        });
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
  Site* site = nullptr;
  std::unique_ptr<TimedVariant> variant;
  Runner runner;
  TimedOutputs outputs;
};

/// Runs `attempt`, or writes into the row why that was not possible.
template <class Attempt>
void guarded(SpeedRow& row, const Attempt& attempt) {
  const auto failed = [&row](const std::string& why) {
    row.failed = true, row.measured = false;
    row.note = why;
  };
  try {
    attempt();
  } catch (const call::DeviceError& wrong) {
    failed(wrong.what());
  } catch (const worker::CallLost& lost) {
    failed(lost.operation + ": " + lost.what());
  }
}

std::vector<Entry> entries_of(Site& own, std::vector<std::unique_ptr<Site>>& workers, int direction,
                              std::span<const Contender> contenders, std::uint64_t seed) {
  std::vector<Entry> entries;
  const abn_problem& problem = own.data.problem;
  for (const Contender& contender : contenders) {
    const abn_variant* const variant = contender.variant;
    Entry& entry = entries.emplace_back();
    entry.row.variant = variant->name;
    const problem::Claimed claimed = problem::claims_of(*variant, problem);
    if (claimed.status == ABN_ERROR_UNSUPPORTED) {
      entry.row.note = "does not support the problem";
      continue;
    }
    if (claimed.status != ABN_OK || !claimed.nonsense.empty()) {
      entry.row.failed = true;
      entry.row.note = claimed.nonsense.empty() ? "claims() failed"
                       : claimed.nonsense.starts_with("claims()")
                           ? claimed.nonsense
                           : "the claims make no sense: " + claimed.nonsense;
      continue;
    }
    entry.claims = claimed.claims, entry.site = &own;
    guarded(entry.row, [&] {
      if (contender.device != nullptr) {
        entry.site =
            workers
                .emplace_back(std::make_unique<Site>(Site{
                    *contender.device,
                    make_speed_data(*contender.device, problem, direction == ABN_BACKWARD, seed),
                    {}}))
                .get();
      }
      entry.variant = std::make_unique<TimedVariant>(entry.site->device, entry.site->data, *variant,
                                                     entry.claims, direction);
      entry.row.measured = true;
    });
    entry.row.predicted = predicted_microseconds(*variant, problem, direction);
  }
  return entries;
}

/// Fresh data for all, and whether the timed calls compute what they should; those that do not are
/// not timed any more.
void judge_outputs(Site& own, std::vector<Entry>& entries, std::uint64_t seed) {
  draw_speed_data(own.device, own.data, seed);
  for (Entry& entry : entries) {
    if (!entry.row.measured) continue;
    Site& site = *entry.site;
    guarded(entry.row, [&] {
      if (&site != &own) draw_speed_data(site.device, site.data, seed);
      entry.variant->prepare();
      const std::string wrong = entry.outputs.wrong(
          site.device, site.data, *entry.variant, site.pool.all_sets(),
          [&] { site.device.replay(*entry.runner.before, *entry.runner.timed); }, seed);
      if (!wrong.empty()) throw call::DeviceError("its time is no time: " + wrong);
    });
  }
}

/// A turn. In a worker every round is looked at, as a kernel that knows the data again may leave
/// out what it has computed before.
void take_turn(Entry& entry, bool counts, int round) {
  const Site& site = *entry.site;
  entry.runner.turn(site.device, counts);
  if (entry.runner.nothing == nullptr) return;
  const std::string wrong = entry.outputs.wrong_in_round(site.device, site.data, *entry.variant,
                                                         site.pool.all_sets(), round);
  if (!wrong.empty()) throw call::DeviceError("its time is no time: " + wrong);
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
                         std::span<const Contender> contenders, double seconds,
                         std::uint64_t seed) {
  SpeedGroup group;
  group.subject = subject, group.direction = direction;
  const bool backward = direction == ABN_BACKWARD;
  const abn_problem& problem = subject.problem;
  group.tensor_bytes = static_cast<double>(problem::element_count(problem)) *
                       problem::format_of(problem.dtype).bytes;
  group.floor_bytes = check::sanitize::floor_sweeps(backward) * group.tensor_bytes;
  const auto foreign = static_cast<double>(
      std::count_if(contenders.begin(), contenders.end(),
                    [](const Contender& one) { return one.device != nullptr; }));
  const double needed =
      group.tensor_bytes *
      ((backward ? 2.0 + 2.0 * static_cast<double>(contenders.size()) : 2.0) + 2.0 * foreign);
  if (const double free = device.free_bytes(); needed > memory_share * free) {
    group.skipped =
        fmt::format("needs {:.1f} GB of memory and {:.1f} GB are free", needed / 1e9, free / 1e9);
    return group;
  }
  Site own{device, make_speed_data(device, problem, backward, seed), {}};
  std::vector<std::unique_ptr<Site>> workers;
  std::vector<Entry> entries = entries_of(own, workers, direction, contenders, seed);
  const auto finish = [&] {
    for (Entry& entry : entries) group.rows.push_back(std::move(entry.row));
  };
  Pool& pool = own.pool;
  pool.slot_bytes = own.data.slot_bytes;
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
  const double pools = 1 + static_cast<double>(workers.size());
  pool.sets = group.sets =
      sets_of(footprint, device.cache_bytes(), memory_share * device.free_bytes() / pools);
  if (pool.sets == 0) {
    group.skipped = fmt::format(
        "a set of {:.1f} GB of buffers does not fit the memory that is free", footprint / 1e9);
    for (Entry& entry : entries) entry.row.measured = false;
    finish();
    return group;
  }
  const auto allocate = [&](Site& site) {
    site.pool.slot_bytes = pool.slot_bytes, site.pool.sets = pool.sets;
    site.pool.slots = pool.slots;
    site.pool.memory = DeviceBuffer(
        site.device, static_cast<std::size_t>(pool.sets * pool.slots) * pool.slot_bytes);
  };
  allocate(own);

  Runner copy = floor_of(own, filler->input_slots(), true),
         scale = floor_of(own, filler->input_slots(), false);
  for (Entry& entry : entries)
    if (entry.row.measured)
      guarded(entry.row, [&] {
        if (entry.site != &own) allocate(*entry.site);
        entry.runner = runner_of(*entry.site, *entry.variant);
      });

  // The data change before the rounds, behind a drawn one of those that all have, and after them.
  const data::Stream draw = data::Stream(seed).fork(5);
  const int between = static_cast<int>(draw.below(least_rounds - 1, 0));
  judge_outputs(own, entries, draw.below(data::readable_seeds, 1));
  // One round that does not count: clocks rise, and the first replay of a graph is slower.
  const call::Stopwatch watch;
  for (int round = -1; round < most_rounds && (round < least_rounds || watch.seconds() < seconds);
       ++round) {
    const bool counts = round >= 0;
    copy.turn(device, counts), scale.turn(device, counts);
    for (Entry& entry : entries)
      if (entry.row.measured) guarded(entry.row, [&] { take_turn(entry, counts, round); });
    if (counts) ++group.rounds;
    if (round == between) judge_outputs(own, entries, draw.below(data::readable_seeds, 2));
  }
  judge_outputs(own, entries, draw.below(data::readable_seeds, 3));
  group.copy = quantiles_of(copy.times), group.scale = quantiles_of(scale.times);
  for (Entry& entry : entries) {
    SpeedRow& row = entry.row;
    if (!row.measured) continue;
    row.microseconds = quantiles_of(entry.runner.times);
    if (device.has_pace())
      refuse_impossible(row, group.floor_bytes, 2 * group.tensor_bytes, group.copy.median);
    if (row.measured && entry.runner.nothing != nullptr)
      guarded(row, [&] {
        if (const std::string wrong = impossible_times(entry.runner.clock); !wrong.empty())
          throw call::DeviceError(wrong);
      });
    if (!row.measured) continue;
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
