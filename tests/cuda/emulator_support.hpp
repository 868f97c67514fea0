// What the tests of the emulator's subset share: right kernels under many schedules, planted
// misuses on every one of twenty seeds.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "cuda/device/platform.cuh"
#include "cuda/emulator/report.h"

namespace abn::tests {

inline constexpr std::uint64_t planted_seeds = 20, clean_seeds = 50;
// so that twenty endless loops end in a moment
inline constexpr std::uint64_t short_spin_limit = 100000;

// Runs `check(seed)` in a session of its own under many seeds and in the ascending order, and
// asserts that nothing was found.
template <class Check>
void under_every_schedule(Check check) {
  for (std::uint64_t seed = 0; seed <= clean_seeds; ++seed) {
    emulator::Session session({.schedule_seed = seed, .shuffle = seed < clean_seeds});
    check(seed);
    const emulator::Report report = session.take_report();
    ASSERT_TRUE(report.findings.empty())
        << "seed " << seed << ": " << report.findings[0].kind << ": " << report.findings[0].text;
    ASSERT_GT(report.launches, 0u);
    if (testing::Test::HasFatalFailure()) return;
  }
}

struct Misuse {
  const char* kind;
  int code;          // CUDA's
  const char* says;  // part of the finding's text
};

static __global__ void idle_kernel() { __syncthreads(); }

// `run` launches a misuse and returns launch()'s code. It must be found on every seed and in the
// ascending order, and leave the session fit.
inline void expect_found(const Misuse& expected, const std::function<int()>& run) {
  for (std::uint64_t seed = 0; seed <= planted_seeds; ++seed) {
    emulator::Session session(
        {.schedule_seed = seed, .shuffle = seed < planted_seeds, .spin_limit = short_spin_limit});
    const int code = run();
    const emulator::Report report = session.take_report();
    ASSERT_EQ(report.findings.size(), 1u) << "seed " << seed << ", expected: " << expected.says;
    const emulator::Finding& finding = report.findings[0];
    EXPECT_EQ(finding.kind, expected.kind) << "seed " << seed << ": " << finding.text;
    EXPECT_EQ(code, expected.code) << "seed " << seed << ": " << finding.text;
    EXPECT_NE(finding.text.find(expected.says), std::string::npos)
        << "seed " << seed << ": " << finding.text;
    ASSERT_EQ(device::launch({10, 64}, idle_kernel), 0) << "seed " << seed;
    ASSERT_TRUE(session.take_report().findings.empty()) << "seed " << seed;
    if (testing::Test::HasFailure()) return;
  }
}

// `wrong()` runs a misuse that only the numbers betray without the sanitizer, and says whether they
// are off.
inline void expect_wrong_numbers(const std::function<bool()>& wrong) {
  for (std::uint64_t seed = 0; seed < planted_seeds; ++seed) {
    emulator::Session session({.schedule_seed = seed});
    EXPECT_TRUE(wrong()) << "seed " << seed << ": the numbers are right";
  }
}

// CUDA's codes.
inline constexpr int invalid_configuration = 9, launch_timeout = 702, misaligned_address = 716,
                     launch_failure = 719, too_many_blocks = 720, invalid_cluster_size = 912;

}  // namespace abn::tests
