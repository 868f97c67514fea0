// Where numbers leave the range of the accumulate type: every order of operations in use stays
// within the bounds where products underflow, and nothing is demanded of what an overflow reaches.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "tests/bound/data.hpp"
#include "verify/compare/compare.hpp"
#include "verify/expect/expect.hpp"
#include "verify/study/simulate.hpp"

namespace abn::tests {
namespace {

compare::Expectation find(const std::vector<compare::Expectation>& all, compare::Output output) {
  return *compare::find_output(all, output);
}

problem::Inputs channel(int dtype, std::vector<double> x, std::vector<double> dz,
                        double gamma = 1) {
  problem::Inputs in;
  in.problem = make_problem(1, 1, static_cast<std::int64_t>(x.size()), dtype, ABN_IDENTITY, 0);
  in.gamma = {gamma};
  in.beta = {0};
  in.running_mean = {0};
  in.running_var = {1};
  in.x = std::move(x);
  in.dz = std::move(dz);
  return in;
}

abn_claims claims(int scheme, int accumulate, int statistics = ABN_TWO_PASS, bool folded = false) {
  study::KernelClass declared;
  declared.accumulate = accumulate;
  declared.statistics = statistics;
  declared.folded = folded;
  declared.summation = study::Summation::sequential;
  declared.scheme = scheme;
  return study::claims_of(declared, make_problem(1, 1, 8, ABN_F32, ABN_IDENTITY, 0));
}

/// Samples of the normal size, gradients near the smallest normal numbers, and gamma or dz so small
/// that products underflow.
problem::Inputs small_numbers(std::mt19937_64& random, double gamma, double x_scale,
                              double dz_scale) {
  std::normal_distribution<double> normal;
  std::vector<double> x(8), dz(8);
  for (double& value : x)
    value = problem::round_to(problem::format_of(ABN_F32), normal(random) * x_scale);
  for (double& value : dz)
    value = problem::round_to(problem::format_of(ABN_F32), normal(random) * dz_scale);
  return channel(ABN_F32, x, dz, gamma);
}

float worst_of(const compare::Expectation& e, const std::vector<float>& got) {
  compare::Tally tally;
  for (std::size_t i = 0; i < got.size(); ++i)
    tally.add(static_cast<std::int64_t>(i), e.points[i], got[i],
              compare::compare(e.points[i], got[i], problem::format_of(e.dtype)));
  EXPECT_EQ(tally.failed, 0) << tally.worst_comparison.reason;
  return static_cast<float>(tally.max_ratio);
}

// Each order as people write it, all in float. x, mu and r are exact or as saved.
using Backward = std::vector<float> (*)(const std::vector<float>& x, const std::vector<float>& dz,
                                        float mu, float r, float g, float& s1);

std::vector<float> premultiplied(const std::vector<float>& x, const std::vector<float>& dz,
                                 float mu, float r, float g, float& s1) {
  float s0 = 0;
  s1 = 0;
  const auto m = static_cast<float>(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) s0 += dz[i], s1 += dz[i] * ((x[i] - mu) * r);
  std::vector<float> dx(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    dx[i] = (g * r / m) * (m * dz[i] - s0 - ((x[i] - mu) * r) * s1);
  return dx;
}

std::vector<float> sum_before_root(const std::vector<float>& x, const std::vector<float>& dz,
                                   float mu, float r, float g, float& s1) {
  float s0 = 0, dot = 0;
  const auto m = static_cast<float>(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) s0 += dz[i], dot += dz[i] * (x[i] - mu);
  s1 = dot * r;
  std::vector<float> dx(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    dx[i] = (dz[i] - s0 / m - (x[i] - mu) * (dot * r * r / m)) * r * g;
  return dx;
}

std::vector<float> root_last(const std::vector<float>& x, const std::vector<float>& dz, float mu,
                             float r, float g, float& s1) {
  float s0 = 0;
  s1 = 0;
  const auto m = static_cast<float>(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) s0 += dz[i], s1 += dz[i] * ((x[i] - mu) * r);
  std::vector<float> dx(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    dx[i] = r * (g * dz[i] - g * (s0 / m) - ((x[i] - mu) * r) * (g * (s1 / m)));
  return dx;
}

TEST(verify_bound_range, products_that_underflow_in_backward_stay_within_the_bound_in_every_order) {
  struct Case {
    double gamma, x, dz;
  };
  const double tiny = 0x1p-126;
  std::mt19937_64 random(1);
  for (const Backward order : {premultiplied, sum_before_root, root_last}) {
    float worst_dx = 0, worst_dgamma = 0;
    for (const Case& one : {Case{tiny, 1, 1}, Case{tiny, 1, 0x1p20}, Case{1, 1e-3, 0x1p-130},
                            Case{1, 0x1p-70, 0x1p-70}, Case{0x1p-20, 1e-3, 0x1p-120}})
      for (int draw = 0; draw < 200; ++draw) {
        problem::Inputs in = small_numbers(random, one.gamma, one.x, one.dz);
        const abn_claims of_kernel = claims(ABN_CHECKPOINT_X, ABN_F32);
        double mean = 0, variance = 0;
        for (const double x : in.x) mean += x / 8;
        mean = static_cast<float>(mean);
        for (const double x : in.x) variance += (x - mean) * (x - mean) / 8;
        variance = static_cast<float>(variance);
        const std::vector<compare::Expectation> expected =
            expect::expect_backward(in, problem::Saved{{}, {}, {mean}, {variance}}, of_kernel);
        const float r =
            1 / std::sqrt(static_cast<float>(variance) + static_cast<float>(in.problem.eps));
        const std::vector<float> x(in.x.begin(), in.x.end()), dz(in.dz.begin(), in.dz.end());
        float s1 = 0;
        const std::vector<float> dx =
            order(x, dz, static_cast<float>(mean), r, static_cast<float>(one.gamma), s1);
        worst_dx = std::max(worst_dx, worst_of(find(expected, compare::Output::dx), dx));
        worst_dgamma =
            std::max(worst_dgamma, worst_of(find(expected, compare::Output::dgamma), {s1}));
      }
    EXPECT_GT(worst_dx, 0.1);  // a bound that nothing comes near would hide a bug
    EXPECT_GT(worst_dgamma, 0.02);
  }
}

TEST(verify_bound_range, products_that_underflow_in_forward_stay_within_the_bound_in_every_order) {
  std::mt19937_64 random(2);
  for (const bool folded : {false, true}) {
    float worst = 0;
    for (const double scale : {1e-3, 1.0, 1000.0})
      for (int draw = 0; draw < 200; ++draw) {
        problem::Inputs in = small_numbers(random, 0x1.8p-126, scale, 1);
        in.problem.mode = ABN_INFERENCE;
        in.running_var = {static_cast<float>(scale * scale)};
        in.running_mean = {static_cast<float>(scale)};
        const compare::Expectation z =
            find(expect::expect_forward(in, claims(ABN_IN_PLACE_1, ABN_F32, ABN_TWO_PASS, folded)),
                 compare::Output::z);
        const float r = 1 / std::sqrt(static_cast<float>(in.running_var[0]) +
                                      static_cast<float>(in.problem.eps)),
                    g = 0x1.8p-126F;
        const auto mu = static_cast<float>(in.running_mean[0]);
        std::vector<float> one(8), two(8), three(8);
        for (std::size_t i = 0; i < 8; ++i) {
          const auto x = static_cast<float>(in.x[i]);
          one[i] = g * (x - mu) * r, two[i] = (g * r) * (x - mu),
          three[i] = (g * r) * x + (0 - (g * r) * mu);
        }
        if (folded)
          worst = std::max(worst, worst_of(z, three));
        else
          worst = std::max({worst, worst_of(z, one), worst_of(z, two)});
      }
    EXPECT_GT(worst, 0.1);
  }
}

TEST(verify_bound_range, nothing_is_demanded_of_what_an_overflow_of_sums_reaches) {
  const std::vector<double> ones{1, 1, 1, 1}, huge{0x1.8p+127, 0x1.8p+127, 0x1p+126, 0x1p+125},
      large{0x1.8p+66, 0x1p+66, -0x1p+65, 0x1p+62};
  const problem::Inputs sums = channel(ABN_F32, huge, ones),
                        squares = channel(ABN_F32, large, ones);
  for (const compare::Output output :
       {compare::Output::z, compare::Output::mean, compare::Output::variance})
    for (const compare::Expectation found =
             find(expect::expect_forward(sums, claims(ABN_IN_PLACE_1, ABN_F32)), output);
         const compare::Point& point : found.points)
      EXPECT_EQ(point.rule, compare::Rule::anything) << compare::output_name(output);
  for (const compare::Expectation found =
           find(expect::expect_forward(squares, claims(ABN_IN_PLACE_1, ABN_F32, ABN_ONE_PASS)),
                compare::Output::z);
       const compare::Point& point : found.points)
    EXPECT_EQ(point.rule, compare::Rule::anything);
  // A wider accumulate type has no such excuse, and its mean is judged.
  for (const compare::Output output : {compare::Output::z, compare::Output::mean})
    for (const compare::Expectation found =
             find(expect::expect_forward(sums, claims(ABN_IN_PLACE_1, ABN_F64)), output);
         const compare::Point& point : found.points)
      EXPECT_EQ(point.rule, compare::Rule::bounded) << compare::output_name(output);

  const problem::Inputs gradients =
      channel(ABN_F32, {1, 2, 3, -0.5}, {0x1p+126, 0x1p+100, 0x1p+90, 0x1p+80});
  const std::vector<compare::Expectation> all = expect::expect_backward(
      gradients, problem::Saved{{}, {}, {1.375}, {1.671875}}, claims(ABN_CHECKPOINT_X, ABN_F32));
  EXPECT_EQ(find(all, compare::Output::dx).points[0].rule,
            compare::Rule::anything);  // m dy is infinite
  EXPECT_EQ(find(all, compare::Output::dbeta).points[0].rule, compare::Rule::bounded);
}

TEST(verify_bound_range, a_variance_of_nothing_but_rounding_still_has_to_give_numbers) {
  problem::Inputs in = channel(ABN_F32, {0x1.000002p+10, 0x1p+10, 0x1p+10, 0x1p+10}, {1, -1, 1, 1});
  const abn_claims one_pass = claims(ABN_IN_PLACE_1, ABN_F32, ABN_ONE_PASS);
  for (const compare::Expectation found =
           find(expect::expect_forward(in, one_pass), compare::Output::z);
       const compare::Point& point : found.points) {
    EXPECT_EQ(point.rule, compare::Rule::bounded);
    EXPECT_FALSE(compare::compare(point, std::nan(""), problem::format_of(ABN_F32)).passed);
  }
  for (const compare::Expectation& e : expect::expect_gradient(in, one_pass))
    for (const compare::Point& point : e.points)
      EXPECT_EQ(point.rule, compare::Rule::bounded) << compare::output_name(e.output);
  in.problem.eps = 0;  // with nothing in the root but that
  for (const compare::Expectation found =
           find(expect::expect_forward(in, one_pass), compare::Output::z);
       const compare::Point& point : found.points)
    EXPECT_EQ(point.rule, compare::Rule::anything);
}

TEST(verify_bound_range, a_derivative_from_a_y_found_again_is_right_for_kernels_that_claim_it) {
  problem::Inputs in = channel(ABN_F16, {}, {});
  in.problem = make_problem(1, 1, 64, ABN_F16, ABN_ELU, 1);
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  for (int i = 0; i < 64; ++i) {
    in.x.push_back(problem::round_to(problem::format_of(ABN_F16), normal(random)));
    in.dz.push_back(problem::round_to(problem::format_of(ABN_F16), normal(random)));
  }
  study::SimulatedKernel kernel;
  kernel.free.derivative_from_y = true;
  for (const bool claimed : {true, false}) {
    kernel.declared.materialises = claimed ? ABN_MATERIALISES_Y : 0;
    const study::KernelOutputs got = study::simulate(in, kernel);
    compare::Tally tally;
    const compare::Expectation dx =
        find(expect::expect_backward(in, got.saved, study::claims_of(kernel.declared, in.problem)),
             compare::Output::dx);
    for (std::size_t i = 0; i < dx.points.size(); ++i)
      tally.add(static_cast<std::int64_t>(i), dx.points[i], got.dx[i],
                compare::compare(dx.points[i], got.dx[i], problem::format_of(ABN_F16)));
    EXPECT_EQ(tally.failed == 0, claimed) << tally.max_ratio;
  }
}

}  // namespace
}  // namespace abn::tests
