// What asynchronous copies move is counted where they are started: elements as loads of their
// lanes, bulk copies as one request each. And at the barrier of a cluster the lanes of a warp are
// together, as at any barrier.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/cuda/planted_scene.hpp"

namespace abn::tests {
namespace {

using emulator::Traffic;

// of the right kernels in planted_kernels/async_copies.cpp
constexpr std::uint64_t seeds = 20, blocks = 3, tiles = 5;

// What the right kernel of that name moves between its threads and `in` and `out`; the same on
// every seed.
void expect_traffic(const char* kernel, const Traffic& in, const Traffic& out) {
  const auto one =
      std::find_if(planted(Compiler::gnu).begin(), planted(Compiler::gnu).end(),
                   [kernel](const Planted& each) { return std::strcmp(each.name, kernel) == 0; });
  ASSERT_NE(one, planted(Compiler::gnu).end()) << kernel;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(std::string(kernel) + ", seed " + std::to_string(seed));
    EmulatedScene scene({.schedule_seed = seed, .sanitize = true});
    one->run(scene);
    const emulator::Report report = scene.session().take_report();
    ASSERT_EQ(report.traffic.size(), 1u);
    for (const Traffic* expected : {&in, &out}) {
      const std::vector<Traffic>& all = report.traffic[0].buffers;
      const auto got = std::find_if(all.begin(), all.end(), [expected](const Traffic& each) {
        return each.buffer == expected->buffer;
      });
      ASSERT_NE(got, all.end());
      EXPECT_EQ(got->bytes_loaded, expected->bytes_loaded);
      EXPECT_EQ(got->load_requests, expected->load_requests);
      EXPECT_EQ(got->load_sectors, expected->load_sectors);
      EXPECT_EQ(got->bytes_stored, expected->bytes_stored);
      EXPECT_EQ(got->store_requests, expected->store_requests);
      EXPECT_EQ(got->store_sectors, expected->store_sectors);
    }
    if (testing::Test::HasFailure()) return;
  }
}

// Two warps, 16 bytes a lane: a request of a warp is 512 bytes or 16 sectors. What is stored goes 4
// bytes a lane, four requests that touch the same sectors.
TEST(SanitizerCopies, ElementsAreLoadsOfTheirLanes) {
  constexpr std::uint64_t requests = blocks * tiles * 2, bytes = requests * 512;
  Traffic in, out;
  in.buffer = "in", in.bytes_loaded = bytes, in.load_requests = requests,
  in.load_sectors = bytes / 32;
  out.buffer = "out", out.bytes_stored = bytes, out.store_requests = 4 * requests,
  out.store_sectors = 4 * bytes / 32;
  expect_traffic("elements in stages", in, out);
}

TEST(SanitizerCopies, BulkCopiesAreOneRequestEach) {
  constexpr std::uint64_t requests = blocks * tiles, bytes = requests * 1024;
  Traffic in, out;
  in.buffer = "in", in.bytes_loaded = bytes, in.load_requests = requests,
  in.load_sectors = bytes / 32;
  out.buffer = "out", out.bytes_stored = bytes, out.store_requests = requests,
  out.store_sectors = bytes / 32;
  expect_traffic("bulk pipeline", in, out);
}

// Half of a warp's lanes at a time, in all sectors of its 128 bytes.
TEST(SanitizerCopies, RequestsBeginAnewAtTheBarrierOfACluster) {
  constexpr std::uint64_t warps = 24, bytes = warps * 128;
  Traffic in, out;
  in.buffer = "in", in.bytes_loaded = bytes, in.load_requests = 2 * warps,
  in.load_sectors = 2 * bytes / 32;
  out.buffer = "out", out.bytes_stored = bytes, out.store_requests = warps,
  out.store_sectors = bytes / 32;
  expect_traffic("cluster: loads in turns", in, out);
}

}  // namespace
}  // namespace abn::tests
