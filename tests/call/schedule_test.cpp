// The emulator's part in a trial: what it finds fails the status check, and bits that depend on the
// schedule fail `schedule`.
#include <gtest/gtest.h>

#include "cuda/device/platform.cuh"
#include "verify/check/outputs.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

// A right kernel to break.
#define abn_plugin right_variant_of_schedule_test
#include "cuda/examples/host_kernel.cpp"
#undef abn_plugin

namespace {

using namespace abn::verify;
using namespace abn::verify::call;

struct Nothing {};

__global__ void half_a_barrier() {
  if (threadIdx.x < 32) __syncthreads();
}

__global__ void last_block_wins(float* out, float z) { *out = blockIdx.x == 0 ? z : -z; }

int diverging_backward(const abn_problem* p, const abn_backward_args* a) {
  return abn::device::launch({2, 64, sizeof(Nothing)}, half_a_barrier) == 0 ? backward(p, a)
                                                                            : ABN_ERROR_LAUNCH;
}

/// The sign of one element is that of the block that comes last.
int racing_forward(const abn_problem* p, const abn_forward_args* a) {
  const int status = forward(p, a);
  float* const z = static_cast<float*>(a->z);
  return abn::device::launch({2, 1, 0}, last_block_wins, z + 5, z[5]) == 0 ? status
                                                                           : ABN_ERROR_LAUNCH;
}

const abn_variant diverging = {ABN_ABI_VERSION, sizeof(abn_variant),
                               "diverging",     "",
                               ABN_MEMORY_HOST, 0,
                               claims,          workspace_bytes,
                               forward,         diverging_backward};
const abn_variant racing = {
    ABN_ABI_VERSION, sizeof(abn_variant), "racing",       "",      ABN_MEMORY_HOST, 0,
    claims,          workspace_bytes,     racing_forward, backward};

std::vector<results::Record> run_emulated(const abn_variant& which, const std::string& pattern,
                                          std::uint64_t seed) {
  Subject subject;
  subject.variant = &which;
  subject.device = host_device();
  subject.emulated = true;
  check::RunOptions options;
  options.pattern = pattern;
  options.threads = 1;
  return run::run(check::output_checks, std::vector{subject},
                  std::vector{data::replay("n3c4s7,f32,leaky_relu", "standard", seed)}, options);
}

}  // namespace

TEST(EmulatedTrial, AFindingFailsTheStatusCheckByName) {
  const auto records = run_emulated(diverging, "*/status", 1);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].id, "diverging/backward/f32/nchw/status");
  EXPECT_EQ(records[0].verdict, results::Verdict::fail);
  EXPECT_NE(records[0].reason.find("barrier divergence"), std::string::npos) << records[0].reason;
  EXPECT_NE(records[0].reason.find("call/schedule_test.cpp"), std::string::npos)
      << records[0].reason;
  EXPECT_EQ(records[1].verdict, results::Verdict::pass);
}

TEST(EmulatedTrial, BitsThatDependOnTheScheduleFail) {
  int failed = 0;
  constexpr int seeds = 16;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const auto records = run_emulated(racing, "*/forward/*/schedule", seed);
    ASSERT_EQ(records.size(), 1u);
    failed += records[0].verdict == results::Verdict::fail;
  }
  EXPECT_GT(failed, 0);  // two schedules of two blocks agree in half of the pairs
}
