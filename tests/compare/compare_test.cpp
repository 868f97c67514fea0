// The comparator: every pair of classes, NaN above all, and tallies that add up in any grouping.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "verify/compare/compare.hpp"
#include "verify/data/random.hpp"

using namespace abn::verify;
using namespace abn::verify::compare;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

Point point(double exact, double bound, Rule rule = Rule::bounded) {
  Point p;
  p.hi = exact, p.bound = bound, p.fit_bound = 2 * bound, p.rule = rule;
  return p;
}

bool passes(const Point& p, double got, int dtype = ABN_F32) {
  return compare::compare(p, got, problem::format_of(dtype)).passed;
}

/// Any double: all classes, all exponents.
double any_double() {
  const auto kind = *rc::gen::inRange(0, 8);
  const double special[] = {0.0, -0.0, inf, -inf, nan_value};
  return kind < 5 ? special[kind] : std::bit_cast<double>(*rc::gen::arbitrary<std::uint64_t>());
}

}  // namespace

TEST(Comparator, NaNNeverPassesWhereANumberIsExpected) {
  EXPECT_TRUE(rc::check("NaN fails under every bound and every rule that wants a number", [] {
    const double bound = std::fabs(any_double()), exact = *rc::gen::inRange(-100, 100);
    for (const Rule rule : {Rule::bounded, Rule::signed_bounded, Rule::any_finite}) {
      RC_ASSERT(!passes(point(exact, bound, rule), nan_value));
      RC_ASSERT(!passes(point(exact, inf, rule), nan_value));
    }
  }));
  EXPECT_FALSE(passes(point(1, nan_value), 1.5))
      << "a bound that is NaN passes nothing but the exact value";
  EXPECT_EQ(compare::compare(point(1, 1), nan_value, problem::format_of(ABN_F32)).ratio, inf);
  EXPECT_STREQ(compare::compare(point(1, 1), nan_value, problem::format_of(ABN_F32)).reason,
               "NaN where a number is expected");
}

TEST(Comparator, ClassesAreComparedBeforeNumbers) {
  struct Row {
    Rule rule;
    double exact, got;
    bool passes;
  };
  const Row rows[] = {
      {Rule::same_class, nan_value, nan_value, true},
      {Rule::same_class, nan_value, 1, false},
      {Rule::same_class, nan_value, inf, false},
      {Rule::same_class, inf, inf, true},
      {Rule::same_class, inf, -inf, false},
      {Rule::same_class, inf, 1, false},
      {Rule::same_class, inf, nan_value, false},
      {Rule::any_nonfinite, 0, inf, true},
      {Rule::any_nonfinite, 0, -inf, true},
      {Rule::any_nonfinite, 0, nan_value, true},
      {Rule::any_nonfinite, 0, 0, false},
      {Rule::any_finite, 0, 1e30, true},
      {Rule::anything, 0, nan_value, true},
      {Rule::anything, 0, 1, true},
      {Rule::any_finite, 0, inf, false},
      {Rule::any_finite, 0, nan_value, false},
      {Rule::bounded, 1, inf, false},
      {Rule::bounded, 1, -inf, false},
      {Rule::bounded, 0.0, -0.0, true},
      {Rule::signed_bounded, 0.0, -0.0, false},
      {Rule::signed_bounded, -1e-60, -0.0, true},
      {Rule::signed_bounded, -1e-60, 0.0, false},
      {Rule::signed_bounded, 0.0, 0.0, true},
      {Rule::signed_bounded, 1e-60, -0.0, false},
  };
  for (const auto& row : rows)
    EXPECT_EQ(passes(point(row.exact, 1e-30, row.rule), row.got), row.passes)
        << int(row.rule) << " " << row.exact << " " << row.got;
}

