// How a thread, a block and the slices of a channel come to S0 and S1, and dx from them: the same code for tensors and for slabs on the
// chip. With y = phi^-1(z), d = (y - beta)*2^-k and g = rest*2^k (device/inversion.cuh),
//   S0 = sum(dy)     S1 = sum(dy*d)/rest     dx = g*r * ((dy - S0/m) - d*(S1/m/rest))
#pragma once

#include "cuda/device/activation.cuh"
#include "cuda/device/channel.cuh"
#include "cuda/device/inversion.cuh"
#include "cuda/device/tree.cuh"
#include "cuda/device/window.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

constexpr int gradient_bundle = 2;  // windows of z and of dz that a thread has in flight

// Adds the windows of a walk to a thread's sums. `emit(window, dy)` is told the gradients of each window times `scale`, rounded.
template <class T, int Layout, class Steps, class Source, class Emit>
__device__ __forceinline__ void add_gradients(Steps walk, const Source& z, const Source& dz, const Activation<Accumulate<T>>& phi,
                                              const Inversion<Accumulate<T>> (&inversion)[owned<T, Layout>],
                                              const Accumulate<T> (&scale)[owned<T, Layout>], Sums<Accumulate<T>> (&sums)[owned<T, Layout>],
                                              Emit emit) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>, lanes = window_lanes<T>, count = gradient_bundle;
  while (walk.more()) {
    Window windows[count];
    Vec16<T> outputs[count], gradients[count];
    ABN_UNROLL for (int u = 0; u < count; ++u) windows[u] = walk.next();
    ABN_UNROLL for (int u = 0; u < count; ++u) {
      outputs[u] = z.load(windows[u]);
      gradients[u] = dz.load(windows[u]);
    }
    ABN_UNROLL for (int u = 0; u < count; ++u) {
      Sums<A> window;
      ABN_UNROLL for (int j = 0; j < lanes; ++j) {
        const A one = phi.unsaturated(widen(outputs[u].lane[j]));
        const A dy = phi.upstream(one, widen(gradients[u].lane[j]));
        const A product = dy * inversion[own == 1 ? 0 : j].d(phi.inverse(one));
        gradients[u].lane[j] = narrow<T>(scale[own == 1 ? 0 : j] * dy);
        if ((windows[u].present >> j & 1) == 0) continue;  // what lies outside may be 0 * infinity
        Sums<A>& sum = own == 1 ? window : sums[own == 1 ? 0 : j];
        sum.s0 += dy;
        sum.s1 += product;
      }
      if constexpr (own == 1) sums[0].add(window);
    }
    ABN_UNROLL for (int u = 0; u < count; ++u) emit(windows[u], gradients[u]);
  }
}

// The slices of a channel, merged by `rows` threads of a column; see merge_slices of device/statistics.cuh.
template <class A, class Part>
__device__ __forceinline__ Sums<A> merge_slices(SumsTree<A, 1>& tree, const MergeShape& shape, int64_t slices, bool live, Part part) {
  const int row = static_cast<int>(threadIdx.x) / shape.columns;
  Sums<A> sums[1];
  if (live && row < shape.rows) {
    for (int64_t slice = row; slice < slices; slice += shape.rows) sums[0].add(part(slice));
  }
  tree.reduce(shape.columns, shape.rows, sums);
  return sums[0];
}

// g*r of dx.
template <class P, class A>
__device__ A gradient_scale(const abn_problem& problem, const abn_backward_args& args, int64_t c, A g) {
  return g * reciprocal_deviation(static_cast<A>(static_cast<const P*>(args.var)[c]), problem.eps);
}

template <class P, class A>
__device__ Affine<A> affine_of(const abn_problem& problem, const abn_backward_args& args, int64_t c) {
  return affine_of<A>(problem, static_cast<const P*>(args.gamma), static_cast<const P*>(args.beta), c);
}

// sum(dy) and sum(dy*d) to S0 and S1.
template <class P, class A>
__device__ Sums<A> finished(const abn_problem& problem, const abn_backward_args& args, int64_t c, const Sums<A>& sums) {
  return {sums.s0, sums.s1 / inversion_of(affine_of<P, A>(problem, args, c)).rest};
}

// Writes dgamma and dbeta from S0 and S1.
template <class P, class A>
__device__ void publish_gradients(const abn_problem& problem, const abn_backward_args& args, int64_t c, const Sums<A>& sums) {
  const P* const gamma = static_cast<const P*>(args.gamma);
  const A g = affine_of<P, A>(problem, args, c).g;
  if (args.dgamma != nullptr) static_cast<P*>(args.dgamma)[c] = static_cast<P>(gamma_gradient(problem, gamma, c, g, sums.s1));
  if (args.dbeta != nullptr) static_cast<P*>(args.dbeta)[c] = static_cast<P>(sums.s0);
}

// What dx needs of a channel.
template <class A>
struct BackwardChannel {
  Inversion<A> inversion{A(0), A(1), A(1)};
  A mean_dy = 0, mean_dy_d = 0;  // S0/m and S1/m/rest
  A scale = 1;
  __device__ A dx(A y, A dy) const { return ((dy - mean_dy) - inversion.d(y) * mean_dy_d) * scale; }
};
template <class P, class A>
__device__ BackwardChannel<A> backward_channel(const abn_problem& problem, const abn_backward_args& args, int64_t c, const Sums<A>& sums) {
  const A m = static_cast<A>(problem.n * problem.s);
  const Affine<A> affine = affine_of<P, A>(problem, args, c);
  BackwardChannel<A> channel;
  channel.inversion = inversion_of(affine);
  channel.mean_dy = sums.s0 / m;
  channel.mean_dy_d = sums.s1 / m / channel.inversion.rest;
  channel.scale = gradient_scale<P>(problem, args, c, affine.g);
  return channel;
}

}  // namespace ABN_BUILD
}  // namespace abn::device
