// Planted defects: each must be reported under its own name on every seed, leave the launch with an
// error, and leave the emulator fit.
#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include "cuda/device/acquire_release.cuh"
#include "cuda/device/async_copy.cuh"
#include "cuda/device/cache_hints.cuh"
#include "cuda/device/platform.cuh"
#include "cuda/emulator/report.h"

namespace {

using namespace abn::device;
namespace emulator = abn::emulator;
using emulator::Finding;
using emulator::Report;
using emulator::Session;

constexpr std::uint64_t seeds = 20;
constexpr unsigned full = ~0u;
constexpr std::uint64_t short_spin_limit = 100000;  // so that twenty endless loops end in a moment
// CUDA's codes.
constexpr int invalid_value = 1, invalid_configuration = 9, launch_timeout = 702, stack_error = 714,
              misaligned_address = 716, launch_failure = 719, too_many_blocks = 720;

struct Flags {
  unsigned value[256];
};

__global__ void clean(Flags* out) {
  Flags& shared = dynamic_shared<Flags>();
  shared.value[threadIdx.x] = __shfl_xor_sync(full, threadIdx.x, 1);
  __syncthreads();
  if (blockIdx.x == 0) out->value[threadIdx.x] = shared.value[threadIdx.x ^ 1];
}

// The session still runs clean kernels right, with no word of what went before.
void expect_fit(Session& session) {
  Flags out{};
  ASSERT_EQ(launch({10, 256, sizeof(Flags)}, clean, &out), 0);
  for (unsigned t = 0; t < 256; ++t) ASSERT_EQ(out.value[t], t);
  ASSERT_TRUE(session.take_report().findings.empty());
}

struct Expected {
  const char* kind;
  int code;
  const char* says;  // part of the text
};

// `run` launches a defect and returns launch()'s code.
void expect_found(const Expected& expected, const std::function<int()>& run) {
  for (std::uint64_t seed = 0; seed <= seeds; ++seed) {
    Session session(
        {.schedule_seed = seed, .shuffle = seed < seeds, .spin_limit = short_spin_limit});
    const int code = run();
    const Report report = session.take_report();
    ASSERT_EQ(report.findings.size(), 1u) << "seed " << seed << ", expected: " << expected.says;
    const Finding& finding = report.findings[0];
    EXPECT_EQ(finding.kind, expected.kind) << "seed " << seed << ": " << finding.text;
    EXPECT_EQ(code, expected.code) << "seed " << seed;
    EXPECT_NE(finding.text.find(expected.says), std::string::npos)
        << "seed " << seed << ": " << finding.text;
    EXPECT_NE(finding.kernel.find("cuda/emulator_findings_test.cpp"), std::string::npos)
        << finding.kernel;
    expect_fit(session);
    if (testing::Test::HasFailure()) return;
  }
}

// ---- barriers

__global__ void half_of_the_block_returns() {
  if (threadIdx.x < 128) __syncthreads();
}
__global__ void returned_before_a_later_barrier() {
  __syncthreads();
  if (threadIdx.x == 255) return;
  __syncthreads();
}
__global__ void barrier_against_shuffle(float* out) {
  if (threadIdx.x % 32 < 16)
    __syncthreads();
  else
    *out = __shfl_xor_sync(full, 1.0f, 1);
}
__global__ void two_different_barriers() {
  if (threadIdx.x < 64)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void barrier_in_a_loop_of_different_length() {
  for (unsigned i = 0; i < threadIdx.x / 32; ++i) __syncthreads();
}

TEST(EmulatorFindings, BarrierDivergence) {
  const auto divergence = [](const char* says) {
    return Expected{emulator::barrier_divergence, launch_failure, says};
  };
  float out;
  expect_found(
      divergence("threads 0-127 wait in __syncthreads at cuda/emulator_findings_test.cpp:"), [] {
        return launch({20, 256}, half_of_the_block_returns);
      });
  expect_found(divergence("threads 128-255 returned"), [] {
    return launch({20, 256}, half_of_the_block_returns);
  });
  expect_found(divergence("threads 255 returned"), [] {
    return launch({20, 256}, returned_before_a_later_barrier);
  });
  expect_found(divergence("threads 16-31 wait in __shfl_xor_sync"), [&] {
    return launch({20, 32}, barrier_against_shuffle, &out);
  });
  expect_found(divergence("threads 0-63 wait in __syncthreads"), [] {
    return launch({20, 128}, two_different_barriers);
  });
  expect_found(divergence("threads 0-31 returned"), [] {
    return launch({20, 128}, barrier_in_a_loop_of_different_length);
  });
}

__global__ void one_block_skips_the_grid() {
  if (blockIdx.x != 3) cooperative_groups::this_grid().sync();
}
__global__ void one_thread_for_the_block() {
  if (threadIdx.x == 0) cooperative_groups::this_grid().sync();
}
__global__ void grid_barrier() { cooperative_groups::this_grid().sync(); }

TEST(EmulatorFindings, DeadlockAtTheGridsBarrier) {
  const Expected deadlock{emulator::deadlock, launch_failure, "wait in the grid's barrier"};
  expect_found(deadlock, [] { return launch_cooperative({20, 64}, one_block_skips_the_grid); });
  expect_found(deadlock, [] { return launch_cooperative({20, 64}, one_thread_for_the_block); });
}

TEST(EmulatorFindings, GridBarrierInAnOrdinaryLaunch) {
  expect_found({emulator::launch_configuration, launch_failure, "needs launch_cooperative()"}, [] {
    return launch({20, 64}, grid_barrier);
  });
}

// ---- warp operations

__global__ void own_lane_not_in_the_mask(int* out) { *out = __shfl_sync(0x0000ffffu, 1, 0); }
__global__ void lane_returned(int* out) {
  if (threadIdx.x == 7) return;
  *out = __shfl_down_sync(full, 1, 1);
}
__global__ void lanes_that_never_come(int* out) {
  if (threadIdx.x < 16)
    *out = __shfl_xor_sync(full, 1, 1);
  else
    *out = __shfl_up_sync(full, 1, 1);
}
__global__ void masks_that_disagree(int* out) {
  *out = __any_sync(threadIdx.x < 16 ? full : 0xffff0001u, 1);
}
__global__ void reads_a_lane_outside_the_mask(int* out) {
  if (threadIdx.x < 16) *out = __shfl_sync(0x0000ffffu, 1, 20);
  __syncwarp();
}
__global__ void reads_a_lane_that_the_block_lacks(int* out) { *out = __shfl_xor_sync(full, 1, 16); }
__global__ void odd_width(int* out) { *out = __shfl_xor_sync(full, 1, 1, 12); }
__global__ void syncwarp_left_out() {
  if (threadIdx.x == 3) __syncwarp(0xf0u);
}

TEST(EmulatorFindings, ShuffleMask) {
  const auto mask = [](const char* says) {
    return Expected{emulator::shuffle_mask, launch_failure, says};
  };
  int out;
  expect_found(mask("called it with a mask of lanes 0-15, which leaves it out"), [&] {
    return launch({20, 32}, own_lane_not_in_the_mask, &out);
  });
  expect_found(mask("names lanes 7, which returned from the kernel"), [&] {
    return launch({20, 32}, lane_returned, &out);
  });
  expect_found(mask("threads 0-15 wait in __shfl_xor_sync"), [&] {
    return launch({20, 32}, lanes_that_never_come, &out);
  });
  expect_found(mask("wait in __any_sync"), [&] {
    return launch({20, 32}, masks_that_disagree, &out);
  });
  expect_found(mask("lane 0 reads lane 20, which takes no part"), [&] {
    return launch({20, 32}, reads_a_lane_outside_the_mask, &out);
  });
  expect_found(mask("lane 0 reads lane 16, which takes no part"), [&] {
    return launch({20, 16}, reads_a_lane_that_the_block_lacks, &out);
  });
  expect_found(mask("its width is none of"), [&] { return launch({20, 32}, odd_width, &out); });
  expect_found(mask("__syncwarp"), [] { return launch({20, 32}, syncwarp_left_out); });
}

// ---- loops

__global__ void waits_for_nobody(unsigned* flag) {
  if (threadIdx.x == 5)
    while (atomicAdd(flag, 0u) == 0) {
    }
}
__global__ void lock_never_released(unsigned* lock) {
  while (atomicCAS(lock, 0u, 1u) != 0) __nanosleep(20);
}
// Every block waits for the last one, and not all of them fit.
__global__ void waits_for_a_block_that_cannot_start(unsigned* arrived) {
  if (threadIdx.x == 0) {
    atomicAdd(arrived, 1u);
    while (atomicAdd(arrived, 0u) < gridDim.x) {
    }
  }
}
__global__ void counts_for_ever(unsigned* count) {
  while (true) atomicAdd(count, 1u);
}

TEST(EmulatorFindings, EndlessLoop) {
  const Expected endless{emulator::endless_loop, launch_timeout,
                         "a thread spins at cuda/emulator_findings_test.cpp:"};
  unsigned word;
  expect_found(endless, [&] { return word = 0, launch({3, 32}, waits_for_nobody, &word); });
  expect_found(endless, [&] { return word = 0, launch({3, 32}, lock_never_released, &word); });
  expect_found(endless, [&] {
    return word = 0, launch({20, 32}, waits_for_a_block_that_cannot_start, &word);
  });
  expect_found(endless, [&] { return word = 0, launch({1, 32}, counts_for_ever, &word); });
}

// ---- memory

struct Small {
  float value[5];
};
__global__ void one_too_many() {
  Small& shared = dynamic_shared<Small>();
  float* value = shared.value;
  if (threadIdx.x < 6) value[threadIdx.x] = 1.0f;
}
__global__ void one_in_front() {
  float* value = dynamic_shared<Small>().value;
  if (threadIdx.x == 0) value[-1] = 1.0f;
}
__global__ void one_row_too_many(unsigned stride) {
  float* value = dynamic_shared<Small>().value;
  value[threadIdx.x * stride] = 1.0f;
}
__global__ void larger_than_the_launch(Small* out) { *out = dynamic_shared<Small>(); }

TEST(EmulatorFindings, SharedMemoryOverrun) {
  const auto overrun = [](const char* says) {
    return Expected{emulator::shared_overrun, launch_failure, says};
  };
  Small out;
  expect_found(overrun("wrote at byte 20 of its shared memory, which has 20 bytes"), [] {
    return launch({20, 32, sizeof(Small)}, one_too_many);
  });
  expect_found(overrun("wrote 1 bytes in front of"), [] {
    return launch({20, 32, sizeof(Small)}, one_in_front);
  });
  expect_found(overrun("wrote at byte 20 of"), [] {
    return launch({20, 32, sizeof(Small)}, one_row_too_many, 1u);
  });
  expect_found(overrun("lays out 20 bytes, but the launch gave 19"), [&] {
    return launch({20, 32, sizeof(Small) - 1}, larger_than_the_launch, &out);
  });
}

__global__ void load_unaligned(const float* p, float* out) {
  *out = load16(p + threadIdx.x).lane[0];
}
__global__ void store_unaligned(float* p) { store16(p + 2, Vec16<float>{}); }
__global__ void atomic_unaligned(unsigned char* p) {
  atomicAdd(reinterpret_cast<unsigned*>(p + 2), 1u);
}

TEST(EmulatorFindings, MisalignedAccess) {
  alignas(16) float data[40] = {};
  float out;
  const auto misaligned = [](const char* says) {
    return Expected{emulator::misaligned_access, misaligned_address, says};
  };
  expect_found(misaligned("misaligned 16-byte access at cuda/"), [&] {
    return launch({20, 32}, load_unaligned, data, &out);
  });
  expect_found(misaligned("8 bytes beyond a multiple of 16"), [&] {
    return launch({20, 32}, store_unaligned, data);
  });
  expect_found(misaligned("misaligned 4-byte access"), [&] {
    return launch({20, 32}, atomic_unaligned, reinterpret_cast<unsigned char*>(data));
  });
}

__global__ void store_global_to_shared() {
  store16(dynamic_shared<Vec16<float>>().lane, Vec16<float>{});
}
__global__ void store_anywhere_to_shared(float* out) {
  Vec16<float> value{};
  value.lane[0] = 7;
  store16_anywhere(dynamic_shared<Vec16<float>>().lane, value);
  *out = load16(dynamic_shared<Vec16<float>>().lane).lane[0];
}
__global__ void stream_from_shared(float* out) {
  *out = load16_streaming(dynamic_shared<Vec16<float>>().lane).lane[0];
}
__global__ void release_in_shared() { store_release(&dynamic_shared<unsigned>(), 1); }
__global__ void copy_from_shared() {
  auto& shared = dynamic_shared<Vec16<float>[2]>();
  copy_async<16>(shared[0].lane, shared[1].lane);
  copy_async_commit();
  copy_async_wait<0>();
}

TEST(EmulatorFindings, SharedMemoryWhereAGpuWantsGlobal) {
  const Expected wrong{emulator::wrong_space, emulator::illegal_address,
                       "of shared memory is not there"};
  float out = 0;
  expect_found(wrong, [&] { return launch({1, 1, 64}, store_global_to_shared); });
  expect_found(wrong, [&] { return launch({1, 1, 64}, stream_from_shared, &out); });
  expect_found(wrong, [&] { return launch({1, 1, 64}, release_in_shared); });
  expect_found(wrong, [&] { return launch({1, 1, 64}, copy_from_shared); });
  EXPECT_EQ(launch({1, 1, 64}, store_anywhere_to_shared, &out), 0);
  EXPECT_EQ(out, 7);
}

template <int Bytes>
__global__ void deep_frame(int* out, bool wait) {
  volatile unsigned char big[Bytes];
  for (int i = 0; i < Bytes; ++i) big[i] = 1;
  if (wait) __syncthreads();
  *out = big[Bytes / 2];
}

TEST(EmulatorFindings, StackOverflow) {
  const Expected overflow{emulator::stack_overflow, stack_error,
                          "used more than the 64 KiB of its stack"};
  int out;
  // found by the canary
  expect_found(overflow, [&] { return launch({2, 32}, deep_frame<70000>, &out, false); });
  // found by the stack pointer
  expect_found(overflow, [&] { return launch({2, 32}, deep_frame<70000>, &out, true); });
  Session session;
  EXPECT_EQ(launch({2, 32}, deep_frame<50000>, &out, true), 0);
  EXPECT_TRUE(session.take_report().findings.empty());
}

__global__ void throws(int kind) {
  if (threadIdx.x != 9) return;
  if (kind == 0) throw std::runtime_error("from a kernel");
  throw 42;
}

TEST(EmulatorFindings, Exceptions) {
  expect_found({emulator::escaped_exception, launch_failure, "from a kernel"}, [] {
    return launch({20, 32}, throws, 0);
  });
  expect_found({emulator::escaped_exception, launch_failure, "no std::exception"}, [] {
    return launch({20, 32}, throws, 1);
  });
}

// ---- launches that a GPU refuses

__global__ void nothing() {}

TEST(EmulatorFindings, LaunchConfiguration) {
  const auto refused = [](int code, const char* says) {
    return Expected{emulator::launch_configuration, code, says};
  };
  expect_found(refused(invalid_configuration, "has no threads"), [] {
    return launch({1, 0}, nothing);
  });
  expect_found(refused(invalid_configuration, "has no blocks"), [] {
    return launch({0, 32}, nothing);
  });
  expect_found(refused(invalid_configuration, "has no blocks"), [] {
    return launch({dim3(1, 0, 1), 32}, nothing);
  });
  expect_found(refused(invalid_configuration, "1024 threads in all"), [] {
    return launch({1, 1025}, nothing);
  });
  expect_found(refused(invalid_configuration, "1024 threads in all"), [] {
    return launch({1, dim3(33, 32)}, nothing);
  });
  expect_found(refused(invalid_configuration, "exceeds 1024 x 1024 x 64"), [] {
    return launch({1, dim3(1, 1, 65)}, nothing);
  });
  expect_found(refused(invalid_configuration, "x 65535 x 65535"), [] {
    return launch({dim3(1, 65536), 1}, nothing);
  });
  expect_found(refused(invalid_configuration, "x 65535 x 65535"), [] {
    return launch({dim3(1, 1, 65536), 1}, nothing);
  });
  expect_found(refused(invalid_configuration, "2147483647 x"), [] {
    return launch({dim3(0x80000000u), 1}, nothing);
  });
  expect_found(refused(invalid_value, "232449 bytes of shared memory"), [] {
    return launch({1, 1, 227 * 1024 + 1}, nothing);
  });
  expect_found(refused(too_many_blocks, "at most 264 of these fit"), [] {
    return launch_cooperative({265, 1024}, nothing);
  });
  Session session;
  EXPECT_EQ(launch({dim3(1, 1, 65535), dim3(1, 1, 64)}, nothing), 0);
  EXPECT_EQ(launch({1, dim3(1, 1024), 227 * 1024}, nothing), 0);
  EXPECT_EQ(launch_cooperative({264, 1024}, nothing), 0);
  EXPECT_TRUE(session.take_report().findings.empty());
}

__global__ void launches_another(int* code) { *code = launch({1, 1}, nothing); }

TEST(EmulatorFindings, ALaunchFromAKernelIsRefused) {
  Session session;
  int code = 0;
  EXPECT_EQ(launch({1, 1}, launches_another, &code), 0);
  EXPECT_EQ(code, invalid_configuration);
  const Report report = session.take_report();
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].kind, emulator::launch_configuration);
}

