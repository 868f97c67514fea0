// expm1, exp and log1p of Real50: what ELU costs in 50 digits, three times as fast as the general
// functions of Boost.
//
// exp. x = n ln 2 + r with |r| <= ln(2)/2 and ln 2 in two parts, the first so short that n times it
// is exact. With s = r/2^8 and the Taylor series E(s) = s + s^2/2! + ... + s^15/15!, whose next
// term is below 2^-(10*15+44) |s|,
//   E(2s) = E(s) (2 + E(s))        eight times gives E(r), each time for 2 roundings more,
//   expm1(x) = 2^n E(r) + (2^n - 1),   exp(x) = 2^n (E(r) + 1).
// No step cancels by more than a factor of 4: E(r) lies in (-0.3, 0.42).
//
// log1p. From y0 = log(1 + t) in long double, off by e, one step of Halley's method for expm1(y) =
// t, or for exp(y) = w = 1 + t,
//   y = y0 + 2 (t - E)/(2 + t + E)     or     y = y0 + 2 (w - F)/(w + F),
// is off by e^3/12: 2^-195 from 64 bits, two steps from 53. The first form keeps the digits of
// small t, the second those of small w, which is 1 + t without rounding as long as t is a quotient
// of numbers that began as doubles (|t| above 2^-100).
//
// Both are good to 16 units in the last place, which a test against 100 digits holds them to. They
// are found by argument-dependent lookup and stand beside Boost's own, so that every template takes
// the same ones; Real100 keeps Boost's.
#pragma once

#include <array>
#include <cmath>
#include <limits>

#include <boost/multiprecision/cpp_bin_float.hpp>

namespace boost::multiprecision {

using abn_real50 = number<cpp_bin_float<50>, et_off>;

namespace abn_detail {

inline constexpr int halvings = 8, last_term = 15, exact_bits = 100;

struct Constants {
  std::array<abn_real50, last_term + 1> reciprocal_factorial;
  abn_real50 ln2_head, ln2_tail, log2_e;
  Constants() {
    using Wide = number<cpp_bin_float<100>, et_off>;
    Wide factorial = 1;
    for (int k = 1; k <= last_term; ++k) {
      factorial *= k;
      reciprocal_factorial[static_cast<std::size_t>(k)] = abn_real50(Wide(1 / factorial));
    }
    const Wide ln2 = default_ops::get_constant_ln2<cpp_bin_float<100>>();
    const Wide head = ldexp(Wide(floor(ldexp(ln2, exact_bits))), -exact_bits);
    ln2_head = abn_real50(head);
    ln2_tail = abn_real50(Wide(ln2 - head));
    log2_e = abn_real50(Wide(1 / ln2));
  }
};

/// E(r) with x = n ln 2 + r; x finite and its exponential within the exponents of an int.
inline abn_real50 reduced_expm1(const abn_real50& x, int& n) {
  static const Constants constants;
  const double turns = std::nearbyint(static_cast<double>(x) * 1.4426950408889634);
  n = static_cast<int>(turns);
  abn_real50 s = x;
  if (n != 0) s = (x - turns * constants.ln2_head) - turns * constants.ln2_tail;
  s = ldexp(s, -halvings);
  abn_real50 series = constants.reciprocal_factorial[last_term];
  for (int k = last_term - 1; k >= 1; --k)
    series = series * s + constants.reciprocal_factorial[static_cast<std::size_t>(k)];
  series *= s;
  for (int i = 0; i < halvings; ++i) series *= 2 + series;
  return series;
}

/// Beyond, Boost's functions know what becomes of it: infinities, NaN, overflow and zeros with
/// their signs.
inline bool is_ordinary(const abn_real50& x) {
  constexpr double most = 1e6;
  return isfinite(x) && abs(x) < most && x != 0;
}

}  // namespace abn_detail

inline abn_real50 expm1(const abn_real50& x) {
  if (!abn_detail::is_ordinary(x)) return expm1<cpp_bin_float<50>>(x);
  int n = 0;
  const abn_real50 e = abn_detail::reduced_expm1(x, n);
  if (n == 0) return e;
  const abn_real50 power = ldexp(abn_real50(1), n);
  return e * power + (power - 1);
}

inline abn_real50 exp(const abn_real50& x) {
  if (!abn_detail::is_ordinary(x)) return exp<cpp_bin_float<50>>(x);
  int n = 0;
  const abn_real50 e = abn_detail::reduced_expm1(x, n);
  return ldexp(abn_real50(e + 1), n);
}

inline abn_real50 log1p(const abn_real50& t) {
  constexpr int steps = std::numeric_limits<long double>::digits >= 64 ? 1 : 2;
  if (!abn_detail::is_ordinary(t) || t <= -1) return log1p<cpp_bin_float<50>>(t);
  const abn_real50 w = 1 + t;
  const bool by_difference = t > -0.5;
  const bool small = abs(t) < 0.5;
  abn_real50 y(small ? std::log1p(static_cast<long double>(t))
                     : std::log(static_cast<long double>(w)));
  for (int step = 0; step < steps; ++step) {
    if (by_difference) {
      const abn_real50 e = expm1(y);
      y += 2 * (t - e) / (2 + t + e);
    } else {
      const abn_real50 f = exp(y);
      y += 2 * (w - f) / (w + f);
    }
  }
  return y;
}

}  // namespace boost::multiprecision