TEST(Comparator, EveryClassOfValueUnderEveryRule) {
  const double classes[] = {nan_value, -nan_value, inf, -inf, 0.0, -0.0, 1.0, -1.0};
  struct Row {
    Rule rule;
    double exact;
    const char* passes;  // of the eight classes, in their order
  };
  const Row rows[] = {
      {Rule::anything, 1, "++++++++"},
      {Rule::anything, nan_value, "++++++++"},
      {Rule::any_finite, 1, "....++++"},
      {Rule::any_finite, nan_value, "....++++"},
      {Rule::any_nonfinite, 1, "++++...."},
      {Rule::any_nonfinite, inf, "++++...."},
      {Rule::same_class, nan_value, "++......"},
      {Rule::same_class, inf, "..+....."},
      {Rule::same_class, -inf, "...+...."},
      {Rule::bounded, 0.0, "....++.."},
      {Rule::bounded, -0.0, "....++.."},
      {Rule::bounded, 1, "......+."},
      {Rule::bounded, -1, ".......+"},
      {Rule::bounded, nan_value, "........"},
      {Rule::signed_bounded, 0.0, "....+..."},
      {Rule::signed_bounded, -0.0, ".....+.."},
      {Rule::signed_bounded, 1, "......+."},
      {Rule::signed_bounded, -1, ".......+"},
      {Rule::signed_bounded, nan_value, "........"},
  };
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64})
    for (const auto& row : rows)
      for (std::size_t i = 0; i < std::size(classes); ++i) {
        const auto c = compare::compare(point(row.exact, 0.25, row.rule), classes[i],
                                        problem::format_of(dtype));
        EXPECT_EQ(c.passed, row.passes[i] == '+')
            << int(row.rule) << " " << row.exact << " " << classes[i];
        EXPECT_EQ(c.ratio <= 1, c.passed) << int(row.rule) << " " << row.exact << " " << classes[i];
        EXPECT_EQ(*c.reason == '\0', c.passed) << "a failure says why, a pass has nothing to say";
      }
}

TEST(Comparator, AFailureNeverHidesBehindANaNRatio) {
  EXPECT_TRUE(
      rc::check("whatever the point, a failed element has a ratio that a maximum keeps", [] {
        Point p = point(any_double(), any_double());
        p.lo = any_double(), p.fit_bound = any_double();
        p.rule = *rc::gen::element(Rule::bounded, Rule::signed_bounded, Rule::same_class,
                                   Rule::any_finite, Rule::any_nonfinite);
        const int dtype = *rc::gen::inRange(0, 4);
        const auto c =
            compare::compare(p, problem::round_to(problem::format_of(dtype), any_double()),
                             problem::format_of(dtype));
        RC_ASSERT(!std::isnan(c.ratio) && !std::isnan(c.fit_ratio) && !std::isnan(c.ulp));
        if (!c.passed) RC_ASSERT(c.ratio >= 1);
        if (c.passed) RC_ASSERT(c.ratio <= 1);
      }));
  EXPECT_STREQ(compare::compare(point(nan_value, 1), 1, problem::format_of(ABN_F32)).reason,
               "no number is known that it could be compared with");
  EXPECT_EQ(compare::compare(point(inf, inf), 1, problem::format_of(ABN_F64)).ulp, -1048576)
      << "saturated towards the error's side";
  for (const double bound : {nan_value, -1.0}) {
    EXPECT_FALSE(passes(point(1, bound), 1));
    EXPECT_EQ(compare::compare(point(1, bound), 1, problem::format_of(ABN_F32)).ratio, inf)
        << "not even the exact value passes a bound that is none";
  }
}

TEST(Comparator, FartherAwayIsNeverBetter) {
  EXPECT_TRUE(rc::check(
      "on one side of the exact value, ratio and |ulp| grow with the distance, and what fails "
      "stays failed",
      [] {
        const int dtype = *rc::gen::inRange(0, 4);
        const problem::Format& format = problem::format_of(dtype);
        const double exact = std::ldexp(*rc::gen::inRange(-1000, 1000), *rc::gen::inRange(-12, 4));
        const Point p =
            point(exact, std::ldexp(*rc::gen::inRange(0, 100), *rc::gen::inRange(-20, 2)));
        double near = exact + std::ldexp(*rc::gen::inRange(0, 1000), -10),
               far = exact + std::ldexp(*rc::gen::inRange(0, 1000), -10);
        if (near > far) std::swap(near, far);
        const auto a = compare::compare(p, near, format), b = compare::compare(p, far, format);
        RC_ASSERT(a.ratio <= b.ratio && a.fit_ratio <= b.fit_ratio &&
                  std::fabs(a.ulp) <= std::fabs(b.ulp));
        RC_ASSERT(a.passed || !b.passed);
        Point wider = p;
        wider.bound *= 2;
        RC_ASSERT(!a.passed || compare::compare(wider, near, format).passed);
      }));
}

