// The choice of `auto`: what the cost model says of shapes whose answer is known, how it moves with
// the machine, and that the variant runs what was chosen.
#include <algorithm>

#include "cuda/device/resident.cuh"
#include "cuda/device/sweeps.cuh"
#include "cuda/plan.h"
#include "tests/cuda/kernel_harness.hpp"

namespace {

using namespace abn::tests;
using abn::Machine;
using abn::PlanRow;

PlanRow chosen(const abn_problem& p, int direction, const Machine& machine = {}) {
  const auto rows = abn::plan_rows(p, direction, machine);
  EXPECT_EQ(std::count_if(rows.begin(), rows.end(), [](const PlanRow& row) { return row.chosen; }),
            1);
  for (const PlanRow& row : rows) {
    EXPECT_FALSE(row.kernel.empty() || row.why.empty());
    if (row.chosen) {
      EXPECT_TRUE(row.possible);
      for (const PlanRow& other : rows)
        EXPECT_TRUE(!other.possible || row.microseconds <= other.microseconds);
      return row;
    }
  }
  return {};
}
double size_of_tensor(const abn_problem& p) {
  return static_cast<double>(size_of(p.dtype)) * static_cast<double>(p.n * p.c * p.s);
}

constexpr std::int64_t layers[][2] = {
    {64, 112 * 112}, {64, 56 * 56}, {256, 56 * 56}, {128, 28 * 28}, {512, 28 * 28}, {256, 14 * 14},
    {1024, 14 * 14}, {512, 7 * 7},  {2048, 7 * 7},  {256, 97 * 97}, {256, 1}};

TEST(KernelsPlan, OneSweepWhereverItFits) {
  for (const auto& [c, s] : layers)
    for (const std::int64_t n : {2, 8, 32, 64, 256})
      for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32}) {
        const abn_problem p = problem_of(n, c, s, ABN_NCHW, dtype);
        SCOPED_TRACE(testing::Message() << "n" << n << "c" << c << "s" << s << " dtype " << dtype);
        for (const int direction : {ABN_FORWARD, ABN_BACKWARD}) {
          const PlanRow row = chosen(p, direction);
          EXPECT_EQ(row.kernel.rfind("one sweep", 0), 0u) << row.kernel;
          EXPECT_DOUBLE_EQ(row.tensor_sizes, direction == ABN_FORWARD ? 2 : 3);
          EXPECT_DOUBLE_EQ(row.bytes, row.tensor_sizes * size_of_tensor(p));
          EXPECT_EQ(row.launches, 1);
          EXPECT_LE(row.shared_bytes, 113 * 1024);  // two on a processor
          EXPECT_GE(row.microseconds, row.bytes / Machine{}.bandwidth * 1e6);
        }
      }
}

// NHWC, too, has two blocks on a processor, in every type.
TEST(KernelsPlan, TilesLeaveRoomForASecondBlock) {
  for (const auto& [c, s] : layers)
    for (const std::int64_t n : {2, 32, 64})
      for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64})
        for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
          for (const int direction : {ABN_FORWARD, ABN_BACKWARD})
            for (const PlanRow& row : abn::plan_rows(problem_of(n, c, s, layout, dtype), direction))
              EXPECT_LE(row.shared_bytes, 113 * 1024)
                  << row.kernel << " n" << n << "c" << c << "s" << s << " dtype " << dtype;
}

TEST(KernelsPlan, TwoSweepsBeyondTheGpu) {
  const PlanRow row = chosen(problem_of(512, 64, 224 * 224, ABN_NCHW, ABN_F16), ABN_FORWARD);
  EXPECT_EQ(row.kernel, "two sweeps");
  EXPECT_GT(row.tensor_sizes, 2.9);
  const auto rows = abn::plan_rows(problem_of(512, 64, 224 * 224, ABN_NCHW, ABN_F16), ABN_FORWARD);
  EXPECT_FALSE(rows.front().possible);
  EXPECT_NE(rows.front().why.find("does not fit"), std::string::npos) << rows.front().why;
}

