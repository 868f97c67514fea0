// The table of ranges against the cases that a smoke tier draws.
#include "verify/data/ranges.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "verify/data/cases.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

using namespace abn::verify;
using namespace abn::verify::data;

namespace {

std::int64_t size_of(const abn_problem& p, Size size) {
  return size == Size::n ? p.n : size == Size::c ? p.c : p.s;
}

std::string place(int dtype, int layout) {
  return std::string(problem::dtype_name(dtype)) + " " + problem::layout_name(layout);
}

}  // namespace

TEST(Ranges, TheirNumbersBelongToThemAndToNoOther) {
  for (const Range& range : ranges()) {
    ASSERT_FALSE(range.tried.empty());
    for (const std::int64_t value : range.tried) {
      int in = 0;
      for (const Range& other : ranges()) in += other.of == range.of && other.has(value) ? 1 : 0;
      EXPECT_EQ(in, 1) << range.what << " " << value;
      EXPECT_TRUE(range.has(value)) << range.what << " " << value;
    }
  }
}

TEST(Ranges, AnyTwoMeetInEveryTypeAndLayoutOfTheSmokeTier) {
  for (const std::uint64_t seed : {1u, 2u, 77u}) {
    const std::vector<Case> cases = cases_of(Tier::smoke, seed);
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts)
        for (const Range& a : ranges())
          for (const Range& b : ranges()) {
            if (!(a.of < b.of) || !meet(a, b)) continue;
            EXPECT_TRUE(std::any_of(cases.begin(), cases.end(),
                                    [&](const Case& one) {
                                      const abn_problem& p = one.problem;
                                      return p.dtype == dtype && p.layout == layout &&
                                             a.has(size_of(p, a.of)) && b.has(size_of(p, b.of));
                                    }))
                << seed << ": " << a.what << ", " << b.what << ", " << place(dtype, layout);
          }
  }
}

TEST(Ranges, EachPairMeetsEveryMode) {
  std::vector<Case> cases;
  for (std::uint64_t seed = 0; seed < 4; ++seed) append_ranges(cases, seed, 0);
  for (const Range& a : ranges())
    for (const Range& b : ranges()) {
      if (!(a.of < b.of) || !meet(a, b)) continue;
      std::set<int> modes;
      for (const Case& one : cases)
        if (a.has(size_of(one.problem, a.of)) && b.has(size_of(one.problem, b.of)))
          modes.insert(one.problem.mode);
      const bool one_sample = a.has(1) && b.has(1) && a.of == Size::n && b.of == Size::s;
      EXPECT_EQ(modes.size(), problem::modes.size() - (one_sample ? 1 : 0))
          << a.what << ", " << b.what;
    }
}

TEST(Ranges, WhatIsLargeMeetsEveryModeTypeAndLayout) {
  for (const std::uint64_t seed : {1u, 2u}) {
    const std::vector<Case> cases = cases_of(Tier::smoke, seed);
    for (const LargeSize& large : large_sizes())
      for (const int mode : problem::modes) {
        if (!(mode == ABN_TRAINING ? large.training : large.others)) continue;
        int emulated = 0;
        for (const int dtype : problem::storage_types)
          for (const int layout : problem::layouts) {
            if (dtype == ABN_F64 && large.narrow_only) continue;
            const auto found = std::find_if(cases.begin(), cases.end(), [&](const Case& one) {
              const abn_problem& p = one.problem;
              return one.sampled && p.mode == mode && p.dtype == dtype && p.layout == layout &&
                     large.has(p);
            });
            ASSERT_NE(found, cases.end())
                << large.what << ", " << problem::mode_name(mode) << " " << place(dtype, layout);
            emulated += found->not_emulated ? 0 : 1;
          }
        EXPECT_TRUE(emulated > 0 || large.shape.c > 65'535) << large.what;
      }
  }
}

TEST(Ranges, TheTextHasEveryRow) {
  const std::string text = ranges_text();
  for (const Range& range : ranges())
    EXPECT_NE(text.find(range.what), std::string::npos) << range.what;
  for (const LargeSize& large : large_sizes())
    EXPECT_NE(text.find(large.what), std::string::npos) << large.what;
}

TEST(Ranges, OtherTiersLeaveNothingOut) {
  for (const Case& one : cases_of(Tier::full, 1)) EXPECT_FALSE(one.not_emulated);
}
