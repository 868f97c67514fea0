// The order of worth: nothing is lost, and its beginning has more pairs than any other beginning.
#include "verify/data/worth.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <tuple>

#include "verify/data/cases.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::data;

/// Pairs of kinds that a reader can name: type, layout and mode with activation and recipe.
std::size_t pairs_of(const std::vector<Case>& cases, const std::vector<std::size_t>& order,
                     std::size_t first) {
  std::set<std::tuple<int, int, int, int, std::string>> activations;
  for (std::size_t i = 0; i < first; ++i) {
    const abn_problem& p = cases[order[i]].problem;
    activations.insert({p.dtype, p.layout, -1, p.activation, ""});
    activations.insert({p.dtype, p.layout, p.mode, -1, ""});
    activations.insert({-1, -1, p.mode, p.activation, ""});
    activations.insert({p.dtype, p.layout, -1, -1, cases[order[i]].data});
    activations.insert({-1, -1, p.mode, -1, cases[order[i]].data});
  }
  return activations.size();
}

TEST(Worth, OrdersEveryCaseOnceAndTheSameWayEveryTime) {
  const std::vector<Case> cases = cases_of(Tier::smoke, 1);
  const std::vector<std::size_t> order = order_of_worth(cases);
  std::vector<std::size_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  ASSERT_EQ(sorted.size(), cases.size());
  for (std::size_t i = 0; i < sorted.size(); ++i) ASSERT_EQ(sorted[i], i);
  EXPECT_EQ(order_of_worth(cases), order);
  EXPECT_TRUE(order_of_worth({}).empty());
}

TEST(Worth, ComesFirst) {
  for (const std::uint64_t seed : {1u, 5u}) {
    const std::vector<Case> cases = cases_of(Tier::smoke, seed);
    std::vector<std::size_t> drawn(cases.size());
    const Stream draw(seed);
    for (std::size_t i = 0; i < drawn.size(); ++i) drawn[i] = i;
    for (std::size_t i = drawn.size(); i > 1; --i) std::swap(drawn[i - 1], drawn[draw.below(i, i)]);
    constexpr std::size_t first = 104;
    const std::size_t by_worth = pairs_of(cases, order_of_worth(cases), first),
                      by_chance = pairs_of(cases, drawn, first);
    EXPECT_GT(by_worth, by_chance + by_chance / 10) << by_worth << " against " << by_chance;
  }
}

TEST(Worth, CopiesOfACaseComeLast) {
  std::vector<Case> cases(5, replay("n2c3s4,f32,leaky_relu", "standard", 1));
  cases.push_back(replay("n2c3s4,bf16,nhwc,elu:1,inference", "large_mean", 2));
  EXPECT_EQ(order_of_worth(cases), (std::vector<std::size_t>{0, 5, 1, 2, 3, 4}));
}

TEST(Worth, AmongEqualsTheSmallOneComesFirst) {
  const std::vector<Case> cases{replay("n2c3s4000,f32,leaky_relu", "standard", 1),
                                replay("n2c3s4,f32,leaky_relu", "standard", 1)};
  EXPECT_EQ(order_of_worth(cases), (std::vector<std::size_t>{1, 0}));
}

}  // namespace
