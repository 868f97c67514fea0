// Defects around asynchronous copies into shared memory: what is read, written or handed on before
// a copy is done.
#include "cuda/device/async_copy.cuh"
#include "tests/cuda/kernels_of_copies.cuh"
#include "tests/cuda/planted_kernels/launch.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace planted_async_copies {

using tests::defect, tests::Scene, tests::Staged, tests::Tiles, tests::tile;
constexpr unsigned threads = 64, blocks = 3, wide = 4 * threads;

// ---- by elements

__global__ void read_before_the_wait(const float* in, float* out) {
  float* const stage = dynamic_shared<Staged>().stage[0];
  const unsigned t = threadIdx.x;
  defect(), copy_async<4>(stage + t, in + t);
  copy_async_commit();
  const float value = (defect(), stage[t]);
  copy_async_wait<0>();
  out[blockIdx.x * threads + t] = value;
}

__global__ void read_by_others_without_a_barrier(const float* in, float* out) {
  float* const stage = dynamic_shared<Staged>().stage[0];
  const unsigned t = threadIdx.x;
  defect(), copy_async<4>(stage + t, in + t);
  copy_async_commit();
  copy_async_wait<0>();
  out[blockIdx.x * threads + t] = (defect(), stage[t ^ 32]);
}

__global__ void barrier_before_the_wait(const float* in, float* out) {
  float* const stage = dynamic_shared<Staged>().stage[0];
  const unsigned t = threadIdx.x;
  defect(), copy_async<16>(stage + 4 * t, in + 4 * t);
  copy_async_commit();
  __syncthreads();
  copy_async_wait<0>();
  out[blockIdx.x * threads + t] = (defect(), stage[threads - 1 - t]);
}

__global__ void wait_for_one_group_too_few(const float* in, float* out) {
  Staged& shared = dynamic_shared<Staged>();
  if (threadIdx.x != 0) return;
  copy_async<8>(shared.stage[0], in);
  copy_async_commit();
  defect(), copy_async<8>(shared.stage[1], in);
  copy_async_commit();
  copy_async_wait<1>();
  for (int i = 0; i < 200; ++i) __nanosleep(20);  // it is there by now, most likely
  const float value = shared.stage[0][0] + (defect(), shared.stage[1][0]);
  copy_async_wait<0>();
  out[blockIdx.x] = value;
}

// The copy of the next tile may land while other threads still read this one.
__global__ void stage_filled_while_it_is_read(const float* in, float* out) {
  float* const stage = dynamic_shared<Staged>().stage[0];
  const unsigned t = threadIdx.x;
  float sum = 0;
  for (int round = 0; round < 3; ++round) {
    defect(), copy_async<4>(stage + t, in + t);
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    sum += (defect(), stage[t ^ 32]);
  }
  out[blockIdx.x * threads + t] = sum;
}

__global__ void source_changed_before_the_wait(float* data, float* out) {
  float* const stage = dynamic_shared<Staged>().stage[0];
  const unsigned t = threadIdx.x, i = blockIdx.x * threads + t;
  defect(), copy_async<4>(stage + t, data + i);
  copy_async_commit();
  defect(), data[i] = 2;
  copy_async_wait<0>();
  out[i] = stage[t];
}

__global__ void two_copies_into_one_place(const float* in, float* out) {
  float* const stage = dynamic_shared<Staged>().stage[0];
  const unsigned t = threadIdx.x;
  defect(), copy_async<4>(stage + t, in + t);
  defect(), copy_async<4>(stage + t, in + t + 1);
  copy_async_commit();
  copy_async_wait<0>();
  out[blockIdx.x * threads + t] = stage[t];
}

__global__ void element_beyond_the_source(const float* in, float* out) {
  float* const stage = dynamic_shared<Staged>().stage[0];
  const unsigned t = threadIdx.x;
  defect(), copy_async<4>(stage + t, in + 1 + t);  // one too far
  copy_async_commit();
  copy_async_wait<0>();
  out[blockIdx.x * threads + t] = stage[t];
}

__global__ void element_that_is_never_waited_for(const float* in) {
  float* const stage = dynamic_shared<Staged>().stage[0];
  defect(), copy_async<4>(stage + threadIdx.x, in + threadIdx.x);
  copy_async_commit();
}

// ---- bulk loads

__device__ __forceinline__ void prepare(Tiles& shared) {
  if (threadIdx.x == 0) {
    mbarrier_init(shared.full[0], 1);
    mbarrier_init(shared.full[1], 1);
    mbarrier_fence_init();
  }
  __syncthreads();
}

__global__ void tile_read_before_it_is_there(const float* in, float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  prepare(shared);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(shared.full[0], sizeof shared.in[0]);
    defect(), bulk_load(shared.in[0], in, sizeof shared.in[0], shared.full[0]);
  }
  __syncthreads();
  const float value = (defect(), shared.in[0][threadIdx.x]);
  mbarrier_wait(shared.full[0], 0);
  out[blockIdx.x * threads + threadIdx.x] = value;
}

