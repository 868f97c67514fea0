// The activations phi without an inverse that is of use, with their derivatives as functions of y.
//
//   relu       z = max(y, 0)                        phi' = 0 | 1
//   relu6      z = min(max(y, 0), 6)                phi' = 0 | 1 | 0
//   hardswish  z = 0 | y(y + 3)/6 | y               phi' = 0 | (2y + 3)/6 | 1   up to -3, 3, beyond
//   sigmoid    z = s = 1/(1 + e^-y)                 phi' = s q, q = 1 - s = 1/(1 + e^y)
//   tanh       z = (1 - E)/(1 + E), E = e^-2y       phi' = 1 - z^2 = 4E/(1 + E)^2
//   silu       z = y s                              phi' = s + y s q
//   gelu       z = y P, P = erfc(-y/sqrt 2)/2       phi' = P + y e^(-y^2/2)/sqrt(2 pi)
//   gelu_tanh  z = y (1 + tanh w)/2 = y S           phi' = S + y S Q 2w'
//              w = sqrt(2/pi)(y + 0.044715 y^3), S = 1/(1 + e^-2w), Q = 1 - S
//
// (D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", arXiv 1606.08415, has both forms of gelu
// and names silu; A. Howard et al., "Searching for MobileNetV3", arXiv 1905.02244, hardswish.)
//
// The forms are those that keep the relative accuracy of T at both ends: e^-|y| is all that an
// exponential is asked for, 1 - s is never formed, and P comes from erfc. Where a bell (s q, S Q)
// has underflowed to 0, its product with y is 0, also where y is infinite. At a kink phi' is that
// of the left side; of both it is a subgradient. NaN in, NaN out of every z.
#pragma once

#include "reference/scalar.hpp"

namespace abn::reference::curve {

// y times a factor that may be 0 for being small.
template <class T>
T weighted(const T& y, const T& factor) {
  return factor == T(0) ? T(0) : T(y * factor);
}

template <class T>
T magnitude(const T& y) {
  return is_negative(y) ? T(-y) : y;
}

// s; q is logistic(-y).
template <class T>
T logistic(const T& y) {
  const T e = exp(T(-magnitude(y)));
  return is_negative(y) ? T(e / (T(1) + e)) : T(T(1) / (T(1) + e));
}

// s q.
template <class T>
T logistic_bell(const T& y) {
  const T e = exp(T(-magnitude(y)));
  return T(e / ((T(1) + e) * (T(1) + e)));
}

// ---- pieces

template <class T>
T relu(const T& y) {
  return real_part(y) < 0 ? T(0) : T(y + T(0));
}
template <class T>
T relu_derivative(const T& y) {
  return T(real_part(y) > 0 ? 1 : 0);
}

template <class T>
T relu6(const T& y) {
  return real_part(y) > 6 ? T(6) : relu(y);
}
template <class T>
T relu6_derivative(const T& y) {
  return T(real_part(y) > 0 && !(real_part(y) > 6) ? 1 : 0);
}

template <class T>
T hardswish(const T& y) {
  if (!(real_part(y) > -3)) return real_part(y) <= -3 ? T(0) : y;
  return real_part(y) > 3 ? y : T(y * (y + T(3)) / T(6));
}
template <class T>
T hardswish_derivative(const T& y) {
  if (!(real_part(y) > -3)) return T(0);
  return real_part(y) > 3 ? T(1) : T((y + y + T(3)) / T(6));
}

// ---- with functions

template <class T>
T tanh(const T& y) {
  const T m = expm1(T(-(magnitude(y) + magnitude(y))));  // E - 1 of |y|
  const T t = T(-m / (T(2) + m));
  return is_negative(y) ? T(-t) : t;
}
template <class T>
T tanh_derivative(const T& y) {
  return T(T(4) * logistic_bell(T(y + y)));
}

template <class T>
T silu(const T& y) {
  return weighted(y, logistic(y));
}
template <class T>
T silu_derivative(const T& y) {
  return T(logistic(y) + weighted(y, logistic_bell(y)));
}

// P
template <class T>
T normal_distribution(const T& y) {
  static const T root = sqrt(T(2));
  return T(erfc(T(-y / root)) / T(2));
}
// e^(-y^2/2)/sqrt(2 pi) = P'
template <class T>
T normal_density(const T& y) {
  static const T root = sqrt(T(T(2) * Pi<T>::value()));
  return T(exp(T(-(y * y) / T(2))) / root);
}
template <class T>
T gelu(const T& y) {
  return weighted(y, normal_distribution(y));
}
template <class T>
T gelu_derivative(const T& y) {
  return T(normal_distribution(y) + weighted(y, normal_density(y)));
}

// 2 sqrt(2/pi), and the decimal constant of gelu_tanh, right to all digits of any T.
template <class T>
const T& two_root() {
  static const T root = sqrt(T(T(8) / Pi<T>::value()));
  return root;
}
template <class T>
const T& cubic() {
  static const T c = T(T(44715) / T(1000000));
  return c;
}
template <class T>
T two_w(const T& y) {
  return T(two_root<T>() * y * (T(1) + cubic<T>() * y * y));
}
template <class T>
T two_w_derivative(const T& y) {
  return T(two_root<T>() * (T(1) + T(3) * cubic<T>() * y * y));
}
template <class T>
T gelu_tanh(const T& y) {
  return weighted(y, logistic(two_w(y)));
}
template <class T>
T gelu_tanh_derivative(const T& y) {
  return T(logistic(two_w(y)) + weighted(T(y * two_w_derivative(y)), logistic_bell(two_w(y))));
}

}  // namespace abn::reference::curve
