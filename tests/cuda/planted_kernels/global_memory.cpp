// Defects in global memory: races between blocks, and what is missing between a block's results and
// the block that reads them.
#include "cuda/device/platform.cuh"
#include "tests/cuda/planted_kernels/launch.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace planted_global_memory {

using tests::defect, tests::Scene;
constexpr unsigned threads = 64, blocks = 6;

struct Shared {
  float value[threads];
  unsigned ticket;
};

__global__ void all_blocks_write(float* out) {
  if (threadIdx.x == 0) defect(), out[0] = static_cast<float>(blockIdx.x);
}

__global__ void two_lanes_write(float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  defect(), out[i / 2] = static_cast<float>(i);
}

// Each block smooths its piece in place and reads one element of the next.
__global__ void in_place_stencil(float* x) {
  const unsigned i = blockIdx.x * threads + threadIdx.x, last = blocks * threads - 1;
  const float right = (defect(), x[i < last ? i + 1 : last]);
  __syncthreads();
  defect(), x[i] = right;
}

// Pairs of floats, of which one thread writes both and its neighbour one.
__global__ void wide_over_narrow(float* out) {
  float2* const pairs = reinterpret_cast<float2*>(out);
  const unsigned t = threadIdx.x;
  if (t % 2 == 0) defect(), pairs[blockIdx.x * threads / 2 + t / 2] = make_float2(1, 2);
  if (t % 2 == 1) defect(), pairs[blockIdx.x * threads / 2 + t / 2].y = 3;
}

// Half of a warp reads four floats at a time where the other half writes one.
__global__ void narrow_under_wide(float* x, float* out) {
  const unsigned t = threadIdx.x, i = blockIdx.x * threads + t;
  if (t % 2 == 0) out[i] = (defect(), load16(x + (i & ~3u))).lane[2];
  if (t % 4 == 1) defect(), x[i + 1] = 1;
}

__global__ void ticket_without_atomic(unsigned* ticket, unsigned* out) {
  if (threadIdx.x != 0) return;
  const unsigned mine = (defect(), *ticket);
  defect(), *ticket = mine + 1;
  out[blockIdx.x] = mine;
}

__global__ void atomic_met_by_a_plain_read(unsigned* count, unsigned* out) {
  if (threadIdx.x == 0) defect(), atomicAdd(count, 1u);
  if (threadIdx.x == 32) out[blockIdx.x] = (defect(), *count);
}

// ---- the last block finishes: every block leaves a part and takes a ticket, and the one with the
// last ticket adds up the parts

enum class Fence { none, of_block, device, by_all, before_the_data, before_the_barrier };
template <Fence Release, bool Acquire, bool All>
__global__ void last_block_sums(const float* x, float* parts, unsigned* ticket, float* out) {
  Shared& shared = dynamic_shared<Shared>();
  const unsigned t = threadIdx.x;
  if (Release == Fence::before_the_data && t == 0) __threadfence();
  if (t == 0 || All) defect(), parts[blockIdx.x * threads + t] = x[t];
  if (Release == Fence::by_all) __threadfence();
  if (Release != Fence::before_the_barrier) __syncthreads();
  if (t == 0) {
    if (Release == Fence::of_block) __threadfence_block();
    if (Release == Fence::device || Release == Fence::before_the_barrier) __threadfence();
    shared.ticket = atomicAdd(ticket, 1u);
  }
  __syncthreads();
  if (shared.ticket != gridDim.x - 1) return;
  if (Acquire) __threadfence();
  float sum = 0;
  if (All || t == 0)
    for (unsigned b = 0; b < gridDim.x; ++b) sum += (defect(), parts[b * threads + t]);
  if (All || t == 0) out[t] = sum;
  if (t == 0) *ticket = 0;
}

// ---- two phases of one launch

template <bool Sync>
__global__ void two_phases(float* values, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  defect(), values[i] = static_cast<float>(i);
  if (Sync)
    cooperative_groups::this_grid().sync();
  else
    __syncthreads();
  out[i] = (defect(), values[(i + threads) % (blocks * threads)]);
}

