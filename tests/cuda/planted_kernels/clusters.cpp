// Defects in clusters: shared memory of peers without the barrier that it needs, before them,
// between them and behind them.
#include "cuda/device/cluster.cuh"
#include "tests/cuda/kernels_of_clusters.cuh"
#include "tests/cuda/planted_kernels/launch.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace planted_clusters {

using tests::defect, tests::Scene, tests::Row, tests::Pushed;
constexpr unsigned threads = 64, clusters = 3, size = 4, all = threads * clusters * size;

__device__ __forceinline__ int next_rank() {
  return static_cast<int>((this_cluster().block_rank() + 1) % size);
}

// The peer need not have begun: only its own block has met.
__global__ void peer_that_has_not_begun(float* out) {
  Row& own = dynamic_shared<Row>();
  own.value[threadIdx.x] = 1;
  __syncthreads();
  const Row* const peer = this_cluster().map_shared_rank(&own, next_rank());
  out[blockIdx.x * threads + threadIdx.x] =
      (defect(), static_cast<float>(peer->value[threadIdx.x]));
  this_cluster().sync();
}

__global__ void read_without_a_second_barrier(float* out) {
  Row& own = dynamic_shared<Row>();
  this_cluster().sync();
  defect(), own.value[threadIdx.x] = 1;
  __syncthreads();
  const Row* const peer = this_cluster().map_shared_rank(&own, next_rank());
  out[blockIdx.x * threads + threadIdx.x] =
      (defect(), static_cast<float>(peer->value[threadIdx.x]));
  this_cluster().sync();
}

__global__ void read_between_arrival_and_wait(float* out) {
  Row& own = dynamic_shared<Row>();
  this_cluster().sync();
  defect(), own.value[threadIdx.x] = 1;
  this_cluster().barrier_arrive();
  const Row* const peer = this_cluster().map_shared_rank(&own, next_rank());
  const float value = (defect(), static_cast<float>(peer->value[threadIdx.x]));
  this_cluster().barrier_wait();
  out[blockIdx.x * threads + threadIdx.x] = value;
  this_cluster().sync();
}

__global__ void write_between_arrival_and_wait(float* out) {
  Row& own = dynamic_shared<Row>();
  this_cluster().barrier_arrive();
  defect(), own.value[threadIdx.x] = 1;
  this_cluster().barrier_wait();
  const Row* const peer = this_cluster().map_shared_rank(&own, next_rank());
  out[blockIdx.x * threads + threadIdx.x] =
      (defect(), static_cast<float>(peer->value[threadIdx.x]));
  this_cluster().sync();
}

// Rank 0 has arrived in the next phase, most likely, when a peer comes out of this one, and the
// barrier says nothing of that.
__global__ void peer_in_the_next_phase(float* out) {
  Row& own = dynamic_shared<Row>();
  const Row* const first = this_cluster().map_shared_rank(&own, 0);
  const unsigned rank = this_cluster().block_rank();
  this_cluster().barrier_arrive();
  if (rank == 1 && threadIdx.x == 0)
    for (int i = 0; i < 200; ++i) __nanosleep(20);
  this_cluster().barrier_wait();
  if (rank == 0 && threadIdx.x == 0) defect(), own.value[0] = 1;
  if (rank == 1 && threadIdx.x == 0)
    out[blockIdx.x] = (defect(), static_cast<float>(first->value[0]));
  this_cluster().barrier_arrive();
  this_cluster().barrier_wait();
}

// Some blocks come to the barrier in two steps, some in one.
__global__ void in_one_step_and_in_two(float* out) {
  Row& own = dynamic_shared<Row>();
  const Row* const peer = this_cluster().map_shared_rank(&own, next_rank());
  const auto meet = [] {
    if (this_cluster().block_rank() % 2 == 0) return this_cluster().sync();
    this_cluster().barrier_arrive();
    this_cluster().barrier_wait();
  };
  own.value[threadIdx.x] = 1;
  meet();
  out[blockIdx.x * threads + threadIdx.x] = static_cast<float>(peer->value[threadIdx.x]);
  meet();
}

// Even lanes load before the barrier of the cluster and odd ones behind it, by the same line of the
// source.
__global__ void loads_in_turns(const float* in, float* out) {
  const unsigned t = threadIdx.x;
  float value = 0;
  for (unsigned turn = 0; turn < 2; ++turn) {
    if (t % 2 == turn) value = in[blockIdx.x * threads + t];
    this_cluster().sync();
  }
  out[blockIdx.x * threads + t] = value;
}

// A round overwrites what the peer may still read of the round before.
__global__ void reuse_without_a_barrier(float* out) {
  Row& own = dynamic_shared<Row>();
  float sum = 0;
  for (int round = 0; round < 3; ++round) {
    defect(), own.value[threadIdx.x] = round;
    this_cluster().sync();
    const Row* const peer = this_cluster().map_shared_rank(&own, next_rank());
    sum += (defect(), static_cast<float>(peer->value[threadIdx.x]));
  }
  out[blockIdx.x * threads + threadIdx.x] = sum;
  this_cluster().sync();
}

