// `study inversion`: the surfaces of all types and activations, and the tables that say where
// in-place is safe.
#pragma once

#include <functional>

#include "verify/study/inversion.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::study {

inline constexpr int inversion_steps = 3;  // grid points a decade
// of the gradient's size before anything cancels: what counts as a cost
inline constexpr double inversion_threshold = 0.01;

/// Called as surfaces come in, one at a time, with how many there are of how many; may be empty.
using StudyProgress = std::function<void(std::size_t done, std::size_t total)>;

/// The same study for any number of threads (0: one a core).
Study inversion_study(std::uint64_t seed, int threads, const StudyProgress& progress = {});

/// Where a cost that rises along `positions` passes the threshold, between grid points by
/// interpolation in both logarithms. NaN where it is above it from the first point on, infinity
/// where it never is.
double crossing(const std::vector<double>& positions, const std::vector<double>& costs,
                double threshold);

}  // namespace abn::verify::study
