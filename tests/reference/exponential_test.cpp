// expm1, exp and log1p in 50 digits: good to 16 units in the last place against 100 digits, and
// Boost's where they are not ordinary.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "reference/multiprecision.hpp"

namespace abn::tests {
namespace {

using reference::Real100;
using reference::Real50;

constexpr double largest_ulp = 16;
using Boost50 = boost::multiprecision::cpp_bin_float<50>;

double ulp_error(const Real50& got, const Real100& exact) {
  if (exact == 0) return got == 0 ? 0 : std::numeric_limits<double>::infinity();
  int exponent = 0;
  frexp(exact, &exponent);
  return static_cast<double>(
      abs(ldexp(Real100(Real100(got) - exact), std::numeric_limits<Real50>::digits - exponent)));
}

/// Arguments of all sizes and both signs, with mantissas longer than a double's.
Real50 any_argument(std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  const double size = std::exp2(-70 * uniform(random) + 9 * uniform(random));
  return Real50(random() % 3 == 0 ? size : -size) / 3;
}

TEST(exponential50, expm1_and_exp_are_good_to_16_ulp) {
  std::mt19937_64 random(1);
  double worst_expm1 = 0, worst_exp = 0;
  for (int i = 0; i < 20000; ++i) {
    const Real50 x = any_argument(random);
    worst_expm1 = std::max(worst_expm1, ulp_error(expm1(x), expm1(Real100(x))));
    worst_exp = std::max(worst_exp, ulp_error(exp(x), exp(Real100(x))));
  }
  EXPECT_LE(worst_expm1, largest_ulp);
  EXPECT_LE(worst_exp, largest_ulp);
  EXPECT_GT(worst_expm1, 0.4);  // a measure that sees no rounding sees nothing
}

TEST(exponential50, log1p_is_good_to_16_ulp_also_beside_minus_one) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> uniform(0, 1);
  double worst = 0;
  for (int i = 0; i < 20000; ++i) {
    Real50 t = i % 2 == 0 ? any_argument(random)
                          : -1 + ldexp(Real50(uniform(random)), -static_cast<int>(random() % 60));
    if (t <= -1) t = Real50(-uniform(random));
    worst = std::max(worst, ulp_error(log1p(t), log1p(Real100(t))));
  }
  EXPECT_LE(worst, largest_ulp);
  EXPECT_GT(worst, 0.4);
}

TEST(exponential50, what_is_not_ordinary_is_left_to_the_library) {
  const Real50 infinity = std::numeric_limits<Real50>::infinity(),
               nan = std::numeric_limits<Real50>::quiet_NaN();
  EXPECT_TRUE(isnan(expm1(nan)));
  EXPECT_TRUE(isnan(exp(nan)));
  EXPECT_TRUE(isnan(log1p(nan)));
  EXPECT_EQ(expm1(Real50(-infinity)), -1);
  EXPECT_EQ(expm1(infinity), infinity);
  EXPECT_EQ(exp(Real50(-infinity)), 0);
  EXPECT_EQ(exp(Real50(0)), 1);
  EXPECT_EQ(expm1(Real50(0)), 0);
  EXPECT_EQ(log1p(Real50(0)), 0);
  EXPECT_EQ(log1p(Real50(-1)), -infinity);
  EXPECT_EQ(log1p(infinity), infinity);
  for (const double large : {-1e7, 2e6})
    EXPECT_EQ(expm1(Real50(large)), boost::multiprecision::expm1<Boost50>(Real50(large))) << large;
}

}  // namespace
}  // namespace abn::tests
