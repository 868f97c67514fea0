// How a thread, a block and the slices of a channel come to S0 and S1, and dx from them: the same
// code for tensors and for tiles on the chip, and for both schemes (device/scheme.cuh).
#pragma once

#include "cuda/device/activation.cuh"
#include "cuda/device/aligned_iterator.cuh"
#include "cuda/device/channel.cuh"
#include "cuda/device/scheme.cuh"
#include "cuda/device/tree.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

constexpr int gradient_bundle = 2;  // vectors of z and of dz that a thread has in flight

// Adds the next vectors of an iterator to a thread's sums; `All` says that none of them is missing.
// `emit(access, dy)` is told the gradients of each vector times `scale`, rounded.
template <class T, int Layout, class Scheme, bool All, class Iterator, class Source, class Emit>
__device__ __forceinline__ void add_bundle(
    Iterator& iterator, const Source& z, const Source& dz, const Activation<Accumulate<T>>& phi,
    const typename Scheme::Recovery (&recovery)[owned<T, Layout>],
    const Accumulate<T> (&scale)[owned<T, Layout>],
    Sums<typename Scheme::Value> (&sums)[owned<T, Layout>], Emit emit) {
  using A = Accumulate<T>;
  using Value = typename Scheme::Value;
  constexpr int own = owned<T, Layout>, lanes = vector_lanes<T>, count = gradient_bundle;
  typename Iterator::Item vectors[count];
  Vec16<T> outputs[count], gradients[count];
  ABN_UNROLL for (int u = 0; u < count; ++u) {
    vectors[u] = iterator.next();
    if constexpr (All) vectors[u].present = true;
  }
  ABN_UNROLL for (int u = 0; u < count; ++u) {
    outputs[u] = z.load(vectors[u]);
    gradients[u] = dz.load(vectors[u]);
  }
  ABN_UNROLL for (int u = 0; u < count; ++u) {
    Sums<Value> access;
    A scaled[lanes];
    ABN_UNROLL for (int j = 0; j < lanes; ++j) {
      const A one = phi.unsaturated(widen(outputs[u].lane[j]));
      const A dy = phi.upstream(one, widen(gradients[u].lane[j]));
      const Value term = Scheme::term(recovery[own == 1 ? 0 : j], phi.inverse(one), dy);
      scaled[j] = scale[own == 1 ? 0 : j] * dy;
      // what lies outside may be 0 * infinity
      if ((lanes_present<T>(vectors[u]) >> j & 1) == 0) continue;
      Sums<Value>& sum = own == 1 ? access : sums[own == 1 ? 0 : j];
      sum.s0 += Value(dy);
      sum.s1 += term;
    }
    if constexpr (own == 1) sums[0].add(access);
    gradients[u] = narrow_all<T>(scaled);
  }
  ABN_UNROLL for (int u = 0; u < count; ++u) emit(vectors[u], gradients[u]);
}

// Adds the vectors of an iterator.
template <class T, int Layout, class Scheme, class Iterator, class Source, class Emit>
__device__ __forceinline__ void add_gradients(
    Iterator iterator, const Source& z, const Source& dz, const Activation<Accumulate<T>>& phi,
    const typename Scheme::Recovery (&recovery)[owned<T, Layout>],
    const Accumulate<T> (&scale)[owned<T, Layout>],
    Sums<typename Scheme::Value> (&sums)[owned<T, Layout>], Emit emit) {
  if constexpr (Iterator::never_ragged) {
    while (iterator.left() >= gradient_bundle)
      add_bundle<T, Layout, Scheme, true>(iterator, z, dz, phi, recovery, scale, sums, emit);
  }
  while (iterator.more())
    add_bundle<T, Layout, Scheme, false>(iterator, z, dz, phi, recovery, scale, sums, emit);
}

// The slices of a channel, merged by `rows` threads of a column; see merge_slices of
// device/statistics.cuh.
template <class Value, class Part>
__device__ __forceinline__ Sums<Value> merge_slices(SumsTree<Value, 1>& tree,
                                                    const MergeShape& shape, int64_t slices,
                                                    bool live, Part part) {
  const int row = static_cast<int>(threadIdx.x) / shape.columns;
  Sums<Value> sums[1];
  if (live && row < shape.rows) {
    for (int64_t slice = row; slice < slices; slice += shape.rows) sums[0].add(part(slice));
  }
  tree.reduce(shape.columns, shape.rows, sums);
  return sums[0];
}

template <class P, class A>
__device__ Affine<A> affine_of(const abn_problem& problem, const abn_backward_args& args,
                               int64_t c) {
  return affine_of<A>(problem, static_cast<const P*>(args.gamma), static_cast<const P*>(args.beta),
                      c);
}
template <class P, class A>
__device__ A reciprocal_deviation_of(const abn_problem& problem, const abn_backward_args& args,
                                     int64_t c) {
  return reciprocal_deviation(static_cast<A>(static_cast<const P*>(args.var)[c]), problem.eps);
}

// S0 and S1 of a channel.
template <class P, class Scheme>
__device__ Sums<typename Scheme::Accumulated> finished(const abn_problem& problem,
                                                       const abn_backward_args& args, int64_t c,
                                                       const Sums<typename Scheme::Value>& sums) {
  return Scheme::finished(affine_of<P, typename Scheme::Accumulated>(problem, args, c), sums);
}

// Writes dgamma and dbeta from S0 and S1.
template <class P, class A>
__device__ void publish_gradients(const abn_problem& problem, const abn_backward_args& args,
                                  int64_t c, const Sums<A>& sums) {
  const P* const gamma = static_cast<const P*>(args.gamma);
  const A g = affine_of<P, A>(problem, args, c).g;
  if (args.dgamma != nullptr)
    static_cast<P*>(args.dgamma)[c] = static_cast<P>(gamma_gradient(problem, gamma, c, g, sums.s1));
  if (args.dbeta != nullptr) static_cast<P*>(args.dbeta)[c] = static_cast<P>(sums.s0);
}

// `means` are S0/m and S1/m.
template <class P, class Scheme>
__device__ typename Scheme::Channel backward_channel(
    const abn_problem& problem, const abn_backward_args& args, int64_t c,
    const Sums<typename Scheme::Accumulated>& means) {
  using A = typename Scheme::Accumulated;
  return Scheme::channel(affine_of<P, A>(problem, args, c),
                         reciprocal_deviation_of<P, A>(problem, args, c), means);
}

}  // namespace ABN_BUILD
}  // namespace abn::device
