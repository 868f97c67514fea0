// Clusters: right kernels run right under every schedule, and every misuse of their barrier and of
// shared memory of peers is reported.
#include <algorithm>
#include <numeric>
#include <vector>

#include "cuda/device/cluster.cuh"
#include "tests/cuda/emulator_support.hpp"
#include "tests/cuda/kernels_of_clusters.cuh"

namespace {

using namespace abn::device;
using namespace abn::tests;
namespace emulator = abn::emulator;

LaunchConfig clusters_of(unsigned size, unsigned clusters, unsigned threads,
                         std::size_t shared_bytes) {
  return {.grid = clusters * size, .block = threads, .shared_bytes = shared_bytes, .cluster = size};
}

// ---- right

TEST(EmulatorClusters, ValuesGoRoundTheCluster) {
  for (const unsigned size : {1u, 2u, 3u, 8u, 16u})
    under_every_schedule([&](std::uint64_t) {
      const unsigned threads = 48, clusters = 5, n = size * clusters * threads;
      std::vector<int> in(n), out(n, -1);
      std::iota(in.begin(), in.end(), 7);
      ASSERT_EQ(launch(clusters_of(size, clusters, threads, sizeof(Row)), pass_on, in.data(),
                       out.data(), 3),
                0);
      for (unsigned i = 0; i < n; ++i) {
        const unsigned block = i / threads, from = block / size * size + (block % size + 3) % size;
        ASSERT_EQ(out[i], in[from * threads + i % threads]);
      }
    });
}

TEST(EmulatorClusters, PartialsPushedToAllPeersGiveEveryBlockTheSameBits) {
  std::vector<float> x(6 * 4 * 100);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 89) * 0.37f;
  std::vector<float> first;
  under_every_schedule([&](std::uint64_t) {
    std::vector<float> out(24, -1.0f);
    ASSERT_EQ(
        launch(clusters_of(4, 6, 100, sizeof(Pushed)), sum_over_cluster, x.data(), out.data()), 0);
    for (unsigned b = 0; b < 24; ++b) ASSERT_EQ(out[b], out[b / 4 * 4]);
    if (first.empty()) first = out;
    ASSERT_EQ(out, first);
  });
  for (unsigned c = 0; c < 6; ++c)
    EXPECT_NEAR(first[c * 4], std::accumulate(&x[c * 400], &x[c * 400] + 400, 0.0), 0.01);
}

TEST(EmulatorClusters, ArrivalAndWaitMayStandApart) {
  under_every_schedule([&](std::uint64_t) {
    std::vector<unsigned> out(6 * 70);
    ASSERT_EQ(launch(clusters_of(3, 2, 70, sizeof(Row)), split_barrier, out.data(), 4), 0);
    ASSERT_TRUE(std::all_of(out.begin(), out.end(), [](unsigned wrong) { return wrong == 0; }));
  });
}

TEST(EmulatorClusters, RanksFollowTheShape) {
  under_every_schedule([&](std::uint64_t) {
    std::vector<Place> out(4 * 6 * 2);
    ASSERT_EQ(
        launch(
            LaunchConfig{
                .grid = dim3(4, 6, 2), .block = 32, .shared_bytes = 4, .cluster = dim3(2, 3, 2)},
            where_in_cluster, out.data()),
        0);
    for (unsigned z = 0; z < 2; ++z)
      for (unsigned y = 0; y < 6; ++y)
        for (unsigned x = 0; x < 4; ++x) {
          const Place& place = out[x + 4 * (y + 6 * z)];
          ASSERT_EQ(place.blocks, 12u);
          ASSERT_EQ(place.rank, x % 2 + 2 * (y % 3 + 3 * (z % 2)));
          ASSERT_EQ(place.owner, (place.rank + 1) % 12);
        }
  });
}

TEST(EmulatorClusters, ACooperativeLaunchOfClustersHasBothBarriers) {
  under_every_schedule([&](std::uint64_t) {
    int sums[20] = {}, out[20] = {};
    ASSERT_EQ(launch_cooperative(clusters_of(4, 5, 33, sizeof(Row)), cluster_then_grid, sums, out),
              0);
    for (int b = 0; b < 20; ++b) ASSERT_EQ(out[b], 33 * 190);
  });
}

TEST(EmulatorClusters, AllBlocksOfAClusterAreThereAtOnceWhateverTheSettings) {
  emulator::Session session({.schedule_seed = 5, .resident_blocks = 1});
  int in[160], out[160];
  std::iota(in, in + 160, 0);
  EXPECT_EQ(launch(clusters_of(16, 1, 10, sizeof(Row)), pass_on, in, out, 1), 0);
  EXPECT_EQ(out[0], 10);
  EXPECT_TRUE(session.take_report().findings.empty());
}

// ---- how many there are at once

