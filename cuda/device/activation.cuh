// The activations z = phi(y) with an inverse, and what backward recovers from a stored z: y =
// phi^-1(z) and dy = dz*phi'(y). All of them are z = y from 0 up; below they differ:
//
//               z = phi(y)               y = phi^-1(z)          phi'(y)
//   identity    y                        z                      1
//   leaky ReLU  slope*y                  z/slope                slope
//   ELU         alpha*expm1(y)           log1p(z/alpha)         alpha*exp(y) = z + alpha
//   CELU        alpha*expm1(y/alpha)     alpha*log1p(z/alpha)   exp(y/alpha) = (z + alpha)/alpha
//
// The last two are one formula, with inner = 1 or alpha: alpha*expm1(y/inner), inner*log1p(z/alpha)
// and (z + alpha)/inner. An activation is one of the structs below with its numbers, given in
// activation_of; no kernel knows which there are.
//
// Choices at the edges:
// - y = -0 gives z = +0 under all but identity (y + 0 does it). So a stored -0 can only be a
//   negative result that was too small for the storage type, and backward takes the branch from the
//   sign bit of z, never from a comparison with 0. That holds for a NaN as well; forward stores
//   NaNs with sign bit 0 (device/scalar.cuh), so their phi' is 1.
// - ELU and CELU saturate: z <= -alpha has no inverse, and log1p(-1) * 0 would spoil the whole
//   channel. Such a z is replaced, for the inverse and for phi' alike, by `lowest`, the smallest
//   value of the storage type above -alpha.
// - z/alpha is a true division: it is correctly rounded, so z > -alpha cannot come out as -1. The
//   slope, and y/inner, have no such edge: they are multiplications by the reciprocal, exact where
//   it is a power of 2, and so always for ELU.
// - Close to 0 CELU is y itself: right to all digits, where y/alpha may have underflowed.
// - Identity is leaky ReLU with slope 1, exact in every operation, except that it keeps y = -0: it
//   adds -0 instead of +0.
#pragma once

#include "cuda/device/scalar.cuh"
#include "cuda/kernel.h"

namespace abn::device {
inline namespace ABN_BUILD {

constexpr int last_activation = ABN_CELU;  // those from 0 up to it are known here; see curve.cuh

// ---- below 0; upstream(z, dz) is dy

template <class A>
struct LeakyRelu {
  A slope, reciprocal;
  __device__ A value(A y) const { return slope * y; }
  __device__ A inverse(A z) const { return z * reciprocal; }
  __device__ A upstream(A, A dz) const { return slope * dz; }
};

template <class A>
struct Exponential {
  A alpha, reciprocal, inner;  // reciprocal = 1/inner
  A straight;                  // above it y is z; 0: nowhere below 0
  __device__ A value(A y) const {
    const A t = y * reciprocal;
    return t > straight ? y : alpha * exp_minus_one(t);
  }
  __device__ A inverse(A z) const {
    const A t = z / alpha;
    return t > straight ? z : inner * log_one_plus(t);
  }
  __device__ A upstream(A z, A dz) const { return (z + alpha) * reciprocal * dz; }
};

// ---- on the whole line

template <class A>
struct Activation {
  A parameter;        // slope or alpha; 1 for identity
  A reciprocal;       // of the slope, or of inner
  A zero;             // what is added to y >= 0
  A lowest;           // where saturated z are moved to
  A inner, straight;  // of Exponential
  bool saturates;     // below 0 it is Exponential, else LeakyRelu

  // use(formulas) with the struct that holds below 0. It is asked for before anything about the
  // element, since it is the same for all threads; what follows for the others needs no branch.
  template <class Use>
  __device__ __forceinline__ A below_zero(Use use) const {
    if (saturates) return use(Exponential<A>{parameter, reciprocal, inner, straight});
    return use(LeakyRelu<A>{parameter, reciprocal});
  }

  __device__ A value(A y) const {
    return below_zero([&](const auto& phi) { return y < 0 ? phi.value(y) : y + zero; });
  }

  // z as it is inverted.
  __device__ A unsaturated(A z) const { return saturates && z < lowest ? lowest : z; }

  // Both take an unsaturated z.
  __device__ A inverse(A z) const {
    return below_zero([&](const auto& phi) { return sign_bit(z) ? phi.inverse(z) : z; });
  }
  __device__ A upstream(A z, A dz) const {  // dy
    return below_zero([&](const auto& phi) { return sign_bit(z) ? phi.upstream(z, dz) : dz; });
  }
  // dy for who has y: the same branch, for a z that has not been rounded. No sign bit is asked, for
  // that of a computed NaN is not the same on all machines; its phi' is 1 here, too.
  __device__ A upstream_at(A y, A dz) const {
    return below_zero([&](const auto& phi) { return y < 0 ? phi.upstream(phi.value(y), dz) : dz; });
  }
};

template <class T>
__device__ Activation<Accumulate<T>> activation_of(const abn_problem& problem) {
  using A = Accumulate<T>;
  // t of expm1(t) and log1p(t), which are t*(1 +- t/2 ...): half a unit roundoff
  constexpr A negligible = sizeof(A) == 4 ? A(0x1p-25) : A(0x1p-54);
  Activation<A> phi;
  const bool identity = problem.activation == ABN_IDENTITY, elu = problem.activation == ABN_ELU,
             celu = problem.activation == ABN_CELU;
  phi.parameter = identity ? A(1) : static_cast<A>(problem.activation_parameter);
  phi.inner = celu ? phi.parameter : A(1);
  phi.straight = celu ? -negligible : A(0);
  phi.saturates = elu || celu;
  phi.reciprocal = A(1) / (phi.saturates ? phi.inner : phi.parameter);
  phi.zero = identity ? -A(0) : A(0);
  const T rounded = narrow<T>(-phi.parameter);
  phi.lowest = widen(widen(rounded) > -phi.parameter ? rounded : towards_zero(rounded));
  return phi;
}

}  // namespace ABN_BUILD
}  // namespace abn::device
