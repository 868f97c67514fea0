// The checks that need to see every memory access: races, unwritten_reads, bounds, barriers and
// traffic, of forward and of backward.
//
// They run the instrumented build of a variant on the emulator, under random and adversarial
// schedules; `abn-verify run --sanitize` asks for them. A variant without such a build is skipped,
// and the reason says what to do.
#pragma once

#include "verify/check/group.hpp"
#include "verify/check/sanitize/launch_counts.hpp"

namespace abn::verify::check::sanitize {

extern const CheckGroup sanitize_checks;

/// What a variant's calls move on one case: forward, and backward where the mode has one. `claims`
/// go into the buffers.
struct MovedBy {
  std::string op;
  bool in_place = false;
  std::vector<results::BufferTraffic> buffers;
  /// how that differs from the claims; empty: it does not, or nothing is claimed
  std::string wrong;
  std::string trouble;  ///< why there are no buffers
  /// of compiled kernels: the launches of the call in their order, and all of them together
  std::vector<LaunchCounts> launches;
  std::uint64_t instructions = 0, divergences = 0, replays = 0;
};
std::vector<MovedBy> moved_by(const call::Subject& subject, const data::Case& one,
                              const abn_claims& claims);

/// Why the subject cannot be sanitised, and what to do about it; empty if it can.
std::string not_sanitisable(const call::Subject& subject);

}  // namespace abn::verify::check::sanitize