__global__ void one_thread_waits_for_all(const float* in, float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  prepare(shared);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(shared.full[0], sizeof shared.in[0]);
    defect(), bulk_load(shared.in[0], in, sizeof shared.in[0], shared.full[0]);
    mbarrier_wait(shared.full[0], 0);
  }
  out[blockIdx.x * threads + threadIdx.x] = (defect(), shared.in[0][threadIdx.x]);
}

__global__ void tile_filled_while_it_is_read(const float* in, float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  prepare(shared);
  float sum = 0;
  for (unsigned round = 0; round < 2; ++round) {
    if (threadIdx.x == 0) {
      mbarrier_arrive_expect_tx(shared.full[round], sizeof shared.in[0]);
      defect(), bulk_load(shared.in[0], in, sizeof shared.in[0], shared.full[round]);
    }
    mbarrier_wait(shared.full[round], 0);
    sum += (defect(), shared.in[0][threadIdx.x]);
  }
  out[blockIdx.x * threads + threadIdx.x] = sum;
}

__global__ void two_loads_overlap(const float* in, float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  prepare(shared);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(shared.full[0], 2 * sizeof shared.in[0]);
    defect(), bulk_load(shared.in[0], in, sizeof shared.in[0], shared.full[0]);
    defect(), bulk_load(shared.in[0] + tile - 4, in, sizeof shared.in[0], shared.full[0]);
  }
  mbarrier_wait(shared.full[0], 0);
  out[blockIdx.x * threads + threadIdx.x] = shared.in[0][threadIdx.x];
}

__global__ void tile_beyond_the_source(const float* in, float* out) {
  Tiles& shared = dynamic_shared<Tiles>();
  prepare(shared);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(shared.full[0], sizeof shared.in[0]);
    // 16 bytes too far
    defect(), bulk_load(shared.in[0], in + 4, sizeof shared.in[0], shared.full[0]);
  }
  mbarrier_wait(shared.full[0], 0);
  out[blockIdx.x * threads + threadIdx.x] = shared.in[0][threadIdx.x];
}

__global__ void load_that_is_never_waited_for(const float* in) {
  Tiles& shared = dynamic_shared<Tiles>();
  prepare(shared);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(shared.full[0], sizeof shared.in[0]);
    defect(), bulk_load(shared.in[0], in, sizeof shared.in[0], shared.full[0]);
  }
}

// ---- to peers

using tests::Gathered;