// ---- what a finding names, and where it goes

TEST(EmulatorFindings, NamesKernelBlockAndThread) {
  Session session({.shuffle = false});
  EXPECT_EQ(launch({20, 256, 0, nullptr, "half_of_the_block_returns"}, half_of_the_block_returns),
            launch_failure);
  const Report report = session.take_report();
  ASSERT_EQ(report.findings.size(), 1u);
  const Finding& finding = report.findings[0];
  EXPECT_EQ(finding.kernel, "half_of_the_block_returns");
  EXPECT_LT(finding.block[0], 20u);
  EXPECT_EQ(finding.thread[0], 0u);
  const std::string witness =
      "; block (" + std::to_string(finding.block[0]) + ", 0, 0), thread (0, 0, 0)";
  EXPECT_NE(finding.text.find(witness), std::string::npos) << finding.text;
}

// What an abandoned launch of many blocks leaves behind must not show in the finding of a smaller
// one.
TEST(EmulatorFindings, ForgetTheLaunchBefore) {
  Session session({.shuffle = false});
  int out;
  EXPECT_EQ(launch({20, 256}, half_of_the_block_returns), launch_failure);
  EXPECT_EQ(launch({2, 32}, lanes_that_never_come, &out), launch_failure);
  EXPECT_EQ(launch_cooperative({4, 32}, one_block_skips_the_grid), launch_failure);
  const Report report = session.take_report();
  ASSERT_EQ(report.findings.size(), 3u);
  EXPECT_EQ(report.findings[0].kind, emulator::barrier_divergence);
  EXPECT_EQ(report.findings[1].kind, emulator::shuffle_mask);
  EXPECT_EQ(report.findings[2].kind, emulator::deadlock);
}

