// Each rounding by itself: with every unit roundoff but one set to 0, a bound has to be just what
// its derivation says of that one.
//
// The larger terms of a bound hide the smaller ones: a kernel that stays within the whole bound
// says nothing of them. Here they stand alone, on channels of one or two samples whose numbers make
// the rest vanish (xhat = 0, beta = 0, eps = 0), so that the expected values can be written down
// from the headers' derivations.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "verify/bound/backward.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::bound;

constexpr double roundoff = 0x1p-8, subnormal = 0x1p-20;

/// Equal up to what the evaluation itself rounds.
void expect_equal(double got, double expected) {
  EXPECT_NEAR(got, expected, 1e-12 * expected) << got << " against " << expected;
}

/// A channel of m samples with g = 1/2, r = 4 and no beta, no eps.
ChannelNumbers channel_of(double m) {
  ChannelNumbers c;
  c.m = m, c.g = 0.5, c.r = 4, c.variance = 0x1p-4;
  return c;
}

/// What backward is given and has found, sample by sample.
struct Samples {
  oracle::BackwardInput in;
  oracle::BackwardValues v;
  void add(double x, double z, double dz, double y, double xhat, double dy) {
    in.x.push_back(x), in.z.push_back(z), in.xhat.push_back(xhat), in.dz.push_back(dz);
    v.y.push_back(y), v.xhat.push_back(xhat), v.dy.push_back(dy);
    v.dx.hi.push_back(0), v.dx.lo.push_back(0);
    v.s0 += dy, v.s1 += dy * xhat;
  }
};

BackwardErrors<Terms> errors(const Arithmetic& a, const ChannelNumbers& c, const BackwardPlan& plan,
                             Samples samples, oracle::Source source, bool frozen = false) {
  samples.in.source = source, samples.in.frozen = frozen;
  return BackwardBound<Terms>(a, c, plan, samples.in, samples.v).errors();
}

BackwardPlan plan_of(int scheme) {
  BackwardPlan plan;
  plan.scheme = scheme;
  return plan;
}

// ---- statistics ---------------------------------------------------------------------------------

TEST(verify_bound_terms, welford_pays_for_the_products_of_its_merges) {
  Arithmetic a;
  a.u = 0x1p-24, a.depth_statistics = 3;
  ChannelNumbers c = channel_of(64);
  c.mean = c.mean_abs = 1, c.mean_abs_deviation = 0.25;
  const double plain = batch_statistics_error(a, c).mean;
  a.statistics_class = ABN_WELFORD;
  // 3 roundings on each of 3 levels
  expect_equal(batch_statistics_error(a, c).mean - plain, gamma_of(9, a.u) * 0.25);
}

TEST(verify_bound_terms, reading_x_into_a_narrower_type_moves_the_variance) {
  Arithmetic a;
  a.load.u = roundoff;
  ChannelNumbers c = channel_of(64);
  c.mean = 3, c.mean_abs = 3;
  const double square = c.variance + 9, mean = roundoff * 3;
  expect_equal(batch_statistics_error(a, c).variance,
               mean * mean + roundoff * (2 * std::sqrt(c.variance * square) + roundoff * square));
}

TEST(verify_bound_terms, x_may_underflow_where_it_is_read_into_a_narrower_type) {
  Arithmetic a;
  a.load.eta = subnormal;
  ChannelNumbers c = channel_of(64);
  c.mean_abs = 1;
  expect_equal(batch_statistics_error(a, c).mean, subnormal / 2);
}

TEST(verify_bound_terms, squares_of_deviations_may_underflow) {
  Arithmetic a;
  a.eta = subnormal;
  ChannelNumbers c = channel_of(64);
  c.mean_abs = 1;
  expect_equal(batch_statistics_error(a, c).variance, 2 * subnormal + subnormal * subnormal);
}

TEST(verify_bound_terms, terms_that_are_infinite_share_the_bound) {
  Terms terms;
  terms[compare::Term::mean] = terms[compare::Term::variance] = infinity;
  terms[compare::Term::arithmetic] = 1;
  const compare::Shares shares = shares_of(terms);
  EXPECT_EQ(shares[static_cast<std::size_t>(compare::Term::mean)], 0.5F);
  EXPECT_EQ(shares[static_cast<std::size_t>(compare::Term::variance)], 0.5F);
  EXPECT_EQ(shares[static_cast<std::size_t>(compare::Term::arithmetic)], 0);
}