__global__ void pushed_and_read_behind_a_barrier_of_the_block(float* out) {
  Pushed& own = dynamic_shared<Pushed>();
  this_cluster().sync();
  if (threadIdx.x < size) {
    Pushed* const peer = this_cluster().map_shared_rank(&own, static_cast<int>(threadIdx.x));
    defect(), peer->block[this_cluster().block_rank()] = 1;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    float sum = 0;
    for (unsigned b = 0; b < size; ++b) sum += (defect(), own.block[b]);
    out[blockIdx.x] = sum;
  }
  this_cluster().sync();
}

// All blocks push into the same place.
__global__ void pushed_on_top_of_each_other(float* out) {
  Pushed& own = dynamic_shared<Pushed>();
  this_cluster().sync();
  if (threadIdx.x == 0) {
    Pushed* const first = this_cluster().map_shared_rank(&own, 0);
    defect(), first->block[0] = 1;
  }
  this_cluster().sync();
  if (threadIdx.x == 0 && this_cluster().block_rank() == 0) out[blockIdx.x / size] = own.block[0];
}

__global__ void read_from_a_block_that_may_have_returned(float* out) {
  Row& own = dynamic_shared<Row>();
  const Row* const peer = this_cluster().map_shared_rank(&own, next_rank());
  own.value[threadIdx.x] = 1;
  this_cluster().sync();
  __nanosleep(20);
  out[blockIdx.x * threads + threadIdx.x] =
      (defect(), static_cast<float>(peer->value[threadIdx.x]));
}

__global__ void write_to_a_block_that_may_have_returned() {
  Row& own = dynamic_shared<Row>();
  Row* const peer = this_cluster().map_shared_rank(&own, next_rank());
  this_cluster().sync();
  __nanosleep(20);
  if (threadIdx.x == 5) defect(), peer->value[5] = 1;
}

// An atomic tells the block that its peer has read, but nothing orders the two.
__global__ void return_on_a_relaxed_flag(float* out, unsigned* read) {
  Row& own = dynamic_shared<Row>();
  own.value[threadIdx.x] = 1;
  this_cluster().sync();
  if (threadIdx.x == 0) {
    const Row* const peer = this_cluster().map_shared_rank(&own, next_rank());
    out[blockIdx.x] = (defect(), static_cast<float>(peer->value[0]));
    const unsigned first = blockIdx.x / size * size;
    atomicAdd(&read[first + static_cast<unsigned>(next_rank())], 1u);
    while (atomicAdd(&read[blockIdx.x], 0u) == 0) {
    }
  }
}

__global__ void beyond_a_peers_memory(float* out) {
  Row& own = dynamic_shared<Row>();
  this_cluster().sync();
  const int* const peer = this_cluster().map_shared_rank(&own, next_rank())->value;
  if (threadIdx.x == 0) out[blockIdx.x] = (defect(), static_cast<float>(peer[128]));
  this_cluster().sync();
}

__global__ void unwritten_at_a_peers(float* out) {
  Row& own = dynamic_shared<Row>();
  if (this_cluster().block_rank() != 2) own.value[threadIdx.x] = 1;
  this_cluster().sync();
  const Row* const peer = this_cluster().map_shared_rank(&own, next_rank());
  out[blockIdx.x * threads + threadIdx.x] =
      (defect(), static_cast<float>(peer->value[threadIdx.x]));
  this_cluster().sync();
}

__global__ void skipped_by_a_warp() {
  if (threadIdx.x < 32 || this_cluster().block_rank() != 1) defect(), this_cluster().sync();
}

template <class... P, class... A>
void run(Scene& s, void (*kernel)(P...), A... arguments) {
  launch_in(
      s,
      LaunchConfig{
          .grid = clusters * size, .block = threads, .shared_bytes = sizeof(Row), .cluster = size},
      kernel, arguments...);
}
template <void (*Kernel)(float*)>
void with_output(Scene& s) {
  run(s, Kernel, s.output("out", all));
}

