// How a thread, a block and the slices of a channel come to mean and variance: the same code for
// tensors and for tiles on the chip, so that every kernel which partitions a problem alike gets the
// same bits.
#pragma once

#include "cuda/device/aligned_iterator.cuh"
#include "cuda/device/channel.cuh"
#include "cuda/device/tree.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// vectors that a thread has in flight; also the samples of one local two-pass
constexpr int statistics_bundle = 4;

// What a slice says of a channel.
template <class A>
struct alignas(16) MomentsPart {
  A n;
  Moments<A> moments;
};

// Adds the next `count` vectors of an iterator to a thread's moments; `All` says that none of them
// is missing. Missing ones add zeros to sums, so that fewer steps with none missing give the same
// bits.
template <class T, int Layout, int count, bool All, class Iterator, class Source>
__device__ __forceinline__ void add_bundle(Iterator& iterator, const Source& x, Accumulate<T>& n,
                                           Moments<Accumulate<T>> (&moments)[owned<T, Layout>]) {
  using A = Accumulate<T>;
  constexpr int lanes = vector_lanes<T>, terms = Layout == ABN_NCHW ? count * lanes : count;
  typename Iterator::Item vectors[count];
  Vec16<T> raw[count];
  ABN_UNROLL for (int u = 0; u < count; ++u) {
    vectors[u] = iterator.next();
    if constexpr (All) vectors[u].present = true;
  }
  ABN_UNROLL for (int u = 0; u < count; ++u) raw[u] = x.load(vectors[u]);
  unsigned mask = 0;
  ABN_UNROLL for (int u = 0; u < count; ++u) {
    mask |= Layout == ABN_NCHW ? lanes_present<T>(vectors[u]) << (u * lanes)
                               : (any_present(vectors[u]) ? 1u : 0u) << u;
  }
  if (mask == 0) return;
  const A added = All ? A(terms) : static_cast<A>(__popc(mask));
  const A inverse = A(1) / added;
  const Weights<A> weights = weights_of<A>(n, added);
  if constexpr (Layout == ABN_NCHW) {
    A values[terms];
    ABN_UNROLL for (int u = 0; u < count; ++u) {
      ABN_UNROLL for (int j = 0; j < lanes; ++j) {
        const bool there = All || (mask >> (u * lanes + j) & 1) != 0;
        values[u * lanes + j] = there ? widen(raw[u].lane[j]) : A(0);
      }
    }
    moments[0] = merge(moments[0], two_pass(values, mask, inverse), weights);
  } else {
    ABN_UNROLL for (int j = 0; j < lanes; ++j) {
      A values[terms];
      ABN_UNROLL for (int u = 0; u < count; ++u) {
        const bool there = All || (mask >> u & 1) != 0;
        values[u] = there ? widen(raw[u].lane[j]) : A(0);
      }
      moments[j] = merge(moments[j], two_pass(values, mask, inverse), weights);
    }
  }
  n += added;
}

// Adds the vectors of an iterator to a thread's moments. `x` loads what the iterator names: a
// Tensor or a SmemTensor.
template <class T, int Layout, class Iterator, class Source>
__device__ __forceinline__ void add_moments(Iterator iterator, const Source& x, Accumulate<T>& n,
                                            Moments<Accumulate<T>> (&moments)[owned<T, Layout>]) {
  constexpr int count = statistics_bundle, few = count / 2;
  if constexpr (Iterator::never_ragged) {
    while (iterator.left() >= count) add_bundle<T, Layout, count, true>(iterator, x, n, moments);
  }
  while (iterator.left() > few) add_bundle<T, Layout, count, false>(iterator, x, n, moments);
  if (iterator.more()) add_bundle<T, Layout, few, false>(iterator, x, n, moments);
}

// The slices of a channel, merged by `rows` threads of a column: each takes every rows-th, then the
// tree. `part(slice)` is called for live columns only. The result is in row 0.
template <class A, class Part>
__device__ __forceinline__ Moments<A> merge_slices(MomentsTree<A, 1, int64_t>& tree,
                                                   const MergeShape& shape, int64_t slices,
                                                   bool live, Part part) {
  const int row = static_cast<int>(threadIdx.x) / shape.columns;
  int64_t n = 0;
  Moments<A> moments[1];
  if (live && row < shape.rows) {
    for (int64_t slice = row; slice < slices; slice += shape.rows) {
      const MomentsPart<A> one = part(slice);
      const int64_t added = static_cast<int64_t>(one.n);
      moments[0] = merge(moments[0], one.moments, weights_of<A>(n, added));
      n += added;
    }
  }
  tree.reduce(shape.columns, shape.rows, n, moments);
  return moments[0];
}

// What normalising needs of a channel.
template <class A>
struct ForwardChannel {
  A mean = 0, r = 1;
  Affine<A> affine;
  __device__ A y(A x) const { return affine.g * ((x - mean) * r) + affine.beta; }
};
template <class P, class A>
__device__ ForwardChannel<A> forward_channel(const abn_problem& problem,
                                             const abn_forward_args& args, int64_t c, A mean,
                                             A variance) {
  return {mean, reciprocal_deviation(variance, problem.eps),
          affine_of<A>(problem, static_cast<const P*>(args.gamma), static_cast<const P*>(args.beta),
                       c)};
}
template <class P, class A>
__device__ ForwardChannel<A> running_channel(const abn_problem& problem,
                                             const abn_forward_args& args, int64_t c) {
  return forward_channel<P>(problem, args, c,
                            static_cast<A>(static_cast<const P*>(args.running_mean)[c]),
                            static_cast<A>(static_cast<const P*>(args.running_var)[c]));
}

}  // namespace ABN_BUILD
}  // namespace abn::device
