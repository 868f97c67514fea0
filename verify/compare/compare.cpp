// The comparison of one exact value with one stored value, and what many comparisons add up to.
#include "verify/compare/compare.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace abn::verify::compare {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
// 2^20: beyond, an ulp count says no more than "wrong"
constexpr double ulp_saturation = 1048576;
constexpr int bias = 1023, fraction_bits = 52;  // of a double

Comparison pass_class() {
  Comparison result;
  result.passed = true;
  return result;
}

Comparison fail_class(const char* reason) {
  Comparison result;
  result.error = not_a_number;
  result.ratio = result.fit_ratio = infinity;
  result.ulp = ulp_saturation;
  result.reason = reason;
  return result;
}

/// |error| / bound, where 0/0 is 0: an exact result needs no bound. Where it fails `error <= bound`
/// for a NaN, it is infinite and not NaN, which would be lost in a maximum.
double ratio_of(double error, double bound) {
  if (!(error >= 0) || !(bound >= 0)) return infinity;
  if (error == 0) return 0;
  if (bound == infinity) return 0;
  return bound > 0 ? error / bound : infinity;
}

/// What is asked of a format at every element, found once.
struct Scale {
  const problem::Format& format;
  /// the smallest magnitude that rounds to infinity: half an ulp above the largest finite value
  double threshold;
  explicit Scale(const problem::Format& of)
      : format(of),
        threshold(of.dtype == ABN_F64 ? infinity
                                      : of.largest + problem::ulp_of(of, of.largest) / 2) {}
};

[[gnu::always_inline]] inline Comparison compare_bounded(const Point& point, double got,
                                                         const Scale& scale) {
  if (std::isnan(got)) return fail_class("NaN where a number is expected");
  const double threshold = scale.threshold, magnitude = std::fabs(point.hi);
  if (std::isinf(got)) {
    // Right only where the exact value, give or take its bound, reaches beyond the format's range
    // on that side.
    const bool may_overflow =
        got > 0 ? point.hi + point.bound >= threshold : point.hi - point.bound <= -threshold;
    return may_overflow ? pass_class() : fail_class("infinity where a finite number is expected");
  }
  if (magnitude - point.bound > threshold)
    return fail_class("finite where the value is beyond the range of the type");
  if (point.rule == Rule::signed_bounded && got == 0 && std::signbit(got) != std::signbit(point.hi))
    return fail_class("zero with the wrong sign");

  Comparison result;
  result.error = (got - point.hi) - point.lo;
  if (std::isnan(result.error))
    return fail_class("no number is known that it could be compared with");
  const double error = std::fabs(result.error);
  result.ratio = ratio_of(error, point.bound);
  result.fit_ratio = ratio_of(error, point.fit_bound);
  result.ulp = std::isfinite(point.hi)
                   ? std::clamp(result.error / problem::ulp_of(scale.format, point.hi),
                                -ulp_saturation, ulp_saturation)
                   : std::copysign(ulp_saturation, result.error);
  result.passed = error <= point.bound;
  if (!result.passed) result.reason = "error above its bound";
  return result;
}

[[gnu::always_inline]] inline Comparison compare_one(const Point& point, double got,
                                                     const Scale& scale) {
  switch (point.rule) {
    case Rule::anything:
      return pass_class();
    case Rule::any_finite:
      return std::isfinite(got) ? pass_class()
                                : fail_class("not finite where any finite number would do");
    case Rule::any_nonfinite:
      return std::isfinite(got) ? fail_class("finite although computed from NaN or infinity")
                                : pass_class();
    case Rule::same_class:
      if (std::isnan(point.hi))
        return std::isnan(got) ? pass_class() : fail_class("a number where NaN is expected");
      return got == point.hi ? pass_class() : fail_class("not the infinity that is expected");
    case Rule::bounded:
    case Rule::signed_bounded:
      return compare_bounded(point, got, scale);
  }
  return fail_class("no rule for this element");
}

}  // namespace

Comparison compare(const Point& point, double got, const problem::Format& format) {
  return compare_one(point, got, Scale(format));
}

// Bin 32 is |ulp| < 2^-5; each further bin spans a factor 2^(25/31) up to the saturation of 2^20.
// lower ones, of the bins 1 to 32 away from the middle, and two that nothing reaches
const std::array<double, 34> ulp_edges = [] {
  std::array<double, 34> edges{};
  for (int k = 0; k < 32; ++k) edges[static_cast<std::size_t>(k)] = std::exp2(k * 25.0 / 31 - 5);
  edges[32] = edges[33] = infinity;
  return edges;
}();

