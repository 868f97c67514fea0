// The parts of the sanitiser that a kernel cannot reach one by one: lists of knowledge, cells of
// the shadow memory, numbers of actors.
#include <gtest/gtest.h>

#include "cuda/emulator/clock.hpp"
#include "cuda/emulator/order.hpp"
#include "cuda/emulator/shadow.hpp"

namespace {

using namespace abn::emulator;

constexpr unsigned block_size = 4;
std::uint64_t thread(std::uint32_t actor, unsigned rank) {
  return thread_of(make_epoch(actor, rank, 0));
}

TEST(SanitizerClocks, EpochsHoldTheirParts) {
  for (const std::uint32_t actor : {1u, 77u, last_actor})
    for (const unsigned rank : {0u, 31u, 1023u})
      for (const std::uint32_t time : {0u, 5u, last_time}) {
        const Epoch epoch = make_epoch(actor, rank, time);
        EXPECT_EQ(actor_of(epoch), actor);
        EXPECT_EQ(rank_of(epoch), rank);
        EXPECT_EQ(time_of(epoch), time);
      }
}

TEST(SanitizerClocks, KnowledgeReachesToATime) {
  Knowledge known;
  known.actors = {{5, 10}};
  known.threads = {{thread(7, 1), 20}, {thread(7, 3), 4}};
  known.tidy(1, block_size);
  EXPECT_TRUE(known.knows(make_epoch(5, 3, 9)));
  EXPECT_FALSE(known.knows(make_epoch(5, 3, 10)));
  EXPECT_TRUE(known.knows(make_epoch(7, 1, 19)));
  EXPECT_FALSE(known.knows(make_epoch(7, 1, 20)));
  EXPECT_FALSE(known.knows(make_epoch(7, 2, 0)));
  EXPECT_FALSE(known.knows(make_epoch(6, 1, 0)));
}

// Whatever is tidied away must still be known, and nothing else may become known.
TEST(SanitizerClocks, TidyingChangesNothingThatIsKnown) {
  std::uint64_t state = 1;
  const auto draw = [&state](std::uint64_t count) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % count;
  };
  for (int round = 0; round < 500; ++round) {
    Knowledge raw;
    for (std::uint64_t i = draw(6); i-- > 0;)
      raw.actors.push_back(
          {static_cast<std::uint32_t>(2 + draw(4)), static_cast<std::uint32_t>(draw(6))});
    for (std::uint64_t i = draw(20); i-- > 0;)
      raw.threads.push_back(
          {thread(static_cast<std::uint32_t>(2 + draw(4)), static_cast<unsigned>(draw(block_size))),
           static_cast<std::uint32_t>(draw(6))});
    const auto expected = [&raw](std::uint32_t actor, unsigned rank, std::uint32_t time) {
      for (const auto& entry : raw.actors)
        if (entry.actor == actor && time < entry.before) return true;
      for (const auto& entry : raw.threads)
        if (entry.thread == thread(actor, rank) && time < entry.before) return true;
      return false;
    };
    Knowledge tidy = raw;
    tidy.tidy(2, block_size);
    for (std::uint32_t actor = 2; actor < 6; ++actor)
      for (unsigned rank = 0; rank < block_size; ++rank)
        for (std::uint32_t time = 0; time < 7; ++time)
          ASSERT_EQ(tidy.knows(make_epoch(actor, rank, time)), expected(actor, rank, time))
              << "round " << round << ", actor " << actor << ", rank " << rank << ", time " << time;
  }
}

TEST(SanitizerClocks, AllThreadsOfABlockAreTheBlock) {
  Knowledge known;
  for (unsigned rank = 0; rank < block_size; ++rank) known.threads.push_back({thread(9, rank), 5});
  known.tidy(1, block_size);
  EXPECT_TRUE(known.threads.empty());
  ASSERT_EQ(known.actors.size(), 1u);
  EXPECT_EQ(known.actors[0].before, 5u);
  known.tidy(10, block_size);  // of older actors everybody knows everything
  EXPECT_TRUE(known.actors.empty());
}

