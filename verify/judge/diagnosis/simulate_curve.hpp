// The activations without an inverse as a hypothesis evaluates them, with what is known to go
// wrong in phi'.
//
// The formulas are those of cuda/kernel.h once more, as verify/judge/diagnosis/simulate.hpp says.
// That z may be exact in double and the kernel's own has fewer digits makes no difference here: a
// hypothesis has to explain errors that are far above the roundings of either.
#pragma once

#include <algorithm>
#include <cmath>

#include "cuda/kernel.h"

namespace abn::verify::judge::diagnosis {

template <class Real>
Real curve_logistic(Real y) {
  return 1 / (1 + std::exp(-y));
}
template <class Real>
Real curve_normal(Real y) {
  return std::erfc(-y / std::sqrt(Real(2))) / 2;
}
template <class Real>
Real curve_density(Real y) {
  return std::exp(-y * y / 2) / std::sqrt(2 * std::acos(Real(-1)));
}
/// tanh(w), and w'.
template <class Real>
Real curve_tanh(Real y) {
  return std::tanh(std::sqrt(2 / std::acos(Real(-1))) * (y + Real(0.044715L) * y * y * y));
}
template <class Real>
Real curve_argument_slope(Real y) {
  return std::sqrt(2 / std::acos(Real(-1))) * (1 + 3 * Real(0.044715L) * y * y);
}

template <class Real>
Real curve_value(int activation, Real y) {
  switch (activation) {
    case ABN_RELU:
      return y < 0 ? 0 : y;
    case ABN_RELU6:
      return y < 0 ? 0 : y > 6 ? 6 : y;
    case ABN_SILU:
      return y * curve_logistic(y);
    case ABN_GELU:
      return y * curve_normal(y);
    case ABN_GELU_TANH:
      return y * (1 + curve_tanh(y)) / 2;
    case ABN_SIGMOID:
      return curve_logistic(y);
    case ABN_TANH:
      return std::tanh(y);
    case ABN_HARDSWISH:
      return y <= -3 ? 0 : y >= 3 ? y : y * (y + 3) / 6;
    default:
      return y;
  }
}

template <class Real>
Real curve_derivative(int activation, Real y) {
  switch (activation) {
    case ABN_RELU:
      return y > 0 ? 1 : 0;
    case ABN_RELU6:
      return y > 0 && y < 6 ? 1 : 0;
    case ABN_SILU: {
      const Real s = curve_logistic(y);
      return s * (1 + y * (1 - s));
    }
    case ABN_GELU:
      return curve_normal(y) + y * curve_density(y);
    case ABN_GELU_TANH: {
      const Real t = curve_tanh(y), bell = 1 - t * t;
      return (1 + t) / 2 + (bell == 0 ? 0 : y * bell * curve_argument_slope(y) / 2);
    }
    case ABN_SIGMOID: {
      const Real s = curve_logistic(y);
      return s * (1 - s);
    }
    case ABN_TANH: {
      const Real t = std::tanh(y);
      return 1 - t * t;
    }
    case ABN_HARDSWISH:
      return y <= -3 ? 0 : y >= 3 ? 1 : y / 3 + Real(0.5);
    default:
      return 1;
  }
}

/// phi' with what is forgotten most: the term with y of silu and gelu, the factor 1 - s of sigmoid,
/// the square of tanh.
template <class Real>
Real cut_derivative(int activation, Real y) {
  switch (activation) {
    case ABN_SILU:
    case ABN_SIGMOID:
      return curve_logistic(y);
    case ABN_GELU:
      return curve_normal(y);
    case ABN_GELU_TANH:
      return (1 + curve_tanh(y)) / 2;
    case ABN_TANH:
      return 1 - std::tanh(y);
    default:
      return curve_derivative(activation, y);
  }
}

/// sigmoid and silu, and phi', with 1/(1 + e^y) for s.
template <class Real>
Real value_of_minus_y(int activation, Real y) {
  return curve_logistic(-y) * (activation == ABN_SILU ? y : 1);
}
template <class Real>
Real derivative_of_minus_y(int activation, Real y) {
  const Real s = curve_logistic(-y);
  return activation == ABN_SILU ? s * (1 + y * (1 - s)) : s * (1 - s);
}

}  // namespace abn::verify::judge::diagnosis
