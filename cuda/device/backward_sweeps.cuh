// The kernels of backward in two sweeps: sum_gradients, merge_gradients where a channel has several slices, and propagate.
//
// With y = phi^-1(z), d = (y - beta)*2^-k and g = rest*2^k (device/inversion.cuh),
//   S0 = sum(dy)     S1 = sum(dy*d)/rest     dx = g*r * ((dy - S0/m) - d*(S1/m/rest))
// With frozen statistics dx = g*r*dy needs no sums, and sum_gradients writes it in the same sweep. dx may be dz: a thread loads a
// bundle of windows before it stores to the same ones.
#pragma once

#include "cuda/device/activation.cuh"
#include "cuda/device/channel.cuh"
#include "cuda/device/inversion.cuh"
#include "cuda/device/tree.cuh"
#include "cuda/device/window.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

constexpr int gradient_bundle = 2;  // windows of z and of dz that a thread has in flight

// The workspace of backward: S0 and S1 of the channels, and the sums of the slices where there are several.
template <class A>
struct BackwardScratch {
  A *s0, *s1;
  Sums<A>* parts;
};

template <class P, class A>
__device__ void finish_gradients(const abn_problem& problem, const abn_backward_args& args, const BackwardScratch<A>& scratch, int64_t c,
                                 const Sums<A>& sums) {
  const P* const gamma = static_cast<const P*>(args.gamma);
  const Affine<A> affine = affine_of<A>(problem, gamma, static_cast<const P*>(args.beta), c);
  const A s1 = sums.s1 / inversion_of(affine).rest;
  scratch.s0[c] = sums.s0;
  scratch.s1[c] = s1;
  if (args.dgamma != nullptr) static_cast<P*>(args.dgamma)[c] = static_cast<P>(gamma_gradient(problem, gamma, c, affine.g, s1));
  if (args.dbeta != nullptr) static_cast<P*>(args.dbeta)[c] = static_cast<P>(sums.s0);
}

// g*r of dx.
template <class P, class A>
__device__ A gradient_scale(const abn_problem& problem, const abn_backward_args& args, int64_t c, A g) {
  return g * reciprocal_deviation(static_cast<A>(static_cast<const P*>(args.var)[c]), problem.eps);
}

template <class T, class P, int Layout>
__global__ void __launch_bounds__(most_threads, least_resident)
    sum_gradients(Cut cut, abn_problem problem, abn_backward_args args, BackwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>, lanes = window_lanes<T>, count = gradient_bundle;
  const Tensor<T> z(args.z, cut), dz(args.dz, cut), dx(args.dx, cut);
  const bool writes_dx = problem.mode == ABN_FROZEN && args.dx != nullptr;  // dx = g*r*dy needs no sums
  const Activation<A> phi = activation_of<T>(problem);
  auto& tree = dynamic_shared<SumsTree<A, own>>();

  for (int64_t index = blockIdx.x; index < cut.units(); index += gridDim.x) {
    const Unit unit = unit_at(cut, index);
    const int64_t first = first_channel<Layout>(cut, unit.tile);
    Inversion<A> inversion[own];
    A scale[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      const int64_t c = first + l;
      inversion[l] = {A(0), A(1), A(1)};
      scale[l] = 1;
      if (c >= cut.c) continue;
      const Affine<A> affine = affine_of<A>(problem, static_cast<const P*>(args.gamma), static_cast<const P*>(args.beta), c);
      inversion[l] = inversion_of(affine);
      if (writes_dx) scale[l] = gradient_scale<P>(problem, args, c, affine.g);
    }

    Sums<A> sums[own];
    for (Walk<T, Layout> walk(cut, unit); walk.more();) {
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
      if (writes_dx) {
        ABN_UNROLL for (int u = 0; u < count; ++u) dx.store(windows[u], gradients[u]);
      }
    }

    tree.reduce(cut.columns, cut.rows, sums);
    if (row_of_thread(cut) == 0) {
      ABN_UNROLL for (int l = 0; l < own; ++l) {
        const int64_t c = first + l;
        if (c >= cut.c) continue;
        if (cut.slices == 1)
          finish_gradients<P>(problem, args, scratch, c, sums[l]);
        else
          scratch.parts[unit.slice * cut.c + c] = sums[l];
      }
    }
    __syncthreads();  // the tree is free again
  }
}

