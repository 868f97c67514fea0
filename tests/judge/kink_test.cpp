// At the kink: where y is within its error of 0, the true gradient accepts either branch of the
// activation, counts it, and does so for few.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "verify/expect/expect.hpp"
#include "verify/judge/judge.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::judge;

/// One channel of +-1, +-2, ... whose mean is 0, with `zeros` samples at the kink of beta = 0.
problem::Inputs at_the_kink(std::int64_t m, std::int64_t zeros) {
  problem::Inputs in;
  in.problem = problem::parse_problem("n1c1s" + std::to_string(m) + ",f32,leaky_relu:0.01");
  for (std::int64_t i = 0; i < m; ++i) {
    const double size = 1 + static_cast<double>(i / 2 % 7);
    in.x.push_back(i < zeros ? 0 : i % 2 == 0 ? size : -size);
    in.dz.push_back(i % 3 == 0 ? 1 : -0.75);
  }
  in.gamma = {1}, in.beta = {0}, in.running_mean = {0}, in.running_var = {1};
  return in;
}

abn_claims in_place() {
  abn_claims claims{};
  claims.struct_size = sizeof claims;
  claims.scheme = ABN_IN_PLACE_1, claims.accumulate = ABN_F32,
  claims.saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  claims.depth_statistics = claims.depth_backward = 16, claims.function_ulp = 2;
  return claims;
}

struct Measured {
  results::Record record;
  std::vector<compare::Point> points;
};

/// The cost of dx as a kernel has it that takes the other branch at every sample of the kink.
Measured other_branch(std::int64_t m, std::int64_t zeros) {
  const problem::Inputs inputs = at_the_kink(m, zeros);
  const compare::Expectation dx = expect::expect_gradient(inputs, in_place()).front();
  double variance = 0;
  for (const double x : inputs.x) variance += x * x / static_cast<double>(m);
  const double r = 1 / std::sqrt(variance + inputs.problem.eps),
               slope = inputs.problem.activation_parameter;
  std::vector<double> got;
  for (std::size_t i = 0; i < dx.points.size(); ++i)
    got.push_back(dx.points[i].hi -
                  (i < static_cast<std::size_t>(zeros) ? r * (1 - slope) * inputs.dz[i] : 0));
  Measured out{{}, dx.points};
  add_end_to_end(out.record, inputs.problem, dx, got);
  return out;
}

TEST(Kink, FewOpenBranchesAreAcceptedAndCounted) {
  const Measured few = other_branch(400, 4);
  EXPECT_EQ(std::count_if(few.points.begin(), few.points.end(),
                          [](const compare::Point& p) { return p.open; }),
            4);
  EXPECT_TRUE(few.points[3].open && !few.points[4].open);
  EXPECT_EQ(few.record.open_branches, 4u);
  EXPECT_LT(few.record.end_to_end_cost, 1e-6);
  EXPECT_EQ(few.record.unsafe_cases, 0u);
  EXPECT_EQ(few.record.end_to_end.failed, 0u) << "the bound holds for both branches";
}

TEST(Kink, ManyOpenBranchesAreAllMeasured) {
  const Measured many = other_branch(400, 6);  // 1.5 %
  EXPECT_EQ(many.record.open_branches, 0u);
  EXPECT_GT(many.record.end_to_end_cost, unsafe_cost);
  EXPECT_EQ(many.record.unsafe_cases, 1u);
}

TEST(Kink, OnStoredZTheBranchIsDefined) {
  const problem::Inputs inputs = at_the_kink(400, 4);
  problem::Saved saved;
  for (const compare::Expectation& one : expect::expect_forward(inputs, in_place())) {
    if (one.output == compare::Output::z)
      for (const compare::Point& point : one.points)
        saved.z.push_back(static_cast<float>(point.hi));
    if (one.output == compare::Output::variance)
      saved.variance = {static_cast<float>(one.points.front().hi)};
  }
  const compare::Expectation dx = expect::expect_backward(inputs, saved, in_place()).front();
  ASSERT_EQ(dx.points.size(), 400u);
  for (const compare::Point& point : dx.points) EXPECT_FALSE(point.open);
}

}  // namespace
