// The choices of `auto` as a study: for every problem the kernel that its cost model takes, with
// bytes and time, and beside it what was measured where there is a measurement.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "verify/bench/problems.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::bench {

/// What the executor counted of one call of auto: instructions of a thread for each 16 bytes of a
/// tensor and what the memory's pace leaves of them; branches at which a warp parted; replays of
/// shared memory.
struct Counts {
  double instructions = 0, budget = 0;
  std::uint64_t divergences = 0, replays = 0;
};
/// By problem and operation, "n2c3s5,nchw,f32,leaky_relu:0.01 forward".
using CountsByCall = std::map<std::string, Counts>;

/// `measured` is a study of speed, or null. Every candidate has a row in the table "candidates",
/// every problem and direction one in "choices", with its counts where there are some. Throws
/// UsageError for a study that holds no times of auto.
study::Study plan_study(std::span<const SpeedProblem> problems, const study::Study* measured,
                        const CountsByCall& counted = {});

}  // namespace abn::verify::bench
