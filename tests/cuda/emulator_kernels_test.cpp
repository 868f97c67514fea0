// Kernels that are right must run right under every schedule, and give no finding: reductions,
// tickets, barriers, warp operations.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "cuda/device/platform.cuh"
#include "cuda/emulator/report.h"

namespace {

using namespace abn::device;
using abn::emulator::Report;
using abn::emulator::Session;
using abn::emulator::Settings;

constexpr std::uint64_t seeds = 50;
constexpr unsigned full = ~0u;

// Runs `check(seed)` in a session of its own under many seeds and in the ascending order, and
// asserts that nothing was found.
template <class Check>
void under_every_schedule(Check check) {
  for (std::uint64_t seed = 0; seed <= seeds; ++seed) {
    Session session({.schedule_seed = seed, .shuffle = seed < seeds});
    check(seed);
    const Report report = session.take_report();
    ASSERT_TRUE(report.findings.empty())
        << "seed " << seed << ": " << report.findings[0].kind << ": " << report.findings[0].text;
    ASSERT_GT(report.launches, 0u);
    if (testing::Test::HasFatalFailure()) return;
  }
}

// ---- reductions

struct Partials {
  float part[32];
};

__device__ __forceinline__ float block_sum_by_shuffle(float value) {
  Partials& shared = dynamic_shared<Partials>();
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(full, value, offset);
  if (threadIdx.x % 32 == 0) shared.part[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x < 32) {
    value = threadIdx.x < blockDim.x / 32 ? shared.part[threadIdx.x] : 0.0f;
    for (int offset = 16; offset > 0; offset /= 2)
      value += __shfl_down_sync(full, value, static_cast<unsigned>(offset));
    if (threadIdx.x == 0) shared.part[0] = value;
  }
  __syncthreads();
  return shared.part[0];
}

__global__ void sum_by_shuffle(const float* x, int n, float* out) {
  float sum = 0;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(n);
       i += gridDim.x * blockDim.x)
    sum += x[i];
  sum = block_sum_by_shuffle(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

struct Tree {
  double value[256];
};

__global__ void sum_by_tree(const float* x, int n, double* out) {
  Tree& shared = dynamic_shared<Tree>();
  double sum = 0;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(n);
       i += gridDim.x * blockDim.x)
    sum += x[i];
  shared.value[threadIdx.x] = sum;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) shared.value[threadIdx.x] += shared.value[threadIdx.x + half];
  }
  if (threadIdx.x == 0) out[blockIdx.x] = shared.value[0];
}

std::vector<float> numbers(int n) {
  std::vector<float> x(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i)
    x[static_cast<std::size_t>(i)] = std::sin(static_cast<float>(i)) * 3.0f;
  return x;
}

TEST(EmulatorKernels, ReductionByShuffleGivesTheSameBitsUnderEverySchedule) {
  const std::vector<float> x = numbers(20 * 256 * 3 + 17);
  std::vector<float> first;
  under_every_schedule([&](std::uint64_t) {
    std::vector<float> out(20, NAN);
    ASSERT_EQ(launch({20, 256, sizeof(Partials)}, sum_by_shuffle, x.data(),
                     static_cast<int>(x.size()), out.data()),
              0);
    if (first.empty()) first = out;
    ASSERT_EQ(out, first);
  });
  const double sum = std::accumulate(x.begin(), x.end(), 0.0),
               got = std::accumulate(first.begin(), first.end(), 0.0);
  EXPECT_NEAR(got, sum, 1e-2);  // 15377 terms of size 3 in f32: far below one of them
}

TEST(EmulatorKernels, ReductionBySharedMemoryIsTheSumToTheLastBit) {
  std::vector<float> x(9999);
  // integers: exact in any order
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  under_every_schedule([&](std::uint64_t) {
    std::vector<double> out(7, NAN);
    ASSERT_EQ(launch({7, 256, sizeof(Tree)}, sum_by_tree, x.data(), static_cast<int>(x.size()),
                     out.data()),
              0);
    ASSERT_EQ(std::accumulate(out.begin(), out.end(), 0.0), 9998.0 * 9999.0 / 2);
  });
}