TEST(Comparator, OverflowIsRightOnlyWhereTheExactValueIsBeyondTheRange) {
  EXPECT_TRUE(passes(point(70000, 1), inf, ABN_F16));
  EXPECT_FALSE(passes(point(70000, 1), -inf, ABN_F16));
  EXPECT_FALSE(passes(point(70000, 1), 65504, ABN_F16)) << "saturating instead of overflowing";
  EXPECT_FALSE(passes(point(60000, 1), inf, ABN_F16));
  EXPECT_FALSE(passes(point(65512, 1), inf, ABN_F16))
      << "65512 is above the largest value and still rounds to it";
  EXPECT_STREQ(compare::compare(point(70000, 1), 65504, problem::format_of(ABN_F16)).reason,
               "finite where the value is beyond the range of the type");
  EXPECT_TRUE(passes(point(65519, 16), inf, ABN_F16))
      << "within the bound of the threshold 65520 both are right";
  EXPECT_TRUE(passes(point(65519, 16), 65504, ABN_F16));
  EXPECT_TRUE(passes(point(-10, 70000), inf, ABN_F16))
      << "a bound that reaches beyond the range on both sides";
  EXPECT_TRUE(passes(point(-10, 70000), -inf, ABN_F16));
}

TEST(Comparator, ABoundIsSharpAndTheRatioSaysByHowMuch) {
  EXPECT_TRUE(rc::check("passes exactly where |error| <= bound", [] {
    const double exact = *rc::gen::inRange(-1000, 1000), bound = *rc::gen::inRange(0, 1000) / 16.0,
                 error = *rc::gen::inRange(-1000, 1000) / 16.0;
    const auto c =
        compare::compare(point(exact, bound), exact + error, problem::format_of(ABN_F64));
    RC_ASSERT(c.passed == (std::fabs(error) <= bound));
    RC_ASSERT(c.error == error);
    if (bound > 0) RC_ASSERT(c.ratio == std::fabs(error) / bound);
    RC_ASSERT(c.passed == (c.ratio <= 1));
  }));
  Point tail = point(1, 0);
  tail.lo = 0x1p-60;
  EXPECT_EQ(compare::compare(tail, 1, problem::format_of(ABN_F64)).error, -0x1p-60)
      << "the error is against the unrounded value";
  EXPECT_EQ(compare::compare(point(1, 0), 2, problem::format_of(ABN_F32)).ratio, inf)
      << "no bound at all, and an error";
  EXPECT_EQ(compare::compare(point(1, 0.5), 1.25, problem::format_of(ABN_F32)).fit_ratio, 0.25)
      << "against the fit bound, twice the other here";
  EXPECT_EQ(compare::compare(point(1, inf), 5, problem::format_of(ABN_F32)).ratio, 0)
      << "an infinite bound demands nothing and is used by nothing";
}

TEST(Comparator, UlpsCountRepresentableSteps) {
  EXPECT_TRUE(rc::check("k steps of nextafter within a binade are k ulp", [] {
    const float start = 1 + *rc::gen::inRange(0, 1 << 20) * 0x1p-23f;
    const int steps = *rc::gen::inRange(-1000, 1000);
    float moved = start;
    for (int i = 0; i < std::abs(steps); ++i)
      moved = std::nextafter(moved, steps > 0 ? 4.0f : 0.0f);
    if (moved < 1 || moved >= 2) RC_DISCARD();
    RC_ASSERT(compare::compare(point(start, 1), moved, problem::format_of(ABN_F32)).ulp == steps);
  }));
}

