// Kernels in which blocks hand work over through global memory, and kernels with cache hints; plain
// CUDA, which nvcc takes too. One source includes this.
#pragma once

#include "cuda/device/acquire_release.cuh"
#include "cuda/device/async_copy.cuh"

namespace abn::tests {
inline namespace ABN_BUILD {

using namespace device;

// ---- right

// Groups of `size` blocks, each with its own counter: in every round a block adds what all of its
// group left in the round before.
__global__ void rounds_of_groups(unsigned* counters, int* slots, int rounds, unsigned size) {
  const unsigned group = blockIdx.x / size, rank = blockIdx.x % size;
  int* const of_group = slots + group * size * 2 * blockDim.x;
  int value = static_cast<int>(blockIdx.x + threadIdx.x);
  for (int round = 0; round < rounds; ++round) {
    // the other half is still being read
    int* const now = of_group + static_cast<unsigned>(round % 2) * size * blockDim.x;
    now[rank * blockDim.x + threadIdx.x] = value;
    group_barrier(&counters[group], size, rank == 0);
    value = 0;
    for (unsigned b = 0; b < size; ++b) value += now[b * blockDim.x + threadIdx.x] % 1000;
  }
  slots[gridDim.x * 2 * blockDim.x + blockIdx.x * blockDim.x + threadIdx.x] = value;
}

// One block writes, releases a flag and goes on; the others wait for the flag.
__global__ void broadcast(unsigned* flag, int* message, int* out) {
  if (blockIdx.x == 0) {
    message[threadIdx.x] = static_cast<int>(threadIdx.x) + 100;
    __syncthreads();
    if (threadIdx.x == 0) store_release(flag, 1u);
  } else {
    while (load_acquire(flag) == 0) {
    }
    out[(blockIdx.x - 1) * blockDim.x + threadIdx.x] = message[threadIdx.x ^ 1];
  }
}

template <class T>
__global__ void copy_with_hints(const T* from, T* to, int vectors, int kind) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x),
            at = i * static_cast<int>(16 / sizeof(T));
  if (i >= vectors) return;
  switch (kind) {
    case 0:
      return store16_streaming(to + at, load16_streaming(from + at));
    case 1:
      return store16(to + at, load16(from + at, evict_first()), evict_last());
    default:
      return store16(to + at, load16(from + at, evict_last(0.5f)), evict_first());
  }
}

struct Line {
  alignas(16) unsigned char bytes[1024];
  MBarrier full;
};
__global__ void bulk_with_hints(const unsigned char* from, unsigned char* to) {
  Line& shared = dynamic_shared<Line>();
  if (threadIdx.x != 0) return;
  bulk_prefetch(from, sizeof shared.bytes);
  mbarrier_init(shared.full, 1);
  mbarrier_fence_init();
  mbarrier_arrive_expect_tx(shared.full, sizeof shared.bytes);
  bulk_load(shared.bytes, from, sizeof shared.bytes, shared.full, evict_first());
  mbarrier_wait(shared.full, 0);
  bulk_store(to, shared.bytes, sizeof shared.bytes, evict_last());
  bulk_commit();
  bulk_wait_read<0>();
}

// ---- misuses

__global__ void group_that_one_block_skips(unsigned* counter, unsigned size) {
  if (blockIdx.x != 1) group_barrier(counter, size, blockIdx.x == 0);
}
__global__ void group_without_a_leader(unsigned* counter, unsigned size) {
  group_barrier(counter, size, false);
}
__global__ void meet_in_group(unsigned* counter, unsigned size) {
  group_barrier(counter, size, blockIdx.x == 0);
}
__global__ void stream_misaligned(float* p) { store16_streaming(p + 1, load16_streaming(p)); }
__global__ void hint_misaligned(float* p) { store16(p, load16(p + 2, evict_last())); }

}  // namespace ABN_BUILD
}  // namespace abn::tests
