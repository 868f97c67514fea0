// Instructions of compiled kernels beside what the memory's pace leaves, for the verbs traffic and
// plan.
#pragma once

#include "verify/check/sanitize/checks.hpp"

namespace abn::verify::command {

/// Instructions of a thread for each vector of 16 bytes of a tensor, and how many an H100 can issue
/// while the memory moves the least that there is to move (cuda/PERFORMANCE.md: 306 for forward's
/// two tensor sizes, 459 for backward's three).
struct Pace {
  double instructions = 0, budget = 0;
};
Pace pace_of(const check::sanitize::MovedBy& call, std::uint64_t instructions);

}  // namespace abn::verify::command
