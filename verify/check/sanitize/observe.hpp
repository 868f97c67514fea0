// One operation of a variant under the emulator's sanitiser, several times: what was found, and
// what each call moved.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/emulator/report.h"
#include "verify/call/call.hpp"
#include "verify/check/sanitize/launch_counts.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::check::sanitize {

/// Which check of the group a kind of finding belongs to.
enum class Fault : std::uint8_t { races, unwritten_reads, bounds, barriers };
Fault fault_of(const std::string& kind);

struct Sighting {
  emulator::Finding finding;
  std::string schedule;  ///< "reversed, seed 17"
};

struct Observed {
  std::vector<Sighting> sightings;  ///< one for each kind and pair of lines
  /// a call that went wrong without a finding: one sentence
  std::string trouble;
  /// no launch was ended by what was found, so that everything else was looked at, too
  bool complete = true;
  /// of complete calls that were asked for every output: out of place, and in place
  std::vector<std::vector<results::BufferTraffic>> traffic;
  /// of the same calls: their launches in their order
  std::vector<std::vector<LaunchCounts>> launches;
  /// of the buffers of traffic.front() and so on, one after the other
  std::vector<std::uint64_t> addresses;
};

/// Runs forward, or backward on what was saved, on the subject's instrumented variant under
/// `schedules` schedules: a random one, out of place and, where claimed, in place; each of the
/// adversarial ones; then random ones again. Optional outputs are left out as the seed says, but
/// not in the first two. Throws DeviceError.
Observed observe(const call::Subject& subject, const problem::Inputs& inputs,
                 const abn_claims& claims, std::uint64_t seed, const problem::Saved* saved,
                 int schedules);

inline constexpr int usual_schedules = 7;

}  // namespace abn::verify::check::sanitize