TEST(SanitizerClocks, JoinsShareWhatTheyCan) {
  const auto small = std::make_shared<const Knowledge>(Knowledge{{{3, 4}}, {}});
  const auto large = std::make_shared<const Knowledge>(Knowledge{{{3, 5}, {4, 1}}, {}});
  EXPECT_EQ(join(nullptr, small, 1, block_size), small);
  EXPECT_EQ(join(small, nullptr, 1, block_size), small);
  EXPECT_EQ(join(small, large, 1, block_size), large);
  EXPECT_EQ(join(large, small, 1, block_size), large);
  const auto other = std::make_shared<const Knowledge>(Knowledge{{{8, 1}}, {}});
  const Known both = join(large, other, 1, block_size);
  EXPECT_TRUE(both->knows(make_epoch(3, 0, 4)) && both->knows(make_epoch(8, 2, 0)));
}

// ---- cells

struct Memory {
  Shadow shadow;
  Region region;
  std::uintptr_t begin = 0x10000 + 36;  // in the middle of a page, and of 16 bytes
  Memory() {
    region.written = false;
    shadow.lay_out(region, begin, 1000);
  }
  Cell& cell(std::uintptr_t offset, int exponent) {
    return *shadow.cells(region, begin + offset, exponent).first;
  }
};

TEST(SanitizerShadow, PagesBecomeFinerAndKeepWhatTheyKnow) {
  Memory memory;
  Cell& coarse = memory.cell(12, 4);
  EXPECT_EQ(memory.shadow.cells(memory.region, memory.begin + 12, 4).count, 1);
  coarse = {make_epoch(5, 2, 1), make_epoch(6, 3, 1), 11, 12};
  for (const int exponent : {3, 2, 0}) {
    const Shadow::Cells fine = memory.shadow.cells(memory.region, memory.begin + 12, 4);
    for (int i = 0; i < fine.count; ++i) {
      EXPECT_EQ(fine.first[i].write, make_epoch(5, 2, 1));
      EXPECT_EQ(fine.first[i].read, make_epoch(6, 3, 1));
    }
    memory.cell(12, exponent).write_site = 20;  // of the first piece only
    EXPECT_EQ(memory.shadow.cells(memory.region, memory.begin + 12, 4).count, 1 << (4 - exponent));
    EXPECT_EQ(memory.cell(12 + 8, exponent).write_site, 11u);
    EXPECT_EQ(memory.cell(12 + 16, exponent).write, 0u);  // the next 16 bytes
  }
}

TEST(SanitizerShadow, SetsOfReadsAreCopiedWithTheirCells) {
  Memory memory;
  Cell& coarse = memory.cell(12, 4);
  coarse = {make_epoch(5, 2, 1), make_epoch(6, 35, 1), 11, 12};
  memory.shadow.make_set(coarse);
  ASSERT_EQ(memory.shadow.reads(coarse).entries.size(), 1u);
  EXPECT_EQ(memory.shadow.reads(coarse).entries[0].warp, make_epoch(6, 32, 1));
  EXPECT_EQ(memory.shadow.reads(coarse).entries[0].lanes, 1u << 3);
  Cell& first = memory.cell(12, 2);
  Cell& second = memory.cell(16, 2);
  ASSERT_NE(first.read, second.read);  // a set each
  memory.shadow.drop_reads(first);
  EXPECT_EQ(memory.shadow.reads(second).entries.size(), 1u);
}

TEST(SanitizerShadow, TheHostMarksToTheByte) {
  Memory memory;
  memory.shadow.mark(memory.region, memory.begin + 7, 50, true);
  for (std::uintptr_t offset = 0; offset < 70; ++offset)
    EXPECT_EQ(memory.cell(offset, 0).write != 0, offset >= 7 && offset < 57) << offset;
}

TEST(SanitizerShadow, ForgettingKeepsWhatIsWritten) {
  Memory memory;
  memory.cell(12, 2) = {make_epoch(500, 2, 9), make_epoch(600, 3, 9), 11, 12};
  memory.shadow.forget_epochs(memory.region);
  EXPECT_EQ(actor_of(memory.cell(12, 2).write), host_actor);
  EXPECT_EQ(memory.cell(12, 2).read, 0u);
  EXPECT_EQ(memory.cell(16, 2).write, 0u);
}

TEST(SanitizerShadow, CopiesGoInTheLargestAlignedPieces) {
  EXPECT_EQ(chunk_exponent(0x1000, 100), 4);
  EXPECT_EQ(chunk_exponent(0x1000, 12), 3);
  EXPECT_EQ(chunk_exponent(0x1004, 100), 2);
  EXPECT_EQ(chunk_exponent(0x1006, 100), 1);
  EXPECT_EQ(chunk_exponent(0x1001, 1), 0);
  EXPECT_EQ(chunk_exponent(0x1008, 3), 1);
}

}  // namespace
