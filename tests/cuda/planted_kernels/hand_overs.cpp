// Defects where blocks hand work over by release and acquire, and at the barrier of a group of
// blocks.
#include "cuda/device/acquire_release.cuh"
#include "tests/cuda/kernels_of_groups.cuh"
#include "tests/cuda/planted_kernels/launch.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace planted_hand_overs {

using tests::defect, tests::Scene;
constexpr unsigned threads = 64, size = 3, groups = 2, blocks = size * groups,
                   all = blocks * threads;

// Block 0 leaves a message and releases the flag; the other blocks acquire it.
enum class Slip {
  none,
  no_release,
  no_acquire,
  released_too_early,
  no_barrier_before,
  no_barrier_behind
};
template <Slip Made>
__global__ void hand_over(float* message, unsigned* flag, float* out) {
  const unsigned t = threadIdx.x;
  if (blockIdx.x == 0) {
    if (Made == Slip::released_too_early && t == 0) store_release(flag, 1u);
    defect(), message[t] = 1;
    if (Made != Slip::no_barrier_before) __syncthreads();
    if (t == 0 && Made == Slip::no_release) atomicExch(flag, 1u);
    if (t == 0 && Made != Slip::no_release && Made != Slip::released_too_early)
      store_release(flag, 1u);
    return;
  }
  if (t == 0) {
    if (Made == Slip::no_acquire)
      while (atomicAdd(flag, 0u) == 0) __nanosleep(20);
    else
      while (load_acquire(flag) == 0) __nanosleep(20);
  }
  if (Made != Slip::no_barrier_behind) __syncthreads();
  out[blockIdx.x * threads + t] = (defect(), message[t ^ 1]);
}

// Blocks count themselves by releasing adds; block 0 acquires the count, which it has come to by
// way of others.
template <bool Acquires>
__global__ void count_in(float* parts, unsigned* count, float* out) {
  if (threadIdx.x != 0) return;
  defect(), parts[blockIdx.x] = 1;
  add_release(count, 1u);
  if (blockIdx.x != 0) return;
  while ((Acquires ? load_acquire(count) : atomicAdd(count, 0u)) < gridDim.x) __nanosleep(20);
  float sum = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += (defect(), parts[b]);
  *out = sum;
}

// The barrier stands behind the reads.
__global__ void read_before_the_groups_barrier(unsigned* counters, float* slots, float* out) {
  const unsigned group = blockIdx.x / size, rank = blockIdx.x % size, t = threadIdx.x;
  defect(), slots[blockIdx.x * threads + t] = 1;
  __syncthreads();
  const float value = (defect(), slots[(group * size + (rank + 1) % size) * threads + t]);
  group_barrier(&counters[group], size, rank == 0);
  out[blockIdx.x * threads + t] = value;
}

// A group's barrier says nothing of other groups.
__global__ void across_groups(unsigned* counters, float* slots, float* out) {
  const unsigned group = blockIdx.x / size, t = threadIdx.x;
  defect(), slots[blockIdx.x * threads + t] = 1;
  group_barrier(&counters[group], size, blockIdx.x % size == 0);
  out[blockIdx.x * threads + t] = (defect(), slots[(blockIdx.x + size) % blocks * threads + t]);
}

template <class... P, class... A>
void run(Scene& s, void (*kernel)(P...), A... arguments) {
  launch_together_in(s, {blocks, threads}, kernel, arguments...);
}
template <Slip Made>
void handed_over(Scene& s) {
  run(s, hand_over<Made>, s.output("message", threads), s.counters("flag", 1),
      s.output("out", all));
}

constexpr const char* race = emulator::data_race;
const tests::Plant plant(
    ABN_PLANTED_BY,
    {
        {"flag: not released", race, "message", handed_over<Slip::no_release>},
        {"flag: not acquired", race, "message", handed_over<Slip::no_acquire>},
        {"flag: released too early", race, "message", handed_over<Slip::released_too_early>},
        {"flag: no barrier before the release", race, "message",
         handed_over<Slip::no_barrier_before>},
        {"flag: no barrier behind the acquire", race, "message",
         handed_over<Slip::no_barrier_behind>},
        {"count: not acquired", race, "parts",
         [](Scene& s) {
           run(s, count_in<false>, s.output("parts", blocks), s.counters("count", 1),
               s.output("out", 1));
         }},
        {"group: read before the barrier", race, "slots",
         [](Scene& s) {
           run(s, read_before_the_groups_barrier, s.counters("counters", groups),
               s.output("slots", all), s.output("out", all));
         }},
        {"group: across groups", race, "slots",
         [](Scene& s) {
           run(s, across_groups, s.counters("counters", groups), s.output("slots", all),
               s.output("out", all));
         }},
        {"flag: released and acquired", nullptr, nullptr, handed_over<Slip::none>},
        {"count: acquired", nullptr, nullptr,
         [](Scene& s) {
           run(s, count_in<true>, s.output("parts", blocks), s.counters("count", 1),
               s.output("out", 1));
         }},
        {"groups in rounds", nullptr, nullptr,
         [](Scene& s) {
           unsigned* const counters = s.counters("counters", groups);
           int* const slots = reinterpret_cast<int*>(s.output("slots", 3 * all));
           for (const int rounds : {1, 4})
             run(s, tests::rounds_of_groups, counters, slots, rounds, size);
         }},
        {"flag for every thread", nullptr, nullptr,
         [](Scene& s) {
           run(s, tests::broadcast, s.counters("flag", 1),
               reinterpret_cast<int*>(s.output("message", threads)),
               reinterpret_cast<int*>(s.output("out", all)));
         }},
        {"hints", nullptr, nullptr,
         [](Scene& s) {
           const float* const from = s.input("from", all);
           float* const to = s.output("to", all);
           for (const int kind : {0, 1, 2})
             launch_in(s, {blocks, threads / 4}, tests::copy_with_hints<float>, from, to,
                       static_cast<int>(all / 4), kind);
         }},
    });

// ---- groups that never meet, and hints for what is not aligned

template <void (*Kernel)(unsigned*, unsigned)>
void never_meets(Scene& s) {
  launch_together_in(s, {3, 32}, Kernel, s.counters("counter", 1), 4u);
}
template <void (*Kernel)(float*)>
void on_data(Scene& s) {
  launch_in(s, {1, 1}, Kernel, s.zeros("data", 8));
}

constexpr const char *endless = emulator::endless_loop, *misaligned = emulator::misaligned_access;
const tests::Plant misuses(
    ABN_PLANTED_BY,
    {
        {"group: skipped by a block", endless, nullptr,
         never_meets<tests::group_that_one_block_skips>, false},
        {"group: without a leader", endless, nullptr, never_meets<tests::group_without_a_leader>,
         false},
        {"group: too small", endless, nullptr, never_meets<tests::meet_in_group>, false},
        {"streaming store misaligned", misaligned, nullptr, on_data<tests::stream_misaligned>,
         false},
        {"hint misaligned", misaligned, nullptr, on_data<tests::hint_misaligned>, false},
    });

}  // namespace planted_hand_overs
}  // namespace ABN_BUILD
}  // namespace abn::device
