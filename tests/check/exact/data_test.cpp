// Exact data are what they are said to be: storable, exact in every order that was counted, and the
// closed forms are the oracle's results.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "verify/check/exact/answer.hpp"
#include "verify/check/exact/checks.hpp"
#include "verify/data/cases.hpp"
#include "verify/expect/expect.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::check;
using namespace abn::verify::check::exact;

/// A smoke tier without its longest cases in f64, whose exact values take minutes.
std::vector<data::Case> tier_of(std::uint64_t seed) {
  constexpr std::int64_t most_in_f64 = 1 << 14;
  std::vector<data::Case> cases = exact_checks.cases(data::Tier::smoke, seed);
  std::erase_if(cases, [](const data::Case& one) {
    return one.problem.dtype == ABN_F64 && problem::element_count(one.problem) > most_in_f64;
  });
  return cases;
}

/// The smoke tier of three seeds.
std::vector<data::Case> many_cases() {
  std::vector<data::Case> cases;
  for (const std::uint64_t seed : {1u, 2u, 3u})
    for (data::Case& one : tier_of(seed)) cases.push_back(std::move(one));
  return cases;
}

TEST(ExactData, FitTheirTypes) {
  for (const data::Case& one : many_cases()) {
    const problem::Inputs inputs = data::inputs_of(one);
    const auto fits = [&](const std::vector<double>& values, int dtype) {
      for (const double v : values)
        if (!std::isfinite(v) || problem::round_to(problem::format_of(dtype), v) != v) return false;
      return true;
    };
    const abn_problem& p = one.problem;
    EXPECT_TRUE(fits(inputs.x, p.dtype) && fits(inputs.dz, p.dtype)) << problem::to_string(p);
    for (const auto* vector :
         {&inputs.gamma, &inputs.beta, &inputs.running_mean, &inputs.running_var})
      EXPECT_TRUE(fits(*vector, p.param_dtype)) << problem::to_string(p);
    EXPECT_EQ(problem::to_string(problem::parse_problem(problem::to_string(p))),
              problem::to_string(p));
    EXPECT_EQ(problem::parse_problem(problem::to_string(p)).eps, p.eps);
  }
}

/// Forwards, backwards, and by halves.
template <class A>
std::vector<A> sums(const std::vector<A>& terms) {
  A forwards = 0, backwards = 0;
  for (std::size_t i = 0; i < terms.size(); ++i)
    forwards += terms[i], backwards += terms[terms.size() - 1 - i];
  const std::function<A(std::size_t, std::size_t)> halves = [&](std::size_t first,
                                                                std::size_t last) -> A {
    return last - first == 1 ? terms[first]
                             : halves(first, first + (last - first) / 2) +
                                   halves(first + (last - first) / 2, last);
  };
  return {forwards, backwards, halves(0, terms.size())};
}

template <class A>
void expect_exact_sums(const data::ExactPlan& plan) {
  const abn_problem& p = plan.problem;
  const auto m = static_cast<A>(problem::sample_count(p));
  for (const data::ExactChannel& k : plan.channels) {
    std::vector<A> x, squares, deviations, dy, product, product_y;
    const auto mean = static_cast<A>(k.mean), r = static_cast<A>(k.r), g = static_cast<A>(k.g),
               beta = static_cast<A>(k.beta);
    const auto centre = static_cast<A>(k.shift != 0 ? k.running_mean : k.mean);
    for (std::size_t i = 0; i < k.dy.size(); ++i) {
      x.push_back(static_cast<A>(k.mean + k.unit * k.deviation[i]));
      squares.push_back(x[i] * x[i]);
      deviations.push_back((x[i] - mean) * (x[i] - mean));
      dy.push_back(static_cast<A>(k.gradient_unit * k.dy[i]));
      product.push_back(dy[i] * ((x[i] - centre) * r));
      product_y.push_back(dy[i] * (g * ((x[i] - centre) * r) + beta));
    }
    const A s0 = static_cast<A>(k.gradient_unit * static_cast<double>(k.mean_dy)) * m;
    const A s1 = static_cast<A>(k.gradient_unit * k.unit * static_cast<double>(k.products)) * r;
    for (const A sum : sums(x)) ASSERT_EQ(sum, m * mean) << problem::to_string(p);
    for (const A sum : sums(deviations))
      ASSERT_EQ(sum / m, static_cast<A>(k.variance)) << problem::to_string(p);
    for (const A sum : sums(deviations))
      ASSERT_EQ(sum * (1 / m), static_cast<A>(k.variance)) << problem::to_string(p);
    for (const A sum : sums(dy)) ASSERT_EQ(sum, s0) << problem::to_string(p);
    for (const A sum : sums(product)) ASSERT_EQ(sum, s1) << problem::to_string(p);
    for (const A sum : sums(product_y)) ASSERT_EQ(sum, g * s1 + beta * s0) << problem::to_string(p);
    if (k.one_pass) {
      for (const A sum : sums(squares))
        ASSERT_EQ(sum / m - mean * mean, static_cast<A>(k.variance)) << problem::to_string(p);
    }
    if (p.mode != ABN_TRAINING) continue;
    ASSERT_EQ(1 / std::sqrt(static_cast<A>(k.variance) + static_cast<A>(p.eps)), r)
        << problem::to_string(p);
    // dx in four orders: the textbook's; multiplied out; with reciprocals; by scheme II.
    const A inverse = 1 / m;
    for (std::size_t i = 0; i < k.dy.size(); ++i) {
      const A xhat = (x[i] - mean) * r, y = g * xhat + beta;
      const A textbook = g * r * (dy[i] - s0 / m - xhat * (s1 / m));
      ASSERT_EQ((m * dy[i] - s0 - xhat * s1) * (g * r * inverse), textbook)
          << problem::to_string(p) << " sample " << i;
      ASSERT_EQ(g * r * dy[i] - (g * r * inverse) * s0 - (x[i] - mean) * (s1 * inverse * r * r * g),
                textbook)
          << problem::to_string(p);
      ASSERT_EQ(r * ((g * dy[i] - y * (s1 * inverse)) - (g * s0 - beta * s1) * inverse), textbook)
          << problem::to_string(p);
    }
  }
}

