// Tiers and single cases: what they cover, that they repeat, and what they refuse.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "verify/data/cases.hpp"
#include "verify/data/recipes.hpp"
#include "verify/judge/sample.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"

using namespace abn::verify;
using namespace abn::verify::data;

TEST(Tiers, MeetEveryCombinationRecipeAndShape) {
  for (const std::uint64_t seed : {0u, 1u, 77u}) {
    const auto cases = cases_of(Tier::smoke, seed);
    std::map<std::string, std::set<std::string>> recipes_of, sizes_of;
    std::set<std::string> combinations;
    std::set<std::uint64_t> seeds;
    constexpr std::size_t walk = 144 * 8;  // the other cases come behind it
    int empty = 0;
    for (const Case& one : cases) {
      problem::validate(one.problem);
      seeds.insert(one.seed);
    }
    for (const Case& one : std::span(cases).first(walk)) {
      const abn_problem& p = one.problem;
      EXPECT_EQ(problem::to_string(problem::parse_problem(problem::to_string(p))),
                problem::to_string(p));
      const std::string group = std::string(problem::dtype_name(p.dtype)) +
                                problem::layout_name(p.layout) + problem::mode_name(p.mode);
      combinations.insert(group + problem::activation_name(p.activation) +
                          problem::scale_name(p.scale));
      recipes_of[group].insert(one.data);
      const bool is_empty = problem::element_count(p) == 0;
      empty += is_empty;
      sizes_of[group].insert(is_empty
                                 ? "empty"
                                 : std::to_string(p.c) + "x" + std::to_string(p.s) +
                                       (p.c == 1 && p.s == 1 ? "" : "n" + std::to_string(p.n)));
    }
    EXPECT_EQ(combinations.size(), 144u);
    EXPECT_EQ(seeds.size(), cases.size());
    EXPECT_GT(empty, 0);
    for (const auto& [group, found] : recipes_of) EXPECT_EQ(found.size(), walked_recipes) << group;
    for (const auto& [group, found] : sizes_of)
      EXPECT_EQ(found.size(), sizes_of.begin()->second.size()) << group;
    EXPECT_EQ(sizes_of.begin()->second.size(), 19u);
  }
}

/// Those that kernels in place cannot do, with every recipe in every combination.
TEST(Tiers, MeetEveryActivationWithoutAnInverse) {
  for (const std::uint64_t seed : {0u, 1u, 77u}) {
    const auto cases = cases_of(Tier::smoke, seed);
    std::map<std::string, std::set<std::string>> recipes_of;
    std::map<int, std::set<int>> types_of, modes_of;
    for (const Case& one : cases) {
      const abn_problem& p = one.problem;
      if (problem::activation_of(p).has_inverse()) continue;
      types_of[p.activation].insert(p.dtype), modes_of[p.activation].insert(p.mode);
      recipes_of[std::string(problem::dtype_name(p.dtype)) + problem::layout_name(p.layout) +
                 problem::mode_name(p.mode)]
          .insert(one.data);
    }
    EXPECT_EQ(recipes_of.size(), 24u);
    for (const auto& [group, found] : recipes_of)
      EXPECT_EQ(found.size(), recipes().size()) << group;
    for (int code = problem::invertible_count; code < problem::activation_count; ++code) {
      EXPECT_EQ(types_of[code].size(), 4u) << problem::activation_name(code);
      EXPECT_EQ(modes_of[code].size(), 3u) << problem::activation_name(code);
    }
  }
}

TEST(Tiers, AreAFunctionOfTheSeed) {
  const auto line = [](const std::vector<Case>& cases) {
    std::string all;
    for (const Case& one : cases)
      all += problem::to_string(one.problem) + one.data + std::to_string(one.seed) + "\n";
    return all;
  };
  EXPECT_EQ(line(cases_of(Tier::smoke, 5)), line(cases_of(Tier::smoke, 5)));
  EXPECT_NE(line(cases_of(Tier::smoke, 5)), line(cases_of(Tier::smoke, 6)));
  EXPECT_GT(cases_of(Tier::full, 5).size(), cases_of(Tier::smoke, 5).size());
  EXPECT_EQ(cases_of(Tier::exhaustive, 5).size(), 4 * cases_of(Tier::full, 5).size());
  EXPECT_THROW(tier_from_name("smoky"), problem::UsageError);
}