TEST(Tallies, AddUpInAnyGrouping) {
  EXPECT_TRUE(rc::check("tally of the whole == tally of its parts", [] {
    const auto size = *rc::gen::inRange<std::size_t>(1, 60);
    Expectation e{Output::z, ABN_F32, {}, {}};
    std::vector<double> got;
    for (std::size_t i = 0; i < size; ++i) {
      e.points.push_back(point(*rc::gen::inRange(-8, 8), *rc::gen::inRange(0, 8) / 8.0));
      got.push_back(*rc::gen::inRange(0, 10) == 0 ? nan_value : *rc::gen::inRange(-64, 64) / 8.0);
    }
    const Tally whole = compare_all(e, got);
    const auto cut = *rc::gen::inRange<std::size_t>(0, size + 1);
    Tally left, right;
    for (std::size_t i = 0; i < size; ++i)
      (i < cut ? left : right)
          .add(static_cast<std::int64_t>(i), e.points[i], got[i],
               compare::compare(e.points[i], got[i], problem::format_of(ABN_F32)));
    left += right;
    RC_ASSERT(left.elements == whole.elements && left.failed == whole.failed &&
              left.nonfinite_got == whole.nonfinite_got);
    RC_ASSERT(left.max_ratio == whole.max_ratio && left.worst == whole.worst);
    RC_ASSERT(left.ratio_histogram == whole.ratio_histogram &&
              left.ulp_histogram == whole.ulp_histogram);
    RC_ASSERT(std::accumulate(whole.ratio_histogram.begin(), whole.ratio_histogram.end(),
                              std::uint64_t{0}) == whole.elements);
  }));
}

namespace {

/// 200 ordinary elements, one of which is odd in one way, with values to be compared: what a block
/// may not take for ordinary.
constexpr int oddities = 15;
void add_ordinary(Expectation& expectation, std::vector<double>& got, int oddity,
                  const data::Stream& draw) {
  const problem::Format& format = problem::format_of(expectation.dtype);
  const std::uint64_t size = 200, odd = draw.below(size, 0);
  for (std::uint64_t i = 0; i < size; ++i) {
    const data::Stream own = draw.fork(i);
    // Few ratios, so that there are equal ones with other errors in ulp.
    const double step = static_cast<double>(own.below(9, 0)) - 4;
    Point p = point((static_cast<double>(own.below(19, 1)) - 9) / 3,
                    own.below(2, 2) == 0 ? 4 / 256.0 : 8 / 256.0,
                    own.below(2, 3) == 0 ? Rule::bounded : Rule::signed_bounded);
    double value = p.hi + step / 256;
    if (own.below(2, 4) == 0) p.lo = p.hi * 1e-17;
    const double specials[] = {inf, nan_value, 0.0, -1.0, -inf, -0.0};
    const double special = specials[own.below(6, 5)];
    if (i == odd) {
      if (oddity == 0) p.hi = special;
      if (oddity == 1) p.bound = special;
      if (oddity == 2) p.fit_bound = special;
      if (oddity == 3) value = special;
      if (oddity >= 4 && oddity < 10) p.rule = static_cast<Rule>(oddity - 4);
      if (oddity == 10)
        value = special > 0 ? 0.0 : -0.0, p.hi = step * 1e-6, p.rule = Rule::signed_bounded;
      if (oddity == 11) value = p.hi + p.lo;
      if (oddity == 12) value = p.hi + std::copysign(1.5 * p.bound, step);
      if (oddity == 13 && expectation.dtype != ABN_F64)
        p.hi = 2 * format.largest, p.lo = 0, p.bound = p.fit_bound = format.largest / 2,
        value = p.hi - p.bound / 2;
      if (oddity == 14) value = inf, p.bound = inf;
    }
    expectation.points.push_back(p);
    got.push_back(value);
  }
}

}  // namespace

TEST(Tallies, ManyElementsAtOnceAreTheSameOneByOne) {
  for (int run = 0; run < 3000; ++run) {
    const int oddity = run % oddities;
    Expectation expectation{Output::z, run / oddities % 4, {}, {}};
    std::vector<double> got;
    add_ordinary(expectation, got, oddity, data::Stream(static_cast<std::uint64_t>(run)));
    SCOPED_TRACE(testing::Message() << "run " << run << ", oddity " << oddity);
    const problem::Format& format = problem::format_of(expectation.dtype);
    Tally one_by_one;
    for (std::size_t i = 0; i < got.size(); ++i)
      one_by_one.add(static_cast<std::int64_t>(i), expectation.points[i], got[i],
                     compare::compare(expectation.points[i], got[i], format));
    const Tally at_once = compare_all(expectation, got);
    const auto same = [](double a, double b) {
      return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
    };
    ASSERT_EQ(at_once.elements, one_by_one.elements);
    ASSERT_EQ(at_once.failed, one_by_one.failed);
    ASSERT_EQ(at_once.nonfinite_expected, one_by_one.nonfinite_expected);
    ASSERT_EQ(at_once.nonfinite_got, one_by_one.nonfinite_got);
    ASSERT_TRUE(same(at_once.max_ratio, one_by_one.max_ratio) &&
                same(at_once.sum_ratio, one_by_one.sum_ratio));
    ASSERT_TRUE(same(at_once.max_fit_ratio, one_by_one.max_fit_ratio));
    ASSERT_TRUE(same(at_once.max_abs_ulp, one_by_one.max_abs_ulp) &&
                same(at_once.sum_ulp, one_by_one.sum_ulp));
    ASSERT_EQ(at_once.worst, one_by_one.worst);
    ASSERT_EQ(at_once.ratio_histogram, one_by_one.ratio_histogram);
    ASSERT_EQ(at_once.ulp_histogram, one_by_one.ulp_histogram);
    const Comparison &a = at_once.worst_comparison, &b = one_by_one.worst_comparison;
    ASSERT_EQ(a.passed, b.passed);
    ASSERT_STREQ(a.reason, b.reason);
    ASSERT_TRUE(same(a.ratio, b.ratio) && same(a.fit_ratio, b.fit_ratio) && same(a.ulp, b.ulp));
    ASSERT_TRUE(same(a.error, b.error) || (std::isnan(a.error) && std::isnan(b.error)));
  }
}