TEST(ExactData, RoundNothingInAnyOrder) {
  for (const data::Case& one : many_cases()) {
    const data::ExactPlan plan = data::exact_plan(one.problem, one.seed);
    if (one.problem.dtype == ABN_F64)
      expect_exact_sums<double>(plan);
    else
      expect_exact_sums<float>(plan);
  }
}

TEST(ExactData, HaveTheResultsOfTheOracle) {
  const std::vector<double> nothing;
  std::size_t compared = 0;
  for (const data::Case& one : tier_of(1))
    for (int scheme = ABN_STANDARD; scheme <= ABN_IN_PLACE_2; ++scheme) {
      const abn_problem& p = one.problem;
      const abn_claims claims =
          problem::claims_of(expect::reference_variant(expect::ReferenceArithmetic::f64, scheme), p)
              .claims;
      const data::ExactPlan plan = data::exact_plan(p, one.seed);
      const problem::Inputs inputs = data::exact_inputs(plan);
      std::vector<compare::Expectation> all = expect::expect_forward(inputs, claims);
      if (p.mode != ABN_INFERENCE) {
        for (compare::Expectation& e :
             expect::expect_backward(inputs, exact_saved(plan, claims), claims))
          all.push_back(std::move(e));
      }
      for (const compare::Expectation& oracle : all) {
        if (oracle.output == compare::Output::running_var ||
            (!plan.affine && oracle.output == compare::Output::dgamma))
          continue;
        const std::vector<double> none(oracle.points.size(), std::nan(""));
        const compare::Expectation closed = exact_expectation(plan, claims, oracle.output, none);
        for (std::size_t i = 0; i < none.size(); ++i, ++compared) {
          const double due =
              problem::round_to(problem::format_of(oracle.dtype), oracle.points[i].hi);
          ASSERT_EQ(closed.points[i].hi, due)
              << problem::to_string(p) << " --seed " << one.seed << " "
              << compare::output_name(oracle.output) << " " << i;
          ASSERT_EQ(closed.points[i].bound, 0);
        }
      }
    }
  EXPECT_GT(compared, 500'000u);
}

TEST(ExactData, MeetEveryTypeLayoutAndMode) {
  std::set<std::string> seen;
  bool odd = false, large = false, wide = false, zero_y = false;
  const std::vector<data::Case> cases = exact_checks.cases(data::Tier::smoke, 1);
  EXPECT_LE(cases.size(), 90u);
  for (const data::Case& one : cases) {
    const abn_problem& p = one.problem;
    seen.insert(std::string(problem::dtype_name(p.dtype)) + problem::layout_name(p.layout) +
                problem::mode_name(p.mode));
    odd |= problem::sample_count(p) % 2 == 1;
    large |= problem::sample_count(p) > 65536;
    for (const data::ExactChannel& k : data::exact_plan(p, one.seed).channels) {
      wide |= std::abs(k.deviation.front()) > 2048;
      for (const std::int32_t d : k.deviation)
        zero_y |= k.g * k.r * k.unit * (d - k.shift) + k.beta == 0;
    }
  }
  EXPECT_EQ(seen.size(), 4u * 2 * 3);
  EXPECT_TRUE(odd && large && wide && zero_y);
}

TEST(ExactData, AreRefusedWhereThereAreNone) {
  const auto message = [](const char* problem) -> std::string {
    try {
      data::replay(problem, "exact", 1);
    } catch (const problem::UsageError& wrong) {
      return wrong.what();
    }
    return "taken";
  };
  EXPECT_EQ(message("n2c3s32,f32,leaky_relu:0.25,eps:0.75"), "taken");
  EXPECT_EQ(message("n1c3s4099,bf16,identity,eps:0.5,frozen"), "taken");
  for (const auto& [problem, says] : {std::pair{"n2c3s32,f32,elu:1,eps:0.75", "exponential"},
                                      {"n2c3s32,f32,leaky_relu:0.01,eps:0.75", "slope"},
                                      {"n2c3s32,f32,leaky_relu:0.25", "eps:0.75"},
                                      {"n1c3s33,f32,leaky_relu:0.25,eps:0.75", "eps:0.5"},
                                      {"n2c3s49,f32,identity,eps:0.75", "100 samples"},
                                      {"n1c3s1,f32,identity,eps:0.75,frozen", "two samples"},
                                      {"n1c1s16777215,f32,identity,eps:0.75", "samples"},
                                      {"n1c1s2,f16,leaky_relu:0.015625,eps:4095.99999762", "eps"}})
    EXPECT_NE(message(problem).find(says), std::string::npos)
        << problem << ": " << message(problem);
}

TEST(ExactData, ReciprocalsOfCountsAreJudgedByTheirError) {
  for (const std::int64_t good : {2, 3, 33, 64, 96, 100, 257, 4099, 65537})
    EXPECT_TRUE(data::has_exact_reciprocal(good)) << good;
  for (const std::int64_t bad : {7, 41, 49, 98, 1000})
    EXPECT_FALSE(data::has_exact_reciprocal(bad)) << bad;
  // What it is for: 41 * fl(1/41) is not 1 in single precision.
  EXPECT_NE(41.0F * (1.0F / 41.0F), 1.0F);
}

}  // namespace
