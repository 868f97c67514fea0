// Reductions over the rows of a block in shared memory, in an order that depends on the geometry
// alone.
//
// Threads form columns x rows; each column is reduced to its row 0. In step `half` the rows [half,
// 2*half) hand over to the rows [0, half). A slot is written once and read in the same step only,
// so one barrier a step is enough; the caller has one more before it uses the shared memory again.
#pragma once

#include "cuda/device/moments.cuh"
#include "cuda/device/partition.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

template <class A, int Owned, class Count>
struct MomentsTree {
  Count count[most_threads];
  Moments<A> moments[Owned][most_threads];

  // In row 0: the moments of the whole column and their count.
  __device__ void reduce(const int columns, const int rows, Count& n, Moments<A> (&own)[Owned]) {
    const int thread = static_cast<int>(threadIdx.x), row = thread / columns;
    for (int half = rows / 2; half > 0; half /= 2) {
      if (row >= half && row < 2 * half) {
        count[thread] = n;
        ABN_UNROLL for (int l = 0; l < Owned; ++l) moments[l][thread] = own[l];
      }
      __syncthreads();
      if (row < half) {
        const int other = thread + half * columns;
        const Count added = count[other];
        const Weights<A> weights = weights_of<A>(n, added);
        ABN_UNROLL for (int l = 0; l < Owned; ++l) own[l] =
            merge(own[l], moments[l][other], weights);
        n += added;
      }
    }
  }
};

// sum(dy) and the other sum of backward (device/scheme.cuh).
template <class A>
struct alignas(sizeof(A) > 4 ? 16 : 8) Sums {
  A s0 = A(0), s1 = A(0);
  __device__ void add(const Sums& other) {
    s0 += other.s0;
    s1 += other.s1;
  }
  __device__ Sums over(int64_t samples) const {
    return {s0 / static_cast<A>(samples), s1 / static_cast<A>(samples)};
  }
};

template <class A, int Owned>
struct SumsTree {
  Sums<A> sums[Owned][most_threads];

  __device__ void reduce(const int columns, const int rows, Sums<A> (&own)[Owned]) {
    const int thread = static_cast<int>(threadIdx.x), row = thread / columns;
    for (int half = rows / 2; half > 0; half /= 2) {
      if (row >= half && row < 2 * half) {
        ABN_UNROLL for (int l = 0; l < Owned; ++l) sums[l][thread] = own[l];
      }
      __syncthreads();
      if (row < half) {
        ABN_UNROLL for (int l = 0; l < Owned; ++l) own[l].add(sums[l][thread + half * columns]);
      }
    }
  }
};

}  // namespace ABN_BUILD
}  // namespace abn::device
