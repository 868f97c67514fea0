// Kernels that use clusters rightly, and kernels that misuse them; plain CUDA, which nvcc takes
// too. One source includes this.
#pragma once

#include "cuda/device/cluster.cuh"

namespace abn::tests {
inline namespace ABN_BUILD {

using device::dynamic_shared, device::this_cluster;

struct Row {
  int value[128];
};

// ---- right

// Every block hands its row to the one `distance` ranks before it.
__global__ void pass_on(const int* in, int* out, int distance) {
  const auto cluster = this_cluster();
  Row& own = dynamic_shared<Row>();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x, rank = cluster.block_rank();
  own.value[threadIdx.x] = in[i];
  cluster.sync();
  const int peer =
      static_cast<int>((rank + static_cast<unsigned>(distance)) % cluster.num_blocks());
  out[i] = cluster.map_shared_rank(&own, peer)->value[threadIdx.x];
  cluster.sync();  // nobody leaves before everybody has read
}

struct Pushed {
  float warp[4];
  float block[16];
};

// Every block pushes its sum to all peers; each adds them up in the order of the ranks.
__global__ void sum_over_cluster(const float* x, float* out) {
  const auto cluster = this_cluster();
  Pushed& own = dynamic_shared<Pushed>();
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const unsigned lanes = blockDim.x - warp * 32 < 32 ? blockDim.x - warp * 32 : 32;
  const unsigned mask = lanes == 32 ? ~0u : (1u << lanes) - 1;
  const float value = x[blockIdx.x * blockDim.x + threadIdx.x];
  float sum = 0;
  for (unsigned l = 0; l < lanes; ++l) sum += __shfl_sync(mask, value, static_cast<int>(l));
  if (lane == 0) own.warp[warp] = sum;
  cluster.sync();  // all peers have begun, too
  if (threadIdx.x < cluster.num_blocks()) {
    float of_block = 0;
    for (unsigned w = 0; w < (blockDim.x + 31) / 32; ++w) of_block += own.warp[w];
    cluster.map_shared_rank(own.block, static_cast<int>(threadIdx.x))[cluster.block_rank()] =
        of_block;
  }
  cluster.sync();
  if (threadIdx.x == 0) {
    float total = 0;
    for (unsigned b = 0; b < cluster.num_blocks(); ++b) total += own.block[b];
    out[blockIdx.x] = total;
  }
}

// In every round a row is published by an arrival and read after the wait; `out` counts values that
// are wrong.
__global__ void split_barrier(unsigned* out, int rounds) {
  const auto cluster = this_cluster();
  Row& own = dynamic_shared<Row>();
  unsigned wrong = 0;
  const unsigned rank = cluster.block_rank(), next = (rank + 1) % cluster.num_blocks();
  for (int round = 0; round < rounds; ++round) {
    own.value[threadIdx.x] = static_cast<int>(rank * 1000 + threadIdx.x) + round;
    cluster.barrier_arrive();
    // something to do meanwhile
    const int expected = static_cast<int>(next * 1000 + threadIdx.x) + round;
    cluster.barrier_wait();
    if (cluster.map_shared_rank(&own, static_cast<int>(next))->value[threadIdx.x] != expected)
      ++wrong;
    cluster.barrier_arrive();
    cluster.barrier_wait();
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = wrong;
}

struct Place {
  unsigned rank, blocks, owner;
};

__global__ void where_in_cluster(Place* out) {
  const auto cluster = this_cluster();
  int& word = dynamic_shared<int>();
  cluster.sync();
  if (threadIdx.x == 0) {
    const unsigned rank = cluster.block_rank(), blocks = cluster.num_blocks(),
                   next = (rank + 1) % blocks;
    *cluster.map_shared_rank(&word, static_cast<int>(next)) = static_cast<int>(rank);
  }
  cluster.sync();
  if (threadIdx.x == 0) {
    const unsigned blocks = cluster.num_blocks(), sender = static_cast<unsigned>(word);
    out[blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z)] = {
        cluster.block_rank(), blocks, (sender + 2) % blocks};
  }
}

// The sum over the grid of all threads' block numbers, by way of sums over the clusters.
__global__ void cluster_then_grid(int* sums, int* out) {
  const auto cluster = this_cluster();
  Row& own = dynamic_shared<Row>();
  own.value[threadIdx.x] = static_cast<int>(blockIdx.x);
  cluster.sync();
  if (threadIdx.x == 0) {
    int sum = 0;
    for (unsigned rank = 0; rank < cluster.num_blocks(); ++rank)
      for (unsigned t = 0; t < blockDim.x; ++t)
        sum += cluster.map_shared_rank(&own, static_cast<int>(rank))->value[t];
    if (cluster.block_rank() == 0) sums[blockIdx.x / cluster.num_blocks()] = sum;
  }
  cooperative_groups::this_grid().sync();
  if (threadIdx.x == 0) {
    int total = 0;
    for (unsigned c = 0; c < gridDim.x / cluster.num_blocks(); ++c) total += sums[c];
    out[blockIdx.x] = total;
  }
}

__global__ void wait_for_grid() { cooperative_groups::this_grid().sync(); }

// ---- misuses

__global__ void pass_on_without_a_barrier(const int* in, int* out) {
  const auto cluster = this_cluster();
  Row& own = dynamic_shared<Row>();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  own.value[threadIdx.x] = in[i];
  __syncthreads();  // of the block only
  const int peer = static_cast<int>(1 - cluster.block_rank());
  out[i] = cluster.map_shared_rank(&own, peer)->value[threadIdx.x];
  cluster.sync();
}

// The block of rank 0 says that it goes, and the other one gives it time.
__device__ __forceinline__ bool wait_until_rank_0_has_left(unsigned* gone) {
  this_cluster().sync();
  if (this_cluster().block_rank() == 0) {
    atomicAdd(gone, 1u);
    return false;
  }
  while (atomicAdd(gone, 0u) < blockDim.x) __nanosleep(20);
  for (int i = 0; i < 500; ++i) __nanosleep(20);
  return true;
}
__global__ void maps_late(unsigned* gone, int* out) {
  Row& own = dynamic_shared<Row>();
  own.value[threadIdx.x] = 5;
  if (wait_until_rank_0_has_left(gone)) *out = this_cluster().map_shared_rank(&own, 0)->value[3];
}
__global__ void writes_late(unsigned* gone) {
  Row& own = dynamic_shared<Row>();
  Row* peer = this_cluster().map_shared_rank(&own, 0);
  if (wait_until_rank_0_has_left(gone)) peer->value[3] = 5;
}
__global__ void reads_late(unsigned* gone, int* out) {
  Row& own = dynamic_shared<Row>();
  Row* peer = this_cluster().map_shared_rank(&own, 0);
  own.value[threadIdx.x] = 5;
  if (wait_until_rank_0_has_left(gone)) *out = peer->value[3];
}

__global__ void maps_a_rank_too_many(int* out) {
  Row& own = dynamic_shared<Row>();
  this_cluster().sync();
  *out = this_cluster().map_shared_rank(&own, 2)->value[0];
}
__global__ void maps_global_memory(int* out) {
  this_cluster().sync();
  *this_cluster().map_shared_rank(out, 1) = 1;
}
__global__ void maps_what_is_mapped(int* out) {
  const auto cluster = this_cluster();
  Row* peer =
      cluster.map_shared_rank(&dynamic_shared<Row>(), static_cast<int>(1 - cluster.block_rank()));
  cluster.sync();
  *out = cluster.map_shared_rank(peer, 0)->value[0];
}

__global__ void one_block_skips_the_cluster() {
  if (this_cluster().block_rank() == 0) this_cluster().sync();
}
__global__ void one_thread_skips_the_cluster() {
  if (blockIdx.x % 2 == 0 || threadIdx.x != 63) this_cluster().sync();
}
__global__ void cluster_against_block() {
  if (threadIdx.x < 32 && blockIdx.x % 2 == 1)
    __syncthreads();
  else
    this_cluster().sync();
}
__global__ void arrives_twice() {
  this_cluster().barrier_arrive();
  this_cluster().barrier_arrive();
  this_cluster().barrier_wait();
}
__global__ void waits_without_arrival() { this_cluster().barrier_wait(); }

}  // namespace ABN_BUILD
}  // namespace abn::tests
