// The activations z = phi(y) and what backward recovers from a stored z: y = phi^-1(z) and dy = dz
// * phi'(y).
//
//               z = phi(y)                     y = phi^-1(z)                    phi'(y)
//   identity    y                              z                                1
//   leaky ReLU  y, or slope*y below 0          z, or z/slope                    1, or slope
//   ELU         y, or alpha*expm1(y) below 0   z, or log1p(z/alpha)             1, or alpha*exp(y)
//                                              = z + alpha
//
// Choices at the edges:
// - y = -0 gives z = +0 under leaky ReLU and ELU (y + 0 does it). So a stored -0 can only be a
//   negative result that was too small for the storage type, and backward takes the branch from the
//   sign bit of z, never from a comparison with 0. That holds for a NaN as well; forward stores
//   NaNs with sign bit 0 (device/scalar.cuh), so their phi' is 1.
// - ELU saturates: z <= -alpha has no inverse, and log1p(-1) * 0 would spoil the whole channel.
//   Such a z is replaced, for the inverse and for phi' alike, by `lowest`, the smallest value of
//   the storage type above -alpha.
// - z/alpha is a true division: it is correctly rounded, so z > -alpha cannot come out as -1. The
//   slope has no such edge and is multiplied by its reciprocal (exact where the slope is a power of
//   2).
// - Identity is leaky ReLU with slope 1, exact in every operation, except that it keeps y = -0: it
//   adds -0 instead of +0.
#pragma once

#include "cuda/device/scalar.cuh"
#include "cuda/kernel.h"

namespace abn::device {
inline namespace ABN_BUILD {

template <class A>
struct Activation {
  A parameter;   // slope or alpha; 1 for identity
  A reciprocal;  // 1/slope
  A zero;        // what is added to y >= 0
  A lowest;      // ELU: where saturated z are moved to
  bool elu;

  // `elu` is asked before anything about the element: it is the same for all threads, and what
  // follows for the others needs no branch.
  __device__ A value(A y) const {
    if (elu) return y < 0 ? parameter * exp_minus_one(y) : y + zero;
    return y < 0 ? parameter * y : y + zero;
  }

  // z as it is inverted.
  __device__ A unsaturated(A z) const { return elu && z < lowest ? lowest : z; }

  // Both take an unsaturated z.
  __device__ A inverse(A z) const {
    if (elu) return sign_bit(z) ? log_one_plus(z / parameter) : z;
    return sign_bit(z) ? z * reciprocal : z;
  }
  __device__ A upstream(A z, A dz) const {  // dy
    if (elu) return sign_bit(z) ? (z + parameter) * dz : dz;
    return sign_bit(z) ? parameter * dz : dz;
  }
};

template <class T>
__device__ Activation<Accumulate<T>> activation_of(const abn_problem& problem) {
  using A = Accumulate<T>;
  Activation<A> phi;
  const bool identity = problem.activation == ABN_IDENTITY;
  phi.parameter = identity ? A(1) : static_cast<A>(problem.activation_parameter);
  phi.reciprocal = A(1) / phi.parameter;
  phi.zero = identity ? -A(0) : A(0);
  phi.elu = problem.activation == ABN_ELU;
  const T rounded = narrow<T>(-phi.parameter);
  phi.lowest = widen(widen(rounded) > -phi.parameter ? rounded : towards_zero(rounded));
  return phi;
}

}  // namespace ABN_BUILD
}  // namespace abn::device
