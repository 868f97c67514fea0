// Defects around bulk stores, which do not see what is not fenced.
#include "cuda/device/async_copy.cuh"
#include "cuda/device/cluster.cuh"
#include "tests/cuda/planted_kernels/launch.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace planted_bulk_stores {

using tests::defect, tests::Scene;
constexpr unsigned threads = 64, blocks = 3, tile = 256;

struct Tiles {
  alignas(16) float out[2][tile];
};

enum class ProxyFence {
  by_all,
  by_nobody,
  by_the_first_only,
  before_the_stores,
  behind_the_barrier
};
template <ProxyFence Fence>
__global__ void store_a_tile(float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  const unsigned t = threadIdx.x;
  if (Fence == ProxyFence::before_the_stores) fence_proxy_async();
  for (unsigned i = t; i < tile; i += threads) defect(), shared.out[0][i] = 1;
  if (Fence == ProxyFence::by_all || (Fence == ProxyFence::by_the_first_only && t == 0))
    fence_proxy_async();
  __syncthreads();
  if (t == 0) {
    if (Fence == ProxyFence::behind_the_barrier) fence_proxy_async();
    defect(), bulk_store(out + blockIdx.x * tile, shared.out[0], sizeof shared.out[0]);
    bulk_commit();
    bulk_wait_read<0>();
  }
}

// The thread that has stored fences behind the barrier, and nothing says that it has done so when
// the copy is started.
__global__ void fence_behind_the_barrier_of_another(float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  const unsigned t = threadIdx.x;
  for (unsigned i = t; i < tile; i += threads) defect(), shared.out[0][i] = 1;
  if (t < 32) fence_proxy_async();
  __syncthreads();
  if (t >= 32) fence_proxy_async();
  if (t == 0) {
    for (int i = 0; i < 200; ++i) __nanosleep(20);
    defect(), bulk_store(out + blockIdx.x * tile, shared.out[0], sizeof shared.out[0]);
    bulk_commit();
    bulk_wait_read<0>();
  }
}

// The warps of the block have not met: only the first one's stores are there for sure.
__global__ void store_without_a_barrier(float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  const unsigned t = threadIdx.x;
  for (unsigned i = t; i < tile; i += threads) defect(), shared.out[0][i] = 1;
  fence_proxy_async();
  __syncwarp();
  if (t == 0) {
    defect(), bulk_store(out + blockIdx.x * tile, shared.out[0], sizeof shared.out[0]);
    bulk_commit();
    bulk_wait_read<0>();
  }
}

__global__ void source_overwritten(float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  const unsigned t = threadIdx.x;
  for (unsigned i = t; i < tile; i += threads) shared.out[0][i] = 1;
  fence_proxy_async();
  __syncthreads();
  if (t == 0) {
    defect(), bulk_store(out + blockIdx.x * tile, shared.out[0], sizeof shared.out[0]);
    bulk_commit();
  }
  defect(), shared.out[0][t] = 2;
  if (t == 0) bulk_wait_read<0>();
}

__global__ void result_read_back(float* data, float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  const unsigned t = threadIdx.x;
  for (unsigned i = t; i < tile; i += threads) shared.out[0][i] = 1;
  fence_proxy_async();
  __syncthreads();
  if (t == 0) {
    defect(), bulk_store(data + blockIdx.x * tile, shared.out[0], sizeof shared.out[0]);
    bulk_commit();
    bulk_wait_read<0>();  // of the source, not of the result
  }
  __syncthreads();
  out[blockIdx.x * threads + t] = (defect(), data[blockIdx.x * tile + t]);
}

__global__ void store_of_what_nobody_wrote(float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  const unsigned t = threadIdx.x;
  for (unsigned i = t; i < tile - 8; i += threads) shared.out[0][i] = 1;
  fence_proxy_async();
  __syncthreads();
  if (t == 0) {
    defect(), bulk_store(out + blockIdx.x * tile, shared.out[0], sizeof shared.out[0]);
    bulk_commit();
    bulk_wait_read<0>();
  }
}

__global__ void store_beyond_the_output(float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  const unsigned t = threadIdx.x;
  for (unsigned i = t; i < tile; i += threads) shared.out[0][i] = 1;
  fence_proxy_async();
  __syncthreads();
  if (t == 0) {
    defect(), bulk_store(out + 4 + blockIdx.x * tile, shared.out[0], sizeof shared.out[0]);
    bulk_commit();
    bulk_wait_read<0>();
  }
}

