// Defects in shared memory: races between the threads of a block, unwritten reads, accesses beside
// it.
#include "cuda/device/platform.cuh"
#include "tests/cuda/planted_kernels/launch.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace planted_shared_memory {

using tests::defect, tests::Scene;
constexpr unsigned full = ~0u, threads = 128, blocks = 4;

struct Floats {
  float value[threads];
};

__global__ void read_before_the_barrier(float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  defect(), shared[t] = static_cast<float>(t);
  const float other = (defect(), shared[t ^ 32]);
  __syncthreads();
  out[blockIdx.x * threads + t] = other;
}

__global__ void reuse_without_barrier(const float* x, float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  float sum = 0;
  for (int round = 0; round < 3; ++round) {
    defect(), shared[t] = x[t] + static_cast<float>(round);
    __syncthreads();
    sum += (defect(), shared[threads - 1 - t]);
  }
  out[blockIdx.x * threads + t] = sum;
}

// The textbook reduction, whose result is read by all threads while the first one begins the next.
__global__ void sum_overwritten(const float* x, float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  float total = 0;
  for (int round = 0; round < 2; ++round) {
    defect(), shared[t] = x[t];
    __syncthreads();
    for (unsigned half = threads / 2; half > 0; half /= 2) {
      if (t < half) shared[t] += shared[t + half];
      __syncthreads();
    }
    total += (defect(), shared[0]);
  }
  out[blockIdx.x * threads + t] = total;
}

__global__ void tree_without_barrier(const float* x, float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  shared[t] = x[t];
  __syncthreads();
  if (t < 64) defect(), shared[t] += shared[t + 64];
  if (t < 32) defect(), shared[t] += shared[t + 32];
  __syncthreads();
  out[blockIdx.x * threads + t] = shared[t % 32];
}

__global__ void shuffle_as_order(float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  defect(), shared[t] = static_cast<float>(t);
  const unsigned other = __shfl_xor_sync(full, t, 1);
  out[blockIdx.x * threads + t] = (defect(), shared[other]);
}

__global__ void vote_as_order(float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  defect(), shared[t] = static_cast<float>(t);
  if (__all_sync(full, 1)) out[blockIdx.x * threads + t] = (defect(), shared[t ^ 1]);
}

// A reduction of one warp, as it was written before lanes could run apart.
__global__ void warp_in_step(const float* x, float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  if (t < 32) {
    shared[t] = x[t];
    __syncwarp();
    if (t < 16) defect(), shared[t] += shared[t + 16];
    if (t < 8) defect(), shared[t] += shared[t + 8];
    __syncwarp();
    if (t == 0) out[blockIdx.x] = shared[0];
  }
}

__global__ void halves_of_a_warp(float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  defect(), shared[t] = static_cast<float>(t);
  __syncwarp(t % 32 < 16 ? 0xffffu : 0xffff0000u);
  out[blockIdx.x * threads + t] = (defect(), shared[t ^ 16]);
}

__global__ void syncwarp_for_the_block(float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  defect(), shared[t] = static_cast<float>(t);
  __syncwarp();
  out[blockIdx.x * threads + t] = (defect(), shared[(t + 32) % threads]);
}

__global__ void counted_without_atomic(unsigned* out) {
  unsigned* const count = reinterpret_cast<unsigned*>(&dynamic_shared<Floats>());
  if (threadIdx.x == 0) *count = 0;
  __syncthreads();
  defect(), ++*count;
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = *count;
}

__global__ void never_written(float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  if (t < 100) shared[t] = 1;
  __syncthreads();
  out[blockIdx.x * threads + t] = (defect(), shared[t]);
}

// Every other block relies on what the block before it left.
__global__ void left_by_another_block(float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  if (blockIdx.x % 2 == 0) shared[t] = 1;
  __syncthreads();
  out[blockIdx.x * threads + t] = (defect(), shared[t ^ 32]);
}

__global__ void one_beyond(float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  defect(), shared[t + 1] = 1;
  __syncthreads();
  out[blockIdx.x * threads + t] = shared[t];
}

__global__ void one_before(float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  shared[t] = 1;
  __syncthreads();
  out[blockIdx.x * threads + t] = (defect(), shared[static_cast<int>(t) - 1]);
}

// ---- right

struct Mixed {
  char byte[threads];
  unsigned short half[threads];
  float value[threads];
  bool last;
};

__global__ void neighbours_of_all_sizes(float* out) {
  Mixed& shared = dynamic_shared<Mixed>();
  const unsigned t = threadIdx.x;
  shared.byte[t] = static_cast<char>(t);
  shared.half[t] = static_cast<unsigned short>(t);
  shared.value[t] = static_cast<float>(t);
  if (t == 0) shared.last = blockIdx.x + 1 == gridDim.x;
  __syncthreads();
  const unsigned other = threads - 1 - t;
  const float sum = static_cast<float>(shared.byte[other]) +
                    static_cast<float>(shared.half[other]) + shared.value[other];
  if (!shared.last) out[blockIdx.x * threads + t] = sum;
}

struct Padded {
  char kind;
  double value;
  short end;
};
struct PaddedList {
  Padded entry[threads];
};
__global__ void copies_of_padding(float* out) {
  Padded* const shared = dynamic_shared<PaddedList>().entry;
  const unsigned t = threadIdx.x;
  shared[t].kind = 1;
  shared[t].value = t;
  shared[t].end = 2;
  __syncthreads();
  Padded copies[2];
  for (unsigned i = 0; i < 2; ++i) copies[i] = shared[(t + 32 * i) % threads];
  out[blockIdx.x * threads + t] = static_cast<float>(copies[t & 1].value);
}

