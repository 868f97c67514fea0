// The oracle's own accuracy and the precision that it chooses.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "reference/multiprecision.hpp"
#include "tests/bound/data.hpp"
#include "verify/bound/backward.hpp"
#include "verify/expect/expect.hpp"
#include "verify/oracle/evaluate.hpp"

namespace abn::tests {
namespace {

using namespace verify::expect;

using reference::Real100;

/// hi + lo - (hi + lo), as far as doubles can tell.
double distance(const oracle::Wide& a, const oracle::Wide& b) {
  return std::fabs((a.hi - b.hi) + (a.lo - b.lo));
}
oracle::Wide at(const oracle::WideVector& values, std::size_t i) {
  return {values.hi[i], values.lo[i]};
}

struct Hard {
  const char* name;
  Recipe recipe;
  int activation;
  double parameter;
};
const std::vector<Hard> hard_channels = {
    {"kappa 1e6", Recipe{1e6, 1, 1, 0.5, 1, false}, ABN_LEAKY_RELU, 0.01},
    {"spikes", Recipe{1, 1, 1, 0.5, 1e-4, true}, ABN_LEAKY_RELU, 0.01},
    {"tiny gamma", Recipe{1, 1, 1e-6, 10, 1, false}, ABN_IDENTITY, 0},
    {"saturating", Recipe{1, 1, 6, 0, 1, false}, ABN_ELU, 1.7},
    {"far spikes", Recipe{1e5, 1e-3, 30, 1, 50, true}, ABN_ELU, 1},
};

struct Channel {
  oracle::ForwardInput forward;
  oracle::BackwardInput backward;
  bound::ChannelNumbers numbers;
};

Channel channel_of(const Hard& hard, int dtype, std::uint64_t seed) {
  const problem::Inputs in = make_inputs(
      make_problem(1, 1, 150, dtype, hard.activation, hard.parameter), hard.recipe, seed);
  Channel c;
  c.forward.parameters = {hard.activation,
                          in.problem.activation_parameter,
                          in.gamma[0],
                          in.beta[0],
                          in.problem.eps,
                          in.problem.momentum,
                          false};
  c.forward.x = in.x;
  c.forward.running_mean = in.running_mean[0];
  c.forward.running_var = in.running_var[0];
  c.backward.parameters = c.forward.parameters;
  c.backward.x = in.x;
  c.backward.dz = in.dz;
  return c;
}

bound::ChannelNumbers numbers_of(const Channel& c, const oracle::ForwardValues& v) {
  bound::ChannelNumbers n;
  n.m = static_cast<double>(c.forward.x.size());
  n.mean = v.mean.hi;
  n.variance = v.variance.hi;
  n.g = v.g;
  n.r = v.r;
  n.beta = c.forward.parameters.beta;
  n.eps = c.forward.parameters.eps;
  n.phi = problem::phi_of(c.forward.parameters.activation, c.forward.parameters.parameter);
  for (const double x : c.forward.x) n.mean_abs += std::fabs(x) / n.m;
  for (const double xhat : v.xhat.hi) n.mean_abs_deviation += std::fabs(xhat) / (n.m * n.r);
  return n;
}

/// `lower` and `higher` are values of the same channel in two precisions; `own` is the arithmetic
/// of the lower one.
void expect_forward_agrees(const Channel& c, const oracle::ForwardValues& lower,
                           const oracle::ForwardValues& higher, const bound::Arithmetic& own,
                           const char* name) {
  const bound::ChannelNumbers numbers = numbers_of(c, higher);
  const bound::StatisticsError statistics = bound::batch_statistics_error(own, numbers);
  const bound::ForwardBound<bound::Total> bound(own, numbers, statistics);
  EXPECT_LE(distance(lower.mean, higher.mean), statistics.mean) << name;
  EXPECT_LE(distance(lower.variance, higher.variance), statistics.variance) << name;
  for (std::size_t i = 0; i < c.forward.x.size(); ++i) {
    const double xhat = higher.xhat.hi[i], y = higher.y[i], z = higher.z.hi[i];
    ASSERT_LE(distance(at(lower.xhat, i), at(higher.xhat, i)),
              bound.xhat(c.forward.x[i], xhat).total())
        << name << " xhat " << i;
    ASSERT_LE(distance(at(lower.z, i), at(higher.z, i)),
              bound.z(bound.y(c.forward.x[i], xhat, y), y, z).total())
        << name << " z " << i;
  }
}

void expect_backward_agrees(const Channel& c, const oracle::BackwardValues& lower,
                            const oracle::BackwardValues& higher, const bound::Arithmetic& own,
                            const oracle::ForwardValues& forward, const char* name) {
  const bound::ChannelNumbers numbers = numbers_of(c, forward);
  bound::BackwardPlan plan;
  plan.scheme = ABN_CHECKPOINT_X;
  plan.end_to_end = true;
  plan.forward = plan.backward = bound::batch_statistics_error(own, numbers);
  const bound::BackwardErrors<bound::Total> errors =
      bound::BackwardBound<bound::Total>(own, numbers, plan, c.backward, higher).errors();
  EXPECT_LE(distance(lower.dgamma, higher.dgamma), errors.dgamma.total()) << name;
  EXPECT_LE(distance(lower.dbeta, higher.dbeta), errors.dbeta.total()) << name;
  for (std::size_t i = 0; i < c.backward.dz.size(); ++i)
    ASSERT_LE(distance(at(lower.dx, i), at(higher.dx, i)), errors.dx[i].total())
        << name << " dx " << i;
}

TEST(verify_oracle, long_double_agrees_with_50_digits_within_its_own_bound) {
  const abn_problem p = make_problem(1, 1, 150, ABN_F32, ABN_IDENTITY, 0);
  const bound::Arithmetic own =
      bound::oracle_arithmetic(p, plain_claims(ABN_CHECKPOINT_X, ABN_F32, 10),
                               static_cast<int>(oracle::Precision::long_double));
  for (const Hard& hard : hard_channels)
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      const Channel c = channel_of(hard, ABN_F32, seed);
      oracle::ForwardValues lower, higher;
      oracle::forward_in_long_double(c.forward, lower);
      oracle::forward_in_real50(c.forward, higher);
      expect_forward_agrees(c, lower, higher, own, hard.name);
      oracle::BackwardValues lower_gradients, higher_gradients;
      oracle::backward_in_long_double(c.backward, lower_gradients);
      oracle::backward_in_real50(c.backward, higher_gradients);
      expect_backward_agrees(c, lower_gradients, higher_gradients, own, higher, hard.name);
    }
}

// 168 bits have no referee but more bits. Differences below 2^-106 of a value do not show in hi +
// lo, so both precisions are asked for values that cancel: the deviations from a mean 2^40 times
// larger.
TEST(verify_oracle, fifty_digits_agree_with_a_hundred_to_the_last_bit_of_hi_and_lo) {
  for (const Hard& hard : hard_channels) {
    Channel c = channel_of(hard, ABN_F64, 5);
    for (double& x : c.forward.x) x += std::ldexp(1.0, 40);
    c.backward.x = c.forward.x;
    oracle::ForwardValues lower, higher;
    oracle::forward_in_real50(c.forward, lower);
    oracle::evaluate::forward<Real100>(c.forward, higher);
    oracle::BackwardValues lower_gradients, higher_gradients;
    oracle::backward_in_real50(c.backward, lower_gradients);
    oracle::evaluate::backward<Real100>(c.backward, higher_gradients);
    constexpr double last_bit = 0x1p-104;  // hi + lo hold 106 bits, and both are rounded
    for (std::size_t i = 0; i < c.forward.x.size(); ++i) {
      EXPECT_LE(distance(at(lower.z, i), at(higher.z, i)), last_bit * std::fabs(higher.z.hi[i]))
          << hard.name << i;
      EXPECT_LE(distance(at(lower_gradients.dx, i), at(higher_gradients.dx, i)),
                last_bit * std::fabs(higher_gradients.dx.hi[i]))
          << hard.name << i;
    }
    EXPECT_LE(distance(lower.variance, higher.variance), last_bit * higher.variance.hi)
        << hard.name;
    EXPECT_LE(distance(lower_gradients.dgamma, higher_gradients.dgamma),
              last_bit * std::fabs(higher_gradients.dgamma.hi))
        << hard.name;
  }
}

// The precision is chosen by the ratio of coefficients; this is the element-wise ratio that it must
// bound.
TEST(verify_oracle, share_of_the_bound_is_at_most_what_the_coefficients_say) {
  for (const Hard& hard : hard_channels)
    for (const int accumulate : {ABN_F32, ABN_F64, ABN_BF16})
      for (const int statistics : {ABN_TWO_PASS, ABN_WELFORD, ABN_ONE_PASS}) {
        const abn_problem p = make_problem(1, 1, 150, ABN_F32, hard.activation, hard.parameter);
        abn_claims claims = plain_claims(ABN_CHECKPOINT_X, accumulate, 9);
        claims.statistics = statistics;
        const bound::Arithmetic own = bound::oracle_arithmetic(
                                    p, claims, static_cast<int>(oracle::Precision::long_double)),
                                judged = bound::arithmetic_of(p, claims);
        const double share = bound::oracle_share(own, judged);
        const Channel c = channel_of(hard, ABN_F32, 9);
        oracle::ForwardValues v;
        oracle::forward_in_long_double(c.forward, v);
        const bound::ChannelNumbers numbers = numbers_of(c, v);
        const bound::ForwardBound<bound::Total> small(own, numbers,
                                                      bound::batch_statistics_error(own, numbers)),
            large(judged, numbers, bound::batch_statistics_error(judged, numbers));
        oracle::BackwardValues gradients;
        oracle::backward_in_long_double(c.backward, gradients);
        bound::BackwardPlan plan;
        plan.scheme = ABN_CHECKPOINT_X;
        plan.end_to_end = true;
        plan.forward = plan.backward = bound::batch_statistics_error(own, numbers);
        const bound::BackwardErrors<bound::Total> small_dx =
            bound::BackwardBound<bound::Total>(own, numbers, plan, c.backward, gradients).errors();
        plan.forward = plan.backward = bound::batch_statistics_error(judged, numbers);
        const bound::BackwardErrors<bound::Total> large_dx =
            bound::BackwardBound<bound::Total>(judged, numbers, plan, c.backward, gradients)
                .errors();
        for (std::size_t i = 0; i < c.forward.x.size(); ++i) {
          const double x = c.forward.x[i], xhat = v.xhat.hi[i], y = v.y[i];
          ASSERT_LE(small.y(x, xhat, y).total(), share * large.y(x, xhat, y).total() * 1.0001)
              << hard.name;
          ASSERT_LE(small_dx.dx[i].total(), share * large_dx.dx[i].total() * 1.0001) << hard.name;
        }
      }
}

/// Bits of hi + lo below hi that are in use.
bool beyond_long_double(const std::vector<compare::Expectation>& expectations) {
  for (const compare::Expectation& e : expectations)
    for (const compare::Point& point : e.points) {
      if (point.lo == 0) continue;
      // long double leaves at most 11 bits for lo
      const auto bits = std::bit_cast<std::uint64_t>(point.lo) & ((std::uint64_t{1} << 52) - 1);
      if (bits != 0 && std::countr_zero(bits) < 52 - 11) return true;
    }
  return false;
}

TEST(verify_oracle, escalates_where_long_double_is_not_enough) {
  const problem::Inputs inputs =
      make_inputs(make_problem(4, 2, 250, ABN_F32, ABN_LEAKY_RELU, 0.01), Recipe{}, 1);
  // float accumulators: 2^-40 m/h. Double accumulators summed by a tree of depth 12: 2^-11 *
  // 1000/12 = 4 %. Sequential: 2^-11.
  EXPECT_FALSE(beyond_long_double(expect_forward(inputs, plain_claims(ABN_STANDARD, ABN_F32, 12))));
  EXPECT_TRUE(beyond_long_double(expect_forward(inputs, plain_claims(ABN_STANDARD, ABN_F64, 12))));
  EXPECT_TRUE(beyond_long_double(expect_gradient(inputs, plain_claims(ABN_STANDARD, ABN_F64, 12))));
  // Storage in double escalates whatever the depth, as the value itself needs more than 64 bits to
  // measure an error in ulp.
  const problem::Inputs doubles =
      make_inputs(make_problem(4, 2, 25, ABN_F64, ABN_LEAKY_RELU, 0.01), Recipe{}, 1);
  EXPECT_TRUE(
      beyond_long_double(expect_forward(doubles, plain_claims(ABN_STANDARD, ABN_F64, 100))));
}

TEST(verify_oracle, depth_is_capped_and_a_deeper_claim_is_a_wider_bound) {
  const problem::Inputs inputs =
      make_inputs(make_problem(2, 1, 50, ABN_F32, ABN_IDENTITY, 0), Recipe{}, 1);
  const auto bound = [&](std::int64_t depth) {
    return expect_forward(inputs, plain_claims(ABN_STANDARD, ABN_F32, depth))[0].points[0].bound;
  };
  EXPECT_LT(bound(5), bound(50));
  EXPECT_LT(bound(50), bound(100));
  EXPECT_EQ(bound(100), bound(1000000));
  const auto fit = [&](std::int64_t depth) {
    return expect_forward(inputs, plain_claims(ABN_STANDARD, ABN_F32, depth))[0]
        .points[0]
        .fit_bound;
  };
  EXPECT_EQ(fit(5), fit(1000000));
}

// A claim may widen the bound; what is fit, it does not decide.
TEST(verify_oracle, a_narrow_accumulate_type_or_a_bad_function_does_not_make_a_kernel_competitive) {
  const problem::Inputs inputs =
      make_inputs(make_problem(2, 1, 50, ABN_F32, ABN_ELU, 1), Recipe{}, 1);
  const auto point = [&](int accumulate, double function_ulp) {
    abn_claims claims = plain_claims(ABN_STANDARD, accumulate, 5);
    claims.function_ulp = function_ulp;
    return expect_forward(inputs, claims)[0].points[0];
  };
  const compare::Point good = point(ABN_F32, 2), narrow = point(ABN_BF16, 2),
                       rough = point(ABN_F32, 1e6), wide = point(ABN_F64, 2);
  EXPECT_GT(narrow.bound, 100 * good.bound);
  EXPECT_EQ(narrow.fit_bound, good.fit_bound);
  EXPECT_LE(rough.fit_bound, 2 * good.fit_bound);
  EXPECT_LT(wide.fit_bound, good.fit_bound) << "who claims more is measured by more";
}

TEST(verify_oracle, layouts_agree) {
  abn_problem p = make_problem(3, 4, 7, ABN_F32, ABN_LEAKY_RELU, 0.01);
  const problem::Inputs nchw = make_inputs(p, Recipe{}, 4);
  problem::Inputs nhwc = nchw;
  nhwc.problem.layout = ABN_NHWC;
  for (std::int64_t c = 0; c < p.c; ++c)
    for (std::int64_t i = 0; i < 21; ++i) {
      const auto from = static_cast<std::size_t>(problem::sample_offset(nchw.problem, c, i)),
                 to = static_cast<std::size_t>(problem::sample_offset(nhwc.problem, c, i));
      nhwc.x[to] = nchw.x[from];
      nhwc.dz[to] = nchw.dz[from];
    }
  const abn_claims claims = plain_claims(ABN_IN_PLACE_1, ABN_F32, 8);
  const auto compare_layouts = [&](const std::vector<compare::Expectation>& a,
                                   const std::vector<compare::Expectation>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t k = 0; k < a.size(); ++k)
      for (std::int64_t c = 0; c < p.c; ++c)
        for (std::int64_t i = 0; i < (compare::is_tensor(a[k].output) ? 21 : 1); ++i) {
          const auto index = [&](const abn_problem& q) {
            return static_cast<std::size_t>(
                compare::is_tensor(a[k].output) ? problem::sample_offset(q, c, i) : c);
          };
          EXPECT_EQ(a[k].points[index(nchw.problem)].hi, b[k].points[index(nhwc.problem)].hi);
          EXPECT_EQ(a[k].points[index(nchw.problem)].bound, b[k].points[index(nhwc.problem)].bound);
        }
  };
  compare_layouts(expect_forward(nchw, claims), expect_forward(nhwc, claims));
  compare_layouts(expect_gradient(nchw, claims), expect_gradient(nhwc, claims));
}

}  // namespace
}  // namespace abn::tests