constexpr const char* race = emulator::data_race;
const tests::Plant plant(
    ABN_PLANTED_BY,
    {
        {"cluster: a peer that has not begun", emulator::cluster_peer, "shared memory",
         with_output<peer_that_has_not_begun>},
        {"cluster: no second barrier", race, "shared memory",
         with_output<read_without_a_second_barrier>},
        {"cluster: read between arrival and wait", race, "shared memory",
         with_output<read_between_arrival_and_wait>},
        {"cluster: write between arrival and wait", race, "shared memory",
         with_output<write_between_arrival_and_wait>},
        {"cluster: a peer in the next phase", race, "shared memory",
         with_output<peer_in_the_next_phase>},
        {"cluster: no barrier before reuse", race, "shared memory",
         with_output<reuse_without_a_barrier>},
        {"cluster: barrier of the block only", race, "shared memory",
         with_output<pushed_and_read_behind_a_barrier_of_the_block>},
        {"cluster: pushed into one place", race, "shared memory",
         with_output<pushed_on_top_of_each_other>},
        {"cluster: read at the end", emulator::cluster_peer_left, "shared memory",
         with_output<read_from_a_block_that_may_have_returned>},
        {"cluster: write at the end", emulator::cluster_peer_left, "shared memory",
         [](Scene& s) { run(s, write_to_a_block_that_may_have_returned); }},
        {"cluster: returned on a relaxed flag", emulator::cluster_peer_left, "shared memory",
         [](Scene& s) {
           run(s, return_on_a_relaxed_flag, s.output("out", all),
               s.counters("read", clusters * size));
         }},
        {"cluster: beyond a peer's memory", emulator::out_of_bounds, "shared memory",
         with_output<beyond_a_peers_memory>},
        {"cluster: unwritten at a peer's", emulator::unwritten_read, "shared memory",
         with_output<unwritten_at_a_peers>},
        {"cluster: skipped by a warp", emulator::barrier_divergence, nullptr,
         [](Scene& s) { run(s, skipped_by_a_warp); }},
        {"cluster: in one step and in two", nullptr, nullptr, with_output<in_one_step_and_in_two>},
        {"cluster: loads in turns", nullptr, nullptr,
         [](Scene& s) { run(s, loads_in_turns, s.input("in", all), s.output("out", all)); }},
        {"cluster: row passed on", nullptr, nullptr,
         [](Scene& s) {
           run(s, tests::pass_on, reinterpret_cast<const int*>(s.input("in", all)),
               reinterpret_cast<int*>(s.output("out", all)), 3);
         }},
        {"cluster: partials pushed", nullptr, nullptr,
         [](Scene& s) {
           run(s, tests::sum_over_cluster, s.input("in", all), s.output("out", clusters * size));
         }},
        {"cluster: arrival and wait apart", nullptr, nullptr,
         [](Scene& s) { run(s, tests::split_barrier, s.counters("out", all), 3); }},
        {"cluster and grid", nullptr, nullptr,
         [](Scene& s) {
           launch_together_in(s,
                              LaunchConfig{.grid = clusters * size,
                                           .block = threads,
                                           .shared_bytes = sizeof(Row),
                                           .cluster = size},
                              tests::cluster_then_grid,
                              reinterpret_cast<int*>(s.output("sums", clusters)),
                              reinterpret_cast<int*>(s.output("out", clusters * size)));
         }},
        {"cluster of one", nullptr, nullptr,
         [](Scene& s) {
           launch_in(s, {5, threads, sizeof(Row)}, tests::pass_on,
                     reinterpret_cast<const int*>(s.input("in", 5 * threads)),
                     reinterpret_cast<int*>(s.output("out", 5 * threads)), 0);
         }},
    });

// ---- peers that there are not, and barriers that some threads skip

template <class... P, class... A>
void run_in_pairs(Scene& s, void (*kernel)(P...), A... arguments) {
  launch_in(s, LaunchConfig{.grid = 6, .block = threads, .shared_bytes = sizeof(Row), .cluster = 2},
            kernel, arguments...);
}
template <void (*Kernel)()>
void in_pairs(Scene& s) {
  run_in_pairs(s, Kernel);
}
template <void (*Kernel)(int*)>
void in_pairs_to(Scene& s) {
  run_in_pairs(s, Kernel, reinterpret_cast<int*>(s.output("out", 1)));
}

constexpr const char *apart = emulator::barrier_divergence, *peer = emulator::cluster_peer;
const tests::Plant misuses(
    ABN_PLANTED_BY,
    {
        {"cluster: a rank too many", peer, nullptr, in_pairs_to<tests::maps_a_rank_too_many>,
         false},
        {"cluster: global memory mapped", peer, nullptr, in_pairs_to<tests::maps_global_memory>,
         false},
        {"cluster: mapped twice", peer, nullptr, in_pairs_to<tests::maps_what_is_mapped>, false},
        {"cluster: skipped by a block", apart, nullptr,
         in_pairs<tests::one_block_skips_the_cluster>, false},
        {"cluster: skipped by a thread", apart, nullptr,
         in_pairs<tests::one_thread_skips_the_cluster>, false},
        {"cluster: its barrier against the block's", apart, nullptr,
         in_pairs<tests::cluster_against_block>, false},
        {"cluster: arrived twice", apart, nullptr, in_pairs<tests::arrives_twice>, false},
        {"cluster: waited without arrival", apart, nullptr, in_pairs<tests::waits_without_arrival>,
         false},
    });

}  // namespace planted_clusters
}  // namespace ABN_BUILD
}  // namespace abn::device