__global__ void warp_with_syncwarp(const float* x, float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  const unsigned t = threadIdx.x;
  for (int round = 0; round < 3; ++round) {
    shared[t] = x[t];
    __syncwarp();
    for (unsigned half = 16; half > 0; half /= 2) {
      if (t % 32 < half) shared[t] += shared[t + half];
      __syncwarp();
    }
    if (t % 32 == 0) out[blockIdx.x * threads / 32 + t / 32] = shared[t];
    __syncwarp();
  }
  if (t >= 32) return;
  if (t < 20) {  // a branch with a barrier of its own
    shared[t] = 1;
    __syncwarp(0xfffff);
    const float other = shared[(t + 1) % 20];
    __syncwarp(0xfffff);
    shared[t] = other;
  }
}

__global__ void atomics_in_shared_memory(unsigned* out) {
  unsigned* const count = reinterpret_cast<unsigned*>(&dynamic_shared<Floats>());
  const unsigned t = threadIdx.x;
  if (t < 2) count[t] = 0;
  __syncthreads();
  atomicAdd(&count[0], 1u);
  __syncthreads();
  if (t == 0) out[blockIdx.x] = count[0] + count[1];
}

// One thread hands a value to another through a flag.
__global__ void flag_with_fences(float* out) {
  float* const shared = dynamic_shared<Floats>().value;
  unsigned* const flag = reinterpret_cast<unsigned*>(shared + 64);
  const unsigned t = threadIdx.x;
  if (t == 0) *flag = 0;
  __syncthreads();
  if (t == 0) {
    shared[0] = 7;
    __threadfence_block();
    atomicExch(flag, 1u);
  } else if (t == 33) {
    while (atomicAdd(flag, 0u) == 0) __nanosleep(20);
    __threadfence_block();
    out[blockIdx.x] = shared[0];
  }
}

template <class... P, class... A>
void run(Scene& s, void (*kernel)(P...), A... arguments) {
  launch_in(s, {blocks, threads, 1024 * sizeof(float)}, kernel, arguments...);
}
// With no byte of shared memory to spare.
template <class... P, class... A>
void run_tight(Scene& s, void (*kernel)(P...), A... arguments) {
  launch_in(s, {blocks, threads, sizeof(Floats)}, kernel, arguments...);
}

constexpr char race[] = "data race", unwritten[] = "unwritten read", outside[] = "out of bounds",
               memory[] = "shared memory";
float* out(Scene& s) { return s.output("out", blocks * threads); }
const float* x(Scene& s) { return s.input("x", threads); }

const tests::Plant plant(
    ABN_PLANTED_BY,
    {
        {"read before the barrier", race, memory,
         [](Scene& s) { run(s, read_before_the_barrier, out(s)); }},
        {"reuse without a barrier", race, memory,
         [](Scene& s) { run(s, reuse_without_barrier, x(s), out(s)); }},
        {"sum overwritten", race, memory, [](Scene& s) { run(s, sum_overwritten, x(s), out(s)); }},
        {"tree without a barrier", race, memory,
         [](Scene& s) { run(s, tree_without_barrier, x(s), out(s)); }},
        {"shuffle as order", race, memory, [](Scene& s) { run(s, shuffle_as_order, out(s)); }},
        {"vote as order", race, memory, [](Scene& s) { run(s, vote_as_order, out(s)); }},
        {"warp in step", race, memory, [](Scene& s) { run(s, warp_in_step, x(s), out(s)); }},
        {"halves of a warp", race, memory, [](Scene& s) { run(s, halves_of_a_warp, out(s)); }},
        {"__syncwarp for the block", race, memory,
         [](Scene& s) { run(s, syncwarp_for_the_block, out(s)); }},
        {"counted without an atomic", race, memory,
         [](Scene& s) { run(s, counted_without_atomic, s.counters("count", blocks)); }},
        {"never written", unwritten, memory, [](Scene& s) { run(s, never_written, out(s)); }},
        {"left by another block", unwritten, memory,
         [](Scene& s) { run(s, left_by_another_block, out(s)); }},
        {"one beyond shared memory", outside, memory,
         [](Scene& s) { run_tight(s, one_beyond, out(s)); }},
        {"one before shared memory", outside, memory,
         [](Scene& s) { run_tight(s, one_before, out(s)); }},
        {"neighbours of all sizes", nullptr, nullptr,
         [](Scene& s) { run(s, neighbours_of_all_sizes, out(s)); }},
        {"copies of padding", nullptr, nullptr,
         [](Scene& s) { run(s, copies_of_padding, out(s)); }},
        {"warp with __syncwarp", nullptr, nullptr,
         [](Scene& s) { run(s, warp_with_syncwarp, x(s), out(s)); }},
        {"atomics in shared memory", nullptr, nullptr,
         [](Scene& s) { run(s, atomics_in_shared_memory, s.counters("count", blocks)); }},
        {"flag with fences", nullptr, nullptr, [](Scene& s) { run(s, flag_with_fences, out(s)); }},
    });

}  // namespace planted_shared_memory
}  // namespace ABN_BUILD
}  // namespace abn::device
