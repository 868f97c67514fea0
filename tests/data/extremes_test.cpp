// The tables of extremes against the cases that a smoke tier draws.
#include "verify/data/extremes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "verify/data/cases.hpp"
#include "verify/data/ranges.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

using namespace abn::verify;
using namespace abn::verify::data;

namespace {

std::vector<Case> extremes_of(Tier tier, std::uint64_t seed) {
  std::vector<Case> cases = cases_of(tier, seed);
  std::erase_if(cases, [](const Case& one) { return one.data != "extremes"; });
  return cases;
}

std::string place(int dtype, int layout, int mode) {
  return std::string(problem::dtype_name(dtype)) + " " + problem::layout_name(layout) + " " +
         problem::mode_name(mode);
}

template <class Visit>
void for_each_place(const Visit& visit) {
  for (const int dtype : problem::storage_types)
    for (const int layout : problem::layouts)
      for (const int mode : problem::modes) visit(dtype, layout, mode);
}

}  // namespace

TEST(Extremes, EachChannelIsMetInEveryTypeLayoutAndMode) {
  for (const std::uint64_t seed : {1u, 2u, 77u}) {
    std::vector<problem::Inputs> all;
    for (const Case& one : extremes_of(Tier::smoke, seed)) all.push_back(inputs_of(one));
    for_each_place([&](int dtype, int layout, int mode) {
      for (const ExtremeChannel& row : extreme_channels())
        EXPECT_TRUE(std::any_of(all.begin(), all.end(),
                                [&](const problem::Inputs& in) {
                                  const abn_problem& p = in.problem;
                                  if (p.dtype != dtype || p.layout != layout || p.mode != mode)
                                    return false;
                                  for (std::int64_t c = 0; c < p.c; ++c)
                                    if (row.has(in, c)) return true;
                                  return false;
                                }))
            << seed << ": " << row.what << ", " << place(dtype, layout, mode);
    });
  }
}

TEST(Extremes, EachProblemIsMetInEveryTypeLayoutAndMode) {
  for (const std::uint64_t seed : {1u, 2u, 3u, 77u}) {
    const std::vector<Case> cases = extremes_of(Tier::smoke, seed);
    for_each_place([&](int dtype, int layout, int mode) {
      for (const ExtremeProblem& row : extreme_problems()) {
        if (row.training_only && mode != ABN_TRAINING) continue;
        EXPECT_TRUE(std::any_of(cases.begin(), cases.end(),
                                [&](const Case& one) {
                                  const abn_problem& p = one.problem;
                                  return p.dtype == dtype && p.layout == layout && p.mode == mode &&
                                         row.has(p);
                                }))
            << seed << ": " << row.what << ", " << place(dtype, layout, mode);
      }
    });
  }
}

/// What is wrong with one tensor is wrong with no other of the channel.
TEST(Extremes, NaNAndInfinityStandInOneTensorAtATime) {
  for (const Case& one : extremes_of(Tier::smoke, 1)) {
    const problem::Inputs in = inputs_of(one);
    for (std::int64_t c = 0; c < in.problem.c; ++c) {
      const auto at = static_cast<std::size_t>(c);
      int found = 0;
      for (const auto* vector : {&in.gamma, &in.beta, &in.running_mean, &in.running_var})
        found += std::isfinite((*vector)[at]) ? 0 : 1;
      for (const auto* tensor : {&in.x, &in.dz}) {
        bool finite = true;
        problem::for_each_sample(in.problem, c, [&](std::size_t, std::size_t i) {
          finite = finite && std::isfinite((*tensor)[i]);
        });
        found += finite ? 0 : 1;
      }
      EXPECT_LE(found, 1) << problem::to_string(in.problem) << " channel " << c;
    }
  }
}

TEST(Extremes, AreSmallAndFew) {
  std::int64_t elements = 0;
  const std::vector<Case> cases = extremes_of(Tier::smoke, 1);
  for (const Case& one : cases) elements += problem::element_count(one.problem);
  EXPECT_LE(cases.size(), 150u);
  EXPECT_LE(elements, 40'000);
  EXPECT_GE(extremes_of(Tier::full, 1).size(), cases.size());
}

TEST(Extremes, TheTextHasEveryRow) {
  const std::string text = ranges_text();
  for (const ExtremeChannel& row : extreme_channels())
    EXPECT_NE(text.find(row.what), std::string::npos) << row.what;
  for (const ExtremeProblem& row : extreme_problems())
    EXPECT_NE(text.find(row.what), std::string::npos) << row.what;
}
