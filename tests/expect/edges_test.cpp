// The rules that the oracle sets at the numerical edges, and what it refuses.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "tests/bound/data.hpp"
#include "verify/compare/compare.hpp"
#include "verify/expect/expect.hpp"

namespace abn::tests {
namespace {

using namespace verify::expect;

constexpr double nan = std::numeric_limits<double>::quiet_NaN(),
                 infinity = std::numeric_limits<double>::infinity();

const compare::Expectation& find(const std::vector<compare::Expectation>& all,
                                 compare::Output output) {
  return *compare::find_output(all, output);
}

problem::Inputs tiny(int dtype, int activation, double parameter, std::vector<double> x,
                     std::vector<double> dz) {
  problem::Inputs in;
  in.problem =
      make_problem(1, 1, static_cast<std::int64_t>(x.size()), dtype, activation, parameter);
  in.gamma = {1};
  in.beta = {0};
  in.running_mean = {0};
  in.running_var = {1};
  in.x = std::move(x);
  in.dz = std::move(dz);
  return in;
}

TEST(verify_oracle_edges, nothing_is_expected_of_an_empty_batch) {
  problem::Inputs in = tiny(ABN_F32, ABN_IDENTITY, 0, {}, {});
  EXPECT_TRUE(expect_forward(in, plain_claims(ABN_STANDARD, ABN_F32, 1)).empty());
  EXPECT_TRUE(expect_gradient(in, plain_claims(ABN_STANDARD, ABN_F32, 1)).empty());
}

TEST(verify_oracle_edges, non_finite_input_spoils_a_training_channel_and_one_element_of_inference) {
  problem::Inputs in =
      tiny(ABN_F32, ABN_LEAKY_RELU, 0.25, {1, nan, 2, infinity, -infinity}, {1, 1, 1, 1, 1});
  const abn_claims claims = plain_claims(ABN_IN_PLACE_1, ABN_F32, 5);
  for (const compare::Expectation& e : expect_forward(in, claims))
    for (const compare::Point& point : e.points)
      EXPECT_EQ(point.rule, compare::Rule::any_nonfinite) << compare::output_name(e.output);
  in.problem.mode = ABN_INFERENCE;
  const std::vector<compare::Expectation> all = expect_forward(in, claims);
  ASSERT_EQ(all.size(), 1u);
  const std::vector<compare::Point>& z = all[0].points;
  EXPECT_EQ(z[0].rule, compare::Rule::signed_bounded);
  EXPECT_EQ(z[1].rule, compare::Rule::same_class);
  EXPECT_TRUE(std::isnan(z[1].hi));
  EXPECT_EQ(z[2].rule, compare::Rule::signed_bounded);
  EXPECT_EQ(z[3].rule, compare::Rule::same_class);
  EXPECT_EQ(z[3].hi, infinity);
  EXPECT_EQ(z[4].hi, -infinity);
  in.problem.mode = ABN_FROZEN;
  in.dz = {1, 1, infinity, -infinity, 1};
  in.x = {1, 2, 3, 4, 5};
  const std::vector<compare::Expectation> gradients =
      expect_backward(in, problem::Saved{{1, 2, 3, 4, 5}, {}, {}, {}}, claims);
  EXPECT_EQ(find(gradients, compare::Output::dx).points[0].rule, compare::Rule::bounded);
  EXPECT_EQ(find(gradients, compare::Output::dx).points[2].hi, infinity);
  EXPECT_EQ(find(gradients, compare::Output::dx).points[3].rule, compare::Rule::same_class);
  EXPECT_EQ(find(gradients, compare::Output::dbeta).points[0].rule, compare::Rule::any_nonfinite);
  in.problem.mode = ABN_TRAINING;
  const std::vector<compare::Expectation> trained =
      expect_backward(in, problem::Saved{{1, 2, 3, 4, 5}, {}, {}, {1}}, claims);
  for (const compare::Point& point : find(trained, compare::Output::dx).points)
    EXPECT_EQ(point.rule, compare::Rule::any_nonfinite);
}

TEST(verify_oracle_edges,
     what_becomes_of_dy_under_elu_where_z_is_nan_is_not_judged_found_again_or_not) {
  problem::Inputs in = tiny(ABN_F32, ABN_ELU, 0.5, {1, nan, 2}, {1, 1, 1});
  in.problem.mode = ABN_FROZEN;
  for (const auto& [scheme, saved] :
       {std::pair{ABN_IN_PLACE_1, problem::Saved{{1, nan, 2}, {}, {}, {}}},
        {ABN_CHECKPOINT_X, problem::Saved{}}}) {
    const std::vector<compare::Expectation> all =
        expect_backward(in, saved, plain_claims(scheme, ABN_F32, 3));
    const std::vector<compare::Point>& dx = find(all, compare::Output::dx).points;
    EXPECT_EQ(dx[0].rule, compare::Rule::bounded) << scheme;
    EXPECT_EQ(dx[1].rule, compare::Rule::anything) << scheme;
    EXPECT_EQ(find(all, compare::Output::dbeta).points[0].rule, compare::Rule::anything) << scheme;
  }
}

TEST(verify_oracle_edges, elu_of_minus_infinity_is_minus_alpha) {
  problem::Inputs in = tiny(ABN_F32, ABN_ELU, 0.5, {-infinity, 0, 1}, {1, 1, 1});
  in.problem.mode = ABN_INFERENCE;
  for (const int accumulate : {ABN_F32, ABN_F64}) {  // long double and 50 digits
    const std::vector<compare::Expectation> all =
        expect_forward(in, plain_claims(ABN_STANDARD, accumulate, 1));
    EXPECT_EQ(all[0].points[0].rule, compare::Rule::bounded);
    EXPECT_EQ(all[0].points[0].hi, -0.5);
    EXPECT_LT(all[0].points[0].bound, 1e-6);
  }
  in.problem.dtype = in.problem.param_dtype = ABN_F64;
  EXPECT_EQ(expect_forward(in, plain_claims(ABN_STANDARD, ABN_F64, 1))[0].points[0].hi, -0.5);
}

TEST(verify_oracle_edges, what_overflows_on_the_way_to_a_finite_z_is_not_judged) {
  const auto rule = [](int dtype, double x, double gamma, double variance,
                       int activation = ABN_LEAKY_RELU) {
    problem::Inputs in = tiny(dtype, activation, 0.01, {x}, {0});
    in.problem.mode = ABN_FROZEN;
    in.gamma = {gamma}, in.running_var = {variance};
    return find(expect_forward(in, plain_claims(ABN_STANDARD, dtype, 1)), compare::Output::z)
        .points.front()
        .rule;
  };
  EXPECT_EQ(rule(ABN_F64, 0x1.cp1023, -0x1.ap0, 1), compare::Rule::anything)
      << "y overflows, 0.01 y does not";
  EXPECT_EQ(rule(ABN_F32, 0x1p127, 0, 0x1p-5), compare::Rule::anything)
      << "0 times an xhat that overflows";
  EXPECT_EQ(rule(ABN_F32, 0x1p127, -1, 4), compare::Rule::signed_bounded) << "nothing overflows";
  EXPECT_NE(rule(ABN_F32, 0x1p127, 4, 1), compare::Rule::anything)
      << "z itself is infinite and has to be";
  EXPECT_NE(rule(ABN_F16, 0x1p15, 4, 1), compare::Rule::anything)
      << "the accumulate type is wide enough";
}

TEST(verify_oracle_edges, leaky_z_has_a_sign_where_y_has_one) {
  problem::Inputs in =
      tiny(ABN_F16, ABN_LEAKY_RELU, 0.01, {0, -0.0, -0x1p-20, 0x1p-20, -1}, {1, 1, 1, 1, 1});
  in.problem.mode = ABN_INFERENCE;
  const problem::Format& format = problem::format_of(ABN_F16);
  std::vector<compare::Point> z =
      expect_forward(in, plain_claims(ABN_IN_PLACE_1, ABN_F32, 5))[0].points;
  for (const std::size_t i : {0u, 1u}) {  // y = +-0 exactly
    EXPECT_EQ(z[i].rule, compare::Rule::signed_bounded);
    EXPECT_TRUE(compare::compare(z[i], 0.0, format).passed);
    EXPECT_FALSE(compare::compare(z[i], -0.0, format).passed);
  }
  EXPECT_EQ(z[2].rule, compare::Rule::signed_bounded);  // -0.01 * 2^-20 underflows in f16
  EXPECT_TRUE(compare::compare(z[2], -0.0, format).passed);
  EXPECT_FALSE(compare::compare(z[2], 0.0, format).passed);
  EXPECT_FALSE(compare::compare(z[3], -0.0, format).passed);
  // With a beta that cancels x (r = 1) the sign of y is a matter of rounding.
  in.problem.eps = 0;
  in.gamma = {static_cast<double>(1.0F / 3)};
  in.beta = {static_cast<double>(-1.0F / 3)};
  in.x = {1, 1, 1, 1, 1};
  z = expect_forward(in, plain_claims(ABN_IN_PLACE_1, ABN_F32, 5))[0].points;
  EXPECT_EQ(z[0].rule, compare::Rule::bounded);
}

TEST(verify_oracle_edges, stored_zero_branches_by_its_sign) {
  problem::Inputs in = tiny(ABN_F16, ABN_LEAKY_RELU, 0.25, {1, 2, 3, 4}, {1, 1, 1, 1});
  in.problem.mode = ABN_FROZEN;
  const std::vector<compare::Expectation> all = expect_backward(
      in, problem::Saved{{0.0, -0.0, 1, -1}, {}, {}, {}}, plain_claims(ABN_IN_PLACE_1, ABN_F32, 4));
  const std::vector<compare::Point>& dx = find(all, compare::Output::dx).points;
  EXPECT_NEAR(dx[0].hi, 1, 1e-5);
  EXPECT_NEAR(dx[1].hi, 0.25, 1e-5);
  EXPECT_LT(dx[1].bound, 1e-3);
}

TEST(verify_oracle_edges, saturated_elu_is_moved_above_minus_alpha) {
  for (const double alpha : {1.0, 0.3, 1.7}) {
    const problem::Format& format = problem::format_of(ABN_F16);
    problem::Inputs in = tiny(ABN_F16, ABN_ELU, alpha, {1, 2, 3, 4}, {1, 1, 1, 1});
    const double a = in.problem.activation_parameter, above = problem::next_above(format, -a),
                 below = problem::round_to(format, -a * 1.01);
    const abn_claims claims = plain_claims(ABN_IN_PLACE_1, ABN_F32, 4);
    const auto of = [&](double z) {
      return expect_backward(in, problem::Saved{{z, 0.5, 1, -0.1}, {}, {}, {1}}, claims);
    };
    const std::vector<compare::Expectation> moved = of(below), plain = of(above);
    for (std::size_t k = 0; k < moved.size(); ++k)
      for (std::size_t i = 0; i < moved[k].points.size(); ++i) {
        EXPECT_EQ(moved[k].points[i].hi, plain[k].points[i].hi);
        EXPECT_TRUE(std::isfinite(moved[k].points[i].hi));
        EXPECT_TRUE(std::isfinite(moved[k].points[i].bound));
      }
    // The true gradient is not moved; its bound knows what saturation costs.
    in.x = {-40, 1, 2, 3};
    in.gamma = {20};
    for (const compare::Expectation& e : expect_gradient(in, claims))
      for (const compare::Point& point : e.points) EXPECT_TRUE(std::isfinite(point.bound));
  }
}

TEST(verify_oracle_edges, nothing_can_be_recovered_where_g_is_zero) {
  problem::Inputs in = tiny(ABN_F32, ABN_LEAKY_RELU, 0.25, {1, 2, 3, 5}, {1, -2, 3, 4});
  in.gamma = {0};
  in.beta = {0.5};
  const problem::Saved saved{{0.5, 0.5, 0.5, 0.5}, {}, {}, {1}};
  for (const int scheme : {ABN_IN_PLACE_1, ABN_IN_PLACE_2}) {
    const std::vector<compare::Expectation> all =
        expect_backward(in, saved, plain_claims(scheme, ABN_F32, 4));
    for (const compare::Point& point : find(all, compare::Output::dx).points) {
      EXPECT_EQ(point.hi, 0);
      EXPECT_EQ(point.bound, 0);
    }
    EXPECT_EQ(find(all, compare::Output::dgamma).points[0].rule, compare::Rule::any_finite);
    EXPECT_EQ(find(all, compare::Output::dbeta).points[0].hi, 6);
    EXPECT_EQ(find(all, compare::Output::dbeta).points[0].rule, compare::Rule::bounded);
  }
  const compare::Point standard =
      find(expect_gradient(in, plain_claims(ABN_STANDARD, ABN_F32, 4)), compare::Output::dgamma)
          .points[0];
  EXPECT_EQ(standard.rule, compare::Rule::bounded);
  EXPECT_NE(standard.hi, 0);
}

TEST(verify_oracle_edges, no_affine_is_g_one_under_both_conventions) {
  problem::Inputs in = tiny(ABN_F32, ABN_IDENTITY, 0, {1, 2, 3, 5}, {1, -2, 3, 4});
  const abn_claims claims = plain_claims(ABN_STANDARD, ABN_F32, 4);
  const double plain = expect_forward(in, claims)[0].points[0].hi;
  in.affine = false;
  in.gamma.clear();
  in.beta.clear();
  in.problem.scale = ABN_SCALE_ABS_EPS;
  EXPECT_EQ(expect_forward(in, claims)[0].points[0].hi, plain);
  in.affine = true;
  in.gamma = {-1};
  in.beta = {0};
  // g = 1 + eps, and x[0] is below the mean
  EXPECT_LT(expect_forward(in, claims)[0].points[0].hi, plain);
}

TEST(verify_oracle_edges, marks_what_the_method_cannot_do) {
  const auto limited = [](double gamma, double beta, int scheme) {
    const problem::Inputs in = make_inputs(make_problem(2, 3, 20, ABN_BF16, ABN_LEAKY_RELU, 0.01),
                                           Recipe{1, 1, gamma, beta, 1, false}, 2);
    return find(expect_gradient(in, plain_claims(scheme, ABN_F32, 10)), compare::Output::dx)
        .method_limited;
  };
  EXPECT_FALSE(limited(1, 1, ABN_IN_PLACE_1));
  EXPECT_TRUE(limited(1e-4, 1, ABN_IN_PLACE_1));
  EXPECT_FALSE(limited(1e-4, 1, ABN_STANDARD));
}

TEST(verify_oracle_edges, the_true_gradient_is_open_where_y_may_be_a_kink) {
  const problem::Inputs in = tiny(ABN_F32, ABN_RELU, 0, {-1, 0, 0, 1}, {1, 2, 3, 4});
  for (const int scheme : {ABN_STANDARD, ABN_CHECKPOINT_X}) {
    const std::vector<compare::Expectation> all =
        expect_gradient(in, plain_claims(scheme, ABN_F32, 4));
    const std::vector<compare::Point>& dx = find(all, compare::Output::dx).points;
    EXPECT_FALSE(dx[0].open);
    EXPECT_TRUE(dx[1].open);
    EXPECT_TRUE(dx[2].open);
    EXPECT_FALSE(dx[3].open);
  }
}

/// A frozen ELU of f32 that is judged on what it stored.
compare::Expectation frozen_dx(double gamma, const std::vector<double>& z, double dz = 1,
                               std::uint32_t materialises = 0) {
  problem::Inputs in = tiny(ABN_F32, ABN_ELU, 0x1p-10, {-1, 1, -2, 2}, {dz, dz, dz, dz});
  in.problem.mode = ABN_FROZEN;
  in.running_mean = {0}, in.running_var = {1};
  in.gamma = {gamma};
  problem::Saved saved;
  saved.z = z;
  abn_claims claims = plain_claims(ABN_STANDARD, ABN_F32, 4);
  claims.materialises = materialises;
  return find(expect_backward(in, saved, claims), compare::Output::dx);
}

TEST(verify_oracle_edges, an_infinite_scale_times_a_derivative_that_may_be_zero_is_inf_or_nan) {
  const double least = -0x1p-10;
  const std::vector<double> z{least, infinity, std::nextafter(least, 0), infinity};
  const compare::Expectation dx = frozen_dx(infinity, z);
  EXPECT_EQ(dx.points[0].rule, compare::Rule::any_nonfinite);
  EXPECT_EQ(dx.points[2].rule, compare::Rule::any_nonfinite);
  EXPECT_EQ(dx.points[1].rule, compare::Rule::same_class) << "phi' is 1 there";
  const std::vector<double> half{-0x1p-11, infinity, -0x1p-11, infinity};
  EXPECT_EQ(frozen_dx(infinity, half).points[0].rule, compare::Rule::same_class);
  EXPECT_EQ(frozen_dx(infinity, half, 0x1p-145).points[0].rule, compare::Rule::any_nonfinite)
      << "dy is 2^-156";
  for (const compare::Point& point : frozen_dx(2, {least, 1, -0x1p-11, 1}).points)
    EXPECT_EQ(point.rule, compare::Rule::bounded);
}

TEST(verify_oracle_edges, a_gamma_that_is_zero_in_the_accumulate_type_has_no_sign) {
  const auto rule = [](double gamma, int accumulate, int scale) {
    problem::Inputs in = tiny(ABN_F64, ABN_IDENTITY, 0, {1, 2, 3, 5}, {1, -2, 3, 4});
    in.problem.scale = scale;
    in.gamma = {gamma};
    return find(expect_gradient(in, plain_claims(ABN_STANDARD, accumulate, 4)),
                compare::Output::dgamma)
        .points[0]
        .rule;
  };
  EXPECT_EQ(rule(-1e-300, ABN_F32, ABN_SCALE_ABS_EPS), compare::Rule::any_finite);
  EXPECT_EQ(rule(-1e-300, ABN_F64, ABN_SCALE_ABS_EPS), compare::Rule::bounded);
  EXPECT_EQ(rule(-1e-300, ABN_F32, ABN_SCALE_SIGNED), compare::Rule::bounded);
  EXPECT_EQ(rule(-1e-30, ABN_F32, ABN_SCALE_ABS_EPS), compare::Rule::bounded);
}

TEST(verify_oracle_edges, facts_say_how_hard_a_channel_is) {
  problem::Inputs in = tiny(ABN_F32, ABN_IDENTITY, 0, {9, 11, 9, 11}, {1, -1, 1, 1});
  in.gamma = {0.5};
  in.beta = {-4};
  const abn_claims claims = plain_claims(ABN_IN_PLACE_1, ABN_F32, 4);
  const compare::ChannelFacts facts =
      find(expect_gradient(in, claims), compare::Output::dx).channels[0];
  EXPECT_NEAR(facts.kappa, std::sqrt(101.0), 1e-12);
  EXPECT_EQ(facts.beta_over_g, 8);
  EXPECT_EQ(facts.sum_condition, 2);
  EXPECT_EQ(find(expect_backward(in, problem::Saved{{-4.5, -3.5, -4.5, -3.5}, {}, {}, {1}}, claims),
                 compare::Output::dbeta)
                .channels[0]
                .kappa,
            facts.kappa);
}

TEST(verify_oracle_edges, refuses_what_does_not_fit_together) {
  problem::Inputs in = tiny(ABN_F32, ABN_IDENTITY, 0, {9, 11, 9, 11}, {1, -1, 1, 1});
  const abn_claims claims = plain_claims(ABN_IN_PLACE_1, ABN_F32, 4);
  EXPECT_THROW(expect_backward(in, problem::Saved{}, claims), std::invalid_argument);
  EXPECT_THROW(expect_backward(in, problem::Saved{{1, 1, 1, 1}, {}, {}, {}}, claims),
               std::invalid_argument);
  in.dz.pop_back();
  EXPECT_THROW(expect_gradient(in, claims), std::invalid_argument);
  in.problem.mode = ABN_INFERENCE;
  in.dz.push_back(1);
  EXPECT_THROW(expect_gradient(in, claims), std::invalid_argument);
}

}  // namespace
}  // namespace abn::tests
