// mbarriers: a ring of producers and consumers and arrivals of peers run right under every
// schedule; every misuse is reported.
#include <algorithm>
#include <vector>

#include "tests/cuda/emulator_support.hpp"
#include "tests/cuda/kernels_of_mbarriers.cuh"

namespace {

using namespace abn::tests;
namespace emulator = abn::emulator;

TEST(EmulatorMBarriers, ARingHandsOverEveryNumber) {
  for (const int rounds : {1, 4, 5, 33})
    under_every_schedule([&](std::uint64_t) {
      std::vector<int> out(5 * 32, -1);
      ASSERT_EQ(launch({5, 64, sizeof(Ring)}, through_a_ring, out.data(), rounds), 0);
      const int sum = (rounds - 1) * rounds * (2 * rounds - 1) / 6;
      ASSERT_TRUE(std::all_of(out.begin(), out.end(), [sum](int got) { return got == sum; }));
    });
}

TEST(EmulatorMBarriers, PeersArriveAtTheBarrierOfRank0) {
  for (const unsigned size : {1u, 4u, 16u})
    under_every_schedule([&](std::uint64_t) {
      std::vector<int> flags(size * 3), out(3, -1);
      for (std::size_t i = 0; i < flags.size(); ++i) flags[i] = static_cast<int>(i);
      ASSERT_EQ(launch(LaunchConfig{.grid = size * 3,
                                    .block = 32,
                                    .shared_bytes = sizeof(Collected),
                                    .cluster = size},
                       arrive_at_rank_0, flags.data(), out.data()),
                0);
      for (unsigned c = 0; c < 3; ++c) {
        int sum = 0;
        for (unsigned r = 0; r < size; ++r) sum += flags[c * size + r];
        ASSERT_EQ(out[c], sum);
      }
    });
}

TEST(EmulatorMBarriers, Misuses) {
  const auto found = [&](const char* kind, const char* says, BarrierSlip slip,
                         int code = launch_failure) {
    SCOPED_TRACE(slip);
    expect_found({kind, code, says}, [&] {
      return launch(
          LaunchConfig{.grid = 4, .block = 32, .shared_bytes = sizeof(Ring), .cluster = 2},
          barrier_with_a_slip, slip);
    });
  };
  const char* misuse = emulator::mbarrier_misuse;
  found(misuse,
        "an mbarrier is not initialised, at cuda/kernels_of_mbarriers.cuh:", wait_uninitialised);
  found(misuse, "is not initialised", arrive_uninitialised);
  found(misuse, "more arrivals in a phase than it was initialised with", too_many_arrivals);
  found(emulator::deadlock, "waits in phase 0 for 1 of its 32 arrivals and for 0 bytes",
        too_few_arrivals);
  found(misuse, "is to wait for more bytes than 1048575", too_many_bytes);
  found(misuse, "a count that is none of 1 to 1048575", count_of_zero);
  found(misuse, "is initialised a second time", twice);
  found(misuse, "is not initialised", invalid_and_used);
  found(misuse, "was overwritten", overwritten);
  found(emulator::misaligned_access, "misaligned 8-byte access", misaligned_barrier,
        misaligned_address);
  found(misuse, "belongs to a peer, and only its own block can wait", waits_at_a_peers);
  found(misuse, "belongs to a peer and cannot be initialised from here", initialises_a_peers);
  found(emulator::endless_loop, "a thread spins at cuda/kernels_of_mbarriers.cuh:", try_for_ever,
        launch_timeout);
  found(misuse, "is invalidated while threads wait at it", invalidated_with_waiters);
}

}  // namespace
