// The comparison: one exact value with its bound against one stored value, and the tallies that
// comparisons add up to.
//
// It is a pure function and knows no operation. The class of a value (NaN, infinity, sign of zero)
// is compared before any arithmetic, and a point passes only if `error <= bound` is true, so a NaN
// anywhere fails.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/problem/format.hpp"

namespace abn::verify::compare {

/// What became of one element.
struct Comparison {
  bool passed = false;
  double error = 0;  ///< got - exact, signed; NaN where a class differs
  /// |error| / bound: 0 where both are 0, infinity where the bound is 0 or a class differs
  double ratio = 0;
  double fit_ratio = 0;  ///< |error| / fit_bound, likewise
  /// error in ulp of the exact value in the output type, signed, saturating at +-2^20
  double ulp = 0;
  /// why it failed: "error above its bound", "NaN where a number is expected", ...
  const char* reason = "";
};
Comparison compare(const Point& point, double got, const problem::Format& format);

/// Statistics over many comparisons; a commutative monoid up to the order of witnesses, so that
/// parts can be added in any grouping.
struct Tally {
  /// log2-spaced: bin k holds ratios in [2^(k/4-12), 2^((k+1)/4-12)), the first also everything
  /// below, the last everything above
  static constexpr int ratio_bins = 64;
  static constexpr int ulp_bins = 65;  ///< signed, symmetric-log: see ulp_bin()
  std::uint64_t elements = 0, failed = 0;
  std::uint64_t nonfinite_expected = 0, nonfinite_got = 0;
  double max_ratio = 0, sum_ratio = 0, max_fit_ratio = 0;
  /// over elements with finite error; ulp at the element with the largest |ulp|
  double max_abs_ulp = 0, sum_ulp = 0;
  /// index of the element with the largest ratio (first of equals; a failed element before any
  /// passed one)
  std::int64_t worst = -1;
  Comparison worst_comparison;
  std::array<std::uint64_t, ratio_bins> ratio_histogram{};
  std::array<std::uint64_t, ulp_bins> ulp_histogram{};

  Tally& operator+=(const Tally& other);
  void add(std::int64_t index, const Point& point, double got, const Comparison& comparison);
  /// upper edge of the histogram bin that holds the 99th percentile, not above max_ratio
  double p99_ratio() const;
};
int ulp_bin(double ulp);         ///< bin of a signed ulp error
double ulp_bin_centre(int bin);  ///< its centre, for plots

/// All elements of one output; expectation.points.size() == got.size().
Tally compare_all(const Expectation& expectation, std::span<const double> got);

}  // namespace abn::verify::compare
