// What the reference asks of a scalar type, and the few functions that differ between them.
//
// The mathematics is written once, as templates over T. T is one of
//   double, long double      the ordinary answer;
//   Real50, Real100          the same with 50 or 100 decimal digits (reference/multiprecision.hpp);
//   std::complex<double>     derivatives by a complex step: f'(x) = Im f(x + ih) / h, no
//                            cancellation;
//   Dual<R>                  derivatives by forward-mode differentiation (reference/dual.hpp).
//
// The last two carry a derivative beside the value, which fixes the rules every formula here obeys:
//   - a branch (the activation, |gamma|) asks only the real part, through real_part or is_negative;
//   - products are sums of a*b, never of conj(a)*b: Eigen's dot() and squaredNorm() conjugate, so
//     they are not used; (a * b).sum() is.
#pragma once

#include <cmath>
#include <complex>

#include <Eigen/Core>

namespace abn::reference {

// The m samples of one channel.
template <class T>
using Vector = Eigen::Array<T, Eigen::Dynamic, 1>;

// Visible to every template below; Boost.Multiprecision and Dual add theirs by argument-dependent
// lookup.
using std::erfc;
using std::exp;
using std::expm1;
using std::log1p;
using std::signbit;
using std::sqrt;

// The part of a scalar that decides branches. Dual adds an overload.
template <class T>
const T& real_part(const T& x) {
  return x;
}
template <class R>
R real_part(const std::complex<R>& x) {
  return x.real();
}

// A number of samples as a scalar; exact up to 2^53.
template <class T>
T as_count(Eigen::Index samples) {
  return T(static_cast<double>(samples));
}

// Sign bit of the real part: true for -0, which a comparison with 0 cannot see.
template <class T>
bool is_negative(const T& x) {
  return signbit(real_part(x)) != 0;
}

// e^z - 1 for complex z = a + ib without cancellation in either part:
//   Re = e^a cos b - 1 = expm1(a) cos b - 2 sin(b/2)^2,   Im = e^a sin b.
template <class R>
std::complex<R> expm1(const std::complex<R>& z) {
  const R half_sine = std::sin(z.imag() / 2);
  return {std::expm1(z.real()) * std::cos(z.imag()) - 2 * half_sine * half_sine,
          std::exp(z.real()) * std::sin(z.imag())};
}

// log(1 + z) for complex z = a + ib:
//   Re = log|1 + z| = log1p(a (a + 2) + b^2) / 2,   Im = atan2(b, 1 + a).
template <class R>
std::complex<R> log1p(const std::complex<R>& z) {
  const R a = z.real();
  const R b = z.imag();
  return {std::log1p(a * (a + 2) + b * b) / 2, std::atan2(b, 1 + a)};
}

// erfc(z) for z = a + ib of a complex step, whose b is so small that b^4 does not count:
//   erfc(a + ib) = erfc(a) + b^2 erfc''(a)/-2 + ib erfc'(a) + ...,   erfc' = -2/sqrt(pi) e^(-a^2).
template <class R>
std::complex<R> erfc(const std::complex<R>& z) {
  const R a = z.real();
  const R b = z.imag();
  const R slope = -2 / std::sqrt(std::acos(R(-1))) * std::exp(-a * a);
  return {std::erfc(a) + b * b * a * slope, b * slope * (1 + b * b * (1 - 2 * a * a) / 3)};
}

// The ratio of a circle to its diameter. Scalars of more digits, or made of others, specialise it.
template <class T>
struct Pi {
  static T value() { return T(std::acos(-1.0L)); }
};

}  // namespace abn::reference
