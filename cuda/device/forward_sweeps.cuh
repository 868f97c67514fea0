// The kernels of forward in two sweeps: sum_moments, merge_moments where a channel has several
// slices, and normalise.
//
// Statistics are local two-passes in registers, then Chan merges (device/moments.cuh). y = g*((x -
// mu)*r) + beta is multiplied in this order, as g*r may be subnormal where xhat is not. z may be x:
// a thread loads a bundle of vectors before it stores to the same ones.
#pragma once

#include "cuda/device/activation.cuh"
#include "cuda/device/partials.cuh"
#include "cuda/device/statistics.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

constexpr int apply_bundle = 4;  // vectors that a thread has in flight

// The workspace of forward. parts[slice*c + channel] exists where there are several slices.
template <class A>
struct ForwardScratch {
  A *mean, *variance;
  MomentsPart<A>* parts;
  // where this is one shard of several: the statistics go there instead
  MomentsPartial<A> partial{};
};

// The end of a channel's statistics.
template <class P, class A>
__device__ void finish_statistics(const abn_problem& problem, const abn_forward_args& args,
                                  const ForwardScratch<A>& scratch, int64_t c, int64_t samples,
                                  const Moments<A>& moments) {
  const A variance = moments.m2 / static_cast<A>(samples);
  if (scratch.mean != nullptr) {  // a shard without samples has no workspace
    scratch.mean[c] = moments.hi;
    scratch.variance[c] = variance;
  }
  publish_statistics<A, P>(problem, args, c, samples, moments.hi, variance);
}
template <class P, class A>
__device__ void finish_moments(const abn_problem& problem, const abn_forward_args& args,
                               const ForwardScratch<A>& scratch, int64_t c,
                               const Moments<A>& moments) {
  const int64_t samples = problem.n * problem.s;
  if (scratch.partial.samples != nullptr)
    scratch.partial.put(c, samples, moments);
  else
    finish_statistics<P>(problem, args, scratch, c, samples, moments);
}

template <class T, class P, int Layout>
__global__ void __launch_bounds__(most_threads, least_resident)
    sum_moments(Partition partition, abn_problem problem, abn_forward_args args,
                ForwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>;
  const Tensor<T> x(args.x, partition);
  auto& tree = dynamic_shared<MomentsTree<A, own, A>>();

  for (int64_t index = blockIdx.x; index < partition.units(); index += gridDim.x) {
    const Unit unit = unit_at(partition, index);
    A n = 0;
    Moments<A> moments[own];
    with_iterator<T, Layout>(
        partition, unit, [&](auto iterator) { add_moments<T, Layout>(iterator, x, n, moments); });
    tree.reduce(partition.columns, partition.rows, n, moments);
    if (row_of_thread(partition) == 0) {
      const int64_t first = first_channel<Layout>(partition, unit.panel);
      ABN_UNROLL for (int l = 0; l < own; ++l) {
        const int64_t c = first + l;
        if (c >= partition.c) continue;
        if (partition.slices == 1)
          finish_moments<P>(problem, args, scratch, c, moments[l]);
        else
          scratch.parts[unit.slice * partition.c + c] = {n, moments[l]};
      }
    }
    __syncthreads();  // the tree is free again
  }
}

template <class P, class A>
__global__ void __launch_bounds__(most_threads)
    merge_moments(Partition partition, MergeShape shape, abn_problem problem, abn_forward_args args,
                  ForwardScratch<A> scratch) {
  auto& tree = dynamic_shared<MomentsTree<A, 1, int64_t>>();
  const int column = static_cast<int>(threadIdx.x) % shape.columns,
            row = static_cast<int>(threadIdx.x) / shape.columns;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * shape.columns; first < partition.c;
       first += static_cast<int64_t>(gridDim.x) * shape.columns) {
    const int64_t c = first + column;
    const Moments<A> moments =
        merge_slices(tree, shape, partition.slices, c < partition.c,
                     [&](int64_t slice) { return scratch.parts[slice * partition.c + c]; });
    if (row == 0 && c < partition.c) finish_moments<P>(problem, args, scratch, c, moments);
    __syncthreads();
  }
}

template <class T, class P, int Layout>
__global__ void __launch_bounds__(most_threads, least_resident)
    normalise(Partition partition, abn_problem problem, abn_forward_args args,
              ForwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>, lanes = vector_lanes<T>, count = apply_bundle;
  const Tensor<T> x(args.x, partition), z(args.z, partition);
  const Activation<A> phi = activation_of<T>(problem);

  for (int64_t index = blockIdx.x; index < partition.units(); index += gridDim.x) {
    const Unit unit = unit_at(partition, partition.units() - 1 - index);
    const int64_t first = first_channel<Layout>(partition, unit.panel);
    ForwardChannel<A> channel[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      const int64_t c = first + l;
      if (c >= partition.c) continue;
      channel[l] = problem.mode == ABN_TRAINING
                       ? forward_channel<P>(problem, args, c, scratch.mean[c], scratch.variance[c])
                       : running_channel<P, A>(problem, args, c);
    }

    with_iterator<T, Layout>(partition, unit, [&](auto iterator) {
      while (iterator.more()) {
        typename decltype(iterator)::Item vectors[count];
        Vec16<T> values[count];
        ABN_UNROLL for (int u = 0; u < count; ++u) vectors[u] = iterator.next();
        ABN_UNROLL for (int u = 0; u < count; ++u) values[u] = x.load(vectors[u]);
        ABN_UNROLL for (int u = 0; u < count; ++u) {
          A results[lanes];
          ABN_UNROLL for (int j = 0; j < lanes; ++j) results[j] =
              phi.value(channel[own == 1 ? 0 : j].y(widen(values[u].lane[j])));
          values[u] = narrow_all<T>(results);
        }
        ABN_UNROLL for (int u = 0; u < count; ++u) z.store(vectors[u], values[u]);
      }
    });
  }
}

}  // namespace ABN_BUILD
}  // namespace abn::device
