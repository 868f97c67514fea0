// Kernels that use asynchronous copies rightly, and kernels that misuse them; plain CUDA, which
// nvcc takes too. One source includes this.
#pragma once

#include "cuda/device/async_copy.cuh"
#include "cuda/device/cluster.cuh"

namespace abn::tests {
inline namespace ABN_BUILD {

using namespace device;

// ---- right: copies by elements

struct Staged {
  alignas(16) float stage[3][4 * 64];
};

// Three stages deep: out = 2 * in, each thread its own 16 bytes, `tiles` of them one behind the
// other.
__global__ void double_by_stages(const float* in, float* out, int tiles) {
  Staged& shared = dynamic_shared<Staged>();
  const int mine = 4 * static_cast<int>(threadIdx.x), tile = 4 * static_cast<int>(blockDim.x);
  const float* from = in + static_cast<int>(blockIdx.x) * tiles * tile + mine;
  float* to = out + static_cast<int>(blockIdx.x) * tiles * tile + mine;
  for (int t = 0; t < 2; ++t) {
    if (t < tiles) copy_async<16>(&shared.stage[t][mine], from + t * tile);
    copy_async_commit();
  }
  for (int t = 0; t < tiles; ++t) {
    if (t + 2 < tiles) copy_async<16>(&shared.stage[(t + 2) % 3][mine], from + (t + 2) * tile);
    copy_async_commit();
    copy_async_wait<2>();
    for (int i = 0; i < 4; ++i) to[t * tile + i] = 2 * shared.stage[t % 3][mine + i];
  }
  copy_async_wait<0>();
}

struct Reversed {
  alignas(16) unsigned char bytes[16 * 64];
};

// The block's bytes in reverse order; what lies behind `valid` is zero.
template <int Bytes>
__global__ void reverse_bytes(const unsigned char* in, unsigned char* out, int valid) {
  Reversed& shared = dynamic_shared<Reversed>();
  const int mine = Bytes * static_cast<int>(threadIdx.x), n = Bytes * static_cast<int>(blockDim.x);
  const int left = valid - mine < 0 ? 0 : valid - mine < Bytes ? valid - mine : Bytes;
  copy_async<Bytes>(shared.bytes + mine, in + mine, static_cast<unsigned>(left));
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
  for (int i = 0; i < Bytes; ++i) out[mine + i] = shared.bytes[n - 1 - mine - i];
}

// ---- right: bulk copies

constexpr int tile = 256;

struct Tiles {
  alignas(16) float in[2][tile];
  alignas(16) float out[2][tile];
  MBarrier full[2];
};

// out = in + 1 in tiles, two of them under way: loads by thread 0, stores by thread 0.
__global__ void add_one_in_bulk(const float* in, float* out, int tiles) {
  Tiles& shared = dynamic_shared<Tiles>();
  const auto at = [&](int t) { return (static_cast<long long>(blockIdx.x) * tiles + t) * tile; };
  const auto load = [&](int t) {
    mbarrier_arrive_expect_tx(shared.full[t % 2], sizeof shared.in[0]);
    bulk_load(shared.in[t % 2], in + at(t), sizeof shared.in[0], shared.full[t % 2]);
  };
  if (threadIdx.x == 0) {
    mbarrier_init(shared.full[0], 1);
    mbarrier_init(shared.full[1], 1);
    mbarrier_fence_init();
  }
  __syncthreads();
  if (threadIdx.x == 0)
    for (int t = 0; t < 2 && t < tiles; ++t) load(t);
  for (int t = 0; t < tiles; ++t) {
    if (threadIdx.x == 0) bulk_wait_read<1>();  // the store of two tiles ago
    mbarrier_wait(shared.full[t % 2], static_cast<unsigned>(t / 2 % 2));
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < tile; i += static_cast<int>(blockDim.x))
      shared.out[t % 2][i] = shared.in[t % 2][i] + 1;
    fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
      bulk_store(out + at(t), shared.out[t % 2], sizeof shared.out[0]);
      bulk_commit();
      if (t + 2 < tiles) load(t + 2);
    }
  }
  if (threadIdx.x == 0) bulk_wait_read<0>();
}

