// Mean and sum of squared deviations of a set of samples, found in small pieces and merged.
//
// Pieces: a few samples in registers get a local two-pass with the residual's correction,
//   m0 = sum(x)/n,  d = x - m0,  mean = m0 + sum(d)/n,  M2 = sum(d^2) - sum(d)^2/n.
// Merges: those of Chan, Golub and LeVeque, with w = n_b/n,
//   delta = mean_b - mean_a,  mean = mean_a + delta*w,  M2 = M2_a + M2_b + delta^2 * n_a*w.
// E[x^2] - mu^2 appears nowhere, and no sample is the shift of others, so an outlier anywhere does
// no harm.
//
// The mean is kept as hi + lo, unevaluated. Otherwise each merge would round it to u|mean|, and the
// next delta of two such means would carry that error: relative to a difference of size sigma it is
// u|mean|/sigma, which is what makes plain Welford inferior to two passes where |mean| >> sigma.
// With lo it is of the order u^2 |mean|/sigma. Counts travel beside the moments, because the
// channels of a thread share them.
#pragma once

#include "cuda/device/scalar.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

template <class A>
struct Moments {
  A hi = 0, lo = 0;  // mean = hi + lo
  A m2 = 0;          // sum of squared deviations from the mean
};

// What a merge of n_a and n_b samples needs of the counts.
template <class A>
struct Weights {
  A share;    // n_b / (n_a + n_b)
  A product;  // n_a n_b / (n_a + n_b)
};
template <class A, class Count>
__device__ __forceinline__ Weights<A> weights_of(Count a, Count b) {
  const A share = b == 0 ? A(0) : static_cast<A>(b) / static_cast<A>(a + b);
  return {share, static_cast<A>(a) * share};
}

template <class A>
__device__ __forceinline__ Moments<A> merge(const Moments<A>& a, const Moments<A>& b,
                                            const Weights<A>& weights) {
  if (weights.product == 0) return weights.share == 0 ? a : b;  // one is empty
  const A delta = (b.hi - a.hi) + (b.lo - a.lo);
  const A step = a.lo + delta * weights.share;
  Moments<A> out;
  out.hi = a.hi + step;
  // exact for |step| <= |a.hi|; otherwise within u|delta|, one more rounding of the difference
  out.lo = (a.hi - out.hi) + step;
  out.m2 = (a.m2 + b.m2) + (delta * delta) * weights.product;
  return out;
}

// x[0] + ... + x[Count-1] of a power of two of terms, as a tree.
template <int Count, class A>
__device__ __forceinline__ A pairwise_sum(const A* x) {
  if constexpr (Count == 1)
    return x[0];
  else
    return pairwise_sum<Count / 2>(x) + pairwise_sum<Count / 2>(x + Count / 2);
}

// Those of x that have their bit in `mask`; the others are 0. `inverse` is 1/n for n of them; its
// rounding is that of a residual.
template <class A, int Count>
__device__ __forceinline__ Moments<A> two_pass(const A (&x)[Count], unsigned mask, A inverse) {
  constexpr unsigned all = Count == 32 ? ~0u : (1u << (Count & 31)) - 1;
  const A first = pairwise_sum<Count>(x) * inverse;
  A d[Count], squares[Count];
  ABN_UNROLL for (int i = 0; i < Count; ++i) d[i] = x[i] - first;
  if (mask != all) {
    ABN_UNROLL for (int i = 0; i < Count; ++i) d[i] = (mask >> i & 1) != 0 ? d[i] : A(0);
  }
  ABN_UNROLL for (int i = 0; i < Count; ++i) squares[i] = d[i] * d[i];
  const A residual = pairwise_sum<Count>(d), correction = residual * inverse;
  Moments<A> out;
  out.hi = first + correction;
  out.lo = (first - out.hi) + correction;
  out.m2 = pairwise_sum<Count>(squares) - residual * correction;
  // where the squares underflow and the square of their sum does not; a NaN stays
  if (out.m2 < 0) out.m2 = 0;
  return out;
}

}  // namespace ABN_BUILD
}  // namespace abn::device