TEST(Tiers, HaveLargeCasesOfEveryKind) {
  std::set<int> types;
  bool many_samples = false;
  for (const std::uint64_t seed : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u})
    for (const Case& one : cases_of(Tier::smoke, seed))
      if (problem::element_count(one.problem) > 1 << 18)
        types.insert(one.problem.dtype),
            many_samples |= problem::sample_count(one.problem) > 1 << 16;
  EXPECT_EQ(types.size(), 4u);
  EXPECT_TRUE(many_samples);
  std::set<std::string> kinds;
  for (const Case& one : cases_of(Tier::full, 5))
    if (problem::element_count(one.problem) > 1 << 20)
      kinds.insert(std::string(problem::dtype_name(one.problem.dtype)) +
                   problem::layout_name(one.problem.layout));
  EXPECT_EQ(kinds.size(), 8u);
}

TEST(Tiers, OneCaseOfTheFullTierLiesBeyondIndicesOf32Bits) {
  for (const Tier tier : {Tier::smoke, Tier::full}) {
    const std::vector<Case> cases = cases_of(tier, 5);
    EXPECT_EQ(std::count_if(cases.begin(), cases.end(),
                            [](const Case& one) {
                              return problem::element_count(one.problem) > std::int64_t{1} << 31;
                            }),
              tier == Tier::full ? 1 : 0);
    for (const Case& one : cases)
      EXPECT_EQ(one.needs_gpu, problem::element_count(one.problem) > most_in_doubles);
  }
}

/// Sizes of paths that a kernel may take for them alone, as small as they can be: a tier costs what
/// its elements cost.
TEST(Tiers, MeetTheSizesOfOtherPaths) {
  const auto has = [](const std::vector<Case>& cases, auto&& is_one) {
    return std::any_of(cases.begin(), cases.end(),
                       [&](const Case& one) { return is_one(one.problem); });
  };
  constexpr std::int64_t usual = 1 << 18;
  for (const Tier tier : {Tier::smoke, Tier::full})
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      SCOPED_TRACE(std::string(tier_name(tier)) + " " + std::to_string(seed));
      std::vector<Case> cases = cases_of(tier, seed);
      std::erase_if(cases,
                    [](const Case& one) { return problem::element_count(one.problem) > usual; });
      for (int dtype = ABN_F16; dtype <= ABN_F64; ++dtype) {
        const bool with_long = tier == Tier::full || dtype != ABN_F64;
        EXPECT_TRUE(!with_long || has(cases, [&](const abn_problem& p) {
          return p.dtype == dtype && p.mode == ABN_INFERENCE && problem::sample_count(p) > 40960;
        })) << problem::dtype_name(dtype);
        EXPECT_TRUE(has(cases, [&](const abn_problem& p) {
          const std::int64_t m = problem::sample_count(p);
          return p.dtype == dtype && p.mode == ABN_TRAINING && m > 10000 && (m & (m - 1)) == 0;
        })) << problem::dtype_name(dtype);
        EXPECT_TRUE(has(cases, [&](const abn_problem& p) {
          return p.dtype == dtype && p.mode == ABN_TRAINING && p.layout == ABN_NHWC && p.c > 256 &&
                 p.c % 8 == 0 && problem::sample_count(p) > 32;
        })) << problem::dtype_name(dtype);
        EXPECT_TRUE(has(cases, [&](const abn_problem& p) {
          return p.dtype == dtype && p.mode == ABN_TRAINING && p.n > 256;
        }));
        for (const int layout : {ABN_NCHW, ABN_NHWC})
          EXPECT_TRUE(has(cases, [&](const abn_problem& p) {
            return p.dtype == dtype && p.layout == layout && p.mode == ABN_TRAINING && p.c > 1024;
          }));
        for (const int mode : {ABN_TRAINING, ABN_FROZEN})
          EXPECT_TRUE(!with_long || has(cases, [&](const abn_problem& p) {
            return p.dtype == dtype && p.layout == ABN_NHWC && p.mode == mode && p.c % 8 == 0 &&
                   p.s > 1024 && p.n * p.s % 4 == 3;
          }));
      }
      for (const int layout : {ABN_NCHW, ABN_NHWC})
        EXPECT_TRUE(has(cases, [&](const abn_problem& p) {
          return p.layout == layout && p.mode == ABN_INFERENCE && problem::sample_count(p) > 40960;
        })) << problem::layout_name(layout);
      EXPECT_TRUE(has(cases, [](const abn_problem& p) {
        return p.layout == ABN_NCHW && p.mode == ABN_FROZEN && problem::sample_count(p) > 40960;
      }));
    }
}