// The last block to finish adds up what all of them left behind, in the order of the blocks.
struct LastBlock {
  unsigned is_last;
};

__global__ void sum_in_one_launch(const float* x, int n, float* partial, unsigned* ticket,
                                  float* total, int* finishers) {
  LastBlock& shared = dynamic_shared<LastBlock>();
  float sum = 0;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < static_cast<unsigned>(n);
       i += gridDim.x * blockDim.x)
    sum += x[i];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(full, sum, offset);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    __threadfence();
    shared.is_last = atomicInc(ticket, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (!shared.is_last) return;
  __threadfence();
  if (threadIdx.x == 0) {
    float all = 0;
    for (unsigned b = 0; b < gridDim.x; ++b) all += partial[b];
    *total = all;
    atomicAdd(finishers, 1);
  }
}

TEST(EmulatorKernels, TheLastBlockSeesEveryBlockAndTheTicketIsReadyForTheNextLaunch) {
  const std::vector<float> x = numbers(5000);
  float first = NAN;
  under_every_schedule([&](std::uint64_t seed) {
    std::vector<float> partial(33, NAN);
    unsigned ticket = 0;
    int finishers = 0;
    for (int repeat = 0; repeat < 2; ++repeat) {
      float total = NAN;
      ASSERT_EQ(launch({33, 32, sizeof(LastBlock)}, sum_in_one_launch, x.data(), 5000,
                       partial.data(), &ticket, &total, &finishers),
                0);
      if (seed == 0 && repeat == 0) first = total;
      ASSERT_EQ(total, first);
      ASSERT_EQ(ticket, 0u);
    }
    ASSERT_EQ(finishers, 2);
  });
}

// ---- schedules

__global__ void arrivals(unsigned* count, unsigned* order) {
  order[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(count, 1u);
}

std::vector<unsigned> arrival_order(Settings settings, int launches = 1) {
  Session session(settings);
  std::vector<unsigned> order(16 * 64);
  for (int i = 0; i < launches; ++i) {
    unsigned count = 0;
    EXPECT_EQ(launch({16, 64}, arrivals, &count, order.data()), 0);
    EXPECT_EQ(count, 16u * 64u);
  }
  return order;
}

TEST(EmulatorSchedule, TheSeedDrawsTheOrderAndNothingElseDoes) {
  std::set<std::vector<unsigned>> different;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<unsigned> order = arrival_order({.schedule_seed = seed});
    EXPECT_EQ(order, arrival_order({.schedule_seed = seed})) << seed;
    different.insert(order);
  }
  EXPECT_EQ(different.size(), 20u);
  EXPECT_NE(arrival_order({.schedule_seed = 1}), arrival_order({.schedule_seed = 1}, 2))
      << "the second launch of a session has its own order";
}

TEST(EmulatorSchedule, WithoutShuffleThreadsTakeTurnsInAscendingOrder) {
  std::vector<unsigned> ascending(16 * 64);
  std::iota(ascending.begin(), ascending.end(), 0u);
  EXPECT_EQ(arrival_order({.schedule_seed = 7, .shuffle = false}), ascending);
}

// A chain of waits from block to block, which only ends if its blocks are in flight together.
__global__ void relay(unsigned* stage, unsigned first) {
  const unsigned mine = (blockIdx.x + gridDim.x - first) % gridDim.x;
  if (threadIdx.x == 0) {
    while (atomicAdd(stage, 0u) != mine) __nanosleep(100);
    atomicAdd(stage, 1u);
  }
}

TEST(EmulatorSchedule, ResidentBlocksRunTogetherWhicheverComesFirst) {
  under_every_schedule([&](std::uint64_t seed) {
    unsigned stage = 0;
    ASSERT_EQ(launch({8, 32}, relay, &stage, static_cast<unsigned>(seed % 8)), 0);
    ASSERT_EQ(stage, 8u);
  });
}