// ---- forward ------------------------------------------------------------------------------------

TEST(verify_bound_terms, y_from_a_stored_xhat_rounds_the_product_and_the_sum) {
  Arithmetic a;
  a.u = roundoff;
  const ChannelNumbers c = channel_of(1);
  const ForwardBound<Terms> forward(a, c, {});
  expect_equal(forward.y_from_xhat({}, 3, 1.5).total(),
               roundoff * 1.5 + roundoff * (1.5 + roundoff * 1.5));
}

TEST(verify_bound_terms, beta_may_be_read_into_a_narrower_type) {
  Arithmetic a;
  a.load_parameter.u = roundoff;
  ChannelNumbers c = channel_of(1);
  c.beta = -5;
  const ForwardBound<Terms> forward(a, c, {});
  expect_equal(forward.y_from_xhat({}, 3, -3.5).total(), roundoff * 5);
}

TEST(verify_bound_terms, the_product_by_r_may_underflow_but_not_where_it_is_0) {
  Arithmetic a;
  a.eta = subnormal;
  const ChannelNumbers c = channel_of(1);
  const ForwardBound<Terms> forward(a, c, {});
  expect_equal(forward.xhat(1, 3).total(), subnormal);
  EXPECT_EQ(forward.xhat(0, 0).total(), 0);
}

TEST(verify_bound_terms, the_exponential_may_underflow_before_alpha_and_behind_it) {
  Arithmetic a;
  a.activation.eta = subnormal;
  ChannelNumbers c = channel_of(1);
  c.phi = problem::phi_of(ABN_ELU, 2);
  const double y = -1, z = 2 * std::expm1(y);
  // alpha times the half of the smallest number, and that half for the product
  expect_equal(ForwardBound<Terms>(a, c, {}).z({}, y, z).total(),
               2 * subnormal / 2 + subnormal / 2);
}

TEST(verify_bound_terms, a_rounded_exponential_and_a_rounded_product) {
  Arithmetic a;
  a.activation.u = roundoff;
  ChannelNumbers c = channel_of(1);
  c.phi = problem::phi_of(ABN_ELU, 2);
  const double y = -1, z = 2 * std::expm1(y);
  expect_equal(ForwardBound<Terms>(a, c, {}).z({}, y, z).total(), 2 * roundoff * std::fabs(z));
}

TEST(verify_bound_terms, celu_reads_alpha_as_a_factor_and_as_a_divisor) {
  Arithmetic a;
  a.load_parameter.u = roundoff;
  ChannelNumbers c = channel_of(1);
  c.phi = problem::phi_of(ABN_CELU, 3);
  const double y = -2, z = 3 * std::expm1(y / 3), factor = roundoff * std::fabs(z);
  // t = y/alpha off by u|t| moves expm1(t) by at most u|expm1(t)|
  expect_equal(ForwardBound<Terms>(a, c, {}).z({}, y, z).total(),
               factor + roundoff * (std::fabs(z) + factor));
}

// ---- what backward recovers ---------------------------------------------------------------------

TEST(verify_bound_terms, backward_reads_z_and_dz_into_a_narrower_type) {
  Arithmetic a;
  a.load.u = a.load_out.u = roundoff;
  Samples one;
  one.add(0, 3, 7, 3, 6, 7);  // identity: xhat = z/g, so z off by u|z| is xhat off by u|z|/|g|
  const auto e = errors(a, channel_of(1), plan_of(ABN_IN_PLACE_1), one, oracle::Source::z, true);
  expect_equal(e.dbeta.total(), roundoff * 7);
  expect_equal(e.dgamma.total(),
               7 * (roundoff * 6) + 6 * (roundoff * 7) + (roundoff * 7) * (roundoff * 6));
}

TEST(verify_bound_terms, backward_reads_xhat_into_a_narrower_type) {
  Arithmetic a;
  a.load.u = a.load_out.u = roundoff;
  Samples one;
  one.add(0, 0, 7, 1.5, 3, 7);
  const auto e =
      errors(a, channel_of(1), plan_of(ABN_CHECKPOINT_XHAT), one, oracle::Source::xhat, true);
  expect_equal(e.dgamma.total(),
               7 * (roundoff * 3) + 3 * (roundoff * 7) + (roundoff * 7) * (roundoff * 3));
}