TEST(EmulatorFindings, GoToTheInnermostSessionAndWithoutOneToStderr) {
  {
    Session outer;
    {
      Session inner;
      EXPECT_NE(launch({1, 0}, nothing), 0);
      EXPECT_EQ(inner.take_report().findings.size(), 1u);
    }
    EXPECT_EQ(launch({1, 1}, nothing), 0);
    const Report report = outer.take_report();
    EXPECT_TRUE(report.findings.empty());
    EXPECT_EQ(report.launches, 1u);
  }
  testing::internal::CaptureStderr();
  EXPECT_EQ(launch({1, 64, 0, nullptr, "in_the_open"}, barrier_in_a_loop_of_different_length),
            launch_failure);
  const std::string printed = testing::internal::GetCapturedStderr();
  EXPECT_NE(printed.find("emulator: barrier divergence in in_the_open: "), std::string::npos)
      << printed;
}

TEST(EmulatorFindings, OfOneSystemThreadAreNotThoseOfAnother) {
  Report bad, good;
  std::thread other([&] {
    Session session;
    for (int i = 0; i < 50; ++i) launch({20, 256}, half_of_the_block_returns);
    bad = session.take_report();
  });
  {
    Session session;
    Flags out{};
    for (int i = 0; i < 50; ++i) EXPECT_EQ(launch({10, 256, sizeof(Flags)}, clean, &out), 0);
    good = session.take_report();
  }
  other.join();
  EXPECT_EQ(bad.findings.size(), 50u);
  EXPECT_TRUE(good.findings.empty());
}

}  // namespace