// A barrier of the grid by hand, with a counter.
template <bool Fenced>
__global__ void barrier_by_hand(float* values, unsigned* count, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  defect(), values[i] = static_cast<float>(i);
  __syncthreads();
  if (threadIdx.x == 0) {
    if (Fenced) __threadfence();
    atomicAdd(count, 1u);
    while (atomicAdd(count, 0u) < gridDim.x) __nanosleep(20);
    if (Fenced) __threadfence();
  }
  __syncthreads();
  out[i] = (defect(), values[(i + threads) % (blocks * threads)]);
}

// ---- right

__global__ void grid_phases(float* values, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x, count = blocks * threads;
  Shared& shared = dynamic_shared<Shared>();
  shared.value[threadIdx.x] = 1;
  for (unsigned round = 0; round < 3; ++round) {
    values[i] = static_cast<float>(round);
    cooperative_groups::this_grid().sync();
    out[i] = values[(i + threads * (round + 1)) % count] + shared.value[threads - 1 - threadIdx.x];
    cooperative_groups::this_grid().sync();
  }
}

__global__ void halves_of_a_word(unsigned short* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  out[i] = static_cast<unsigned short>(i);
}

// Blocks pass a value on, one to the next, through flags that are volatile.
__global__ void chain_of_blocks(float* values, volatile unsigned* flags) {
  if (threadIdx.x != 0) return;
  const unsigned b = blockIdx.x;
  if (b > 0) {
    while (flags[b - 1] == 0) __nanosleep(20);
    __threadfence();
  }
  values[b] = b == 0 ? 1 : values[b - 1] + 1;
  __threadfence();
  flags[b] = 1;
}

// One lane waits for another block's flag, and the rest of its warp for that lane.
__global__ void flag_for_a_warp(float* data, unsigned* flag, float* out) {
  const unsigned t = threadIdx.x;
  if (blockIdx.x == 0) {
    data[t] = 1;
    __syncthreads();
    if (t == 0) {
      __threadfence();
      atomicExch(flag, 1u);
    }
  } else if (t < 32) {
    if (t == 0) {
      while (atomicAdd(flag, 0u) == 0) __nanosleep(20);
      __threadfence();
    }
    __syncwarp();
    out[blockIdx.x * threads + t] = data[t + 32];
  }
}

// Two blocks hand one place to and fro.
__global__ void to_and_fro(float* data, unsigned* flags, float* out) {
  if (threadIdx.x != 0 || blockIdx.x > 1) return;
  for (unsigned round = 1; round < 5; ++round) {
    const bool gives = blockIdx.x == 0;
    if (gives) {
      data[0] = static_cast<float>(round);
      __threadfence();
      atomicExch(&flags[0], round);
    }
    while (atomicAdd(&flags[gives ? 1 : 0], 0u) != round) __nanosleep(20);
    __threadfence();
    if (!gives) {
      out[round] = data[0];
      __threadfence();
      atomicExch(&flags[1], round);
    }
  }
}

__global__ void atomics_only(float* sums, unsigned* out) {
  atomicAdd(&sums[threadIdx.x % 4], 1.0f);
  atomicMax(out, blockIdx.x);
}

__global__ void accumulate(float* values) { values[blockIdx.x * threads + threadIdx.x] += 1; }
__global__ void reverse(float* values, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  out[i] = values[blocks * threads - 1 - i];
}

// ---- the table

constexpr char race[] = "data race";
constexpr std::size_t all = blocks * threads;

template <class... P, class... A>
void run(Scene& s, void (*kernel)(P...), A... arguments) {
  launch_in(s, {blocks, threads, sizeof(Shared)}, kernel, arguments...);
}
template <class... P, class... A>
void run_together(Scene& s, void (*kernel)(P...), A... arguments) {
  launch_together_in(s, {blocks, threads, sizeof(Shared)}, kernel, arguments...);
}
template <Fence Release, bool Acquire, bool All>
void last_block(Scene& s) {
  const float* const x = s.input("x", threads);
  float* const parts = s.output("parts", all);
  unsigned* const ticket = s.counters("ticket", 1);
  float* const out = s.output("out", threads);
  for (int again = 0; again < 2; ++again)
    run(s, last_block_sums<Release, Acquire, All>, x, parts, ticket, out);
}

