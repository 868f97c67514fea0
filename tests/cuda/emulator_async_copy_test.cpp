// Asynchronous copies: right kernels run right under every schedule; misuses are reported, or show
// in the numbers, on every seed.
#include <algorithm>
#include <numeric>
#include <vector>

#include "tests/cuda/emulator_support.hpp"
#include "tests/cuda/kernels_of_copies.cuh"

namespace {

using namespace abn::tests;
namespace emulator = abn::emulator;

struct alignas(16) Vector {
  float lane[4];
};

// A tensor on a 16-byte boundary.
struct Tensor {
  std::vector<Vector> data;
  explicit Tensor(std::size_t n, float first = 0, float step = 0) : data((n + 3) / 4) {
    for (std::size_t i = 0; i < n; ++i) at(i) = first + step * static_cast<float>(i);
  }
  float* begin() { return data[0].lane; }
  float& at(std::size_t i) { return data[i / 4].lane[i % 4]; }
};

// ---- right

TEST(EmulatorCopies, ThreeStagesOfElementsArriveInTime) {
  for (const int tiles : {1, 2, 7})
    under_every_schedule([&](std::uint64_t) {
      const auto n = static_cast<std::size_t>(5 * tiles * 4 * 64);
      Tensor in(n, 1, 0.5f), out(n, -1);
      ASSERT_EQ(launch({5, 64, sizeof(Staged)}, double_by_stages, in.begin(), out.begin(), tiles),
                0);
      for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(out.at(i), 2 * in.at(i)) << i;
    });
}

template <int Bytes>
void check_reversed() {
  under_every_schedule([&](std::uint64_t seed) {
    alignas(16) unsigned char in[Bytes * 64], out[Bytes * 64];
    const int n = Bytes * 64,
              valid = seed % 3 == 0 ? n : static_cast<int>(seed * 37 % static_cast<unsigned>(n));
    std::iota(in, in + n, static_cast<unsigned char>(1));
    ASSERT_EQ(launch({1, 64, sizeof(Reversed)}, reverse_bytes<Bytes>, in, out, valid), 0);
    for (int i = 0; i < n; ++i) ASSERT_EQ(out[i], n - 1 - i < valid ? in[n - 1 - i] : 0) << i;
  });
}
TEST(EmulatorCopies, EveryWidthIsCopiedAndFilledUpWithZeros) {
  check_reversed<4>();
  check_reversed<8>();
  check_reversed<16>();
}

TEST(EmulatorCopies, BulkLoadsAndStoresMakeAPipeline) {
  for (const int tiles : {1, 2, 3, 8})
    under_every_schedule([&](std::uint64_t) {
      const auto n = static_cast<std::size_t>(6 * tiles * tile);
      Tensor in(n, 1, 0.5f), out(n, -1);
      ASSERT_EQ(launch({6, 64, sizeof(Tiles)}, add_one_in_bulk, in.begin(), out.begin(), tiles), 0);
      for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(out.at(i), in.at(i) + 1) << i;
    });
}

TEST(EmulatorCopies, WhatBulkLoadsBroughtNeedsNoProxyFence) {
  under_every_schedule([&](std::uint64_t) {
    Tensor in(20 * 2 * tile, 0, 1), out(20 * 2 * tile, -1);
    ASSERT_EQ(launch({20, 32, sizeof(Tiles)}, copy_in_bulk, in.begin(), out.begin()), 0);
    for (std::size_t i = 0; i < 20 * 2 * tile; ++i) ASSERT_EQ(out.at(i), in.at(i)) << i;
  });
}

TEST(EmulatorCopies, ASumIsPushedThroughAClusterInOneRoundTrip) {
  for (const unsigned size : {1u, 2u, 8u, 16u})
    under_every_schedule([&](std::uint64_t) {
      Tensor in(size * 5, 1, 3), out(size * 5, -1);
      ASSERT_EQ(
          launch(
              LaunchConfig{
                  .grid = size * 5, .block = 64, .shared_bytes = sizeof(Gathered), .cluster = size},
              push_to_peers, in.begin(), out.begin()),
          0);
      for (unsigned b = 0; b < size * 5; ++b) {
        float sum = 0;
        for (unsigned r = 0; r < size; ++r) sum += in.at(b / size * size + r);
        ASSERT_EQ(out.at(b), sum);
      }
    });
}

// The schedule, and with it the moment at which a copy lands, is a function of the seed.
TEST(EmulatorCopies, TheSameSeedGivesTheSameSchedule) {
  Tensor in(20 * tile * 4, 1, 1), out(20 * tile * 4);
  const auto switches = [&](std::uint64_t seed) {
    emulator::Session session({.schedule_seed = seed});
    EXPECT_EQ(launch({20, 64, sizeof(Tiles)}, add_one_in_bulk, in.begin(), out.begin(), 4), 0);
    return session.take_report().switches;
  };
  EXPECT_EQ(switches(3), switches(3));
  EXPECT_NE(switches(3), switches(4));
}

// ---- planted: by elements

TEST(EmulatorCopies, AnElementReadBeforeItLandedIsNotThere) {
  Tensor in(256, 5), out(256);
  expect_wrong_numbers([&] {
    EXPECT_EQ(
        launch({1, 64, sizeof(Staged)}, element_read_before_it_landed, in.begin(), out.begin()), 0);
    return !std::equal(in.begin(), in.begin() + 256, out.begin());
  });
}
// Most copies have landed after a while, as on a GPU; in some launches they are late all the same.
TEST(EmulatorCopies, SomeCopiesAreLate) {
  constexpr int launches = 200;
  const float in = 5;
  int landed = 0;
  for (std::uint64_t seed = 0; seed < launches; ++seed) {
    emulator::Session session({.schedule_seed = seed});
    float out = 0;
    EXPECT_EQ(launch({1, 1, sizeof(Staged)}, element_read_after_a_while, &in, &out), 0);
    landed += out == in;
  }
  EXPECT_GT(landed, launches / 2);
  EXPECT_LT(landed, launches * 19 / 20);
}
TEST(EmulatorCopies, AWaitThatAllowsForOneGroupTooManyShows) {
  Tensor in(256, 5), out(256);
  expect_wrong_numbers([&] {
    EXPECT_EQ(launch({1, 256, sizeof(Staged)}, element_wait_for_too_few, in.begin(), out.begin()),
              0);
    return !std::equal(in.begin(), in.begin() + 256, out.begin());
  });
}
TEST(EmulatorCopies, ASourceThatChangesTooEarlyShows) {
  Tensor out(256);
  expect_wrong_numbers([&] {
    Tensor in(256, 5);
    EXPECT_EQ(
        launch({1, 256, sizeof(Staged)}, element_source_changed_too_early, in.begin(), out.begin()),
        0);
    return std::count(out.begin(), out.begin() + 256, 5.0f) != 256;
  });
}

TEST(EmulatorCopies, ElementsThatNobodyWaitsFor) {
  const Misuse unwaited{emulator::async_copy, launch_failure,
                        "was never waited for: the thread returned without a wait for its group"};
  Tensor in(512, 5), out(512);
  expect_found(unwaited, [&] {
    return launch({3, 128, sizeof(Staged)}, element_without_wait, in.begin(), out.begin());
  });
  expect_found(unwaited, [&] {
    return launch({3, 128, sizeof(Staged)}, element_wait_without_commit, in.begin(), out.begin());
  });
}

TEST(EmulatorCopies, OperandsThatElementsCannotHave) {
  Tensor in(512, 5);
  expect_found({emulator::misaligned_access, misaligned_address,
                "misaligned 8-byte access at cuda/kernels_of_copies.cuh:"},
               [&] {
                 return launch({3, 32, sizeof(Staged)}, element_misaligned, in.begin());
               });
  expect_found(
      {emulator::async_copy, launch_failure, "does not lie in the shared memory of the block"},
      [&] {
        return launch({3, 32, sizeof(Staged)}, element_out_of_shared, in.begin());
      });
  expect_found(
      {emulator::async_copy, launch_failure, "it is to read more bytes than it writes"}, [&] {
        return launch({3, 32, sizeof(Staged)}, element_reads_more_than_it_writes, in.begin());
      });
}

// ---- planted: in bulk

TEST(EmulatorCopies, BulkLoadsThatGoWrong) {
  Tensor in(tile + 4, 5), out(tile);
  alignas(8) MBarrier global{};
  const auto found = [&](const char* kind, const char* says, Slip slip, int code = launch_failure) {
    SCOPED_TRACE(slip);
    expect_found({kind, code, says}, [&] {
      return launch({3, 1, sizeof(Tiles)}, load_with_a_slip, in.begin(), out.begin(), slip,
                    &global);
    });
  };
  found(emulator::async_copy, "was never waited for", no_wait);
  found(emulator::async_copy, "was never waited for", wrong_parity);
  found(emulator::missing_proxy_fence, "mbarrier_fence_init() must stand between", no_init_fence);
  found(emulator::deadlock, "for 16 bytes, which no copy brings", announces_too_many);
  // it counts in the next phase
  found(emulator::async_copy, "was never waited for", announces_nothing);
  found(emulator::async_copy, "must be a multiple of 16 bytes", odd_size);
  found(emulator::async_copy, "must be a multiple of 16 bytes and not 0", no_bytes);
  found(emulator::misaligned_access,
        "misaligned 16-byte access at cuda/kernels_of_copies.cuh:", misaligned_source,
        misaligned_address);
  found(emulator::mbarrier_misuse, "is not initialised", barrier_not_initialised);
  found(emulator::async_copy, "the mbarrier must lie in the same shared memory", barrier_in_global);
}

// What is found depends on whether the pieces of the copy add up to what was announced before all
// are there, and if so on whether the rest comes before the block has returned.
TEST(EmulatorCopies, ABulkLoadOfMoreThanWasAnnounced) {
  Tensor in(tile, 5), out(tile);
  int at_once = 0, later = 0, too_late = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    emulator::Session session({.schedule_seed = seed});
    EXPECT_EQ(launch({3, 1, sizeof(Tiles)}, load_with_a_slip, in.begin(), out.begin(),
                     announces_half, nullptr),
              launch_failure);
    const emulator::Report report = session.take_report();
    ASSERT_EQ(report.findings.size(), 1u);
    const std::string& text = report.findings[0].text;
    const auto says = [&text](const char* words) { return text.find(words) != std::string::npos; };
    at_once += says("more bytes from copies than were announced");
    later += says("from a copy that was started in an earlier phase");
    too_late += says("is still on its way to the shared memory of a block that has returned");
    ASSERT_EQ(at_once + later + too_late, static_cast<int>(seed) + 1) << text;
  }
  EXPECT_GT(at_once, 0);
  EXPECT_GT(later, 0);
  EXPECT_GT(too_late, 0);
}