TEST(verify_bound_terms, an_error_that_passes_through_the_logarithm_keeps_its_name) {
  const Arithmetic a;
  ChannelNumbers c = channel_of(1);
  c.phi = problem::phi_of(ABN_ELU, 1);
  BackwardPlan plan = plan_of(ABN_IN_PLACE_1);
  plan.end_to_end = true;
  plan.forward.mean = 0x1p-10;
  Samples one;
  one.add(0, std::expm1(-1.0), 7, -1, -2, 7 * std::exp(-1.0));
  const auto e = errors(a, c, plan, one, oracle::Source::x, true);
  EXPECT_GT(e.dgamma[compare::Term::mean], 0.99 * e.dgamma.total());
}

TEST(verify_bound_terms, dy_from_the_output_rounds_the_product_by_the_slope) {
  Arithmetic a;
  a.load_parameter.u = roundoff;
  ChannelNumbers c = channel_of(1);
  c.phi = problem::phi_of(ABN_LEAKY_RELU, 0.25);
  Samples one;
  one.add(0, -0.25, 8, -1, -2, 2);
  expect_equal(
      errors(a, c, plan_of(ABN_STANDARD), one, oracle::Source::x_and_z, true).dbeta.total(),
      roundoff * 2);
}

TEST(verify_bound_terms, in_place_the_derivative_rounds_alpha_the_sum_and_the_product) {
  ChannelNumbers c = channel_of(1);
  c.phi = problem::phi_of(ABN_ELU, 2);
  const double y = -1, z = 2 * std::expm1(y), dz = 8, dy = dz * (z + 2);
  Samples one;
  one.add(0, z, dz, y, -2, dy);
  Arithmetic parameter;
  parameter.load_parameter.u = roundoff;
  const double alpha = dz * roundoff * 2;
  expect_equal(
      errors(parameter, c, plan_of(ABN_IN_PLACE_1), one, oracle::Source::z, true).dbeta.total(),
      alpha + roundoff * (dy + alpha));
}

TEST(verify_bound_terms, in_place_the_derivative_of_celu_divides_by_alpha) {
  ChannelNumbers c = channel_of(1);
  c.phi = problem::phi_of(ABN_CELU, 3);
  const double y = -2, z = 3 * std::expm1(y / 3), dz = 8, dy = dz * (z + 3) / 3;
  Samples one;
  one.add(0, z, dz, y, -4, dy);
  Arithmetic a;
  a.load_parameter.u = roundoff;
  const auto e = errors(a, c, plan_of(ABN_IN_PLACE_1), one, oracle::Source::z, true);
  // (z + alpha)/alpha, or 1 + z/alpha: alpha as a summand, then as a divisor of either
  const double summand = dz * roundoff, divided = summand + roundoff * (dz / 3 * std::fabs(z) + dy);
  expect_equal(e.dbeta.total(), divided + roundoff * (dy + divided));

  // y = alpha*log1p(z/alpha): alpha as a divisor, which the logarithm stretches, then as a factor
  const double w = z + 3, stretched = -3 * std::log1p(-roundoff * std::fabs(z) / w),
               y_error = stretched + roundoff * (std::fabs(y) + stretched),
               xhat_error = y_error / c.g, dy_error = e.dbeta.total();
  expect_equal(e.dgamma.total(), dy * xhat_error + 4 * dy_error + dy_error * xhat_error);
}

TEST(verify_bound_terms, a_kernel_with_a_y_of_its_own_knows_nothing_of_the_rounding_of_z) {
  Arithmetic a;
  a.derivative_from_y = true;
  a.kept.u = roundoff;
  ChannelNumbers c = channel_of(1);
  c.phi = problem::phi_of(ABN_ELU, 1);
  const double y = -1, z = std::expm1(y), w = std::exp(y);
  Samples one;
  one.add(0, z, 8, y, -2, 8 * w);
  EXPECT_NEAR(errors(a, c, plan_of(ABN_STANDARD), one, oracle::Source::x_and_z, true).dbeta.total(),
              8 * roundoff * std::fabs(z), 1e-9);
  // A mean that is off twice: when z was made, and when y is found again.
  BackwardPlan plan = plan_of(ABN_STANDARD);
  plan.backward.mean = 0x1p-10;
  const double y_error = c.g * c.r * plan.backward.mean;
  EXPECT_NEAR(errors(a, c, plan, one, oracle::Source::x_and_z, true).dbeta.total(),
              8 * (roundoff * std::fabs(z) + w * std::expm1(2 * y_error)), 1e-9);
}

