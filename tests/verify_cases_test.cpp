// Tiers and single cases: what they cover, that they repeat, and what they refuse.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "verify/cases.hpp"
#include "verify/data.hpp"
#include "verify/error.hpp"
#include "verify/problem.hpp"

using namespace abn::verify;

TEST(Tiers, MeetEveryCombinationRecipeAndShape) {
  for (const std::uint64_t seed : {0u, 1u, 77u}) {
    const auto cases = cases_of(Tier::smoke, seed);
    std::map<std::string, std::set<std::string>> recipes_of, sizes_of;
    std::set<std::string> combinations;
    std::set<std::uint64_t> seeds;
    int empty = 0, large = 0;
    for (const Case& one : cases) {
      const abn_problem& p = one.problem;
      validate(p);
      if (element_count(p) > 1 << 18) {
        ++large;
        seeds.insert(one.seed);
        continue;
      }
      EXPECT_EQ(to_string(parse_problem(to_string(p))), to_string(p));
      const std::string group = std::string(dtype_name(p.dtype)) + layout_name(p.layout) + mode_name(p.mode);
      combinations.insert(group + activation_name(p.activation) + scale_name(p.scale));
      recipes_of[group].insert(one.data);
      const bool is_empty = element_count(p) == 0;
      empty += is_empty;
      sizes_of[group].insert(
          is_empty ? "empty" : std::to_string(p.c) + "x" + std::to_string(p.s) + (p.c == 1 && p.s == 1 ? "" : "n" + std::to_string(p.n)));
      seeds.insert(one.seed);
    }
    EXPECT_EQ(combinations.size(), 144u);
    EXPECT_EQ(seeds.size(), cases.size());
    EXPECT_GT(empty, 0);
    EXPECT_EQ(large, 3);
    for (const auto& [group, found] : recipes_of) EXPECT_EQ(found.size(), recipes().size()) << group;
    for (const auto& [group, found] : sizes_of) EXPECT_EQ(found.size(), sizes_of.begin()->second.size()) << group;
    EXPECT_EQ(sizes_of.begin()->second.size(), 19u);
  }
}

TEST(Tiers, AreAFunctionOfTheSeed) {
  const auto line = [](const std::vector<Case>& cases) {
    std::string all;
    for (const Case& one : cases) all += to_string(one.problem) + one.data + std::to_string(one.seed) + "\n";
    return all;
  };
  EXPECT_EQ(line(cases_of(Tier::smoke, 5)), line(cases_of(Tier::smoke, 5)));
  EXPECT_NE(line(cases_of(Tier::smoke, 5)), line(cases_of(Tier::smoke, 6)));
  EXPECT_GT(cases_of(Tier::full, 5).size(), cases_of(Tier::smoke, 5).size());
  EXPECT_EQ(cases_of(Tier::exhaustive, 5).size(), 4 * cases_of(Tier::full, 5).size());
  EXPECT_THROW(tier_from_name("smoky"), UsageError);
}

TEST(Tiers, HaveLargeCasesOfEveryKind) {
  std::set<int> types;
  bool many_samples = false;
  for (const std::uint64_t seed : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u})
    for (const Case& one : cases_of(Tier::smoke, seed))
      if (element_count(one.problem) > 1 << 18) types.insert(one.problem.dtype), many_samples |= sample_count(one.problem) > 1 << 16;
  EXPECT_EQ(types.size(), 4u);
  EXPECT_TRUE(many_samples);
  std::set<std::string> kinds;
  for (const Case& one : cases_of(Tier::full, 5))
    if (element_count(one.problem) > 1 << 20) kinds.insert(std::string(dtype_name(one.problem.dtype)) + layout_name(one.problem.layout));
  EXPECT_EQ(kinds.size(), 8u);
}

TEST(Tiers, ReplayIsOneCaseAndRefusesWhatCannotBe) {
  const Case one = replay("n2c3s4,f16", "spikes", 9);
  EXPECT_EQ(one.data, "spikes");
  EXPECT_EQ(one.seed, 9u);
  EXPECT_EQ(replay("n2c3s4", "", 9).data, "standard");
  EXPECT_THROW(replay("", "spikes", 9), UsageError);
  EXPECT_THROW(replay("n2c3s4", "spiky", 9), UsageError);
  EXPECT_THROW(replay("n2c3", "spikes", 9), UsageError);
  EXPECT_THROW(replay("n1000000c1000s1000000", "spikes", 9), UsageError);
  EXPECT_THROW(replay("", "./no/such/file", 9), UsageError);
}

TEST(Tiers, PatternsMatchAcrossSlashesAndMustMatchSomething) {
  EXPECT_TRUE(matches("naive/*", "naive/forward/f32/nchw/z"));
  EXPECT_TRUE(matches("*/dx", "naive/backward/f32/nchw/dx"));
  EXPECT_TRUE(matches("naive/forward/[fb]*16/nchw/z", "naive/forward/bf16/nchw/z"));
  EXPECT_FALSE(matches("naive", "naive/forward/f32/nchw/z"));
  const std::vector<std::string> ids{"naive/forward/f32/nchw/z", "naive/backward/f32/nchw/dx"};
  require_match("*dx", ids);
  try {
    require_match("naive/forward/f32/nchw/zz", ids);
    FAIL();
  } catch (const UsageError& refused) {
    EXPECT_NE(std::string(refused.what()).find("naive/forward/f32/nchw/z "), std::string::npos) << refused.what();
  }
}
