// Races in global memory: between blocks, where nothing was released or nobody acquired, and
// within a block. Each is found on every schedule; what is ordered is no finding on any.
#include <gtest/gtest.h>

#include "tests/ptx/support.hpp"

namespace {

using namespace abn::ptx;
using namespace abn::ptx::test;

// %d1 is the address of data, %d2 that of a counter; %r1 the thread, %r2 the block.
const std::string head =
    ".reg .b32 %r<9>;\n.reg .b64 %d<5>;\n.reg .pred %p<4>;\n"
    "ld.param.u64 %d1, [data];\nld.param.u64 %d2, [counter];\n"
    "mov.u32 %r1, %tid.x;\nmov.u32 %r2, %ctaid.x;\n"
    "mul.wide.u32 %d3, %r1, 4;\nadd.u64 %d3, %d1, %d3;\n";
const std::string mine = "st.global.u32 [%d3], %r1;\n";  // data[thread]

/// "data race: a store to|" and so on: the beginning of each finding of some schedules, once.
std::string found_in(const std::string& body, const How& shape) {
  std::set<std::string> all;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    How how = shape;
    how.watched = how.sanitize = true, how.seed = seed;
    std::vector<Buffer> buffers{{"data", std::vector<std::uint32_t>(64)},
                                {"counter", std::vector<std::uint32_t>(4)}};
    const std::string found = finding_of(run(text_of(".param .u64 data, .param .u64 counter",
                                                     head + body, ".shared .align 4 .b32 is_last;"),
                                             buffers, how));
    if (!found.empty()) all.insert(found.substr(0, found.find(" data[")));
  }
  std::string text;
  for (const std::string& one : all) text += one + "|";
  return text;
}

How blocks(std::uint32_t count, std::uint32_t threads) {
  How how;
  how.grid = {count, 1, 1}, how.block = {threads, 1, 1};
  return how;
}

constexpr const char *stored = "data race: a store to|", *loaded = "data race: a load of|";

TEST(PtxGlobalRaces, BlocksThatWriteOnePlace) {
  EXPECT_EQ(found_in(mine, blocks(2, 32)), stored);
  EXPECT_EQ(found_in(mine, blocks(1, 32)), "");
  // Two bytes each: neighbours are no race.
  const std::string halves =
      "mul.wide.u32 %d3, %r2, 2;\nadd.u64 %d3, %d1, %d3;\nst.global.u16 [%d3], %r2;\n";
  EXPECT_EQ(found_in(halves, blocks(4, 1)), "");
  EXPECT_EQ(found_in("st.global.u16 [%d1], %r2;\n", blocks(2, 1)), stored);
  // Of a place that is read only, and of accesses that are meant to meet.
  EXPECT_EQ(found_in("ld.global.u32 %r3, [%d3];\n", blocks(3, 32)), "");
  EXPECT_EQ(found_in("st.volatile.global.u32 [%d3], %r1;\n", blocks(2, 32)), "");
  EXPECT_EQ(found_in("red.global.add.u32 [%d1], 1;\n", blocks(2, 32)), "");
}

// One block writes what another has read: nobody knows which it was.
TEST(PtxGlobalRaces, AStoreAfterALoadOfAnotherBlock) {
  EXPECT_EQ(found_in("setp.eq.u32 %p1, %r2, 0;\n@%p1 ld.global.u32 %r3, [%d3];\n"
                     "@!%p1 st.global.u32 [%d3], %r1;\n",
                     blocks(2, 1)),
            std::string(loaded) + stored);
}

/// The last block to count itself adds what all have stored, as reductions in two stages do.
std::string last_block(const std::string& before_counting, const std::string& count,
                       const std::string& behind) {
  return "setp.eq.u32 %p1, %r1, 0;\nmul.wide.u32 %d3, %r2, 4;\nadd.u64 %d3, %d1, %d3;\n"
         "@%p1 st.global.u32 [%d3], %r2;\n" +
         before_counting + "bar.sync 0;\nmov.u32 %r4, 0;\n@%p1 " + count +
         " %r4, [%d2], 1;\n@%p1 st.shared.u32 [is_last], %r4;\nbar.sync 0;\n" + behind +
         "ld.shared.u32 %r4, [is_last];\nsetp.eq.u32 %p2, %r4, 3;\n"
         "@%p2 ld.global.u32 %r5, [%d1+4];\n";
}