namespace {

[[gnu::always_inline]] inline int bin_of_ulp(double ulp) {
  // The octave says the bin, or the one or two below it. No search and no branch, as none of them
  // could be foretold.
  const double magnitude = std::min(std::fabs(ulp), ulp_saturation);
  const int octave = std::max(
      static_cast<int>(std::bit_cast<std::uint64_t>(magnitude) >> fraction_bits) - bias + 5, 0);
  const int first = octave * 31 / 25;
  const auto edge = [&](int k) {
    return static_cast<int>(magnitude >= ulp_edges[static_cast<std::size_t>(k)]);
  };
  const int away = edge(0) * (first + 1 + edge(first + 1) + edge(first + 2));
  const int negative = static_cast<int>(std::bit_cast<std::uint64_t>(ulp) >> 63);
  return 32 + (away ^ -negative) + negative;
}

}  // namespace

int ulp_bin(double ulp) { return bin_of_ulp(ulp); }

double ulp_bin_centre(int bin) {
  if (bin == 32) return 0;
  const int away = std::abs(bin - 32);
  const double centre = std::exp2((away - 0.5) * 25.0 / 31 - 5);
  return bin < 32 ? -centre : centre;
}

namespace {

inline int ratio_bin(double ratio) {
  constexpr int octaves_below_one = 12;
  constexpr double quarter = 1.189207115002721067, half = 1.414213562373095049,
                   three_quarters = 1.681792830507429086;  // 2^(1/4), 2^(1/2), 2^(3/4)
  if (!(ratio >= 1.0 / 4096)) return 0;
  if (ratio >= 16) return Tally::ratio_bins - 1;
  const auto bits = std::bit_cast<std::uint64_t>(ratio);
  const int octave = static_cast<int>(bits >> fraction_bits) - bias + octaves_below_one;
  const double significand = std::bit_cast<double>(
      (bits & ((std::uint64_t{1} << fraction_bits) - 1)) | std::uint64_t{bias} << fraction_bits);
  return 4 * octave + (significand >= quarter) + (significand >= half) +
         (significand >= three_quarters);
}

/// Does `a` deserve to be shown rather than `b`? A failed element before a passed one, then the
/// larger ratio, then the larger ulp error.
bool worse(const Comparison& a, const Comparison& b) {
  if (a.passed != b.passed) return !a.passed;
  if (a.ratio != b.ratio) return a.ratio > b.ratio;
  return std::fabs(a.ulp) > std::fabs(b.ulp);
}

[[gnu::always_inline]] inline void add_to(Tally& tally, std::int64_t index, const Point& point,
                                          double got, const Comparison& comparison) {
  ++tally.elements;
  if (!comparison.passed) ++tally.failed;
  const bool expects_nonfinite =
      point.rule == Rule::any_nonfinite || point.rule == Rule::same_class;
  if (expects_nonfinite) ++tally.nonfinite_expected;
  if (!std::isfinite(got)) ++tally.nonfinite_got;
  tally.max_ratio = std::max(tally.max_ratio, comparison.ratio);
  tally.max_fit_ratio = std::max(tally.max_fit_ratio, comparison.fit_ratio);
  if (std::isfinite(comparison.ratio)) tally.sum_ratio += comparison.ratio;
  if (std::isfinite(comparison.error)) {
    if (std::fabs(comparison.ulp) > std::fabs(tally.max_abs_ulp))
      tally.max_abs_ulp = comparison.ulp;
    tally.sum_ulp += comparison.ulp;
    ++tally.ulp_histogram[static_cast<std::size_t>(bin_of_ulp(comparison.ulp))];
  }
  ++tally.ratio_histogram[static_cast<std::size_t>(ratio_bin(comparison.ratio))];
  if (tally.worst < 0 || worse(comparison, tally.worst_comparison))
    tally.worst = index, tally.worst_comparison = comparison;
}

}  // namespace

void Tally::add(std::int64_t index, const Point& point, double got, const Comparison& comparison) {
  add_to(*this, index, point, got, comparison);
}