TEST(EmulatorCopies, ABulkLoadThatIsReadBeforeItLanded) {
  Tensor in(tile, 5), out(tile);
  expect_wrong_numbers([&] {
    EXPECT_EQ(launch({1, 1, sizeof(Tiles)}, load_with_a_slip, in.begin(), out.begin(),
                     read_too_early, nullptr),
              0);
    return !std::equal(in.begin(), in.begin() + tile, out.begin());
  });
}

TEST(EmulatorCopies, ABulkLoadBeyondSharedMemory) {
  Tensor in(tile, 5), out(tile);
  expect_found(
      {emulator::async_copy, launch_failure, "does not lie in the shared memory of the block"},
      [&] {
        return launch({3, 1, sizeof(Tiles)}, load_with_a_slip, in.begin(), out.begin(),
                      beyond_shared, nullptr);
      });
}

TEST(EmulatorCopies, BulkStoresThatGoWrong) {
  Tensor out(tile), back(tile);
  const auto found = [&](const char* kind, const char* says, StoreSlip slip) {
    SCOPED_TRACE(slip);
    expect_found({kind, launch_failure, says}, [&] {
      return launch({3, tile, sizeof(Tiles)}, store_with_a_slip, out.begin(), back.begin(), slip);
    });
  };
  found(emulator::missing_proxy_fence,
        "would not see what was written to byte 2048 of the shared memory", no_proxy_fence);
  found(emulator::missing_proxy_fence,
        "fence_proxy_async() must stand between the stores and the barrier", fence_by_nobody_since);
  found(emulator::async_copy, "was never waited for", no_commit);
  found(emulator::async_copy, "was never waited for", no_store_wait);
  found(emulator::async_copy, "must be a multiple of 16 bytes", odd_store);
}

TEST(EmulatorCopies, BulkStoresWhoseSourceOrResultIsTouchedTooEarly) {
  Tensor out(tile), back(tile);
  expect_wrong_numbers([&] {
    std::fill(out.begin(), out.begin() + tile, 0.0f);
    EXPECT_EQ(launch({1, tile, sizeof(Tiles)}, store_with_a_slip, out.begin(), back.begin(),
                     overwritten_too_early),
              0);
    return std::count(out.begin(), out.begin() + tile, 1.0f) != tile;
  });
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < 4 * planted_seeds; ++seed) {
    emulator::Session session({.schedule_seed = seed});
    std::fill(out.begin(), out.begin() + tile, 0.0f);
    EXPECT_EQ(launch({1, tile, sizeof(Tiles)}, store_with_a_slip, out.begin(), back.begin(),
                     read_wait_and_read_back),
              0);
    wrong += std::count(back.begin(), back.begin() + tile, 1.0f) != tile;
    EXPECT_EQ(std::count(out.begin(), out.begin() + tile, 1.0f), tile);
  }
  EXPECT_GT(wrong, 0);
}

}  // namespace
