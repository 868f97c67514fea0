// Forward-mode differentiation: a number that carries its derivative along one direction.
//
// With e^2 = 0, f(v + d e) = f(v) + f'(v) d e. So one evaluation of any formula below on duals
// whose `derivative` is 1 for one input and 0 for the others gives the exact partial derivative of
// that formula, to the precision of R and with no step size to choose:
//   (a + a'e)(b + b'e) = ab + (a'b + ab')e        (a + a'e)/(b + b'e) = a/b + (a' - (a/b) b')/b e
//   sqrt: a' / (2 sqrt a)    exp: e^a a'    expm1: e^a a'    log1p: a' / (1 + a)    |a|: sign(a) a'
//   erfc: -2/sqrt(pi) e^(-a^2) a'
//
// Invariants: comparisons and branches see `value` only; a constant has derivative 0.
#pragma once

#include <concepts>

#include "reference/scalar.hpp"

namespace abn::reference {

template <class R>
struct Dual {
  R value{0};
  R derivative{0};

  Dual() = default;
  // Implicit on purpose: a constant of a formula is a dual with derivative 0.
  template <std::convertible_to<R> Constant>
  Dual(const Constant& constant) : value(constant) {}
  Dual(const R& v, const R& d) : value(v), derivative(d) {}

  Dual& operator+=(const Dual& b) { return *this = *this + b; }
  Dual& operator-=(const Dual& b) { return *this = *this - b; }
  Dual& operator*=(const Dual& b) { return *this = *this * b; }
  Dual& operator/=(const Dual& b) { return *this = *this / b; }

  friend Dual operator-(const Dual& a) { return {-a.value, -a.derivative}; }
  friend Dual operator+(const Dual& a, const Dual& b) {
    return {a.value + b.value, a.derivative + b.derivative};
  }
  friend Dual operator-(const Dual& a, const Dual& b) {
    return {a.value - b.value, a.derivative - b.derivative};
  }
  friend Dual operator*(const Dual& a, const Dual& b) {
    return {a.value * b.value, a.derivative * b.value + a.value * b.derivative};
  }
  friend Dual operator/(const Dual& a, const Dual& b) {
    const R quotient = a.value / b.value;
    return {quotient, (a.derivative - quotient * b.derivative) / b.value};
  }

  friend bool operator==(const Dual& a, const Dual& b) { return a.value == b.value; }
  friend bool operator!=(const Dual& a, const Dual& b) { return a.value != b.value; }
  friend bool operator<(const Dual& a, const Dual& b) { return a.value < b.value; }
  friend bool operator<=(const Dual& a, const Dual& b) { return a.value <= b.value; }
  friend bool operator>(const Dual& a, const Dual& b) { return a.value > b.value; }
  friend bool operator>=(const Dual& a, const Dual& b) { return a.value >= b.value; }
};

template <class R>
auto real_part(const Dual<R>& x) {
  return real_part(x.value);
}

template <class R>
Dual<R> sqrt(const Dual<R>& a) {
  const R root = sqrt(a.value);
  return {root, a.derivative / (2 * root)};
}

template <class R>
Dual<R> exp(const Dual<R>& a) {
  const R power = exp(a.value);
  return {power, power * a.derivative};
}

template <class R>
Dual<R> expm1(const Dual<R>& a) {
  // Not (expm1 + 1): that would cancel where e^a is far below 1.
  return {expm1(a.value), exp(a.value) * a.derivative};
}

template <class R>
Dual<R> log1p(const Dual<R>& a) {
  return {log1p(a.value), a.derivative / (1 + a.value)};
}

template <class R>
Dual<R> erfc(const Dual<R>& a) {
  const R slope = R(-2) / sqrt(Pi<R>::value()) * exp(R(-(a.value * a.value)));
  return {erfc(a.value), slope * a.derivative};
}

template <class R>
struct Pi<Dual<R>> {
  static Dual<R> value() { return Pi<R>::value(); }
};

template <class R>
Dual<R> abs(const Dual<R>& a) {
  return is_negative(a) ? -a : a;
}

}  // namespace abn::reference

// What Eigen needs to hold duals in an array.
template <class R>
struct Eigen::NumTraits<abn::reference::Dual<R>> : Eigen::NumTraits<R> {
  using Real = abn::reference::Dual<R>;
  using NonInteger = abn::reference::Dual<R>;
  using Nested = abn::reference::Dual<R>;
  using Literal = abn::reference::Dual<R>;
  enum {
    IsComplex = 0,
    IsInteger = 0,
    IsSigned = 1,
    RequireInitialization = 1,
    ReadCost = 2 * NumTraits<R>::ReadCost,
    AddCost = 2 * NumTraits<R>::AddCost,
    MulCost = 3 * NumTraits<R>::MulCost,
  };
  static Real epsilon() { return NumTraits<R>::epsilon(); }
  static Real dummy_precision() { return NumTraits<R>::dummy_precision(); }
  static Real highest() { return NumTraits<R>::highest(); }
  static Real lowest() { return NumTraits<R>::lowest(); }
};