TEST(PtxGlobalRaces, TheLastBlockNeedsTheFencesOfBothSides) {
  const auto found = [](const std::string& fence, const std::string& count,
                        const std::string& behind) {
    return found_in(last_block(fence, count, behind), blocks(4, 64));
  };
  const std::string relaxed = "atom.global.add.u32", fence = "membar.gl;\n";
  EXPECT_EQ(found(fence, relaxed, fence), "");
  EXPECT_EQ(found("fence.acq_rel.gpu;\n", relaxed, "fence.acq_rel.gpu;\n"), "");
  EXPECT_EQ(found("", "atom.acq_rel.gpu.global.add.u32", ""), "");
  EXPECT_EQ(found(fence, "atom.acquire.gpu.global.add.u32", ""), "");
  EXPECT_EQ(found("", "atom.release.gpu.global.add.u32", fence), "");
  EXPECT_EQ(found("", relaxed, fence), loaded);
  EXPECT_EQ(found(fence, relaxed, ""), loaded) << "nobody acquires";
  EXPECT_EQ(found("membar.cta;\n", relaxed, fence), loaded) << "the block's own fence";
  EXPECT_EQ(found("", "atom.acq_rel.cta.global.add.u32", ""), loaded) << "of the block";
}

TEST(PtxGlobalRaces, ThreadsOfABlockMeetAtItsBarrier) {
  const std::string first = "setp.lt.u32 %p1, %r1, 32;\n@%p1 st.global.u32 [%d1], %r1;\n";
  const std::string second = "setp.eq.u32 %p1, %r1, 32;\n@%p1 st.global.u32 [%d1], %r1;\n";
  const std::string one = "setp.eq.u32 %p1, %r1, 0;\n@%p1 st.global.u32 [%d1], %r1;\n";
  EXPECT_EQ(found_in(one + second, blocks(1, 64)), stored);
  EXPECT_EQ(found_in(one + "bar.sync 0;\n" + second, blocks(1, 64)), "");
  EXPECT_EQ(found_in(first, blocks(1, 64)), stored) << "one of 32 values";
  EXPECT_EQ(found_in(one + "st.global.u32 [%d1], 7;\n", blocks(1, 32)), "") << "a warp is in order";
}

// Lanes of a warp that part are in no order.
TEST(PtxGlobalRaces, LanesThatDoNotTakePartInTheSecondAccess) {
  const std::string even = "and.b32 %r3, %r1, 1;\nsetp.eq.u32 %p1, %r3, 0;\n";
  EXPECT_EQ(found_in(even + "@%p1 st.global.u32 [%d1], 7;\n@!%p1 st.global.u32 [%d1], 7;\n",
                     blocks(1, 32)),
            stored);
  EXPECT_EQ(found_in(even + "@%p1 ld.global.u32 %r4, [%d1];\n@!%p1 st.global.u32 [%d1], 7;\n",
                     blocks(1, 32)),
            stored);
  EXPECT_EQ(found_in(even + "@%p1 ld.global.u32 %r4, [%d1];\nbar.warp.sync -1;\n"
                            "@!%p1 st.global.u32 [%d1], 7;\n",
                     blocks(1, 32)),
            "");
}

// Whose value is used is not known; Triton's warps load a scalar that the first one replaces.
TEST(PtxGlobalRaces, ALoadOfAScalarThatTheBlockReplacesIsNone) {
  EXPECT_EQ(found_in("ld.global.u32 %r3, [%d1];\nsetp.eq.u32 %p1, %r1, 0;\n"
                     "@%p1 st.global.u32 [%d1], %r3;\n",
                     blocks(1, 96)),
            "");
  // A load that the storing thread has not made, too, is another matter.
  EXPECT_NE(found_in("setp.eq.u32 %p1, %r1, 0;\n@!%p1 ld.global.u32 %r3, [%d1];\n"
                     "@%p1 st.global.u32 [%d1], %r1;\n",
                     blocks(1, 96)),
            "");
}

TEST(PtxGlobalRaces, TheClustersBarrierOrdersItsBlocks) {
  const std::string meet = "barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n";
  const std::string each = "setp.eq.u32 %p1, %r2, 0;\n@%p1 st.global.u32 [%d3], %r1;\n";
  const std::string other = "@!%p1 ld.global.u32 %r4, [%d3];\n";
  How how = blocks(2, 32);
  how.cluster = {2, 1, 1};
  EXPECT_EQ(found_in(each + meet + other, how), "");
  EXPECT_EQ(found_in(each + other, how), loaded);
}

}  // namespace
