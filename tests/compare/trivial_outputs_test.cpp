// The null battery: data that a kernel passes without computing anything say nothing; and channel
// by channel, where errors are.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tests/bound/data.hpp"
#include "verify/compare/channel_lines.hpp"
#include "verify/compare/trivial_outputs.hpp"
#include "verify/expect/expect.hpp"

namespace {

using namespace abn::tests;
using namespace abn::verify::compare;

constexpr double inf = std::numeric_limits<double>::infinity();

Point point(double exact, double bound) {
  Point p;
  p.hi = exact, p.bound = bound, p.fit_bound = 2 * bound;
  return p;
}

std::vector<TrivialOutput> copy_of(std::vector<double> values) {
  return {[values](std::size_t i) { return values[i]; }};
}

TEST(NullBattery, ACaseThatANullKernelPassesDoesNotDiscriminate) {
  Expectation zeros{Output::dx, ABN_F32, {point(0, 1e-9), point(1e-10, 1e-9)}, {}};
  EXPECT_FALSE(discriminates(zeros, {})) << "all zeros pass";
  Expectation constant{Output::z, ABN_F32, {point(3, 0.1), point(3, 0.1)}, {}};
  EXPECT_FALSE(discriminates(constant, {})) << "a constant passes";
  Expectation good{Output::z, ABN_F32, {point(3, 0.1), point(5, 0.1)}, {}};
  EXPECT_TRUE(discriminates(good, {}));
  EXPECT_FALSE(discriminates(good, copy_of({3.0, 5.05}))) << "a copy of the input passes";
  EXPECT_TRUE(discriminates(good, copy_of({3.0, 5.5}))) << "a copy that fails in one element";
  Expectation wide{Output::z, ABN_F32, {point(3, 1.2), point(5, 1.2)}, {}};
  EXPECT_FALSE(discriminates(wide, {})) << "4 passes, though neither exact value does";
  wide.points[1].bound = 0.7;
  EXPECT_TRUE(discriminates(wide, {})) << "nothing is within 1.2 of 3 and within 0.7 of 5";
  Expectation near_zero{Output::dx, ABN_F32, {point(1e-10, 1e-9)}, {}};
  EXPECT_FALSE(discriminates(near_zero, {})) << "a single element that zero passes";
  Expectation single{Output::mean, ABN_F32, {point(3, 0.1)}, {}};
  EXPECT_TRUE(discriminates(single, {})) << "one element is a constant by nature";
  EXPECT_FALSE(discriminates({Output::z, ABN_F32, {}, {}}, {})) << "nothing tells nothing";
  Expectation vague{Output::z, ABN_F32, {point(3, inf), point(5, inf)}, {}};
  EXPECT_FALSE(discriminates(vague, {})) << "an infinite bound tells nothing";
}

const Expectation& of(const std::vector<Expectation>& all, Output output) {
  return *find_output(all, output);
}

/// Does one of the null outputs pass on every element?
bool a_null_passes(const problem::Inputs& inputs, const Expectation& expectation) {
  return !discriminates(expectation, nulls_of(inputs, expectation));
}

TEST(NullBattery, CopiesStaleOutputsAndInferenceAreTried) {
  const abn_problem p = make_problem(2, 3, 8, ABN_F32, ABN_LEAKY_RELU, 0.25);
  const abn_claims claims = plain_claims(ABN_IN_PLACE_1, ABN_F32, 16);
  problem::Inputs inputs = make_inputs(p, Recipe{}, 3);
  EXPECT_FALSE(a_null_passes(inputs, of(expect::expect_forward(inputs, claims), Output::z)));

  // Running statistics that are the batch's own: inference gives the same.
  const auto exact = expect::expect_forward(inputs, claims);
  for (std::size_t c = 0; c < 3; ++c) {
    inputs.running_mean[c] = of(exact, Output::mean).points[c].hi;
    inputs.running_var[c] = of(exact, Output::variance).points[c].hi;
  }
  Expectation roughly = of(exact, Output::z);
  // the null output is right, but not to the last bit
  for (Point& one : roughly.points) one.bound *= 4;
  EXPECT_TRUE(a_null_passes(inputs, roughly)) << "inference's output passes";

  // The same sample everywhere: what an earlier call left in the next element is right too.
  Expectation same = of(exact, Output::mean);
  same.points.assign(3, point(2.5, 1e-6));
  EXPECT_TRUE(a_null_passes(inputs, same));
  same.points[1].hi = 2.6;
  EXPECT_FALSE(a_null_passes(inputs, same));

  // Activation of nothing: z = x.
  Expectation copied = of(exact, Output::z);
  for (std::size_t i = 0; i < copied.points.size(); ++i)
    copied.points[i] = point(inputs.x[i], 1e-9);
  EXPECT_TRUE(a_null_passes(inputs, copied)) << "a copy of x passes";
}

TEST(ChannelLines, ShowTheWorstChannelsFirstAndWhatTheirBoundIsMadeOf) {
  const abn_problem p = make_problem(1, 40, 4, ABN_F32, ABN_IDENTITY, 0);
  Expectation expectation{Output::z, ABN_F32, std::vector<Point>(160, point(1, 0x1p-20)),
                          std::vector<ChannelFacts>(40)};
  expectation.channels[7].kappa = 12;
  std::vector<double> got(160, 1);
  got[7 * 4 + 1] = 2, got[7 * 4 + 2] = 1 + 0x1p-21;
  got[9 * 4] = 1 + 0x1p-21;
  const auto lines = channel_lines(p, expectation, got, [](Output, std::int64_t) {
    Shares shares{};
    shares[static_cast<std::size_t>(Term::inversion)] = 1;
    return shares;
  });
  ASSERT_EQ(lines.size(), most_channel_lines);
  EXPECT_EQ(lines[0].channel, 7);
  EXPECT_EQ(lines[0].elements, 4U);
  EXPECT_EQ(lines[0].failed, 1U);
  EXPECT_EQ(lines[0].max_ratio, 0x1p20);
  EXPECT_EQ(lines[0].kappa, 12);
  EXPECT_EQ(lines[0].dominating, "inversion");
  EXPECT_EQ(lines[1].channel, 9);
  EXPECT_EQ(lines[1].failed, 0U);
  EXPECT_EQ(lines[1].max_ratio, 0.5);
  EXPECT_EQ(lines[1].mean_ratio, 0.125);
  EXPECT_GT(lines[1].mean_ulp, 0);
}

}  // namespace
