// Hand-overs between blocks through global memory and cache hints: right under every schedule, and
// misuses are reported.
#include <algorithm>
#include <numeric>
#include <vector>

#include "tests/cuda/emulator_support.hpp"
#include "tests/cuda/kernels_of_groups.cuh"

namespace {

using namespace abn::tests;
namespace emulator = abn::emulator;

TEST(EmulatorGroups, RoundsAndLaunchesShareACounterThatIsNeverReset) {
  constexpr unsigned threads = 24, groups = 3;
  for (const unsigned size : {1u, 2u, 7u})
    under_every_schedule([&](std::uint64_t) {
      const unsigned blocks = groups * size;
      std::vector<unsigned> counters(groups, 0);
      std::vector<int> slots(blocks * threads * 3), values(blocks * threads);
      for (const int rounds : {1, 4, 5}) {
        ASSERT_EQ(launch_cooperative({blocks, threads}, rounds_of_groups, counters.data(),
                                     slots.data(), rounds, size),
                  0);
        for (unsigned i = 0; i < blocks * threads; ++i)
          values[i] = static_cast<int>(i / threads + i % threads);
        for (int round = 0; round < rounds; ++round) {
          const std::vector<int> before = values;
          for (unsigned i = 0; i < blocks * threads; ++i) {
            values[i] = 0;
            const unsigned first = i / threads / size * size;
            for (unsigned b = first; b < first + size; ++b)
              values[i] += before[b * threads + i % threads] % 1000;
          }
        }
        ASSERT_TRUE(std::equal(values.begin(), values.end(), slots.begin() + blocks * threads * 2));
      }
    });
}

TEST(EmulatorGroups, AReleasedFlagHandsAMessageOver) {
  under_every_schedule([&](std::uint64_t) {
    unsigned flag = 0;
    std::vector<int> message(32), out(4 * 32);
    ASSERT_EQ(launch_cooperative({5, 32}, broadcast, &flag, message.data(), out.data()), 0);
    for (unsigned i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], static_cast<int>(i % 32 ^ 1) + 100);
  });
}

TEST(EmulatorGroups, GroupsThatNeverMeet) {
  unsigned counter;
  const Misuse endless{emulator::endless_loop, launch_timeout,
                       "a thread spins at cuda/kernels_of_groups.cuh:"};
  expect_found(endless, [&] {
    return counter = 0, launch_cooperative({4, 32}, group_that_one_block_skips, &counter, 4u);
  });
  expect_found(endless, [&] {
    return counter = 0, launch_cooperative({4, 32}, group_without_a_leader, &counter, 4u);
  });
  expect_found(endless, [&] {
    return counter = 0, launch_cooperative({3, 32}, meet_in_group, &counter, 4u);
  });
  expect_found({emulator::launch_configuration, launch_failure, "needs launch_cooperative()"}, [&] {
    return counter = 0, launch({4, 32}, meet_in_group, &counter, 4u);
  });
}

TEST(EmulatorHints, ChangeNoByte) {
  under_every_schedule([&](std::uint64_t seed) {
    alignas(16) unsigned char from[1024], to[1024];
    std::iota(from, from + 1024, static_cast<unsigned char>(seed));
    for (int kind = 0; kind < 3; ++kind) {
      std::fill(to, to + 1024, static_cast<unsigned char>(0));
      ASSERT_EQ(launch({2, 32}, copy_with_hints<unsigned char>, from, to, 64, kind), 0);
      ASSERT_TRUE(std::equal(from, from + 1024, to));
    }
    std::fill(to, to + 1024, static_cast<unsigned char>(0));
    ASSERT_EQ(launch({1, 32, sizeof(Line)}, bulk_with_hints, from, to), 0);
    ASSERT_TRUE(std::equal(from, from + 1024, to));
  });
}

TEST(EmulatorHints, ChangeNoAlignment) {
  alignas(16) float data[8] = {};
  const Misuse misaligned{emulator::misaligned_access, misaligned_address,
                          "misaligned 16-byte access at cuda/kernels_of_groups.cuh:"};
  expect_found(misaligned, [&] { return launch({1, 1}, stream_misaligned, data); });
  expect_found(misaligned, [&] { return launch({1, 1}, hint_misaligned, data); });
}

}  // namespace
