// `study bounds`: all classes, the tables of how sharp their bounds are, and whether any was
// exceeded.
#pragma once

#include <vector>

#include "verify/study/bounds.hpp"
#include "verify/study/inversion_study.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::study {

/// Every class, in the order of bounds_classes() and then of bounds_conventions(); the same for any
/// number of threads (0: one a core).
std::vector<BoundsResult> bounds_results(std::uint64_t channels, std::uint64_t seed, int threads,
                                         const StudyProgress& progress = {});

Study bounds_study(const std::vector<BoundsResult>& results, std::uint64_t channels,
                   std::uint64_t seed);

/// True where no value of a right kernel was above its bound.
bool all_within(const std::vector<BoundsResult>& results);

}  // namespace abn::verify::study