// Two blocks store the same piece.
__global__ void two_blocks_store(float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  const unsigned t = threadIdx.x;
  for (unsigned i = t; i < tile; i += threads) shared.out[0][i] = 1;
  fence_proxy_async();
  __syncthreads();
  if (t == 0) {
    defect(), bulk_store(out + blockIdx.x / 2 * tile, shared.out[0], sizeof shared.out[0]);
    bulk_commit();
    bulk_wait_read<0>();
  }
}

// Each block writes into its peer's tile, and the peer stores it.
template <bool Fenced>
__global__ void store_what_a_peer_wrote(float* out) {
  const auto cluster = this_cluster();
  Tiles& shared = dynamic_shared<Tiles>();
  Tiles* const peer = cluster.map_shared_rank(
      &shared, static_cast<int>((cluster.block_rank() + 1) % cluster.num_blocks()));
  cluster.sync();
  for (unsigned i = threadIdx.x; i < tile; i += threads) defect(), peer->out[0][i] = 1;
  if (Fenced) fence_proxy_async();
  cluster.sync();
  if (threadIdx.x == 0) {
    defect(), bulk_store(out + blockIdx.x * tile, shared.out[0], sizeof shared.out[0]);
    bulk_commit();
    bulk_wait_read<0>();
  }
}

template <class... P, class... A>
void run(Scene& s, void (*kernel)(P...), A... arguments) {
  launch_in(s, {blocks, threads, sizeof(Tiles)}, kernel, arguments...);
}
template <void (*Kernel)(float*)>
void stores(Scene& s) {
  run(s, Kernel, s.output("out", blocks * tile));
}
LaunchConfig in_clusters() {
  return {.grid = 6, .block = threads, .shared_bytes = sizeof(Tiles), .cluster = 3};
}

constexpr const char* race = emulator::data_race;
constexpr const char* in_shared = "shared memory";
const tests::Plant plant(
    ABN_PLANTED_BY,
    {
        {"store: no proxy fence", emulator::missing_proxy_fence, in_shared,
         stores<store_a_tile<ProxyFence::by_nobody>>},
        {"store: proxy fence of one thread", emulator::missing_proxy_fence, in_shared,
         stores<store_a_tile<ProxyFence::by_the_first_only>>},
        {"store: proxy fence before the writes", emulator::missing_proxy_fence, in_shared,
         stores<store_a_tile<ProxyFence::before_the_stores>>},
        {"store: proxy fence of another too late", emulator::missing_proxy_fence, in_shared,
         stores<fence_behind_the_barrier_of_another>},
        {"store: no barrier before it", race, in_shared, stores<store_without_a_barrier>},
        {"store: source overwritten", race, in_shared, stores<source_overwritten>},
        {"store: result read back", race, "data",
         [](Scene& s) {
           run(s, result_read_back, s.output("data", blocks * tile),
               s.output("out", blocks * threads));
         }},
        {"store: of what nobody wrote", emulator::unwritten_read, in_shared,
         stores<store_of_what_nobody_wrote>},
        {"store: beyond the output", emulator::out_of_bounds, "out",
         stores<store_beyond_the_output>},
        {"store: by two blocks", race, "out", stores<two_blocks_store>},
        {"store: a peer's writes, no proxy fence", emulator::missing_proxy_fence, in_shared,
         [](Scene& s) {
           launch_in(s, in_clusters(), store_what_a_peer_wrote<false>, s.output("out", 6 * tile));
         }},
        {"store: a peer's writes", nullptr, nullptr,
         [](Scene& s) {
           launch_in(s, in_clusters(), store_what_a_peer_wrote<true>, s.output("out", 6 * tile));
         }},
        {"store: proxy fence by all", nullptr, nullptr, stores<store_a_tile<ProxyFence::by_all>>},
        {"store: proxy fence behind the barrier", nullptr, nullptr,
         stores<store_a_tile<ProxyFence::behind_the_barrier>>},
    });

}  // namespace planted_bulk_stores
}  // namespace ABN_BUILD
}  // namespace abn::device