TEST(verify_bound_terms, dy_from_the_input_rounds_the_exponential_and_the_product) {
  ChannelNumbers c = channel_of(1);
  c.phi = problem::phi_of(ABN_ELU, 2);
  const double y = -1, dy = 8 * 2 * std::exp(y);
  Samples one;
  one.add(0, 0, 8, y, -2, dy);
  Arithmetic function;
  function.function = roundoff;
  expect_equal(
      errors(function, c, plan_of(ABN_CHECKPOINT_X), one, oracle::Source::x, true).dbeta.total(),
      8 * 2 * roundoff);
  Arithmetic parameter;
  parameter.load_parameter.u = roundoff;
  const double alpha = 8 * 2 * roundoff;
  expect_equal(
      errors(parameter, c, plan_of(ABN_CHECKPOINT_X), one, oracle::Source::x, true).dbeta.total(),
      alpha + roundoff * (dy + alpha));
}

// ---- what backward makes of it ------------------------------------------------------------------

TEST(verify_bound_terms, scheme_two_rounds_beta_where_it_takes_it_out_of_the_sum) {
  Arithmetic a;
  a.load_parameter.u = roundoff;
  ChannelNumbers c = channel_of(1);
  c.beta = -3;
  Samples one;
  one.add(0, -3, 8, -3, 0, 8);
  expect_equal(errors(a, c, plan_of(ABN_IN_PLACE_2), one, oracle::Source::z).dgamma.total(),
               roundoff * 3 * 8 / 0.5);
}

TEST(verify_bound_terms, scheme_two_carries_the_error_of_sum_dy_to_every_element) {
  Arithmetic a;
  a.load_parameter.u = roundoff;
  ChannelNumbers c = channel_of(2);
  c.phi = problem::phi_of(ABN_LEAKY_RELU, 0.25);
  Samples two;
  two.add(0, 0, 8, 0, 0, 8);        // nothing of its own is off, and its xhat is 0
  two.add(0, -0.25, 8, -1, -2, 2);  // dy off by u|dy|
  const auto e = errors(a, c, plan_of(ABN_IN_PLACE_2), two, oracle::Source::z);
  expect_equal(e.dx[0].total(), 0.5 * 4 / 2 * (roundoff * 2));
}

TEST(verify_bound_terms, products_of_scheme_two_may_underflow) {
  Arithmetic a;
  a.eta = subnormal;
  Samples one;
  one.add(0, 1, 8, 1, 0, 8);
  expect_equal(
      errors(a, channel_of(1), plan_of(ABN_IN_PLACE_2), one, oracle::Source::z).dx[0].total(),
      // y; the products of any order, with g r = 2 and r = 4; and, where u = 0 makes every g r/m
      // subnormal, the bracket of dy and S0/m
      subnormal * (1 + (2 + 2 * 2 + 2 * 4) + (8 + 8)));
}

TEST(verify_bound_terms, a_subnormal_g_r_over_m_costs_the_whole_bracket) {
  Arithmetic a;
  a.u = 0x1p-30, a.eta = 0x1p-20;  // g r/m = 2/64 lies below eta/u
  const ChannelNumbers c = channel_of(64);
  Samples one;
  one.add(0, 0, 1000, 0, 0, 1000);
  const auto e = errors(a, c, plan_of(ABN_STANDARD), one, oracle::Source::x_and_z);
  EXPECT_GT(e.dx[0].total(), a.eta * 64 * 1000);
  Arithmetic fine = a;
  fine.eta = 0x1p-60;
  EXPECT_LT(errors(fine, c, plan_of(ABN_STANDARD), one, oracle::Source::x_and_z).dx[0].total(),
            1e-3 * e.dx[0].total());
}