TEST(EmulatorClusters, TheModelOfTheGpuAgreesWithWhatIsKnownOfIt) {
  const std::size_t whole = 200 * 1024, half = 100 * 1024;
  const auto active = [](unsigned size, std::size_t shared) {
    int clusters = -1;
    EXPECT_EQ(max_active_clusters(clusters_of(size, 1, 512, shared), pass_on, clusters), 0);
    return clusters;
  };
  EXPECT_EQ(active(1, whole), 132);
  EXPECT_EQ(active(8, whole), 15);  // 120 of 132 multiprocessors
  EXPECT_EQ(active(16, whole), 7);
  EXPECT_EQ(active(2, half), 132);
  int blocks = -1;
  EXPECT_EQ(max_resident_blocks(clusters_of(1, 1, 512, half), pass_on, blocks), 0);
  EXPECT_EQ(blocks, 264);
  EXPECT_EQ(max_resident_blocks(clusters_of(8, 1, 512, whole), pass_on, blocks), 0);
  EXPECT_EQ(blocks, 120);
  EXPECT_NE(max_resident_blocks(clusters_of(1, 1, 512, 228 * 1024), pass_on, blocks), 0);
  EXPECT_EQ(blocks, 0);
  EXPECT_NE(max_active_clusters(clusters_of(17, 1, 512, half), pass_on, blocks), 0);

  emulator::Session session;
  EXPECT_EQ(launch_cooperative(clusters_of(8, 15, 32, whole), wait_for_grid), 0);
  EXPECT_EQ(launch_cooperative(clusters_of(8, 16, 32, whole), wait_for_grid), too_many_blocks);
}

// ---- planted

TEST(EmulatorClusters, LaunchesThatAGpuRefuses) {
  const auto refused = [](int code, const char* says) {
    return Misuse{emulator::launch_configuration, code, says};
  };
  expect_found(refused(invalid_cluster_size, "a cluster of 17 x 1 x 1 blocks"),
               [] { return launch(clusters_of(17, 1, 32, 0), wait_for_grid); });
  expect_found(refused(invalid_cluster_size, "a cluster of 0 x 1 x 1 blocks"), [] {
    return launch(LaunchConfig{.grid = 4, .block = 32, .cluster = dim3(0, 1, 1)}, wait_for_grid);
  });
  expect_found(refused(invalid_configuration, "is no multiple of the cluster 4 x 1 x 1"), [] {
    return launch(LaunchConfig{.grid = 6, .block = 32, .cluster = 4}, wait_for_grid);
  });
}

TEST(EmulatorClusters, APeerThatIsReadWithoutABarrierHasOldValues) {
  std::vector<int> in(40 * 32, 1), out(in.size());
  expect_wrong_numbers([&] {
    std::fill(out.begin(), out.end(), 0);
    EXPECT_EQ(launch(clusters_of(2, 20, 32, sizeof(Row)), pass_on_without_a_barrier, in.data(),
                     out.data()),
              0);
    return out != in;
  });
}

TEST(EmulatorClusters, PeerThatLeft) {
  const auto left = [](const char* says) {
    return Misuse{emulator::cluster_peer_left, launch_failure, says};
  };
  unsigned gone;
  int out;
  expect_found(
      left("the block of rank 0 has returned, and its shared memory is asked for at "
           "cuda/kernels_of_clusters.cuh:"),
      [&] { return gone = 0, launch(clusters_of(2, 1, 32, sizeof(Row)), maps_late, &gone, &out); });
  expect_found(
      left("shared memory of the block of rank 0 was written at byte 12 after it had returned"),
      [&] { return gone = 0, launch(clusters_of(2, 1, 32, sizeof(Row)), writes_late, &gone); });
}

TEST(EmulatorClusters, APeerThatLeftLeavesNaNBehind) {
  unsigned gone;
  int out;
  expect_wrong_numbers([&] {
    gone = 0, out = 0;
    EXPECT_EQ(launch(clusters_of(2, 1, 32, sizeof(Row)), reads_late, &gone, &out), 0);
    return out != 5;
  });
}

TEST(EmulatorClusters, AddressesAndRanksThatTheClusterLacks) {
  const auto peer = [](const char* says) {
    return Misuse{emulator::cluster_peer, launch_failure, says};
  };
  int out;
  expect_found(peer("rank 2 at cuda/kernels_of_clusters.cuh:"), [&] {
    return launch(clusters_of(2, 3, 32, sizeof(Row)), maps_a_rank_too_many, &out);
  });
  expect_found(peer("an address that is not in the shared memory"), [&] {
    return launch(clusters_of(2, 3, 32, sizeof(Row)), maps_global_memory, &out);
  });
  expect_found(peer("an address that is not in the shared memory"), [&] {
    return launch(clusters_of(2, 3, 32, sizeof(Row)), maps_what_is_mapped, &out);
  });
}

TEST(EmulatorClusters, BarriersThatNotAllThreadsReach) {
  const auto divergence = [](const char* says) {
    return Misuse{emulator::barrier_divergence, launch_failure, says};
  };
  expect_found(divergence("the cluster's barrier is reached by 64 of the cluster's 128 threads; "
                          "the block of rank 1: threads 0-63 returned"),
               [] { return launch(clusters_of(2, 3, 64, 0), one_block_skips_the_cluster); });
  expect_found(divergence("threads 63 returned"),
               [] { return launch(clusters_of(2, 3, 64, 0), one_thread_skips_the_cluster); });
  expect_found(divergence("threads 0-31 wait in __syncthreads"),
               [] { return launch(clusters_of(2, 3, 64, 0), cluster_against_block); });
  expect_found(divergence("arrives at the cluster's barrier a second time"),
               [] { return launch(clusters_of(2, 3, 64, 0), arrives_twice); });
  expect_found(divergence("waits at the cluster's barrier without having arrived"),
               [] { return launch(clusters_of(2, 3, 64, 0), waits_without_arrival); });
}

}  // namespace
