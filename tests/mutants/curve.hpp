// The activations without an inverse as these kernels have them, each with the bugs that are known
// of it. What is not bugged is right within the claims, in float and in double.
#pragma once

#include <algorithm>
#include <cmath>

#include "cuda/kernel.h"
#include "tests/mutants/plan.hpp"

namespace abn::mutants {

template <class A>
struct Curve {
  Bug bug;
  int activation;
  bool backward;

  bool has(Bug one) const { return bug == one; }

  A sigmoid(A y) const {
    if (has(Bug::sigmoid_overflows)) return std::exp(y) / (1 + std::exp(y));
    return 1 / (1 + std::exp(has(Bug::sigmoid_of_minus_y) ? y : -y));
  }
  static A normal(A y) { return A(0.5) * (1 + std::erf(y * A(0.70710678118654752440))); }
  static A density(A y) { return std::exp(A(-0.5) * y * y) * A(0.39894228040143267794); }
  A tanh_of(A y) const {
    const A root = A(0.79788456080286535588);
    return std::tanh(root * (y + A(0.044715) * y * y * y));
  }
  /// The form of gelu that is computed.
  bool by_tanh() const {
    const bool tanh = activation == ABN_GELU_TANH;
    return tanh ? !(has(Bug::gelu_erf_for_tanh_backward) && backward) : has(Bug::gelu_tanh_for_erf);
  }

  A value(A y) const {
    switch (activation) {
      case ABN_RELU:
        return has(Bug::nan_lost) && std::isnan(y) ? A(0) : y < 0 ? A(0) : y;
      case ABN_RELU6:
        return y < 0 ? A(0) : y > 6 && !has(Bug::relu6_uncapped) ? A(6) : y;
      case ABN_SILU:
        return y * sigmoid(y);
      case ABN_GELU:
      case ABN_GELU_TANH:
        return y * (by_tanh() ? A(0.5) * (1 + tanh_of(y)) : normal(y));
      case ABN_SIGMOID:
        return sigmoid(y);
      case ABN_TANH:
        return std::tanh(y);
      default:
        return y <= (has(Bug::hardswish_limits) ? 0 : -3) ? A(0) : y >= 3 ? y : y * (y + 3) / 6;
    }
  }

  A derivative(A y) const {
    switch (activation) {
      case ABN_RELU:
        return has(Bug::relu_missing_backward) || y > 0 ? A(1) : A(0);
      case ABN_RELU6:
        return y > 0 && (y < 6 || has(Bug::relu6_uncapped_backward)) ? A(1) : A(0);
      case ABN_SILU: {
        const A s = sigmoid(y);
        return has(Bug::silu_derivative_cut) ? s : s * (1 + y * (1 - s));
      }
      case ABN_GELU:
      case ABN_GELU_TANH: {
        if (!by_tanh()) return normal(y) + (has(Bug::gelu_derivative_cut) ? A(0) : y * density(y));
        const A t = tanh_of(y), bell = 1 - t * t;
        const A slope = A(0.79788456080286535588) * (1 + A(0.134145) * y * y);
        return A(0.5) * (1 + t) + (bell == 0 ? A(0) : A(0.5) * y * bell * slope);
      }
      case ABN_SIGMOID: {
        const A s = sigmoid(y);
        return has(Bug::sigmoid_derivative_cut) ? s : s * (1 - s);
      }
      case ABN_TANH: {
        const A t = std::tanh(y);
        return has(Bug::tanh_derivative_cut) ? 1 - t : 1 - t * t;
      }
      default:
        if (has(Bug::hardswish_unlimited_backward)) return y / 3 + A(0.5);
        if (has(Bug::hardswish_limits_backward))
          return y <= 0 ? A(0) : y >= 3 ? A(1) : y / 3 + A(0.5);
        return y <= -3 ? A(0) : y >= 3 ? A(1) : y / 3 + A(0.5);
    }
  }
};

}  // namespace abn::mutants
