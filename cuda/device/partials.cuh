// What a shard of a batch says of its channels, to be merged with the other shards (cuda/kernel.h,
// abn_split_variant).
//
// Forward: count, mean = hi + lo and M2, which Chan's merges (device/moments.cuh) put together in
// the order of the ranks; E[x] and E[x^2] would cancel. Backward: count, and the two sums of the
// scheme before anything is divided by them. Merging a single shard returns it unchanged, so one
// rank gets the bits of the whole path.
#pragma once

#include "cuda/device/moments.cuh"
#include "cuda/device/tree.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

constexpr size_t partial_alignment = 16;
constexpr size_t partial_header = 16;  // the count of samples, on a multiple of what follows
inline size_t aligned_partial(size_t bytes) {
  return (bytes + partial_alignment - 1) / partial_alignment * partial_alignment;
}

template <class A>
struct MomentsPartial {
  int64_t* samples = nullptr;
  A *hi = nullptr, *lo = nullptr, *m2 = nullptr;

  static size_t bytes(int64_t channels) {
    return aligned_partial(partial_header + 3 * sizeof(A) * static_cast<size_t>(channels));
  }
  MomentsPartial() = default;
  __host__ __device__ MomentsPartial(void* data, int64_t channels)
      : samples(static_cast<int64_t*>(data)),
        hi(reinterpret_cast<A*>(static_cast<char*>(data) + partial_header)),
        lo(hi + channels),
        m2(lo + channels) {}

  // By one thread a channel; the first one's also leaves the count.
  __device__ void put(int64_t c, int64_t count, const Moments<A>& moments) const {
    if (c == 0) *samples = count;
    hi[c] = moments.hi;
    lo[c] = moments.lo;
    m2[c] = moments.m2;
  }
  __device__ Moments<A> of(int64_t c) const {
    Moments<A> moments;
    moments.hi = hi[c], moments.lo = lo[c], moments.m2 = m2[c];
    return moments;
  }
};

template <class Value>
struct SumsPartial {
  int64_t* samples = nullptr;
  Sums<Value>* sums = nullptr;

  static size_t bytes(int64_t channels) {
    return aligned_partial(partial_header + sizeof(Sums<Value>) * static_cast<size_t>(channels));
  }
  SumsPartial() = default;
  __host__ __device__ SumsPartial(void* data, int64_t)
      : samples(static_cast<int64_t*>(data)),
        sums(reinterpret_cast<Sums<Value>*>(static_cast<char*>(data) + partial_header)) {}

  __device__ void put(int64_t c, int64_t count, const Sums<Value>& of_channel) const {
    if (c == 0) *samples = count;
    sums[c] = of_channel;
  }
  __device__ Sums<Value> of(int64_t c) const { return sums[c]; }
};

// The partials of all ranks, one behind the other.
template <class Partial>
__device__ __forceinline__ Partial partial_of(const void* partials, size_t bytes, int rank,
                                              int64_t channels) {
  return {static_cast<char*>(const_cast<void*>(partials)) + static_cast<size_t>(rank) * bytes,
          channels};
}

}  // namespace ABN_BUILD
}  // namespace abn::device
