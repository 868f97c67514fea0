// The two backward passes of the InPlace-ABN paper: what they sum beside S0 = sum(dy), and dx from
// the sums.
//
//   I    recovers xhat = (y - beta)/g, element by element; S1 = sum(dy*xhat)
//   II   never leaves y: Sy = sum(dy*y), S1 = (Sy - beta*S0)/g, dx = r*(g*dy - S1/m*y - (g*S0 -
//        beta*S1)/m)
//
// I, with d = (y - beta)*2^-k and g = rest*2^k (device/inversion.cuh):
//   S1 = sum(dy*d)/rest     dx = g*r * ((dy - S0/m) - d*(S1/m/rest))
//
// II pays with cancellation: Sy and beta*S0 are |beta|/|g| times as large as what remains of them,
// and in sums of the accumulate type dgamma loses as much. So its sums are wide: products and sums
// of floats in double, where each product is exact; those of doubles as unevaluated pairs of
// doubles, with y scaled by a power of two so that no product underflows that matters. The last
// difference of dx is taken as y - beta, for the same reason:
//   dx = (rest*(dy - S0/m) - d*(S1/m)) * (r*2^k)
#pragma once

#include "cuda/device/channel.cuh"
#include "cuda/device/inversion.cuh"
#include "cuda/device/tree.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// hi + lo, with |lo| at most half an ulp of hi.
struct DoubleDouble {
  double hi = 0, lo = 0;
  DoubleDouble() = default;
  __device__ DoubleDouble(double high, double low = 0) : hi(high), lo(low) {}
  // Knuth's exact sum of the upper parts; the lower parts are added to what it leaves.
  __device__ DoubleDouble& operator+=(const DoubleDouble& other) {
    const double sum = hi + other.hi, part = sum - hi;
    const double rest = ((hi - (sum - part)) + (other.hi - part)) + (lo + other.lo);
    hi = sum + rest;
    lo = rest - (hi - sum);
    return *this;
  }
  __device__ explicit operator double() const { return hi + lo; }
};

__device__ __forceinline__ double wide_product(float a, float b) {
  return static_cast<double>(a) * static_cast<double>(b);
}
__device__ __forceinline__ DoubleDouble wide_product(double a, double b) {
  const double product = a * b;
  return {product, fma(a, b, -product)};
}
// A power of two that makes y = g*xhat + beta about as large as xhat at the most. Products of
// floats need none in double.
__device__ __forceinline__ float wide_unit(const Affine<float>&) { return 1; }
__device__ __forceinline__ double wide_unit(const Affine<double>& affine) {
  const double g = fabs(affine.g), beta = fabs(affine.beta);
  return inversion_of(Affine<double>{g < beta ? beta : g, 0}).unit;
}
// (a - beta*b)/g.
__device__ __forceinline__ float over_scale(double a, float beta, double b, float g) {
  return static_cast<float>((a - static_cast<double>(beta) * b) / static_cast<double>(g));
}
__device__ __forceinline__ double over_scale(const DoubleDouble& a, double beta,
                                             const DoubleDouble& b, double g) {
  DoubleDouble difference = wide_product(-beta, b.hi);
  difference.lo -= beta * b.lo;
  difference += a;
  return static_cast<double>(difference) / g;
}

template <class A>
struct SchemeOne {
  using Accumulated = A;
  using Value = A;                // of the sums
  using Recovery = Inversion<A>;  // what a term needs of its channel
  __device__ static Recovery none() { return {A(0), A(1), A(1)}; }
  __device__ static Recovery recovery(const Affine<A>& affine) { return inversion_of(affine); }
  __device__ static Value term(const Recovery& channel, A y, A dy) { return dy * channel.d(y); }
  // S0 and S1.
  __device__ static Sums<A> finished(const Affine<A>& affine, const Sums<Value>& sums) {
    return {sums.s0, sums.s1 / inversion_of(affine).rest};
  }

  // What dx needs of a channel.
  struct Channel {
    Inversion<A> inversion{A(0), A(1), A(1)};
    A mean_dy = 0, mean_dy_d = 0;  // S0/m and S1/m/rest
    A scale = 1;                   // g*r
    __device__ A dx(A y, A dy) const {
      return ((dy - mean_dy) - inversion.d(y) * mean_dy_d) * scale;
    }
  };
  __device__ static Channel channel(const Affine<A>& affine, A r, const Sums<A>& means) {
    const Inversion<A> inversion = inversion_of(affine);
    return {inversion, means.s0, means.s1 / inversion.rest, affine.g * r};
  }
};

template <class A>
struct SchemeTwo {
  using Accumulated = A;
  using Value = decltype(wide_product(A(), A()));
  using Recovery = A;  // the unit of y
  __device__ static Recovery none() { return A(1); }
  __device__ static Recovery recovery(const Affine<A>& affine) { return wide_unit(affine); }
  __device__ static Value term(Recovery unit, A y, A dy) { return wide_product(dy, y * unit); }
  __device__ static Sums<A> finished(const Affine<A>& affine, const Sums<Value>& sums) {
    const A unit = wide_unit(affine);
    return {
        static_cast<A>(sums.s0),
        affine.g == 0 ? A(0) : over_scale(sums.s1, affine.beta * unit, sums.s0, affine.g * unit)};
  }

  struct Channel {
    Inversion<A> inversion{A(0), A(1), A(1)};
    A mean_dy = 0, mean_dy_xhat = 0;  // S0/m and S1/m
    A outer = 1;                      // r*2^k, or 0 for g = 0
    A scale = 1;                      // g*r
    __device__ A dx(A y, A dy) const {
      return (inversion.rest * (dy - mean_dy) - inversion.d(y) * mean_dy_xhat) * outer;
    }
  };
  __device__ static Channel channel(const Affine<A>& affine, A r, const Sums<A>& means) {
    const Inversion<A> inversion = inversion_of(affine);
    return {inversion, means.s0, means.s1, affine.g == 0 ? A(0) : r / inversion.unit, affine.g * r};
  }
};

}  // namespace ABN_BUILD
}  // namespace abn::device