__global__ void where_am_i(unsigned* seen) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  atomicAdd(&seen[block * threads + thread], 1u);
}

TEST(EmulatorSchedule, EveryThreadOfEveryBlockRunsOnce) {
  under_every_schedule([&](std::uint64_t) {
    for (const auto& [grid, block] : {std::pair<dim3, dim3>{{3, 5, 7}, {4, 3, 2}},
                                      {{1}, {1}},
                                      {{101}, {33}},
                                      {{2, 3}, {32, 32}}}) {
      std::vector<unsigned> seen(
          std::size_t{grid.x} * grid.y * grid.z * block.x * block.y * block.z, 0u);
      ASSERT_EQ(launch({grid, block}, where_am_i, seen.data()), 0);
      ASSERT_TRUE(std::all_of(seen.begin(), seen.end(), [](unsigned times) { return times == 1; }));
    }
  });
}

TEST(EmulatorSchedule, TheReportCounts) {
  Session session;
  std::vector<unsigned> seen(20 * 64);
  ASSERT_EQ(launch({10, 64}, where_am_i, seen.data()), 0);
  ASSERT_EQ(launch({20, 64}, where_am_i, seen.data()), 0);
  const Report report = session.take_report();
  EXPECT_EQ(report.launches, 2u);
  EXPECT_EQ(report.blocks, 30u);
  EXPECT_EQ(report.threads, 30u * 64u);
  EXPECT_GT(report.switches, 0u);
  EXPECT_EQ(session.take_report().launches, 0u);
}

TEST(EmulatorSchedule, TwoSystemThreadsRunLaunchesOfTheirOwn) {
  const std::vector<float> x = numbers(4000);
  std::vector<float> out[2] = {std::vector<float>(20, NAN), std::vector<float>(20, NAN)};
  int codes[2] = {-1, -1};
  Report reports[2];
  const auto work = [&](std::size_t me) {
    Session session({.schedule_seed = me});
    int code = 0;
    for (int i = 0; i < 40; ++i)
      code |= launch({20, 256, sizeof(Partials)}, sum_by_shuffle, x.data(), 4000, out[me].data());
    codes[me] = code;
    reports[me] = session.take_report();
  };
  std::thread other(work, std::size_t{1});
  work(0);
  other.join();
  for (std::size_t me : {0u, 1u}) {
    EXPECT_EQ(codes[me], 0);
    EXPECT_TRUE(reports[me].findings.empty());
    EXPECT_EQ(reports[me].launches, 40u);
  }
  EXPECT_EQ(out[0], out[1]);
}

// ---- warp operations against their definition

__global__ void shuffles(int* idx, int* up, int* down, int* xored, int operand, int width) {
  const int me = static_cast<int>(threadIdx.x);
  idx[me] = __shfl_sync(full, me, operand, width);
  up[me] = __shfl_up_sync(full, me, static_cast<unsigned>(operand), width);
  down[me] = __shfl_down_sync(full, me, static_cast<unsigned>(operand), width);
  xored[me] = __shfl_xor_sync(full, me, operand, width);
}

TEST(EmulatorWarp, ShufflesStayInTheirSegment) {
  Session session;
  for (int width : {1, 2, 4, 8, 16, 32}) {
    for (int operand = 0; operand < width; ++operand) {
      int idx[32], up[32], down[32], xored[32];
      ASSERT_EQ(launch({1, 32}, shuffles, idx, up, down, xored, operand, width), 0);
      for (int lane = 0; lane < 32; ++lane) {
        const int first = lane / width * width, within = lane - first;
        ASSERT_EQ(idx[lane], first + operand);
        ASSERT_EQ(up[lane], within >= operand ? lane - operand : lane);
        ASSERT_EQ(down[lane], within + operand < width ? lane + operand : lane);
        ASSERT_EQ(xored[lane], first + (within ^ operand));
      }
    }
  }
  EXPECT_TRUE(session.take_report().findings.empty());
}

