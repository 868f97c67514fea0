// The runner: divergence, barriers, shuffles, atomics, clusters, cooperative launches, copies that
// land late, and what it finds.
#include <gtest/gtest.h>

#include "tests/ptx/support.hpp"

namespace {

using namespace abn::ptx;
using namespace abn::ptx::test;

/// Registers, the thread's number in %r1, and in %d1 the address of its word of `out`.
const std::string head =
    ".reg .pred %p<8>;\n.reg .b32 %r<32>;\n.reg .b64 %d<32>;\n.reg .f32 %f<8>;\n"
    "ld.param.u64 %d0, [out];\nmov.u32 %r1, %tid.x;\nmul.wide.u32 %d2, %r1, 4;\n"
    "add.s64 %d1, %d0, %d2;\n";
const std::string out_parameter = ".param .u64 out";

std::vector<std::uint32_t> words_after(const std::string& body, const How& how = {},
                                       std::size_t words = 32, std::string before = "") {
  std::vector<Buffer> buffers{{"out", std::vector<std::uint32_t>(words), true, true}};
  const Outcome outcome = run(text_of(out_parameter, head + body, before), buffers, how);
  EXPECT_EQ(finding_of(outcome), "");
  return buffers[0].words;
}

std::string finding(const std::string& body, const How& how = {}, std::string before = "",
                    std::size_t words = 32) {
  std::vector<Buffer> buffers{{"out", std::vector<std::uint32_t>(words), true, true}};
  return finding_of(run(text_of(out_parameter, head + body, before), buffers, how));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

// 32 banks of 4 bytes: lanes that want different words of one bank in one turn take more turns.
TEST(PtxMachine, ReplaysAreCountedByTheBanks) {
  const auto replays = [](const std::string& access, unsigned lane_bytes, bool sanitize = true) {
    How how;
    how.sanitize = sanitize;
    std::vector<Buffer> buffers{{"out", std::vector<std::uint32_t>(32), true, true}};
    const Outcome outcome =
        run(text_of(out_parameter,
                    head + "mov.u32 %r2, table;\nmul.lo.u32 %r3, %r1, " +
                        std::to_string(lane_bytes) + ";\nadd.u32 %r4, %r2, %r3;\n" + access,
                    ".shared .align 16 .b8 table[8192];"),
            buffers, how);
    EXPECT_EQ(finding_of(outcome), "");
    return outcome.replays;
  };
  const std::string word = "st.shared.u32 [%r4], %r1;";
  EXPECT_EQ(replays(word, 4), 0U);
  EXPECT_EQ(replays(word, 8), 1U);
  EXPECT_EQ(replays(word, 12), 0U) << "3 and 32 have no divisor in common";
  EXPECT_EQ(replays(word, 128), 31U) << "all in one bank";
  EXPECT_EQ(replays(word, 128, false), 0U) << "nobody counts";
  EXPECT_EQ(replays("st.shared.u64 [%r4], %d0;", 8), 0U);
  EXPECT_EQ(replays("st.shared.u64 [%r4], %d0;", 16), 2U) << "one for each half of the warp";
  EXPECT_EQ(replays("st.shared.v4.u32 [%r4], {%r1, %r1, %r1, %r1};", 16), 0U);
  EXPECT_EQ(replays("st.shared.v4.u32 [%r4], {%r1, %r1, %r1, %r1};", 32), 4U)
      << "one for each quarter of the warp";
  EXPECT_EQ(replays("mov.u32 %r5, 0;\nst.shared.u32 [table], %r5;\nbar.warp.sync "
                    "-1;\nld.shared.u32 %r6, [table];",
                    4),
            0U)
      << "one word for all lanes";
}

TEST(PtxMachine, LanesPartAndMeetAgain) {
  // Each lane adds its number as often as its number says; then all count who is there.
  const auto words = words_after(
      "mov.u32 %r2, 0;\nmov.u32 %r3, 0;\nLOOP:\nsetp.ge.u32 %p1, %r3, %r1;\n@%p1 bra END;\n"
      "add.u32 %r2, %r2, %r1;\nadd.u32 %r3, %r3, 1;\nbra LOOP;\nEND:\n"
      "activemask.b32 %r4;\npopc.b32 %r5, %r4;\nshl.b32 %r5, %r5, 16;\nadd.u32 %r2, %r2, %r5;\n"
      "st.global.u32 [%d1], %r2;");
  for (unsigned i = 0; i < 32; ++i) EXPECT_EQ(words[i], i * i + (32U << 16)) << i;
}

TEST(PtxMachine, BarriersHoldTheBlockTogether) {
  How how;
  how.block = {96, 1, 1};
  for (how.seed = 0; how.seed < 6; ++how.seed) {
    const auto words = words_after(
        "mov.u32 %r2, table;\nshl.b32 %r3, %r1, 2;\nadd.u32 %r4, %r2, %r3;\n"
        "st.shared.u32 [%r4], %r1;\nbar.sync 0;\nmov.u32 %r5, 95;\nsub.u32 %r5, %r5, %r1;\n"
        "shl.b32 %r5, %r5, 2;\nadd.u32 %r5, %r2, %r5;\nld.shared.u32 %r6, [%r5];\n"
        "st.global.u32 [%d1], %r6;",
        how, 96, ".shared .align 4 .b8 table[384];");
    for (unsigned i = 0; i < 96; ++i) ASSERT_EQ(words[i], 95 - i) << i;
  }
}

TEST(PtxMachine, ShufflesWaitForTheLanesOfTheirMask) {
  // The upper half takes a longer way to the same shuffle.
  const auto words = words_after(
      "mov.u32 %r2, %r1;\nsetp.lt.u32 %p1, %r1, 16;\n@%p1 bra MEET;\nadd.u32 %r2, %r2, 100;\n"
      "MEET:\nshfl.sync.bfly.b32 %r3|%p2, %r2, 16, 31, -1;\nst.global.u32 [%d1], %r3;");
  for (unsigned i = 0; i < 32; ++i) EXPECT_EQ(words[i], i < 16 ? i + 16 + 100 : i - 16) << i;
}

TEST(PtxMachine, AtomicsOfManyBlocksAddUp) {
  How how;
  how.grid = {50, 1, 1}, how.block = {64, 1, 1};
  for (how.seed = 0; how.seed < 4; ++how.seed) {
    const auto words = words_after(
        "atom.global.add.u32 %r2, [%d0], 1;\nred.global.max.u32 "
        "[%d0+4], %r1;",
        how);
    EXPECT_EQ(words[0], 3200U);
    EXPECT_EQ(words[1], 63U);
  }
}

TEST(PtxMachine, ClustersShareTheirSharedMemory) {
  How how;
  how.grid = {4, 1, 1}, how.cluster = {4, 1, 1};
  for (how.seed = 0; how.seed < 4; ++how.seed) {
    const auto words = words_after(
        "mov.u32 %r2, %cluster_ctarank;\nst.shared.u32 [cell], %r2;\n"
        "barrier.cluster.arrive;\nbarrier.cluster.wait;\n"
        "add.u32 %r3, %r2, 1;\nand.b32 %r3, %r3, 3;\nmov.u64 %d3, cell;\ncvta.shared.u64 %d4, "
        "%d3;\nmapa.u64 %d5, %d4, %r3;\nld.u32 %r4, [%d5];\nmul.wide.u32 %d6, %r2, 4;\n"
        "add.s64 %d6, %d0, %d6;\nst.global.u32 [%d6], %r4;\nbarrier.cluster.arrive;\n"
        "barrier.cluster.wait;",
        how, 32, ".shared .align 4 .b8 cell[4];");
    for (unsigned i = 0; i < 4; ++i) ASSERT_EQ(words[i], (i + 1) % 4) << i;
  }
}

TEST(PtxMachine, BlocksOfACooperativeLaunchMeet) {
  How how;
  how.grid = {20, 1, 1}, how.cooperative = true;
  const std::string body =
      "setp.ne.u32 %p1, %r1, 0;\n@%p1 bra END;\natom.global.add.u32 %r2, [%d0], 1;\nPOLL:\n"
      "ld.acquire.gpu.global.u32 %r3, [%d0];\nsetp.lt.u32 %p2, %r3, 20;\n@%p2 bra POLL;\n"
      "red.global.add.u32 [%d0+4], 1;\nEND:\n";
  for (how.seed = 0; how.seed < 4; ++how.seed) EXPECT_EQ(words_after(body, how)[1], 20U);
  // In an ordinary launch the blocks are not all there.
  how.cooperative = false, how.seed = 0;
  EXPECT_TRUE(contains(finding(body, how), "endless loop"));
}

TEST(PtxMachine, CopiesLandWhenTheyAreWaitedFor) {
  const std::string begin =
      "st.global.u32 [%d1], 77;\nmov.u32 %r2, cells;\nshl.b32 %r3, %r1, 2;\n"
      "add.u32 %r2, %r2, %r3;\nst.shared.u32 [%r2], 5;\n"
      "cp.async.ca.shared.global [%r2], [%d1], 4;\ncp.async.commit_group;\n";
  const std::string end = "ld.shared.u32 %r4, [%r2];\nst.global.u32 [%d1], %r4;\n";
  const std::string cells = ".shared .align 16 .b8 cells[128];";
  EXPECT_EQ(words_after(begin + "cp.async.wait_group 0;\n" + end, {}, 32, cells)[3], 77U);
  // A count that is off by one waits for nothing.
  EXPECT_EQ(words_after(begin + "cp.async.wait_group 1;\n" + end + "cp.async.wait_all;", {}, 32,
                        cells)[3],
            5U);
  EXPECT_TRUE(contains(finding(begin + end, {}, cells), "asynchronous copy"));
}

TEST(PtxMachine, MbarriersCountArrivalsAndBytes) {
  const std::string before = ".shared .align 8 .b8 gate[8];\n.shared .align 16 .b8 data[128];";
  const auto body = [](const std::string& parity, const std::string& bytes) {
    return "st.global.u32 [%d1], %r1;\nbar.sync 0;\nmov.u32 %r2, gate;\nmov.u32 %r3, data;\n"
           "setp.ne.u32 %p1, %r1, 0;\n@%p1 bra WAIT;\nmbarrier.init.shared::cta.b64 [%r2], 1;\n"
           "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], " +
           bytes +
           ";\n"
           "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%d0], 128, "
           "[%r2];\nWAIT:\nbar.sync 0;\nPOLL:\nmbarrier.try_wait.parity.shared::cta.b64 %p2, "
           "[%r2], " +
           parity +
           ";\n@!%p2 bra POLL;\nshl.b32 %r4, %r1, 2;\nadd.u32 %r4, %r3, %r4;\n"
           "ld.shared.u32 %r5, [%r4];\nadd.u32 %r5, %r5, 1;\nst.global.u32 [%d1], %r5;";
  };
  const auto words = words_after(body("0", "128"), {}, 32, before);
  for (unsigned i = 0; i < 32; ++i) EXPECT_EQ(words[i], i + 1);
  // The wrong parity does not wait.
  EXPECT_TRUE(contains(finding(body("1", "128"), {}, before), "nobody has waited for the bulk"));
  // Too few bytes announced: the phase never ends.
  EXPECT_TRUE(contains(finding(body("0", "144"), {}, before), "endless loop"));
}

struct Planted {
  const char *name, *body, *before, *what;
};
class PtxFindings : public testing::TestWithParam<Planted> {};

TEST_P(PtxFindings, StopTheLaunch) {
  How how;
  how.sanitize = how.watched = true;
  how.block = {64, 1, 1};
  const std::string found = finding(GetParam().body, how, GetParam().before, 64);
  EXPECT_TRUE(contains(found, GetParam().what)) << found;
  EXPECT_TRUE(contains(found, "PTX line ")) << found;
  EXPECT_TRUE(contains(found, "by block (0, 0, 0), thread (")) << found;
}

constexpr const char* cell = ".shared .align 16 .b8 cell[256];";

INSTANTIATE_TEST_SUITE_P(
    All, PtxFindings,
    testing::Values(
        Planted{"store_to_shared",
                "mov.u64 %d3, cell;\ncvta.shared.u64 %d3, %d3;\nst.global.u32 [%d3], %r1;", cell,
                "means global memory, and the address is in shared memory"},
        Planted{"load_of_shared",
                "mov.u64 %d3, cell;\ncvta.shared.u64 %d3, %d3;\nld.global.u32 %r2, [%d3];", cell,
                "wrong memory space"},
        Planted{"beyond_a_buffer", "ld.global.u32 %r2, [%d1+4];", "", "which is in no buffer"},
        Planted{"beyond_shared", "st.shared.u32 [cell+256], %r1;", cell, "out of bounds"},
        Planted{"misaligned", "ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%d0+4];", "",
                "misaligned access"},
        Planted{"unwritten_shared", "ld.shared.u32 %r2, [cell];", cell,
                "of shared memory that nobody wrote"},
        Planted{"unwritten_shared_atomic", "red.shared.add.u32 [cell], %r1;", cell,
                "an atomic of 4 bytes at 0x400 of shared memory that nobody wrote"},
        Planted{"non_coherent", "st.global.u32 [%d1], %r1;\nld.global.nc.u32 %r2, [%d1];", "",
                "by ld.global.nc, which the same launch has written"},
        Planted{"missing_barrier",
                "mov.u32 %r2, cell;\nshl.b32 %r3, %r1, 2;\nadd.u32 %r4, %r2, %r3;\n"
                "st.shared.u32 [%r4], %r1;\nxor.b32 %r5, %r3, 252;\nadd.u32 %r5, %r2, %r5;\n"
                "ld.shared.u32 %r6, [%r5];",
                cell, "nothing orders the two"},
        Planted{"missing_barrier_behind_loads",
                "mov.u32 %r2, cell;\nshl.b32 %r3, %r1, 2;\nadd.u32 %r4, %r2, %r3;\n"
                "st.shared.u32 [%r4], %r1;\nbar.sync 0;\nxor.b32 %r5, %r3, 252;\n"
                "add.u32 %r5, %r2, %r5;\nld.shared.u32 %r6, [%r5];\nst.shared.u32 [%r4], %r6;",
                cell, "nothing orders the two"},
        Planted{"skipped_barrier", "setp.gt.u32 %p1, %r1, 40;\n@%p1 bra END;\nbar.sync 0;\nEND:",
                "", "barrier divergence"},
        Planted{"two_barriers",
                "setp.gt.u32 %p1, %r1, 31;\n@%p1 bra B;\nbar.sync 0;\nbra END;\nB:\nbar.sync "
                "0;\nEND:",
                "", "wait at the barrier of PTX line"},
        Planted{"shuffle_mask", "shfl.sync.idx.b32 %r2, %r1, 0, 31, 1;", "",
                "is not in the member mask"},
        Planted{"shuffle_alone",
                "and.b32 %r3, %r1, 31;\nsetp.gt.u32 %p1, %r3, 7;\n@%p1 bra END;\n"
                "shfl.sync.idx.b32 %r2, %r1, 9, 31, 255;\nEND:",
                "", "which takes no part"},
        Planted{"no_mbarrier", "mbarrier.arrive.shared::cta.b64 _, [cell];", cell,
                "never initialised"},
        Planted{"cluster_rank",
                "mov.u64 %d3, cell;\ncvta.shared.u64 %d3, %d3;\n"
                "mapa.u64 %d4, %d3, 5;",
                cell, "mapa asks for block 5 of a cluster of 1"},
        Planted{"cluster_wait", "barrier.cluster.wait;", "", "has not arrived at it"},
        Planted{"trap", "trap;", "", "the kernel gives up"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(PtxMachine, LaunchesThatAGpuRefuses) {
  const auto refused = [](const std::string& text, const How& how) {
    std::vector<Buffer> none;
    return finding_of(run(text, none, how));
  };
  How how;
  how.block = {256, 1, 1};
  const std::string bounded =
      ".version 9.0\n.target sm_90\n.address_size 64\n.entry k()\n.maxntid 128\n{\nret;\n}\n";
  EXPECT_TRUE(contains(refused(bounded, how), "__launch_bounds__"));
  how.block = {128, 1, 1};
  EXPECT_EQ(refused(bounded, how), "");
  const std::string large = text_of("", "", ".shared .align 4 .b8 much[50000];");
  EXPECT_TRUE(contains(refused(large, how), "50000 bytes of static shared memory"));
  how.dynamic_shared = 240000;
  EXPECT_TRUE(contains(refused(text_of("", ""), how), "an H100 has 232448"));
  how.dynamic_shared = 0, how.block = {1025, 1, 1};
  EXPECT_TRUE(contains(refused(text_of("", ""), how), "a GPU takes 1024"));
  how.block = {32, 1, 1}, how.grid = {3, 1, 1}, how.cluster = {2, 1, 1};
  EXPECT_TRUE(contains(refused(text_of("", ""), how), "do not divide the grid"));
}

TEST(PtxMachine, UnwrittenOutputsAndReadOnlyInputs) {
  How how;
  how.watched = how.sanitize = true;
  std::vector<Buffer> unwritten{{"z", std::vector<std::uint32_t>(32), false, true}};
  EXPECT_TRUE(contains(
      finding_of(run(text_of(out_parameter, head + "ld.global.u32 %r2, [%d1];"), unwritten, how)),
      "of z[0], which nobody wrote"));
  // An atomic adds to what was there, a workspace that nobody cleared, say; an exchange need not.
  const auto atomically = [&](const std::string& instruction) {
    std::vector<Buffer> workspace{{"sums", std::vector<std::uint32_t>(32), false, true}};
    return finding_of(run(text_of(out_parameter, head + instruction), workspace, how));
  };
  for (const char* const adds :
       {"red.global.add.u32 [%d1], %r1;", "atom.global.add.u32 %r2, [%d1], %r1;"})
    EXPECT_TRUE(contains(atomically(adds), "an atomic of 4 bytes")) << adds;
  EXPECT_TRUE(
      contains(atomically("red.global.add.u32 [%d1], %r1;"), "of sums[0], which nobody wrote"));
  EXPECT_EQ(atomically("atom.global.exch.b32 %r2, [%d1], %r1;"), "");
  EXPECT_EQ(atomically("st.global.u32 [%d1], %r1;\nred.global.add.u32 [%d1], %r1;"), "");
  std::vector<Buffer> input{{"x", std::vector<std::uint32_t>(32), true, false}};
  EXPECT_TRUE(contains(
      finding_of(run(text_of(out_parameter, head + "st.global.u32 [%d1], %r1;"), input, how)),
      "write to a read-only buffer"));
}

TEST(PtxMachine, LanesOfOneStoreMayAgree) {
  How how;
  how.sanitize = true;
  // Of equal values it does not matter whose is kept; of others it does, and between warps as well.
  const std::string cell_of_warp =
      "mov.u32 %r2, cell;\nshr.u32 %r3, %r1, 5;\nshl.b32 %r4, %r3, 2;\nadd.u32 %r2, %r2, %r4;\n";
  const std::string before = ".shared .align 16 .b8 cell[256];";
  how.block = {64, 1, 1};
  EXPECT_EQ(finding(cell_of_warp + "st.shared.u32 [%r2], %r3;", how, before, 64), "");
  how.block = {32, 1, 1};
  EXPECT_EQ(finding(cell_of_warp + "st.shared.v2.u32 [cell+64], {%r3, %r3};", how, before), "");
  EXPECT_TRUE(
      contains(finding(cell_of_warp + "st.shared.v2.u32 [cell+64], {%r3, %r1};", how, before),
               "nothing orders the two"));
  how.block = {64, 1, 1};
  EXPECT_TRUE(contains(finding(cell_of_warp + "st.shared.u32 [%r2], %r1;", how, before, 64),
                       "nothing orders the two"));
  EXPECT_TRUE(contains(finding(cell_of_warp + "st.shared.u32 [cell], %r4;", how, before, 64),
                       "nothing orders the two"));
}

TEST(PtxMachine, SourceLinesAreNamed) {
  EXPECT_TRUE(
      contains(finding(".loc 1 42 7\nld.global.u32 %r2, [%d1+4096];", {}, ".file 1 \"norm.cu\""),
               "norm.cu:42"));
}

}  // namespace
