// The kernels of backward in two sweeps: sum_gradients, merge_gradients where a channel has several
// slices, and propagate.
//
// With frozen statistics dx = g*r*dy needs no sums, and sum_gradients writes it in the same sweep.
// dx may be dz: a thread loads a bundle of vectors before it stores to the same ones.
#pragma once

#include "cuda/device/gradients.cuh"
#include "cuda/device/partials.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// The workspace of backward: S0/m and S1/m of the channels, and the sums of the slices where there
// are several.
template <class A, class Value = A>
struct BackwardScratch {
  A *mean_dy, *mean_dy_xhat;
  Sums<Value>* parts;
  SumsPartial<Value> partial{};  // where this is one shard of several: the sums go there instead
};
template <class Scheme>
using ScratchOf = BackwardScratch<typename Scheme::Accumulated, typename Scheme::Value>;

// The end of a channel's sums. dgamma and dbeta are those of the shard.
template <class P, class Scheme>
__device__ void finish_gradients(const abn_problem& problem, const abn_backward_args& args,
                                 const ScratchOf<Scheme>& scratch, int64_t c,
                                 const Sums<typename Scheme::Value>& parts) {
  const auto sums = finished<P, Scheme>(problem, args, c, parts);
  publish_gradients<P>(problem, args, c, sums);
  const int64_t samples = problem.n * problem.s;
  if (scratch.partial.samples != nullptr) return scratch.partial.put(c, samples, parts);
  const auto means = sums.over(samples);
  scratch.mean_dy[c] = means.s0;
  scratch.mean_dy_xhat[c] = means.s1;
}

template <class T, class P, int Layout, class Scheme>
__global__ void __launch_bounds__(most_threads, least_resident)
    sum_gradients(Partition partition, abn_problem problem, abn_backward_args args,
                  ScratchOf<Scheme> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>;
  const Tensor<T> z(args.z, partition), dz(args.dz, partition), dx(args.dx, partition);
  // dx = g*r*dy needs no sums
  const bool writes_dx = problem.mode == ABN_FROZEN && args.dx != nullptr;
  const Activation<A> phi = activation_of<T>(problem);
  auto& tree = dynamic_shared<SumsTree<typename Scheme::Value, own>>();

  for (int64_t index = blockIdx.x; index < partition.units(); index += gridDim.x) {
    const Unit unit = unit_at(partition, index);
    const int64_t first = first_channel<Layout>(partition, unit.panel);
    typename Scheme::Recovery recovery[own];
    A scale[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      const int64_t c = first + l;
      recovery[l] = Scheme::none();
      scale[l] = 1;
      if (c >= partition.c) continue;
      const Affine<A> affine = affine_of<P, A>(problem, args, c);
      recovery[l] = Scheme::recovery(affine);
      if (writes_dx) scale[l] = affine.g * reciprocal_deviation_of<P, A>(problem, args, c);
    }

    Sums<typename Scheme::Value> sums[own];
    with_iterator<T, Layout>(partition, unit, [&](auto iterator) {
      add_gradients<T, Layout, Scheme>(iterator, z, dz, phi, recovery, scale, sums,
                                       [&](const auto& access, const Vec16<T>& value) {
                                         if (writes_dx) dx.store(access, value);
                                       });
    });

    tree.reduce(partition.columns, partition.rows, sums);
    if (row_of_thread(partition) == 0) {
      ABN_UNROLL for (int l = 0; l < own; ++l) {
        const int64_t c = first + l;
        if (c >= partition.c) continue;
        if (partition.slices == 1)
          finish_gradients<P, Scheme>(problem, args, scratch, c, sums[l]);
        else
          scratch.parts[unit.slice * partition.c + c] = sums[l];
      }
    }
    __syncthreads();  // the tree is free again
  }
}

template <class P, class Scheme>
__global__ void __launch_bounds__(most_threads)
    merge_gradients(Partition partition, MergeShape shape, abn_problem problem,
                    abn_backward_args args, ScratchOf<Scheme> scratch) {
  auto& tree = dynamic_shared<SumsTree<typename Scheme::Value, 1>>();
  const int column = static_cast<int>(threadIdx.x) % shape.columns,
            row = static_cast<int>(threadIdx.x) / shape.columns;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * shape.columns; first < partition.c;
       first += static_cast<int64_t>(gridDim.x) * shape.columns) {
    const int64_t c = first + column;
    const auto sums =
        merge_slices(tree, shape, partition.slices, c < partition.c,
                     [&](int64_t slice) { return scratch.parts[slice * partition.c + c]; });
    if (row == 0 && c < partition.c) finish_gradients<P, Scheme>(problem, args, scratch, c, sums);
    __syncthreads();
  }
}

// dx of training.
template <class T, class P, int Layout, class Scheme>
__global__ void __launch_bounds__(most_threads, least_resident)
    propagate(Partition partition, abn_problem problem, abn_backward_args args,
              ScratchOf<Scheme> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>, lanes = vector_lanes<T>, count = gradient_bundle;
  const Tensor<T> z(args.z, partition), dz(args.dz, partition), dx(args.dx, partition);
  const Activation<A> phi = activation_of<T>(problem);

  for (int64_t index = blockIdx.x; index < partition.units(); index += gridDim.x) {
    const Unit unit = unit_at(partition, partition.units() - 1 - index);
    const int64_t first = first_channel<Layout>(partition, unit.panel);
    typename Scheme::Channel channel[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      const int64_t c = first + l;
      if (c >= partition.c) continue;
      channel[l] = backward_channel<P, Scheme>(problem, args, c,
                                               {scratch.mean_dy[c], scratch.mean_dy_xhat[c]});
    }

    with_iterator<T, Layout>(partition, unit, [&](auto iterator) {
      while (iterator.more()) {
        typename decltype(iterator)::Item vectors[count];
        Vec16<T> outputs[count], gradients[count];
        ABN_UNROLL for (int u = 0; u < count; ++u) vectors[u] = iterator.next();
        ABN_UNROLL for (int u = 0; u < count; ++u) {
          outputs[u] = z.load(vectors[u]);
          gradients[u] = dz.load(vectors[u]);
        }
        ABN_UNROLL for (int u = 0; u < count; ++u) {
          A results[lanes];
          ABN_UNROLL for (int j = 0; j < lanes; ++j) {
            const A one = phi.unsaturated(widen(outputs[u].lane[j]));
            results[j] = channel[own == 1 ? 0 : j].dx(
                phi.inverse(one), phi.upstream(one, widen(gradients[u].lane[j])));
          }
          gradients[u] = narrow_all<T>(results);
        }
        ABN_UNROLL for (int u = 0; u < count; ++u) dx.store(vectors[u], gradients[u]);
      }
    });
  }
}

}  // namespace ABN_BUILD
}  // namespace abn::device