TEST(Tallies, TheWorstElementIsAFailedOneIfThereIsAny) {
  Expectation e{Output::z, ABN_F32, {point(0, 1), point(0, 1), point(0, 1)}, {}};
  EXPECT_EQ(compare_all(e, std::vector<double>{0.5, nan_value, 0.9}).worst, 1);
  EXPECT_EQ(compare_all(e, std::vector<double>{0.5, 0.1, 0.9}).worst, 2);
}

/// error/bound may round to 1 where error <= bound is false by a hair.
TEST(Tallies, AFailedElementIsShownBeforeAPassedOneOfTheSameRatio) {
  Comparison passed, failed;
  passed.passed = true;
  passed.ratio = failed.ratio = 1;
  passed.ulp = 5, failed.ulp = 1;
  for (const bool failed_first : {true, false}) {
    Tally tally;
    tally.add(failed_first ? 7 : 3, Point{}, 0, failed_first ? failed : passed);
    tally.add(failed_first ? 3 : 7, Point{}, 0, failed_first ? passed : failed);
    EXPECT_EQ(tally.worst, 7);
  }
}

TEST(Tallies, The99thPercentileIsTheOneOfASort) {
  EXPECT_TRUE(rc::check("p99 is at least the sorted one and at most one bin above", [] {
    Expectation e{Output::z, ABN_F64, {}, {}};
    std::vector<double> got, ratios;
    const int size = *rc::gen::inRange(1, 400);
    for (int i = 0; i < size; ++i) {
      e.points.push_back(point(0, 1));
      got.push_back(std::ldexp(1 + *rc::gen::inRange(0, 1000) / 1000.0, *rc::gen::inRange(-11, 1)) /
                    2);
      ratios.push_back(std::fabs(got.back()));
    }
    std::sort(ratios.begin(), ratios.end());
    const double sorted = ratios[ratios.size() - 1 - ratios.size() / 100],
                 p99 = compare_all(e, got).p99_ratio();
    RC_ASSERT(p99 >= sorted && p99 <= sorted * std::exp2(0.25) * (1 + 1e-12));
  }));
}

TEST(Tallies, The99thPercentileOfAHopelessKernelIsNotTheTopOfTheHistogram) {
  Expectation e{Output::z, ABN_F64, {}, {}};
  std::vector<double> got;
  for (int i = 0; i < 200; ++i) e.points.push_back(point(0, 1)), got.push_back(1000);
  EXPECT_EQ(compare_all(e, got).p99_ratio(), 1000);
  got.assign(200, nan_value);
  EXPECT_EQ(compare_all(e, got).p99_ratio(), inf);
  EXPECT_EQ(compare_all(e, got).max_ratio, inf);
}