/// A tier costs what its elements cost: on the emulator for this project's kernels, in exact values
/// for all.
TEST(Tiers, TheSmokeTierStaysSmall) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    std::int64_t elements = 0, emulated = 0, judged = 0;
    for (const Case& one : cases_of(Tier::smoke, seed)) {
      const std::int64_t here = problem::element_count(one.problem);
      elements += here;
      if (one.not_emulated) continue;
      emulated += here;
      judged +=
          judge::is_sampled(one) ? problem::element_count(judge::sample_of(one).problem) : here;
    }
    EXPECT_LT(elements, 27'000'000) << seed;
    EXPECT_LT(emulated, 12'550'000) << seed;
    EXPECT_LT(judged, 9'000'000) << seed;
  }
}

TEST(Tiers, ReplayIsOneCaseAndRefusesWhatCannotBe) {
  const Case one = replay("n2c3s4,f16,leaky_relu", "spikes", 9);
  EXPECT_EQ(one.data, "spikes");
  EXPECT_EQ(one.seed, 9u);
  EXPECT_EQ(replay("n2c3s4,leaky_relu", "", 9).data, "standard");
  EXPECT_THROW(replay("", "spikes", 9), problem::UsageError);
  EXPECT_THROW(replay("n2c3s4,leaky_relu", "spiky", 9), problem::UsageError);
  EXPECT_THROW(replay("n2c3", "spikes", 9), problem::UsageError);
  try {
    replay("n1000000c1000s1000000,leaky_relu", "spikes", 9);
    FAIL();
  } catch (const problem::UsageError& refused) {
    EXPECT_NE(std::string(refused.what()).find("GB of memory"), std::string::npos);
  }
  EXPECT_THROW(replay("", "./no/such/file", 9), problem::UsageError);
}

TEST(Tiers, PatternsMatchAcrossSlashesAndMustMatchSomething) {
  EXPECT_TRUE(matches("naive/*", "naive/forward/f32/nchw/z"));
  EXPECT_TRUE(matches("*/dx", "naive/backward/f32/nchw/dx"));
  EXPECT_TRUE(matches("naive/forward/[fb]*16/nchw/z", "naive/forward/bf16/nchw/z"));
  EXPECT_FALSE(matches("naive", "naive/forward/f32/nchw/z"));
  EXPECT_TRUE(matches("@(auto|naive)", "naive"));
  EXPECT_FALSE(matches("@(auto|naive)", "resident"));
  const std::vector<std::string> ids{"naive/forward/f32/nchw/z", "naive/backward/f32/nchw/dx"};
  require_match("*dx", ids);
  try {
    require_match("naive/forward/f32/nchw/zz", ids);
    FAIL();
  } catch (const problem::UsageError& refused) {
    EXPECT_NE(std::string(refused.what()).find("naive/forward/f32/nchw/z "), std::string::npos)
        << refused.what();
  }
}
