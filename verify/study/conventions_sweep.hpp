// What `study conventions` measures: a variant's outputs over eps, v/eps and m, against every
// candidate convention.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/run/runner.hpp"
#include "verify/study/conventions_candidates.hpp"

namespace abn::verify::study::conventions {

inline constexpr std::array<std::int64_t, 4> sample_counts{2, 3, 7, 32};
inline constexpr std::array<double, 4> epsilons{1e-7, 1e-5, 1e-3, 1};
inline constexpr int lowest_exponent = -6, highest_exponent = 6;  // v/eps

/// Largest ratios of all candidates of one question.
template <std::size_t Count>
using Ratios = std::array<double, Count>;

/// A ratio that is no number is infinite.
inline void raise(double& largest, double ratio) {
  largest = std::isnan(ratio) ? std::numeric_limits<double>::infinity() : std::max(largest, ratio);
}

/// The largest |error| / bound of an output; infinite where nothing, or no number, is to compare.
double ratio_of(const std::vector<compare::Expectation>& expectations, compare::Output output,
                const std::vector<double>& got);

/// The ratios of everything, over all points.
struct Evidence {
  /// for one scale that was asked for
  std::array<std::array<std::array<double, scales.size()>, divisors.size()>, roots.size()>
      forward{};
  Ratios<kept.size()> saved{};
  Ratios<running.size()> averaged{};
  std::array<std::array<double, scales.size()>, backs.size()> backward{};
  bool has_saved = false, has_backward = false;
};

/// One channel of the sweep.
struct Place {
  Real v = 0, eps = 0, m = 0, gamma = 0;
  int exponent = 0;  ///< of v/eps, about
  /// what x - mean was multiplied by, read off z; NaN where the activation is not the identity
  Real factor = 0;
};

/// One convention of the scale that was asked for, ABN_SCALE_*.
struct Asked {
  int scale = 0;
  Evidence evidence;
  std::vector<Place> places;
};

struct Sweep {
  std::vector<Asked> asked;
  std::string settings;  ///< storage type and activation
};

/// Runs the variant. Without any problem that it supports the sweep is empty. Throws CallFailed and
/// DeviceError.
Sweep sweep_of(const call::Subject& subject, std::uint64_t seed);

}  // namespace abn::verify::study::conventions
