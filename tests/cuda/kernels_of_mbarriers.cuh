// Kernels that use mbarriers rightly, and kernels that misuse them; plain CUDA, which nvcc takes
// too. One source includes this.
#pragma once

#include "cuda/device/cluster.cuh"
#include "cuda/device/mbarrier.cuh"

namespace abn::tests {
inline namespace ABN_BUILD {

using namespace device;

// ---- right

struct Ring {
  int slot[4];
  MBarrier full[4], empty[4];
};

// Warp 0 produces numbers into a ring of four, warp 1 adds them up; thread by thread, without a
// barrier of the block.
__global__ void through_a_ring(int* out, int rounds) {
  Ring& shared = dynamic_shared<Ring>();
  if (threadIdx.x == 0) {
    for (int s = 0; s < 4; ++s) {
      mbarrier_init(shared.full[s], 1);
      mbarrier_init(shared.empty[s], 32);
    }
    mbarrier_fence_init();
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    for (int r = 0; r < rounds; ++r) {
      const unsigned parity = static_cast<unsigned>(r / 4 % 2);
      if (threadIdx.x == 0) {
        mbarrier_wait(shared.empty[r % 4], parity ^ 1);  // over at once in the first turn
        shared.slot[r % 4] = r * r;
        mbarrier_arrive(shared.full[r % 4]);
      }
    }
  } else {
    int sum = 0;
    for (int r = 0; r < rounds; ++r) {
      while (!mbarrier_try_wait(shared.full[r % 4], static_cast<unsigned>(r / 4 % 2))) {
      }
      sum += shared.slot[r % 4];
      mbarrier_arrive(shared.empty[r % 4]);
    }
    out[blockIdx.x * 32 + threadIdx.x - 32] = sum;
  }
}

struct Collected {
  float part[16];
  MBarrier full;
};

// Rank 0 waits for all blocks of the cluster; they arrive at its barrier.
__global__ void arrive_at_rank_0(int* flags, int* out) {
  const auto cluster = this_cluster();
  Collected& shared = dynamic_shared<Collected>();
  if (threadIdx.x == 0) {
    mbarrier_init(shared.full, cluster.num_blocks());
    mbarrier_fence_init();
  }
  cluster.sync();
  if (threadIdx.x == 0) {
    *cluster.map_shared_rank(&shared.part[cluster.block_rank()], 0) =
        static_cast<float>(flags[blockIdx.x]);
    mbarrier_arrive_peer(shared.full, 0);
    if (cluster.block_rank() == 0) {
      mbarrier_wait_cluster(shared.full, 0);
      float sum = 0;
      for (unsigned b = 0; b < cluster.num_blocks(); ++b) sum += shared.part[b];
      out[blockIdx.x / cluster.num_blocks()] = static_cast<int>(sum);
      mbarrier_inval(shared.full);
    }
  }
  cluster.sync();
}

// ---- misuses

enum BarrierSlip : int {
  wait_uninitialised,
  arrive_uninitialised,
  too_many_arrivals,
  too_few_arrivals,
  too_many_bytes,
  count_of_zero,
  twice,
  invalid_and_used,
  overwritten,
  misaligned_barrier,
  waits_at_a_peers,
  initialises_a_peers,
  try_for_ever,
  invalidated_with_waiters,
};
__global__ void barrier_with_a_slip(BarrierSlip slip) {
  const auto cluster = this_cluster();
  Ring& shared = dynamic_shared<Ring>();
  MBarrier& barrier = shared.full[0];
  const bool first = threadIdx.x == 0;
  unsigned char* const bytes = reinterpret_cast<unsigned char*>(&shared);
  if (slip == misaligned_barrier && first)
    mbarrier_init(*reinterpret_cast<MBarrier*>(bytes + 4), 1);
  if (slip != wait_uninitialised && slip != arrive_uninitialised && first)
    mbarrier_init(barrier, slip == count_of_zero ? 0 : blockDim.x);
  if (slip == twice && first) mbarrier_init(barrier, 1);
  mbarrier_fence_init();
  cluster.sync();
  if (slip == overwritten && first) barrier.opaque = 1;
  if (slip == invalid_and_used && first) mbarrier_inval(barrier);
  __syncthreads();
  if (slip == too_many_bytes) mbarrier_arrive_expect_tx(barrier, 1 << 19);
  if (slip == invalidated_with_waiters && first) {
    for (int i = 0; i < 500; ++i) __nanosleep(20);
    mbarrier_inval(barrier);
  }
  if (slip == initialises_a_peers)
    mbarrier_init(
        *cluster.map_shared_rank(&shared.full[1], 1 - static_cast<int>(cluster.block_rank())), 1);
  if (slip == waits_at_a_peers)
    mbarrier_wait(*cluster.map_shared_rank(&barrier, 1 - static_cast<int>(cluster.block_rank())),
                  0);
  if (slip != wait_uninitialised && !(slip == too_few_arrivals && threadIdx.x == 5))
    mbarrier_arrive(barrier);
  if (slip == too_many_arrivals && threadIdx.x < 2) mbarrier_arrive_expect_tx(barrier, 16);
  if (slip == try_for_ever)
    while (!mbarrier_try_wait(barrier, 1 - static_cast<unsigned>(first))) {
    }
  mbarrier_wait(barrier, 0);
  cluster.sync();
}

}  // namespace ABN_BUILD
}  // namespace abn::tests