template <class T>
__global__ void pass_around(T* values) {
  const T mine = values[threadIdx.x];
  values[threadIdx.x] = __shfl_sync(full, mine, (threadIdx.x + 1) % 32);
}

template <class T>
void check_passed_around(T scale) {
  under_every_schedule([&](std::uint64_t) {
    T values[32];
    for (int i = 0; i < 32; ++i) values[i] = static_cast<T>(i) * scale;
    ASSERT_EQ(launch({1, 32}, pass_around<T>, values), 0);
    for (int i = 0; i < 32; ++i) ASSERT_EQ(values[i], static_cast<T>((i + 1) % 32) * scale);
  });
}

TEST(EmulatorWarp, ShufflesCarryEveryType) {
  check_passed_around<int>(-3);
  check_passed_around<unsigned>(0x7000001u);
  check_passed_around<float>(-0.1f);
  check_passed_around<double>(1e-300);
  check_passed_around<long long>(0x123456789abcdLL);
}

// Two halves of a warp go their own ways, each with its own mask, meet again, and vote.
__global__ void halves(unsigned* out) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned mask = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  unsigned sum = threadIdx.x;
  if (lane < 16) {
    for (int offset = 8; offset > 0; offset /= 2) sum += __shfl_xor_sync(mask, sum, offset);
  } else {
    for (int offset = 8; offset > 0; offset /= 2) sum += __shfl_xor_sync(mask, sum, offset);
    __syncwarp(mask);
  }
  __syncwarp();
  const unsigned odd = __ballot_sync(full, lane % 2);
  const int any = __any_sync(full, lane == 5), all = __all_sync(full, lane < 32),
            none = __any_sync(full, 0), not_all = __all_sync(full, lane);
  out[threadIdx.x] = sum + (odd == 0xaaaaaaaau && any && all && !none && !not_all ? 0u : 1000000u);
}

TEST(EmulatorWarp, DisjointMasksAndVotes) {
  under_every_schedule([&](std::uint64_t) {
    unsigned out[64];
    ASSERT_EQ(launch({1, 64}, halves, out), 0);
    for (unsigned t = 0; t < 64; ++t) ASSERT_EQ(out[t], 16 * (t / 16 * 16) + 120);
  });
}

// A block that does not fill its last warp, and lanes that return before a vote: neither is waited
// for.
__global__ void short_of_lanes(unsigned* out) {
  if (threadIdx.x % 32 >= 20) return;
  out[threadIdx.x] = __ballot_sync(full, 1) | (__activemask() == 0xfffffu ? 1u << 31 : 0u);
}

TEST(EmulatorWarp, VotesWaitForLanesThatAreThere) {
  under_every_schedule([&](std::uint64_t) {
    unsigned out[52] = {};
    ASSERT_EQ(launch({1, 52}, short_of_lanes, out), 0);
    for (unsigned t = 0; t < 52; ++t)
      if (t % 32 < 20) {
        ASSERT_EQ(out[t] & 0x7fffffffu, 0xfffffu);
      }
  });
}

// ---- atomics

__global__ void atomics(int* sum, unsigned long long* wide, float* real, unsigned* largest,
                        unsigned* lock, int* guarded, unsigned* wrapped) {
  const unsigned rank = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(sum, -1);
  atomicAdd(wide, 1ull << 33);
  atomicAdd(real, 0.5f);
  atomicMax(largest, rank);
  atomicInc(wrapped, 99u);
  while (atomicCAS(lock, 0u, 1u) != 0) {
  }
  const int before = *guarded;
  __threadfence();  // everybody else may run here, and must not get in
  *guarded = before + 1;
  atomicExch(lock, 0u);
}

