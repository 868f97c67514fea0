// The adversary of `run --hunt`: climbs error/bound, check by check, through problems and data, and
// keeps the worst that it meets.
//
// Every check of numbers has a climb of its own: the case with the largest ratio so far, and steps
// away from it (verify/run/hunt_step.hpp). A step that another check gains from is that check's new
// place, too. A climb that has stood still for long begins again elsewhere; what it found stays in
// the records. Steps come in rounds of fixed size whose cases depend on the seed and on the rounds
// before alone, so a hunt of N steps is the same for any number of threads, and one under a budget
// of time is the beginning of a longer one.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "verify/check/group.hpp"
#include "verify/run/keeper.hpp"

namespace abn::verify::run {

struct HuntBudget {
  double seconds = 0;       ///< 0: no limit
  std::uint64_t steps = 0;  ///< cases of each variant; 0: no limit. Rounded up to whole rounds
};

struct HuntOptions {
  HuntBudget budget;
  std::uint64_t seed = 1;
  const data::Case* start = nullptr;  ///< hunts around this one case and in its problem only
  std::function<void(const char* variant, std::uint64_t steps, double largest)> progress;
  Keeper* keeper = nullptr;  ///< of what is found meanwhile; a hunt does not go on from it
};

struct HuntResult {
  /// concluded, ordered by id: all cases of the hunt together, as those of a run; the worst is the
  /// witness
  std::vector<results::Record> records;
  std::uint64_t steps = 0;  ///< cases that were tried
};

/// Hunts through the outputs of every subject, one after the other, each with its share of the
/// seconds. Throws worker::Interrupted where a signal ends it; what had been found is kept then.
HuntResult hunt(std::span<const call::Subject> subjects, const check::RunOptions& options,
                const HuntOptions& hunt_options);

/// Per check id the largest ratio and the command that replays it, as people read it.
std::string hunt_text(const HuntResult& result);

}  // namespace abn::verify::run
