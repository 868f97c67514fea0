// How a sweep gets xhat = (y - beta)/g without a division an element, in any range of g.
//
// With g = rest * 2^k, 1/2 <= |rest| < 1, the sweeps work with
//   d = (y - beta) * 2^-k     so     xhat = d/rest
//   S1 = sum(dy*xhat) = sum(dy*d)/rest        xhat*S1/m = d * (S1/m/rest)
// and divide by rest once a channel. The factor 2^-k is exact and makes d of the size of xhat: 1/g
// would overflow for |g| < 2^-128 and y - beta alone would underflow in products with a small dy.
// Where 2^-k itself is out of range, the nearest power that is not is taken and rest makes up for
// it. g = 0: x cannot be recovered. d = 0 and rest = 1, so S1 = 0, and dx = g*r*(...) = 0.
#pragma once

#include "cuda/device/channel.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

template <class A>
struct Inversion {
  A beta;
  A unit;  // 2^-k
  A rest;
  __device__ A d(A y) const { return (y - beta) * unit; }
};

__device__ __forceinline__ int exponent_of(float v) {
  int k;
  frexpf(v, &k);
  return k;
}
__device__ __forceinline__ int exponent_of(double v) {
  int k;
  frexp(v, &k);
  return k;
}
__device__ __forceinline__ float power_of_two(float, int k) {
  return ldexpf(1.0f, k < -126 ? -126 : k > 127 ? 127 : k);
}
__device__ __forceinline__ double power_of_two(double, int k) {
  return ldexp(1.0, k < -1022 ? -1022 : k > 1023 ? 1023 : k);
}

template <class A>
__device__ Inversion<A> inversion_of(const Affine<A>& affine) {
  const A g = affine.g;
  if (g == 0) return {affine.beta, A(0), A(1)};
  if (!(g - g == 0)) return {affine.beta, A(1), g};  // NaN and infinity have no exponent
  const A unit = power_of_two(g, -exponent_of(g));
  return {affine.beta, unit, g * unit};
}

}  // namespace ABN_BUILD
}  // namespace abn::device
