// Times that a worker says beside the judge's clock: what is impossible is refused, and what a busy
// machine does to honest times is not.
#include "verify/bench/own_clock.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "verify/data/random.hpp"

namespace {

using namespace abn::verify::bench;

/// Rounds whose calls take `truly`, whose worker says `said`, beside `fill` that is not timed; each
/// answer takes up to `scatter` longer than it has to.
OwnClock rounds(double truly, double said, double fill, double scatter, std::uint64_t seed = 1) {
  const abn::verify::data::Stream draw(seed);
  OwnClock clock;
  for (std::uint64_t i = 0; i < 12; ++i) {
    clock.said.push_back(said);
    clock.seen.push_back(fill + truly + scatter * draw.uniform(2 * i));
    clock.before.push_back(fill + scatter * draw.uniform(2 * i + 1));
  }
  return clock;
}

TEST(OwnClock, HonestTimesPassHoweverBusyTheMachineIs) {
  for (const double truly : {1.0, 50.0, 1e3, 1e6})
    for (const double scatter : {0.0, 30.0, 1e3, 1e5})
      for (std::uint64_t seed = 1; seed < 100; ++seed) {
        const OwnClock clock = rounds(truly, truly, 300, scatter, seed);
        EXPECT_EQ(impossible_time(clock), "");
        EXPECT_EQ(impossible_times(clock), "") << truly << " " << scatter << " " << seed;
      }
}

TEST(OwnClock, NoPartTakesLongerThanTheWhole) {
  EXPECT_EQ(impossible_time(rounds(1000, 1004, 0, 0)), "") << "two clocks are never quite one";
  const std::string wrong = impossible_time(rounds(1000, 1100, 0, 0));
  EXPECT_NE(wrong.find("says 1.1e+03 us, and had answered after 1e+03"), std::string::npos)
      << wrong;
}

TEST(OwnClock, ANegativeTimeOrNoneIsNoTime) {
  EXPECT_NE(impossible_time(rounds(1000, -1, 0, 0)), "");
  EXPECT_NE(impossible_time(rounds(1000, std::numeric_limits<double>::quiet_NaN(), 0, 0)), "");
}

TEST(OwnClock, TimeThatNobodyAccountsForIsThatOfTheCalls) {
  for (const double said : {0.0, 1.0, 400.0}) {
    const std::string wrong = impossible_times(rounds(1000, said, 300, 0));
    EXPECT_NE(wrong.find("by the judge's clock it took 1e+03"), std::string::npos)
        << said << ": " << wrong;
  }
  EXPECT_EQ(impossible_times(rounds(1000, 600, 300, 0)), "") << "less than twice is not told";
  EXPECT_EQ(impossible_times(rounds(150, 1, 300, 0)), "") << "nor are 0.2 ms of a round";
}

TEST(OwnClock, OneAnswerThatIsLateAccusesNobody) {
  OwnClock clock = rounds(1000, 1000, 300, 20);
  clock.seen[3] += 1e6, clock.before[7] += 1e6;
  EXPECT_EQ(impossible_times(clock), "");
}

}  // namespace
