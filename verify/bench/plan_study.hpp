// The choices of `auto` as a study: for every problem the kernel that its cost model takes, with
// bytes and time, and beside it what was measured where there is a measurement.
#pragma once

#include <span>
#include <string>

#include "verify/bench/problems.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::bench {

/// `measured` is a study of speed, or null. Every candidate has a row in the table "candidates",
/// every problem and direction one in "choices". Throws UsageError for a study that holds no times
/// of auto.
study::Study plan_study(std::span<const SpeedProblem> problems, const study::Study* measured);

}  // namespace abn::verify::bench