TEST(KernelsPlan, GivenStatisticsNeedNoTileUnlessRunsAreRagged) {
  abn_problem p = problem_of(32, 256, 56 * 56, ABN_NCHW, ABN_F16);
  p.mode = ABN_INFERENCE;
  EXPECT_EQ(chosen(p, ABN_FORWARD).kernel, "one sweep, nothing kept");
  EXPECT_DOUBLE_EQ(chosen(p, ABN_FORWARD).tensor_sizes, 2);
  EXPECT_TRUE(abn::plan_rows(p, ABN_BACKWARD).empty());
  p.mode = ABN_FROZEN;
  EXPECT_DOUBLE_EQ(chosen(p, ABN_BACKWARD).tensor_sizes, 3);
  p.s = 49;
  EXPECT_EQ(chosen(p, ABN_FORWARD).kernel, "one sweep, a block alone");
}

TEST(KernelsPlan, FollowsTheMachine) {
  const abn_problem p = problem_of(32, 256, 112 * 112, ABN_NCHW, ABN_F16);
  const PlanRow base = chosen(p, ABN_FORWARD);
  Machine machine;
  machine.bandwidth *= 2;
  EXPECT_LT(chosen(p, ABN_FORWARD, machine).microseconds, base.microseconds);
  machine = {};
  machine.processors = 4;  // a channel of 0.8 MB needs more blocks than that
  EXPECT_EQ(chosen(p, ABN_FORWARD, machine).kernel, "two sweeps");
  machine = {};
  machine.grid_barrier = machine.cluster_barrier = 1e4;
  EXPECT_EQ(chosen(p, ABN_FORWARD, machine).kernel, "two sweeps");
  machine = {};
  machine.cluster_barrier = 100;  // groups then
  const PlanRow groups =
      chosen(problem_of(32, 64, 56 * 56, ABN_NCHW, ABN_F16), ABN_FORWARD, machine);
  EXPECT_EQ(groups.kernel.rfind("one sweep, groups", 0), 0u) << groups.kernel;
}

TEST(KernelsPlan, TinyTensorsAreAllLatency) {
  const PlanRow row = chosen(problem_of(2, 256, 1, ABN_NHWC, ABN_F16), ABN_FORWARD);
  EXPECT_EQ(row.kernel, "one sweep, a block alone");
  EXPECT_EQ(row.launches, 1);
  EXPECT_EQ(row.why, "launches and latency take longer than the bytes");
}

// Whatever is chosen, `auto` gives the bits of that kernel.
TEST(KernelsPlan, AutoRunsWhatWasChosen) {
  struct Kind {
    std::int64_t n, c, s;
    int layout, dtype, mode;
  };
  std::uint64_t seed = 0;
  for (const Kind& k : {Kind{8, 24, 49, ABN_NCHW, ABN_F16, ABN_TRAINING},
                        Kind{2, 3, 4500, ABN_NCHW, ABN_F32, ABN_TRAINING},
                        Kind{2, 64, 300, ABN_NHWC, ABN_BF16, ABN_TRAINING},
                        Kind{4, 32, 64, ABN_NHWC, ABN_F32, ABN_FROZEN},
                        Kind{9, 8, 49, ABN_NCHW, ABN_F16, ABN_FROZEN}}) {
    abn_problem p = problem_of(k.n, k.c, k.s, k.layout, k.dtype);
    p.mode = k.mode;
    const Case c = case_of(p, ++seed);
    const Both got = run(variant_named("auto"), c, {.schedule = seed});
    const bool swept = chosen(p, ABN_FORWARD).kernel.find("nothing kept") != std::string::npos;
    const Both expected = run(variant_named(swept ? "two_sweep" : "resident"), c);
    EXPECT_EQ(got.f.z.bits(), expected.f.z.bits());
    EXPECT_EQ(got.f.var.bits(), expected.f.var.bits());
  }
}

}  // namespace
