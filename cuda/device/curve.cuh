// All activations z = phi(y) as functions of y, with phi'(y): for variants whose backward has y
// again from x or xhat. Those with an inverse are those of device/activation.cuh; the others are
//
//               z                               phi'                                told by z
//   ReLU        max(y, 0)                       y > 0                               z > 0
//   ReLU6       min(max(y, 0), 6)               0 < y < 6                           0 < z < 6
//   SiLU        y*s, s = 1/(1 + exp(-y))        s*(1 + y*(1 - s))
//   GELU        y*(1 + e)/2, e = erf(y/sqrt 2)  (1 + e)/2 + y*exp(-y*y/2)/sqrt(2 pi)
//   GELU tanh   y*(1 + t)/2, t = tanh(w)        (1 + t)/2 + y/2*(1 - t*t)*w'
//               w = k*(y + c*y^3)               w' = k*(1 + 3c*y^2)
//   sigmoid     s                               s*(1 - s)                           z*(1 - z)
//   tanh        tanh(y)                         1 - z*z                             1 - z*z
//   hardswish   0, y*(y + 3)/6, y               0, y/3 + 1/2, 1
//
// with k = sqrt(2/pi) and c = 0.044715.
//
// Choices at the edges:
// - At a kink phi' is that of the left side at 0 and -3, and 0 at 6, 1 at 3.
// - Far out the forms end in what phi tends to: exp(-y) = infinity gives s = 0, exp(-infinity) = 0,
//   and w = +-infinity gives t = +-1. Only w' may overflow where 1 - t*t is 0; that product is left
//   out.
// - Comparisons are such that a NaN stays one in z.
#pragma once

#include "cuda/device/activation.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

constexpr int last_curve = ABN_HARDSWISH;  // those from 0 up to it are known here

template <class A>
struct Curve {
  int code;  // the same for all threads, so that no warp diverges by it
  Activation<A> branch;

  static constexpr A half_root = A(0.70710678118654752440);     // 1/sqrt(2)
  static constexpr A density_at_0 = A(0.39894228040143267794);  // 1/sqrt(2 pi)
  static constexpr A k = A(0.79788456080286535588), c = A(0.044715), three_c = A(0.134145);

  __device__ static A logistic(A y) { return A(1) / (A(1) + exponential(-y)); }
  __device__ static A distribution(A y) { return A(0.5) * (A(1) + error_function(y * half_root)); }
  __device__ static A tanh_of_w(A y) { return hyperbolic_tangent(k * (y + c * (y * y * y))); }

  __device__ A value(A y) const {
    switch (code) {
      case ABN_RELU:
        return y < 0 ? A(0) : y + A(0);
      case ABN_RELU6:
        return y < 0 ? A(0) : y > 6 ? A(6) : y + A(0);
      case ABN_SILU:
        return y * logistic(y);
      case ABN_GELU:
        return y * distribution(y);
      case ABN_GELU_TANH:
        return A(0.5) * y * (A(1) + tanh_of_w(y));
      case ABN_SIGMOID:
        return logistic(y);
      case ABN_TANH:
        return hyperbolic_tangent(y);
      case ABN_HARDSWISH:
        return y <= -3 ? A(0) : y >= 3 ? y : y * (y + A(3)) / A(6);
      default:
        return branch.value(y);
    }
  }

  // phi' of an activation without an inverse.
  __device__ A slope(A y) const {
    switch (code) {
      case ABN_RELU:
        return y > 0 ? A(1) : A(0);
      case ABN_RELU6:
        return y > 0 && y < 6 ? A(1) : A(0);
      case ABN_SILU: {
        const A s = logistic(y);
        return s * (A(1) + y * (A(1) - s));
      }
      case ABN_GELU:
        return distribution(y) + y * (exponential(A(-0.5) * y * y) * density_at_0);
      case ABN_GELU_TANH: {
        const A t = tanh_of_w(y), bell = A(1) - t * t, half = A(0.5) * (A(1) + t);
        return bell == 0 ? half : half + A(0.5) * y * bell * (k * (A(1) + three_c * (y * y)));
      }
      case ABN_HARDSWISH:
        return y <= -3 ? A(0) : y >= 3 ? A(1) : y / A(3) + A(0.5);
      default:
        return slope_from_output(value(y));
    }
  }

  // The same where a z tells it; the caller asks only for these.
  __device__ A slope_from_output(A z) const {
    if (code == ABN_RELU) return z > 0 ? A(1) : A(0);
    if (code == ABN_RELU6) return z > 0 && z < 6 ? A(1) : A(0);
    return code == ABN_SIGMOID ? z * (A(1) - z) : A(1) - z * z;
  }
  __device__ bool told_by_output() const {
    return code == ABN_RELU || code == ABN_RELU6 || code == ABN_SIGMOID || code == ABN_TANH;
  }

  // dy = dz*phi'(y).
  __device__ A upstream(A y, A dz) const {
    return code <= last_activation ? branch.upstream_at(y, dz) : dz * slope(y);
  }
  // The same for who has the stored z too.
  __device__ A upstream(A y, A stored, A dz) const {
    if (code <= last_activation) return branch.upstream(branch.unsaturated(stored), dz);
    return dz * (told_by_output() ? slope_from_output(stored) : slope(y));
  }
};

template <class T>
__device__ Curve<Accumulate<T>> curve_of(const abn_problem& problem) {
  Curve<Accumulate<T>> phi;
  phi.code = problem.activation;
  abn_problem with_inverse = problem;  // of which nothing is asked where there is none
  if (phi.code > last_activation) with_inverse.activation = ABN_IDENTITY;
  phi.branch = activation_of<T>(with_inverse);
  return phi;
}

}  // namespace ABN_BUILD
}  // namespace abn::device