const tests::Plant plant(
    ABN_PLANTED_BY,
    {
        {"all blocks write", race, "out",
         [](Scene& s) { run(s, all_blocks_write, s.output("out", 1)); }},
        {"two lanes write", race, "out",
         [](Scene& s) { run(s, two_lanes_write, s.output("out", all / 2)); }},
        {"stencil in place", race, "x",
         [](Scene& s) { run(s, in_place_stencil, s.zeros("x", all)); }},
        {"wide over narrow", race, "pairs",
         [](Scene& s) { run(s, wide_over_narrow, s.output("pairs", all)); }},
        {"narrow under wide", race, "x",
         [](Scene& s) { run(s, narrow_under_wide, s.zeros("x", all), s.output("out", all)); }},
        {"ticket without an atomic", race, "ticket",
         [](Scene& s) {
           run(s, ticket_without_atomic, s.counters("ticket", 1), s.counters("out", blocks));
         }},
        {"atomic met by a plain read", race, "count",
         [](Scene& s) {
           run(s, atomic_met_by_a_plain_read, s.counters("count", 1), s.counters("out", blocks));
         }},
        {"last block: no fence", race, "parts", last_block<Fence::none, true, false>},
        {"last block: no fence, all threads", race, "parts", last_block<Fence::none, true, true>},
        {"last block: fence of the block", race, "parts", last_block<Fence::of_block, true, false>},
        {"last block: fence before the data", race, "parts",
         last_block<Fence::before_the_data, true, false>},
        {"last block: no barrier before the ticket", race, "parts",
         last_block<Fence::before_the_barrier, true, true>},
        {"last block: no fence behind the ticket", race, "parts",
         last_block<Fence::device, false, true>},
        {"phases without the grid's barrier", race, "values",
         [](Scene& s) {
           run_together(s, two_phases<false>, s.output("values", all), s.output("out", all));
         }},
        {"barrier by hand without fences", race, "values",
         [](Scene& s) {
           run_together(s, barrier_by_hand<false>, s.output("values", all), s.counters("count", 1),
                        s.output("out", all));
         }},
        {"last block", nullptr, nullptr, last_block<Fence::device, true, false>},
        {"last block, all threads", nullptr, nullptr, last_block<Fence::device, true, true>},
        {"last block, all threads fence", nullptr, nullptr, last_block<Fence::by_all, true, true>},
        {"phases with the grid's barrier", nullptr, nullptr,
         [](Scene& s) {
           run_together(s, two_phases<true>, s.output("values", all), s.output("out", all));
         }},
        {"barrier by hand", nullptr, nullptr,
         [](Scene& s) {
           run_together(s, barrier_by_hand<true>, s.output("values", all), s.counters("count", 1),
                        s.output("out", all));
         }},
        {"phases of a grid", nullptr, nullptr,
         [](Scene& s) {
           run_together(s, grid_phases, s.output("values", all), s.output("out", all));
         }},
        {"halves of a word", nullptr, nullptr,
         [](Scene& s) {
           run(s, halves_of_a_word, reinterpret_cast<unsigned short*>(s.output("out", all / 2)));
         }},
        {"chain of blocks", nullptr, nullptr,
         [](Scene& s) {
           run_together(s, chain_of_blocks, s.output("values", blocks),
                        s.counters("flags", blocks));
         }},
        {"flag for a warp", nullptr, nullptr,
         [](Scene& s) {
           run_together(s, flag_for_a_warp, s.output("data", threads), s.counters("flag", 1),
                        s.output("out", all));
         }},
        {"to and fro", nullptr, nullptr,
         [](Scene& s) {
           run_together(s, to_and_fro, s.output("data", 1), s.counters("flags", 2),
                        s.output("out", 5));
         }},
        {"atomics only", nullptr, nullptr,
         [](Scene& s) { run(s, atomics_only, s.zeros("sums", 4), s.counters("out", 1)); }},
        {"launch after launch", nullptr, nullptr,
         [](Scene& s) {
           float* const values = s.zeros("values", all);
           float* const out = s.output("out", all);
           run(s, accumulate, values);
           run(s, reverse, values, out);
           run(s, accumulate, values);
         }},
    });

}  // namespace planted_global_memory
}  // namespace ABN_BUILD
}  // namespace abn::device
