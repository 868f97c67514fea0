// Between the halves of a sharded pass: the kernels that merge the partials of all ranks in their
// order, a thread a channel, and those that speak for a shard without samples.
#pragma once

#include "cuda/device/backward_sweeps.cuh"
#include "cuda/device/forward_sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

template <class P, class A>
__global__ void __launch_bounds__(most_threads)
    merge_rank_moments(abn_problem problem, abn_forward_args args, ForwardScratch<A> scratch,
                       const void* partials, size_t bytes, int ranks) {
  for (int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; c < problem.c;
       c += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    int64_t n = 0;
    Moments<A> moments;
    for (int rank = 0; rank < ranks; ++rank) {
      const auto partial = partial_of<MomentsPartial<A>>(partials, bytes, rank, problem.c);
      const int64_t added = *partial.samples;
      moments = merge(moments, partial.of(c), weights_of<A>(n, added));
      n += added;
    }
    if (n > 0) finish_statistics<P>(problem, args, scratch, c, n, moments);
  }
}

template <class P, class Scheme>
__global__ void __launch_bounds__(most_threads)
    merge_rank_sums(abn_problem problem, abn_backward_args args, ScratchOf<Scheme> scratch,
                    const void* partials, size_t bytes, int ranks) {
  using Partial = SumsPartial<typename Scheme::Value>;
  for (int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; c < problem.c;
       c += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    const auto first = partial_of<Partial>(partials, bytes, 0, problem.c);
    int64_t n = *first.samples;
    auto parts = first.of(c);
    for (int rank = 1; rank < ranks; ++rank) {
      const auto partial = partial_of<Partial>(partials, bytes, rank, problem.c);
      n += *partial.samples;
      parts.add(partial.of(c));
    }
    const auto means = finished<P, Scheme>(problem, args, c, parts).over(n);
    scratch.mean_dy[c] = means.s0;
    scratch.mean_dy_xhat[c] = means.s1;
  }
}

template <class A>
__global__ void __launch_bounds__(most_threads)
    no_moments(abn_problem problem, MomentsPartial<A> partial) {
  for (int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; c < problem.c;
       c += static_cast<int64_t>(gridDim.x) * blockDim.x)
    partial.put(c, 0, Moments<A>{});
}
template <class P, class Scheme>
__global__ void __launch_bounds__(most_threads)
    no_sums(abn_problem problem, abn_backward_args args,
            SumsPartial<typename Scheme::Value> partial) {
  for (int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; c < problem.c;
       c += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    partial.put(c, 0, {});
    publish_gradients<P>(problem, args, c, Sums<typename Scheme::Accumulated>{});
  }
}

}  // namespace ABN_BUILD
}  // namespace abn::device
