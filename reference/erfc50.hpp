// erfc of Real50: what GELU costs in 50 digits, a hundred times as fast as the general function of
// Boost.
//
// From 1/2 on, the trapezoidal rule with step h = 1/4 (C. Chiarella and A. Reichel, "On the
// evaluation of integrals related to the error function", Math. Comp. 22, 1968) for
//   erfc(x) = (2x/pi) e^(-x^2) int_0^inf e^(-t^2)/(t^2 + x^2) dt
//           = (2x/pi) e^(-x^2) h [1/(2x^2) + sum_n e^(-(nh)^2)/((nh)^2 + x^2)]
//             - 2/(e^(2 pi x/h) - 1)  where x < pi/h,
// the last term being the residue at the pole t = ix. What is left of the rule's error is below
// e^(-(pi/h)^2) = 2^-227 of the integral, and terms beyond n = 48 are below e^(-144) = 2^-207. The
// residue is at most 2^-16 of erfc, so nothing cancels. A division costs as much as ten products:
// four terms are brought onto one denominator.
//
// Below, erf(x) = 2x/sqrt(pi) e^(-x^2) sum_n (2x^2)^n/(2n+1)!!, whose terms are positive, and erfc
// is 1 minus that; of negative x it is 2 - erfc(-x). Good to 32 units in the last place, and x^2
// more for e^(-x^2), which a test against 100 digits holds it to.
#pragma once

#include <array>

#include <boost/math/constants/constants.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>

#include "reference/exponential50.hpp"

namespace boost::multiprecision {
namespace abn_detail {

struct ErfcConstants {
  static constexpr int terms = 48, together = 4, steps_a_unit = 4, series = 40;
  std::array<abn_real50, terms + 1> weight;       // e^(-(nh)^2)
  std::array<abn_real50, series + 1> reciprocal;  // 1/(2n+1)
  abn_real50 pi, two_over_root_pi;
  ErfcConstants() {
    using Wide = number<cpp_bin_float<100>, et_off>;
    for (int n = 0; n <= terms; ++n)
      weight[static_cast<std::size_t>(n)] =
          abn_real50(Wide(exp(Wide(Wide(-n * n) / (steps_a_unit * steps_a_unit)))));
    for (int n = 0; n <= series; ++n)
      reciprocal[static_cast<std::size_t>(n)] = abn_real50(1) / (2 * n + 1);
    pi = boost::math::constants::pi<abn_real50>();
    two_over_root_pi = boost::math::constants::two_div_root_pi<abn_real50>();
  }
};

/// x >= 1/2.
inline abn_real50 erfc_by_trapezoids(const abn_real50& x, const ErfcConstants& constants) {
  constexpr int steps = ErfcConstants::steps_a_unit;
  constexpr double last_residue = 12.56;  // pi/h; there it is e^(-158) of the rest
  const abn_real50 square = x * x;
  abn_real50 sum = 1 / (2 * square);
  for (int first = 1; first <= ErfcConstants::terms; first += ErfcConstants::together) {
    abn_real50 above = 0, below = 1;
    for (int n = first; n < first + ErfcConstants::together; ++n) {
      const abn_real50 own = square + static_cast<double>(n * n) / (steps * steps);
      above = above * own + constants.weight[static_cast<std::size_t>(n)] * below;
      below *= own;
    }
    sum += above / below;
  }
  abn_real50 result = 2 * x / constants.pi * exp(abn_real50(-square)) * sum / steps;
  if (x < last_residue) result -= 2 / expm1(abn_real50(2 * steps * constants.pi * x));
  return result;
}

/// |x| < 1/2.
inline abn_real50 erf_by_series(const abn_real50& x, const ErfcConstants& constants) {
  // (1/2)^n/(2n+1)!! is below 2^-230 at the last
  const abn_real50 twice = 2 * x * x;
  abn_real50 sum = 1;
  for (int n = ErfcConstants::series; n >= 1; --n)
    sum = 1 + sum * twice * constants.reciprocal[static_cast<std::size_t>(n)];
  return constants.two_over_root_pi * x * exp(abn_real50(-x * x)) * sum;
}

}  // namespace abn_detail

inline abn_real50 erfc(const abn_real50& x) {
  static const abn_detail::ErfcConstants constants;
  constexpr double far = 1e4;  // e^-(1e8) is nothing beside any double
  if (isnan(x)) return x;
  if (abs(x) > far) return x < 0 ? 2 : 0;
  if (x <= -0.5) return 2 - abn_detail::erfc_by_trapezoids(abn_real50(-x), constants);
  return x < 0.5 ? 1 - abn_detail::erf_by_series(x, constants)
                 : abn_detail::erfc_by_trapezoids(x, constants);
}

}  // namespace boost::multiprecision