// No ordinary store touches the tile, so that no proxy fence is needed.
__global__ void copy_in_bulk(const float* in, float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  if (threadIdx.x != 0) return;
  mbarrier_init(shared.full[0], 1);
  mbarrier_fence_init();
  mbarrier_arrive_expect_tx(shared.full[0], sizeof shared.in);
  bulk_load(shared.in[0], in + blockIdx.x * 2 * tile, sizeof shared.in[0], shared.full[0]);
  bulk_load(shared.in[1], in + blockIdx.x * 2 * tile + tile, sizeof shared.in[1], shared.full[0]);
  mbarrier_wait(shared.full[0], 0);
  bulk_store(out + blockIdx.x * 2 * tile, shared.in, sizeof shared.in);
  bulk_commit();
  bulk_wait<0>();
}

// ---- right: values to peers

struct Gathered {
  alignas(16) float part[16];
  MBarrier full;
};

// Every block pushes its value to all of the cluster, itself among them, with one round trip and no
// barrier of the cluster in between.
__global__ void push_to_peers(const float* in, float* out) {
  const auto cluster = this_cluster();
  Gathered& shared = dynamic_shared<Gathered>();
  if (threadIdx.x == 0) {
    mbarrier_init(shared.full, 1);
    mbarrier_fence_init();
    mbarrier_arrive_expect_tx(shared.full, cluster.num_blocks() * 4);
  }
  cluster.sync();
  if (threadIdx.x < cluster.num_blocks())
    store_async(&shared.part[cluster.block_rank()], in[blockIdx.x], shared.full,
                static_cast<int>(threadIdx.x));
  mbarrier_wait_cluster(shared.full, 0);
  float sum = 0;
  for (unsigned b = 0; b < cluster.num_blocks(); ++b) sum += shared.part[b];
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

// ---- misuses of copies by elements

__global__ void element_read_before_it_landed(const float* in, float* out) {
  Staged& shared = dynamic_shared<Staged>();
  const unsigned mine = 4 * threadIdx.x;
  copy_async<16>(&shared.stage[0][mine], in + mine);
  copy_async_commit();
  for (unsigned i = 0; i < 4; ++i) out[mine + i] = shared.stage[0][mine + i];
  copy_async_wait<0>();
}
__global__ void element_read_after_a_while(const float* in, float* out) {
  Staged& shared = dynamic_shared<Staged>();
  copy_async<4>(shared.stage[0], in);
  copy_async_commit();
  for (int i = 0; i < 40; ++i) __nanosleep(20);
  *out = shared.stage[0][0];
  copy_async_wait<0>();
}
__global__ void element_wait_without_commit(const float* in, float* out) {
  Staged& shared = dynamic_shared<Staged>();
  copy_async<4>(&shared.stage[0][threadIdx.x], in + threadIdx.x);
  copy_async_wait<0>();
  out[threadIdx.x] = shared.stage[0][threadIdx.x];
}
__global__ void element_without_wait(const float* in, float* out) {
  Staged& shared = dynamic_shared<Staged>();
  copy_async<8>(&shared.stage[0][2 * threadIdx.x], in + 2 * threadIdx.x);
  copy_async_commit();
  __syncthreads();
  out[threadIdx.x] = shared.stage[0][threadIdx.x];
}
// Two groups are under way and the wait allows for one too many.
__global__ void element_wait_for_too_few(const float* in, float* out) {
  Staged& shared = dynamic_shared<Staged>();
  for (int s = 0; s < 2; ++s) {
    copy_async<4>(&shared.stage[s][threadIdx.x], in + threadIdx.x);
    copy_async_commit();
  }
  copy_async_wait<1>();
  out[threadIdx.x] = shared.stage[1][threadIdx.x];
  copy_async_wait<0>();
}
__global__ void element_source_changed_too_early(float* in, float* out) {
  Staged& shared = dynamic_shared<Staged>();
  copy_async<4>(&shared.stage[0][threadIdx.x], in + threadIdx.x);
  copy_async_commit();
  in[threadIdx.x] = -1;
  copy_async_wait<0>();
  out[threadIdx.x] = shared.stage[0][threadIdx.x];
}
__global__ void element_misaligned(const float* in) {
  copy_async<8>(&dynamic_shared<Staged>().stage[0][0], in + 1);
}
__global__ void element_out_of_shared(const float* in) {
  copy_async<16>(&dynamic_shared<Staged>() + 1, in);
}
__global__ void element_reads_more_than_it_writes(const float* in) {
  copy_async<4>(&dynamic_shared<Staged>().stage[0][0], in, 5);
}

// ---- misuses of bulk copies. One thread, unless it matters.

enum Slip : int {
  no_wait,
  no_init_fence,
  read_too_early,
  wrong_parity,
  announces_too_many,
  announces_half,
  announces_nothing,
  odd_size,
  no_bytes,
  misaligned_source,
  beyond_shared,
  barrier_not_initialised,
  barrier_in_global,
};
__global__ void load_with_a_slip(const float* in, float* out, Slip slip, MBarrier* global) {
  Tiles& shared = dynamic_shared<Tiles>();
  constexpr unsigned bytes = sizeof shared.in[0];
  if (slip != barrier_not_initialised) mbarrier_init(shared.full[0], 1);
  if (slip != no_init_fence) mbarrier_fence_init();
  if (slip != barrier_not_initialised)
    mbarrier_arrive_expect_tx(shared.full[0], slip == announces_too_many  ? bytes + 16
                                              : slip == announces_half    ? bytes / 2
                                              : slip == announces_nothing ? 0
                                                                          : bytes);
  bulk_load(slip == beyond_shared ? shared.out[1] + 48 : shared.in[0],
            slip == misaligned_source ? in + 1 : in,
            slip == odd_size   ? bytes - 4
            : slip == no_bytes ? 0
                               : bytes,
            slip == barrier_in_global ? *global : shared.full[0]);
  if (slip != no_wait && slip != read_too_early)
    mbarrier_wait(shared.full[0], slip == wrong_parity ? 1 : 0);
  for (int i = 0; i < tile; ++i) out[i] = shared.in[0][i];
  if (slip == read_too_early) mbarrier_wait(shared.full[0], 0);
}

enum StoreSlip : int {
  no_proxy_fence,
  fence_by_nobody_since,
  no_commit,
  no_store_wait,
  overwritten_too_early,
  read_wait_and_read_back,
  odd_store
};
__global__ void store_with_a_slip(float* out, float* back, StoreSlip slip) {
  Tiles& shared = dynamic_shared<Tiles>();
  const int i = static_cast<int>(threadIdx.x);
  shared.out[0][i] = 1;
  if (slip != no_proxy_fence) fence_proxy_async();
  __syncthreads();
  if (slip == fence_by_nobody_since) {
    shared.out[0][i] = 2;
    __syncthreads();
  }
  if (i == 0) {
    bulk_store(out, shared.out[0], slip == odd_store ? 24 : sizeof shared.out[0]);
    if (slip != no_commit) bulk_commit();
    if (slip == overwritten_too_early)
      for (int j = 0; j < tile; ++j) shared.out[0][j] = 3;
    if (slip == read_wait_and_read_back) {
      bulk_wait_read<0>();
      for (int j = 0; j < tile; ++j) back[j] = out[j];
    }
    if (slip != no_store_wait) bulk_wait<0>();
  }
}

}  // namespace ABN_BUILD
}  // namespace abn::tests
