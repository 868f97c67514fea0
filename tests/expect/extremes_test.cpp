// The rules where a parameter is NaN or infinite, or something leaves its type on the way, and no
// rule of the operation settles what comes of it.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/bound/data.hpp"
#include "verify/compare/compare.hpp"
#include "verify/expect/expect.hpp"

namespace abn::tests {
namespace {

using namespace verify::expect;
using compare::Rule;

constexpr double nan = std::numeric_limits<double>::quiet_NaN(),
                 infinity = std::numeric_limits<double>::infinity();

using Points = std::vector<compare::Point>;
Points points(const std::vector<compare::Expectation>& all, compare::Output output) {
  return compare::find_output(all, output)->points;
}

/// Three samples of which one is the mean.
problem::Inputs three(int dtype, int activation, double parameter) {
  problem::Inputs in;
  in.problem = make_problem(1, 1, 3, dtype, activation, parameter);
  in.gamma = {1}, in.beta = {0.25};
  in.running_mean = {2}, in.running_var = {1};
  in.x = {1, 2, 3}, in.dz = {1, -2, 4};
  return in;
}

TEST(verify_oracle_extremes, beta_and_gamma_that_are_not_finite_act_element_by_element) {
  for (const int mode : {ABN_TRAINING, ABN_INFERENCE}) {
    problem::Inputs in = three(ABN_F32, ABN_ELU, 0.5);
    in.problem.mode = mode;
    in.beta = {-infinity};
    for (const compare::Point& z :
         points(expect_forward(in, plain_claims(ABN_STANDARD, ABN_F32, 3)), compare::Output::z)) {
      EXPECT_EQ(z.hi, -0.5) << mode;
      EXPECT_EQ(z.rule, Rule::bounded) << mode;
    }
    in.beta = {0.25}, in.gamma = {infinity};
    abn_claims claims = plain_claims(ABN_STANDARD, ABN_F32, 3);
    const Points direct = points(expect_forward(in, claims), compare::Output::z);
    EXPECT_EQ(direct[0].hi, -0.5) << mode;
    EXPECT_EQ(direct[0].rule, Rule::bounded) << mode;
    EXPECT_EQ(direct[1].rule, Rule::anything) << "g times an xhat of 0";
    EXPECT_EQ(direct[2].hi, infinity) << mode;
    EXPECT_EQ(direct[2].rule, Rule::same_class) << mode;
    claims.normalise = ABN_FOLDED;
    for (const compare::Point& z : points(expect_forward(in, claims), compare::Output::z))
      EXPECT_EQ(z.rule, Rule::anything) << "infinity minus infinity";
  }
}

TEST(verify_oracle_extremes, nan_beside_a_gamma_of_zero_may_reach_dx_and_dgamma_in_place) {
  problem::Inputs in = three(ABN_F32, ABN_LEAKY_RELU, 0.25);
  in.gamma = {0};
  const abn_claims claims = plain_claims(ABN_IN_PLACE_1, ABN_F32, 3);
  for (const bool of_dz : {false, true})
    for (const int mode : {ABN_TRAINING, ABN_FROZEN}) {
      in.problem.mode = mode;
      in.dz = {1, of_dz ? nan : -2, 4};
      const problem::Saved saved{{0.25, of_dz ? 0.25 : nan, 0.25}, {}, {}, {1}};
      const auto all = expect_backward(in, saved, claims);
      const Points dx = points(all, compare::Output::dx);
      EXPECT_EQ(dx[1].rule, Rule::anything);
      EXPECT_EQ(dx[0].rule, mode == ABN_TRAINING ? Rule::anything : Rule::bounded);
      EXPECT_EQ(points(all, compare::Output::dgamma)[0].rule, Rule::anything);
    }
}

TEST(verify_oracle_extremes, a_y_that_is_not_finite_beside_an_xhat_that_is_leaves_no_gradient) {
  for (const int activation : {ABN_ELU, ABN_SILU})
    for (const int mode : {ABN_TRAINING, ABN_FROZEN}) {
      problem::Inputs in = three(ABN_F32, activation, activation == ABN_ELU ? 1 : 0);
      in.problem.mode = mode;
      in.beta = {nan};
      const auto all = expect_backward(in, problem::Saved{{}, {}, {2}, {1}},
                                       plain_claims(ABN_CHECKPOINT_X, ABN_F32, 3));
      for (const compare::Point& dx : points(all, compare::Output::dx))
        EXPECT_EQ(dx.rule, Rule::anything) << activation << mode;
      for (const compare::Output sum : {compare::Output::dgamma, compare::Output::dbeta})
        EXPECT_EQ(points(all, sum)[0].rule, Rule::anything) << activation << mode;
    }
}

TEST(verify_oracle_extremes, an_infinite_dz_meets_a_phi_that_is_flat) {
  problem::Inputs in = three(ABN_F32, ABN_CELU, 0x1p-11);
  in.problem.mode = ABN_FROZEN;
  in.dz = {infinity, 1, infinity};
  const auto dx =
      points(expect_backward(in, problem::Saved{}, plain_claims(ABN_CHECKPOINT_X, ABN_F32, 3)),
             compare::Output::dx);
  EXPECT_EQ(dx[0].rule, Rule::anything) << "alpha e^y underflows";
  EXPECT_EQ(dx[2].rule, Rule::same_class) << "phi' is 1";
}

TEST(verify_oracle_extremes, what_leaves_a_narrow_type_with_frozen_statistics_is_not_judged) {
  problem::Inputs in = three(ABN_F64, ABN_IDENTITY, 0);
  in.problem.mode = ABN_FROZEN, in.problem.eps = 0;
  in.running_var = {0x1p-400};  // r = 2^200
  for (const int accumulate : {ABN_F32, ABN_F64}) {
    const auto all =
        expect_backward(in, problem::Saved{}, plain_claims(ABN_CHECKPOINT_X, accumulate, 3));
    for (const compare::Point& dx : points(all, compare::Output::dx))
      EXPECT_EQ(dx.rule, accumulate == ABN_F32 ? Rule::anything : Rule::bounded);
    EXPECT_EQ(points(all, compare::Output::dbeta)[0].rule, Rule::bounded);
  }
  // xhat = 2^17, rounded to f16 on the way
  in = three(ABN_F16, ABN_LEAKY_RELU, 0.25);
  in.problem.mode = ABN_INFERENCE, in.problem.eps = 0;
  in.running_var = {0x1p-34}, in.gamma = {0x1p-10};
  for (const bool rounds : {false, true}) {
    abn_claims claims = plain_claims(ABN_STANDARD, ABN_F32, 3);
    claims.materialises = rounds ? ABN_MATERIALISES_XHAT : 0;
    const Points z = points(expect_forward(in, claims), compare::Output::z);
    EXPECT_EQ(z[2].rule == Rule::anything, rounds);
  }
}

}  // namespace
}  // namespace abn::tests
