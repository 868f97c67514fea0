// Where k u >= 1 gamma(k) is void, and nothing probabilistic takes its place: a right kernel would
// be accused.
#include <gtest/gtest.h>

#include <cmath>

#include "verify/bound/bound.hpp"
#include "verify/expect/expect.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::bound;

constexpr int terms = 4096;
constexpr double u = 0x1p-11;  // of f16

/// Ones added up one by one in f16: from 2048 on, each is lost in the tie.
double stagnated_sum() {
  double sum = 0;
  for (int i = 0; i < terms; ++i) sum = problem::round_to(problem::format_of(ABN_F16), sum + 1);
  return sum;
}

/// Higham and Mary (SIAM J. Sci. Comput. 41, 2019), theorem 2.4: holds for independent errors of
/// mean 0 but for 2 exp(-lambda^2 (1-u)^2/2).
double probabilistic_gamma(double lambda) {
  return std::expm1(lambda * std::sqrt(terms) * u + terms * u * u / (1 - u));
}

TEST(verify_bound_vacuous, stagnation_is_beyond_every_probabilistic_bound) {
  EXPECT_EQ(gamma_of(terms, u), infinity);
  const double error = (terms - stagnated_sum()) / terms;
  EXPECT_EQ(error, 0.5);
  constexpr double lambda = 8.4;  // 1e-15 a sum: a millionth for 1e9 sums
  EXPECT_LT(2 * std::exp(-lambda * lambda * (1 - u) * (1 - u) / 2), 1e-15);
  EXPECT_GT(error, 1.5 * probabilistic_gamma(lambda))
      << "the errors of a sum of one sign lean to one side";
}

TEST(verify_bound_vacuous, a_sum_that_deep_demands_nothing_and_tells_nothing) {
  problem::Inputs in;
  in.problem = problem::parse_problem("n1c1s4096,f16,identity");
  for (int i = 0; i < terms; ++i) in.x.push_back(i % 2 == 0 ? 1 : 1.5), in.dz.push_back(1);
  in.gamma = {1}, in.beta = {0}, in.running_mean = {0}, in.running_var = {1};
  abn_claims claims{};
  claims.struct_size = sizeof claims;
  claims.scheme = ABN_IN_PLACE_1, claims.accumulate = ABN_F16,
  claims.saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  claims.depth_statistics = claims.depth_backward = terms, claims.function_ulp = 2;
  for (const compare::Expectation& one : expect::expect_forward(in, claims))
    if (one.output == compare::Output::mean || one.output == compare::Output::z) {
      for (const compare::Point& point : one.points)
        EXPECT_EQ(point.bound, infinity) << compare::output_name(one.output);
    }
  claims.depth_statistics = 64;  // as a tree the same sum is bounded
  for (const compare::Expectation& one : expect::expect_forward(in, claims))
    if (one.output == compare::Output::mean) {
      EXPECT_LT(one.points.front().bound, 0.1);
    }
}

}  // namespace