__global__ void pushed_value_read_without_a_wait(float* out) {
  const auto cluster = this_cluster();
  Gathered& shared = dynamic_shared<Gathered>();
  if (threadIdx.x == 0) {
    mbarrier_init(shared.full, 1);
    mbarrier_fence_init();
    mbarrier_arrive_expect_tx(shared.full, cluster.num_blocks() * 4);
  }
  cluster.sync();
  if (threadIdx.x < cluster.num_blocks())
    defect(), store_async(&shared.part[cluster.block_rank()], 1.0f, shared.full,
                          static_cast<int>(threadIdx.x));
  cluster.sync();
  float sum = 0;
  for (unsigned b = 0; b < cluster.num_blocks(); ++b) sum += (defect(), shared.part[b]);
  mbarrier_wait_cluster(shared.full, 0);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

template <class... P, class... A>
void run(Scene& s, void (*kernel)(P...), A... arguments) {
  launch_in(s, {blocks, threads, sizeof(Tiles)}, kernel, arguments...);
}
template <void (*Kernel)(const float*, float*)>
void elements(Scene& s) {
  run(s, Kernel, s.input("in", wide), s.output("out", blocks * threads));
}
template <void (*Kernel)(const float*, float*)>
void tiles(Scene& s) {
  run(s, Kernel, s.input("in", tile), s.output("out", blocks * threads));
}

LaunchConfig in_clusters() {
  return {.grid = 6, .block = threads, .shared_bytes = sizeof(tests::Gathered), .cluster = 3};
}

constexpr const char* race = emulator::data_race;
constexpr const char* in_shared = "shared memory";
const tests::Plant plant(
    ABN_PLANTED_BY,
    {
        {"element: read before the wait", race, in_shared, elements<read_before_the_wait>},
        {"element: read by others without a barrier", race, in_shared,
         elements<read_by_others_without_a_barrier>},
        {"element: barrier before the wait", race, in_shared, elements<barrier_before_the_wait>},
        {"element: wait for one group too few", race, in_shared,
         elements<wait_for_one_group_too_few>},
        {"element: stage filled while it is read", race, in_shared,
         elements<stage_filled_while_it_is_read>},
        {"element: two copies into one place", race, in_shared,
         elements<two_copies_into_one_place>},
        {"element: source changed before the wait", race, "data",
         [](Scene& s) {
           run(s, source_changed_before_the_wait, s.zeros("data", blocks * threads),
               s.output("out", blocks * threads));
         }},
        {"element: beyond the source", emulator::out_of_bounds, "in",
         [](Scene& s) {
           run(s, element_beyond_the_source, s.input("in", threads),
               s.output("out", blocks * threads));
         }},
        {"element: never waited for", emulator::async_copy, nullptr,
         [](Scene& s) { run(s, element_that_is_never_waited_for, s.input("in", threads)); }},
        {"tile: read before it is there", race, in_shared, tiles<tile_read_before_it_is_there>},
        {"tile: one thread waits for all", race, in_shared, tiles<one_thread_waits_for_all>},
        {"tile: filled while it is read", race, in_shared, tiles<tile_filled_while_it_is_read>},
        {"tile: two loads overlap", race, in_shared, tiles<two_loads_overlap>},
        {"tile: beyond the source", emulator::out_of_bounds, "in", tiles<tile_beyond_the_source>},
        {"tile: never waited for", emulator::async_copy, nullptr,
         [](Scene& s) { run(s, load_that_is_never_waited_for, s.input("in", tile)); }},
        {"push: read without a wait", race, in_shared,
         [](Scene& s) {
           launch_in(s, in_clusters(), pushed_value_read_without_a_wait, s.output("out", 6));
         }},
        {"elements in stages", nullptr, nullptr,
         [](Scene& s) {
           launch_in(s, {blocks, threads, sizeof(Staged)}, tests::double_by_stages,
                     s.input("in", blocks * 5 * wide), s.output("out", blocks * 5 * wide), 5);
         }},
        {"bulk pipeline", nullptr, nullptr,
         [](Scene& s) {
           run(s, tests::add_one_in_bulk, s.input("in", blocks * 5 * tile),
               s.output("out", blocks * 5 * tile), 5);
         }},
        {"bulk copy", nullptr, nullptr,
         [](Scene& s) {
           run(s, tests::copy_in_bulk, s.input("in", blocks * 2 * tile),
               s.output("out", blocks * 2 * tile));
         }},
        {"pushed to peers", nullptr, nullptr,
         [](Scene& s) {
           launch_in(s, in_clusters(), tests::push_to_peers, s.input("in", 6), s.output("out", 6));
         }},
    });

// ---- operands and waits that copies cannot have

template <void (*Kernel)(const float*)>
void starts(Scene& s) {
  launch_in(s, {blocks, 32, sizeof(Staged)}, Kernel, s.input("in", 512));
}
template <void (*Kernel)(const float*, float*)>
void without_a_wait(Scene& s) {
  launch_in(s, {blocks, 128, sizeof(Staged)}, Kernel, s.input("in", 512), s.output("out", 512));
}
template <tests::Slip Made>
void load(Scene& s) {
  launch_in(s, {1, 1, sizeof(Tiles)}, tests::load_with_a_slip, s.input("in", tile + 4),
            s.output("out", tile), Made, reinterpret_cast<MBarrier*>(s.zeros("global", 2)));
}
template <tests::StoreSlip Made>
void store(Scene& s) {
  launch_in(s, {1, tile, sizeof(Tiles)}, tests::store_with_a_slip, s.output("out", tile),
            s.output("back", tile), Made);
}

constexpr const char* copy = emulator::async_copy;
const tests::Plant misuses(
    ABN_PLANTED_BY,
    {
        {"element: returned without a wait", copy, nullptr,
         without_a_wait<tests::element_without_wait>, false},
        {"element: waited for and not committed", copy, nullptr,
         without_a_wait<tests::element_wait_without_commit>, false},
        {"element: misaligned", emulator::misaligned_access, nullptr,
         starts<tests::element_misaligned>, false},
        {"element: outside of shared memory", copy, nullptr, starts<tests::element_out_of_shared>,
         false},
        {"element: reads more than it writes", copy, nullptr,
         starts<tests::element_reads_more_than_it_writes>, false},
        {"load: not waited for", copy, nullptr, load<tests::no_wait>, false},
        {"load: no fence of the mbarrier", emulator::missing_proxy_fence, nullptr,
         load<tests::no_init_fence>, false},
        {"load: more bytes announced", emulator::deadlock, nullptr, load<tests::announces_too_many>,
         false},
        {"load: no bytes announced", copy, nullptr, load<tests::announces_nothing>, false},
        {"load: of an odd size", copy, nullptr, load<tests::odd_size>, false},
        {"load: of no bytes", copy, nullptr, load<tests::no_bytes>, false},
        {"load: misaligned", emulator::misaligned_access, nullptr, load<tests::misaligned_source>,
         false},
        {"load: beyond shared memory", copy, nullptr, load<tests::beyond_shared>, false},
        {"load: mbarrier not initialised", emulator::mbarrier_misuse, nullptr,
         load<tests::barrier_not_initialised>, false},
        {"load: mbarrier in global memory", copy, nullptr, load<tests::barrier_in_global>, false},
        {"store: fence before the last writes", emulator::missing_proxy_fence, nullptr,
         store<tests::fence_by_nobody_since>, false},
        {"store: not committed", copy, nullptr, store<tests::no_commit>, false},
        {"store: not waited for", copy, nullptr, store<tests::no_store_wait>, false},
        {"store: of an odd size", copy, nullptr, store<tests::odd_store>, false},
    });

}  // namespace planted_async_copies
}  // namespace ABN_BUILD
}  // namespace abn::device
