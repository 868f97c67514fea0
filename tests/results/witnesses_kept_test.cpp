// Which witnesses may still be among those that a record keeps: whoever is kept in the end was
// never turned away, in whatever order the cases come.
#include "verify/results/witnesses_kept.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "verify/data/random.hpp"

namespace abn::verify::results {
namespace {

TEST(WorstRatios, TurnsAwayWhatAsManyAsAreKeptWereWorseThan) {
  WorstRatios worst;
  EXPECT_TRUE(worst.may_stay("a", 0.5));
  EXPECT_TRUE(worst.may_stay("a", 0.6));
  EXPECT_TRUE(worst.may_stay("a", 0.1));
  EXPECT_FALSE(worst.may_stay("a", 0.05));
  EXPECT_TRUE(worst.may_stay("a", 0.2));
  EXPECT_FALSE(worst.may_stay("a", 0.15));
  EXPECT_TRUE(worst.may_stay("a", 0.2)) << "as bad as one that is kept, and perhaps before it";
  EXPECT_TRUE(worst.may_stay("b", 0.05)) << "another record";
}

TEST(WorstRatios, NaNIsWorseThanEveryNumber) {
  WorstRatios worst;
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(worst.may_stay("a", std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(worst.may_stay("a", 1e300));
  EXPECT_TRUE(worst.may_stay("a", std::numeric_limits<double>::quiet_NaN()));
}

TEST(WorstRatios, NeverTurnsAwayWhatIsKeptInTheEnd) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const data::Stream draw(seed);
    WorstRatios worst;
    std::vector<double> ratios, turned_away;
    for (std::uint64_t i = 0; i < 40; ++i) {
      // few values, so that many are equal
      ratios.push_back(static_cast<double>(draw.below(12, i)) / 8);
      if (!worst.may_stay("a", ratios.back())) turned_away.push_back(ratios.back());
    }
    std::sort(ratios.begin(), ratios.end(), std::greater<>());
    EXPECT_GT(turned_away.size(), 10u);
    for (const double ratio : turned_away) EXPECT_LT(ratio, ratios[witnesses_kept - 1]);
  }
}

}  // namespace
}  // namespace abn::verify::results