TEST(Tallies, ARatioFallsIntoTheBinWhoseEdgesHoldIt) {
  EXPECT_TRUE(rc::check("bin k holds [2^(k/4-12), 2^((k+1)/4-12))", [] {
    const double ratio =
        std::ldexp(1 + *rc::gen::inRange(0, 1 << 20) * 0x1p-20, *rc::gen::inRange(-16, 7));
    Tally tally;
    Comparison c;
    c.passed = true, c.ratio = ratio;
    tally.add(0, point(0, 1), 0, c);
    const auto at = static_cast<int>(
        std::max_element(tally.ratio_histogram.begin(), tally.ratio_histogram.end()) -
        tally.ratio_histogram.begin());
    // The three irrational edges of an octave are themselves rounded.
    constexpr double rounding = 1e-15;
    RC_ASSERT(at == 0 || ratio >= std::exp2(at / 4.0 - 12) * (1 - rounding));
    RC_ASSERT(at == Tally::ratio_bins - 1 ||
              ratio < std::exp2((at + 1) / 4.0 - 12) * (1 + rounding));
  }));
  for (int k = -12; k < 4; ++k) {  // edges that are powers of two are sharp
    Tally tally;
    Comparison c;
    c.passed = true, c.ratio = std::ldexp(1.0, k);
    tally.add(0, point(0, 1), 0, c);
    EXPECT_EQ(tally.ratio_histogram[static_cast<std::size_t>(4 * (k + 12))], 1u) << k;
  }
}

TEST(Tallies, UlpBinsFollowTheirLogarithm) {
  constexpr double beside = 1e-9;  // of an edge, which is itself rounded
  for (int k = 0; k < 32; ++k) {
    const double edge = std::exp2(k * 25.0 / 31 - 5);
    EXPECT_EQ(ulp_bin(edge * (1 + beside)), 32 + k + 1);
    EXPECT_EQ(ulp_bin(edge * (1 - beside)), 32 + k);
    EXPECT_EQ(ulp_bin(-edge * (1 + beside)), 32 - k - 1);
    EXPECT_EQ(ulp_bin(-edge * (1 - beside)), 32 - k);
  }
  EXPECT_EQ(ulp_bin(0), 32);
  EXPECT_EQ(ulp_bin(1e300), Tally::ulp_bins - 1);
}

TEST(Tallies, SumsAndExtremaAreThoseOfTheElements) {
  Tally tally;
  const problem::Format& format = problem::format_of(ABN_F32);
  const std::vector<std::pair<Point, double>> elements{{point(1, 0x1p-22), 1 + 0x1p-23},
                                                       {point(1, 0x1p-22), 1 - 0x1p-22},
                                                       {point(inf, 0, Rule::same_class), inf},
                                                       {point(1, 1), inf}};
  for (std::size_t i = 0; i < elements.size(); ++i)
    tally.add(static_cast<std::int64_t>(i), elements[i].first, elements[i].second,
              compare::compare(elements[i].first, elements[i].second, format));
  EXPECT_EQ(tally.elements, 4u);
  EXPECT_EQ(tally.failed, 1u);
  EXPECT_EQ(tally.nonfinite_expected, 1u);
  EXPECT_EQ(tally.nonfinite_got, 2u);
  EXPECT_EQ(tally.sum_ratio, 1.5)
      << "an infinite ratio is counted as failed and left out of the mean";
  EXPECT_EQ(tally.max_abs_ulp, -2) << "signed";
  EXPECT_EQ(tally.sum_ulp, -1);
  EXPECT_EQ(tally.max_fit_ratio, inf);
  Tally twice = tally;
  twice += tally;
  EXPECT_EQ(twice.sum_ratio, 3);
  EXPECT_EQ(twice.sum_ulp, -2);
  EXPECT_EQ(twice.max_abs_ulp, -2);
  EXPECT_EQ(twice.nonfinite_expected, 2u);
  EXPECT_EQ(twice.max_fit_ratio, inf);
  Tally sum;
  sum += tally;
  EXPECT_EQ(sum.max_fit_ratio, inf);
  EXPECT_EQ(sum.worst, 3);
}

TEST(Tallies, UlpBinsAreSymmetricOrderedAndContainTheirCentres) {
  for (int bin = 0; bin < Tally::ulp_bins; ++bin) {
    EXPECT_EQ(ulp_bin(ulp_bin_centre(bin)), bin);
    EXPECT_EQ(ulp_bin_centre(bin), -ulp_bin_centre(Tally::ulp_bins - 1 - bin));
    if (bin > 0) {
      EXPECT_LT(ulp_bin_centre(bin - 1), ulp_bin_centre(bin));
    }
  }
  EXPECT_EQ(ulp_bin(1048576), Tally::ulp_bins - 1);
}