template <class P, class A>
__global__ void __launch_bounds__(most_threads)
    merge_gradients(Cut cut, MergeShape shape, abn_problem problem, abn_backward_args args, BackwardScratch<A> scratch) {
  auto& tree = dynamic_shared<SumsTree<A, 1>>();
  const int column = static_cast<int>(threadIdx.x) % shape.columns, row = static_cast<int>(threadIdx.x) / shape.columns;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * shape.columns; first < cut.c;
       first += static_cast<int64_t>(gridDim.x) * shape.columns) {
    const int64_t c = first + column;
    Sums<A> sums[1];
    for (int64_t slice = row; slice < cut.slices && c < cut.c; slice += shape.rows) sums[0].add(scratch.parts[slice * cut.c + c]);
    tree.reduce(shape.columns, shape.rows, sums);
    if (row == 0 && c < cut.c) finish_gradients<P>(problem, args, scratch, c, sums[0]);
    __syncthreads();
  }
}

template <class A>
struct BackwardChannel {
  Inversion<A> inversion{A(0), A(1), A(1)};
  A mean_dy = 0, mean_dy_d = 0;  // S0/m and S1/m/rest
  A scale = 1;
  __device__ A dx(A y, A dy) const { return ((dy - mean_dy) - inversion.d(y) * mean_dy_d) * scale; }
};

// dx of training.
template <class T, class P, int Layout>
__global__ void __launch_bounds__(most_threads, least_resident)
    propagate(Cut cut, abn_problem problem, abn_backward_args args, BackwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>, lanes = window_lanes<T>, count = gradient_bundle;
  const Tensor<T> z(args.z, cut), dz(args.dz, cut), dx(args.dx, cut);
  const Activation<A> phi = activation_of<T>(problem);
  const A m = static_cast<A>(problem.n * problem.s);

  for (int64_t index = blockIdx.x; index < cut.units(); index += gridDim.x) {
    const Unit unit = unit_at(cut, cut.units() - 1 - index);
    const int64_t first = first_channel<Layout>(cut, unit.tile);
    BackwardChannel<A> channel[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      const int64_t c = first + l;
      if (c >= cut.c) continue;
      const Affine<A> affine = affine_of<A>(problem, static_cast<const P*>(args.gamma), static_cast<const P*>(args.beta), c);
      channel[l].inversion = inversion_of(affine);
      channel[l].mean_dy = scratch.s0[c] / m;
      channel[l].mean_dy_d = scratch.s1[c] / m / channel[l].inversion.rest;
      channel[l].scale = gradient_scale<P>(problem, args, c, affine.g);
    }

    for (Walk<T, Layout> walk(cut, unit); walk.more();) {
      Window windows[count];
      Vec16<T> outputs[count], gradients[count];
      ABN_UNROLL for (int u = 0; u < count; ++u) windows[u] = walk.next();
      ABN_UNROLL for (int u = 0; u < count; ++u) {
        outputs[u] = z.load(windows[u]);
        gradients[u] = dz.load(windows[u]);
      }
      ABN_UNROLL for (int u = 0; u < count; ++u) {
        ABN_UNROLL for (int j = 0; j < lanes; ++j) {
          const A one = phi.unsaturated(widen(outputs[u].lane[j]));
          T& gradient = gradients[u].lane[j];
          gradient = narrow<T>(channel[own == 1 ? 0 : j].dx(phi.inverse(one), phi.upstream(one, widen(gradient))));
        }
      }
      ABN_UNROLL for (int u = 0; u < count; ++u) dx.store(windows[u], gradients[u]);
    }
  }
}

}  // namespace ABN_BUILD
}  // namespace abn::device