TEST(EmulatorAtomics, NoUpdateIsLostAndALockExcludes) {
  under_every_schedule([&](std::uint64_t) {
    int sum = 0, guarded = 0;
    unsigned long long wide = 0;
    float real = 0;
    unsigned largest = 0, lock = 0, wrapped = 0;
    ASSERT_EQ(launch({5, 40}, atomics, &sum, &wide, &real, &largest, &lock, &guarded, &wrapped), 0);
    ASSERT_EQ(sum, -200);
    ASSERT_EQ(wide, 200ull << 33);
    ASSERT_EQ(real, 100.0f);
    ASSERT_EQ(largest, 199u);
    ASSERT_EQ(wrapped, 0u);
    ASSERT_EQ(guarded, 200);
  });
}

// ---- the grid's barrier

__global__ void rotate_blocks(int* values, int rounds) {
  const cooperative_groups::grid_group grid = cooperative_groups::this_grid();
  const unsigned n = gridDim.x * blockDim.x, me = blockIdx.x * blockDim.x + threadIdx.x;
  for (int round = 0; round < rounds; ++round) {
    const int next = values[(me + 1) % n];
    grid.sync();
    values[me] = next;
    grid.sync();
  }
}

TEST(EmulatorGrid, TheGridsBarrierSeparatesReadsFromWritesOfOtherBlocks) {
  under_every_schedule([&](std::uint64_t) {
    std::vector<int> values(30 * 32);
    std::iota(values.begin(), values.end(), 0);
    std::vector<int> expected = values;
    std::rotate(expected.begin(), expected.begin() + 5, expected.end());
    ASSERT_EQ(launch_cooperative({30, 32}, rotate_blocks, values.data(), 5), 0);
    ASSERT_EQ(values, expected);
  });
}

// ---- memory

struct Sixteen {
  __half h[4];
  __nv_bfloat16 b[4];
  float f[4];
  double d[4];
};

__global__ void read_unwritten(int* numbers_found) {
  Sixteen& shared = dynamic_shared<Sixteen>();
  for (int i = 0; i < 4; ++i) {
    const bool number = !std::isnan(__half2float(shared.h[i])) ||
                        !std::isnan(__bfloat162float(shared.b[i])) || !std::isnan(shared.f[i]) ||
                        !std::isnan(shared.d[i]);
    if (number) atomicAdd(numbers_found, 1);
    shared.f[i] = 1.0f;  // must not be there for the next block
  }
}

TEST(EmulatorMemory, SharedMemoryIsNaNInEveryTypeBeforeEveryBlock) {
  under_every_schedule([&](std::uint64_t) {
    int numbers_found = 0;
    ASSERT_EQ(launch({30, 1, sizeof(Sixteen)}, read_unwritten, &numbers_found), 0);
    ASSERT_EQ(numbers_found, 0);
  });
}

template <class T>
__global__ void copy16(const T* from, T* to, int vectors) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), lanes = 16 / sizeof(T);
  if (i < vectors) store16(to + i * lanes, load16(from + i * lanes));
}

TEST(EmulatorMemory, SixteenBytesAreCopiedWhole) {
  under_every_schedule([&](std::uint64_t seed) {
    alignas(16) unsigned char from[160], to[160] = {};
    for (std::size_t i = 0; i < sizeof from; ++i)
      from[i] = static_cast<unsigned char>(i * 7 + seed);
    ASSERT_EQ(launch({1, 32}, copy16<unsigned char>, from, to, 10), 0);
    ASSERT_TRUE(std::equal(std::begin(from), std::end(from), to));
  });
}

// Each thread has its own copy of the parameters, as on a GPU.
struct Parameters {
  int value;
  int* out;
};
__global__ void change_parameters(Parameters parameters) {
  parameters.value += static_cast<int>(threadIdx.x);
  __syncthreads();
  parameters.out[threadIdx.x] = parameters.value;
}

TEST(EmulatorMemory, ParametersArePassedByValueToEveryThread) {
  under_every_schedule([&](std::uint64_t) {
    int out[100];
    ASSERT_EQ(
        launch(LaunchConfig{.grid = 1, .block = 100}, change_parameters, Parameters{1000, out}), 0);
    for (int i = 0; i < 100; ++i) ASSERT_EQ(out[i], 1000 + i);
  });
}

}  // namespace