// ---- what dx itself rounds
// ------------------------------------------------------------------------

/// Term::arithmetic of dx from the header's counts, for identity and the standard scheme, where dy
/// is exact and xhat comes from x.
double arithmetic_of_dx(const Arithmetic& a, const ChannelNumbers& c, const Samples& samples,
                        std::size_t i, bool underflows) {
  const ForwardBound<Terms> again(a, c, {});
  double sum_dy = 0, product = 0, error = 0;
  for (std::size_t k = 0; k < samples.v.dy.size(); ++k) {
    const double dy = std::fabs(samples.v.dy[k]), xhat = std::fabs(samples.v.xhat[k]),
                 off = again.xhat(samples.in.x[k], xhat).total();
    sum_dy += dy, product += dy * (xhat + off), error += dy * off;
  }
  const double r = c.r * again.root.growth, scale = std::fabs(c.g) * r;
  const double s0 = (std::fabs(samples.v.s0) + gamma_of(a.depth_backward, a.u) * sum_dy) / c.m;
  const double s1 = (std::fabs(samples.v.s1) + error +
                     gamma_of(a.depth_backward + 1, a.u) * product + (c.m + 1) * c.r * a.eta / 2) /
                    c.m;
  const double dy = std::fabs(samples.v.dy[i]), xhat = std::fabs(samples.v.xhat[i]);
  const double rounded = scale * a.u * (5 * dy + 6 * s0 + 7 * s1 * xhat);
  const double underflow = 2 + 2 * scale + xhat + r * (2 + xhat) + (std::fabs(c.g) + scale) * xhat;
  const double bracket = underflows ? c.m * (dy + s0 + s1 * xhat) : 0;
  // of xhat here, and in S1
  const double recovered =
      scale * s1 * again.xhat(samples.in.x[i], xhat).total() + scale / c.m * xhat * error;
  return rounded + a.eta * (underflow + bracket) + recovered;
}

TEST(verify_bound_terms, dx_rounds_dy_and_both_means_and_its_products_may_underflow) {
  Arithmetic a;
  a.u = roundoff, a.eta = subnormal;
  const ChannelNumbers c = channel_of(2);
  Samples two;
  two.add(0.5, 0, 8, 1, 2, 8);
  two.add(-0.25, 0, -3, -0.5, -1, -3);
  const auto e = errors(a, c, plan_of(ABN_STANDARD), two, oracle::Source::x_and_z);
  for (std::size_t i = 0; i < 2; ++i)
    expect_equal(e.dx[i][compare::Term::arithmetic], arithmetic_of_dx(a, c, two, i, false));
}

TEST(verify_bound_terms, a_subnormal_g_r_over_m_costs_dy_and_both_means) {
  Arithmetic a;
  a.u = 0x1p-30, a.eta = 0x1p-20;
  const ChannelNumbers c = channel_of(64);
  Samples two;
  two.add(0.5, 0, 8, 1, 2, 8);
  two.add(-0.25, 0, -3, -0.5, -1, -3);
  const auto e = errors(a, c, plan_of(ABN_STANDARD), two, oracle::Source::x_and_z);
  for (std::size_t i = 0; i < 2; ++i)
    expect_equal(e.dx[i][compare::Term::arithmetic], arithmetic_of_dx(a, c, two, i, true));
}

TEST(verify_bound_terms, a_variance_that_is_off_by_half_leaves_dx_unknown) {
  Arithmetic a;
  a.u = roundoff;
  const ChannelNumbers c = channel_of(2);
  BackwardPlan plan = plan_of(ABN_IN_PLACE_1);
  Samples one;
  one.add(0, 1, 8, 1, 2, 8);
  plan.backward.variance = 0.4 * c.variance;
  EXPECT_LT(errors(a, c, plan, one, oracle::Source::z).dx[0].total(), infinity);
  plan.backward.variance = 0.5 * c.variance;
  EXPECT_EQ(errors(a, c, plan, one, oracle::Source::z).dx[0].total(), infinity);
  EXPECT_EQ(errors(a, c, plan, one, oracle::Source::z, true).dx[0].total(), infinity)
      << "with frozen statistics, too";
}

}  // namespace
