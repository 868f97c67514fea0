// What was timed as a study: every problem with its floors and variants, the ratios between
// variants, and sentences on what came out.
#pragma once

#include <span>
#include <string>

#include "verify/bench/measure.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::bench {

/// bytes from which a tensor is no longer all latency
inline constexpr double large_tensor = 25e6;
/// of the in-place ceiling, in the bytes that a variant claims to move
inline constexpr double wanted_share = 0.85;
inline constexpr double slower_share = 1.05;  ///< of two_sweep's time: a variant beyond it has lost

struct SpeedRun {
  std::string device;   ///< described
  std::string command;  ///< what was asked
  std::uint64_t seed = 1;
  std::span<const SpeedGroup> groups;
};
study::Study speed_study(const SpeedRun& run);

/// One line a variant for a terminal, behind one for the floors.
std::string speed_text(const SpeedGroup& group);

}  // namespace abn::verify::bench