Tally& Tally::operator+=(const Tally& other) {
  elements += other.elements;
  failed += other.failed;
  nonfinite_expected += other.nonfinite_expected;
  nonfinite_got += other.nonfinite_got;
  max_ratio = std::max(max_ratio, other.max_ratio);
  max_fit_ratio = std::max(max_fit_ratio, other.max_fit_ratio);
  sum_ratio += other.sum_ratio;
  if (std::fabs(other.max_abs_ulp) > std::fabs(max_abs_ulp)) max_abs_ulp = other.max_abs_ulp;
  sum_ulp += other.sum_ulp;
  for (std::size_t i = 0; i < ratio_histogram.size(); ++i)
    ratio_histogram[i] += other.ratio_histogram[i];
  for (std::size_t i = 0; i < ulp_histogram.size(); ++i) ulp_histogram[i] += other.ulp_histogram[i];
  if (other.worst >= 0 && (worst < 0 || worse(other.worst_comparison, worst_comparison)))
    worst = other.worst, worst_comparison = other.worst_comparison;
  return *this;
}

double Tally::p99_ratio() const {
  if (elements == 0) return 0;
  const std::uint64_t above = elements / 100;  // elements that may lie above the percentile
  std::uint64_t seen = 0;
  for (int bin = ratio_bins - 1; bin >= 0; --bin) {
    seen += ratio_histogram[static_cast<std::size_t>(bin)];
    if (seen <= above) continue;
    // the last bin has no upper edge
    return bin == ratio_bins - 1 ? max_ratio : std::min(max_ratio, std::exp2((bin + 1) / 4.0 - 12));
  }
  return 0;
}

namespace {

// Nearly every element is a finite number under a finite bound that it keeps. A block of nothing
// but those takes the same steps as compare_bounded() and add_to(), without their questions: first
// the quotients, which need not wait for each other, then the tallies.
constexpr std::size_t block = 64;
struct Block {
  std::array<double, block> error, ratio, fit_ratio, ulp;
};

/// Fills the block, or says that one of its elements needs a closer look.
bool fill(Block& out, const Point* points, const double* got, const Scale& scale) {
  constexpr double largest = std::numeric_limits<double>::max();
  bool ordinary = true;
  for (std::size_t i = 0; i < block; ++i) {
    const Point& point = points[i];
    const double error = (got[i] - point.hi) - point.lo, size = std::fabs(error);
    out.error[i] = error;
    out.ratio[i] = size / point.bound;
    out.fit_ratio[i] = size / point.fit_bound;
    const bool numbers =
        point.rule == Rule::bounded || (point.rule == Rule::signed_bounded && got[i] != 0);
    const bool bounds = (point.bound > 0) & (point.bound <= largest) & (point.fit_bound > 0);
    // `size <= bound`, with a finite bound, says that got and exact are finite too.
    ordinary &= numbers & bounds & (std::fabs(point.hi) - point.bound <= scale.threshold) &
                (size <= point.bound);
  }
  for (std::size_t i = 0; i < block; ++i)
    out.ulp[i] = std::clamp(out.error[i] / problem::ulp_of(scale.format, points[i].hi),
                            -ulp_saturation, ulp_saturation);
  return ordinary;
}

void add_block(Tally& tally, std::int64_t first, const Block& of) {
  tally.elements += block;
  for (std::size_t i = 0; i < block; ++i) {
    const double ratio = of.ratio[i], ulp = of.ulp[i];
    tally.max_fit_ratio = std::max(tally.max_fit_ratio, of.fit_ratio[i]);
    tally.sum_ratio += ratio;
    tally.sum_ulp += ulp;
    if (std::fabs(ulp) > std::fabs(tally.max_abs_ulp)) tally.max_abs_ulp = ulp;
    ++tally.ulp_histogram[static_cast<std::size_t>(bin_of_ulp(ulp))];
    ++tally.ratio_histogram[static_cast<std::size_t>(ratio_bin(ratio))];
    if (ratio < tally.max_ratio) continue;
    tally.max_ratio = ratio;
    const Comparison comparison{true, of.error[i], ratio, of.fit_ratio[i], ulp, ""};
    if (tally.worst < 0 || worse(comparison, tally.worst_comparison))
      tally.worst = first + static_cast<std::int64_t>(i), tally.worst_comparison = comparison;
  }
}

}  // namespace

Tally compare_all(const Expectation& expectation, std::span<const double> got) {
  const Scale scale(problem::format_of(expectation.dtype));
  const Point* points = expectation.points.data();
  Tally tally;
  Block quick;
  for (std::size_t i = 0; i < got.size();) {
    if (i + block <= got.size() && fill(quick, points + i, got.data() + i, scale)) {
      add_block(tally, static_cast<std::int64_t>(i), quick);
      i += block;
      continue;
    }
    const std::size_t end = std::min(i + block, got.size());
    for (; i < end; ++i)
      add_to(tally, static_cast<std::int64_t>(i), points[i], got[i],
             compare_one(points[i], got[i], scale));
  }
  return tally;
}

}  // namespace abn::verify::compare
