// Forward and backward in 50 digits: statistics, running averages, schemes, identities, edges.

#include <algorithm>
#include <limits>

#include <gtest/gtest.h>

#include "reference/multiprecision.hpp"
#include "tests/reference/support.hpp"

namespace abn::tests {
namespace {

// 50 digits less what the generated problems can cost: x/sigma up to 10^3.4 where eps alone sets r,
// |beta|/|g| up to 10, e^-y up to 10^4 for ELU (|xhat| < 3, |g| <= 2, |beta| <= 2), sums of 8.
const double agreement = 1e-40;

template <class T>
T sum_of(const Vector<T>& values) {
  return values.sum();
}

Gradients<Real50> standard(const Problem& p, const Forward<Real50>& f) {
  return backward(p, f, Scheme::standard);
}

// ---- statistics ----

TEST(ReferenceStatistics, OfASmallSet) {
  const Statistics<double> of = statistics(Vector<double>(Eigen::Array4d(1, 2, 3, 6)));
  EXPECT_EQ(of.count, 4);
  EXPECT_EQ(of.mean, 3);
  EXPECT_EQ(of.m2, 14);
  EXPECT_EQ(of.variance(), 3.5);
}

TEST(ReferenceStatistics, AnyMergeOfShardsIsTheWhole) {
  EXPECT_TRUE(rc::check([] {
    const int count = *rc::gen::inRange(1, 30);
    const Vector<Real50> x =
        convert<Real50>(*grid_vector(count, 8)) + Real50(*rc::gen::element(0, 1 << 20));
    std::vector<int> cuts =
        *rc::gen::container<std::vector<int>>(4, rc::gen::inRange(0, count + 1));
    // at least one empty shard and one of a single sample
    cuts.insert(cuts.end(), {0, 1, count, count});
    std::sort(cuts.begin(), cuts.end());
    std::vector<Statistics<Real50>> shards;
    for (std::size_t i = 1; i < cuts.size(); ++i)
      shards.push_back(statistics(Vector<Real50>(x.segment(cuts[i - 1], cuts[i] - cuts[i - 1]))));
    const Statistics<Real50> whole = statistics(x);
    const Statistics<Real50> merged = merge(shards);
    RC_ASSERT(merged.count == whole.count);
    RC_ASSERT(difference(merged.mean, whole.mean, Real50(1)) <= agreement);
    RC_ASSERT(difference(merged.m2, whole.m2, Real50(1)) <= agreement);
  }));
}

TEST(ReferenceStatistics, EmptySetIsNeutralBitForBit) {
  const Statistics<double> some{3, 1e308, 0.7};  // the formula would overflow on the way
  for (const Statistics<double>& merged : {merge(some, {}), merge({}, some)}) {
    EXPECT_EQ(merged.count, some.count);
    EXPECT_EQ(merged.mean, some.mean);
    EXPECT_EQ(merged.m2, some.m2);
  }
  const Statistics<double> nothing = merge(std::vector<Statistics<double>>(3));
  EXPECT_EQ(nothing.count, 0);
  EXPECT_EQ(nothing.mean, 0);
  EXPECT_EQ(nothing.variance(), 0);
  EXPECT_EQ(statistics(Vector<double>()).count, 0);
}

TEST(ReferenceStatistics, RunningVarianceIsUnbiasedAndRaw) {
  EXPECT_EQ(running_mean(4.0, 8.0, 0.25), 5);
  EXPECT_EQ(running_variance(4.0, 6.0, 4.0, 0.25), 0.75 * 4 + 0.25 * 8);
  EXPECT_EQ(running_mean(4.0, 8.0, 0.0), 4);
  EXPECT_EQ(running_variance(4.0, 6.0, 4.0, 1.0), 8);
  EXPECT_THROW(running_variance(4.0, 0.0, 1.0, 0.1), std::invalid_argument);
  EXPECT_THROW(running_variance(4.0, 0.0, 0.0, 0.1), std::invalid_argument);
}

// ---- schemes ----

TEST(ReferenceSchemes, AllFiveAgree) {
  EXPECT_TRUE(rc::check([] {
    const Problem p = *problems();
    const Forward<Real50> f = forward<Real50>(p);
    const GradientScale scale = gradient_scale(p, f);
    for (const Scheme scheme : all_schemes)
      RC_ASSERT(difference(backward(p, f, scheme), standard(p, f), scale) <= agreement);
  }));
}

TEST(ReferenceSchemes, RecoverWhatTheForwardPassHad) {
  EXPECT_TRUE(rc::check([] {
    const Problem p = *problems();
    const Forward<Real50> f = forward<Real50>(p);
    for (const Scheme scheme : all_schemes) {
      const Recovered<Real50> got = recover(p, f, scheme);
      RC_ASSERT(difference(got.y, f.y, Real50(1)) <= agreement);
      RC_ASSERT(difference(got.xhat, f.xhat, Real50(1)) <= agreement);
    }
  }));
}

// Statistics merged, sums added, dx from the global sums; dgamma and dbeta of the shards add up.
TEST(ReferenceSchemes, ShardsInSyncAreOneBatch) {
  EXPECT_TRUE(rc::check([] {
    Problem p = *problems();
    p.frozen = false;
    const Forward<Real50> whole = forward<Real50>(p);
    const Gradients<Real50> expected = standard(p, whole);
    const GradientScale scale = gradient_scale(p, whole);
    const Channel<Real50> channel = convert<Real50>(p.channel);
    const Vector<Real50> x = convert<Real50>(p.x);
    const Vector<Real50> dz = convert<Real50>(p.dz);
    const Eigen::Index m = x.size();
    const Eigen::Index cut = *rc::gen::inRange<Eigen::Index>(0, m + 1);
    const std::array<std::array<Eigen::Index, 2>, 2> shards = {{{0, cut}, {cut, m - cut}}};

    Statistics<Real50> all;
    for (const auto& [at, n] : shards)
      all = merge(all, statistics(Vector<Real50>(x.segment(at, n))));

    std::array<Forward<Real50>, 2> f;
    std::array<Recovered<Real50>, 2> recovered;
    std::vector<Sums<Real50>> local_one, local_two;
    for (std::size_t i = 0; i < 2; ++i) {
      const auto& [at, n] = shards[i];
      f[i] = forward_inference(Vector<Real50>(x.segment(at, n)), all.mean, all.variance(), channel);
      recovered[i] = recover_in_place(f[i].z, channel, Vector<Real50>(dz.segment(at, n)));
      local_one.push_back(sums(recovered[i]));
      local_two.push_back(sums_in_place_two(recovered[i].y, recovered[i].dy, channel));
    }
    Gradients<Real50> one{Vector<Real50>(m), 0, 0};
    Gradients<Real50> two = one;
    for (std::size_t i = 0; i < 2; ++i) {
      const auto& [at, n] = shards[i];
      const Gradients<Real50> a = gradients_synchronised(
          recovered[i], local_one[i], merge(local_one), f[i].g, f[i].r, dgamma_factor(channel));
      const Gradients<Real50> b =
          gradients_in_place_two(f[i].z, all.variance(), channel, Vector<Real50>(dz.segment(at, n)),
                                 local_two[i], merge(local_two));
      one.dx.segment(at, n) = a.dx, one.dgamma += a.dgamma, one.dbeta += a.dbeta;
      two.dx.segment(at, n) = b.dx, two.dgamma += b.dgamma, two.dbeta += b.dbeta;
    }
    RC_ASSERT(difference(one, expected, scale) <= agreement);
    RC_ASSERT(difference(two, expected, scale) <= agreement);
  }));
}

// ---- identities that need no second implementation ----

TEST(ReferenceIdentities, NormalisedSamplesHaveMeanZeroAndTheRightSquare) {
  EXPECT_TRUE(rc::check([] {
    Problem p = *problems();
    p.frozen = false;
    const Forward<Real50> f = forward<Real50>(p);
    const Real50 square =
        as_count<Real50>(p.x.size()) * f.variance / (f.variance + Real50(p.channel.eps));
    RC_ASSERT(difference(sum_of(f.xhat), Real50(0), Real50(1)) <= agreement);
    RC_ASSERT(difference(sum_of<Real50>(f.xhat * f.xhat), square, Real50(1)) <= agreement);
  }));
}

TEST(ReferenceIdentities, InputGradientSumsToZeroAndKnowsItsXhatPart) {
  EXPECT_TRUE(rc::check([] {
    Problem p = *problems();
    p.frozen = false;
    const Forward<Real50> f = forward<Real50>(p);
    const Gradients<Real50> got = standard(p, f);
    const Real50 s1 = sums(recover(p, f, Scheme::standard)).s1;
    const Real50 eps(p.channel.eps);
    const Real50 scale = gradient_scale(p, f).dx * 8;
    RC_ASSERT(difference(sum_of(got.dx), Real50(0), scale) <= agreement);
    RC_ASSERT(difference(sum_of<Real50>(got.dx * f.xhat),
                         Real50(f.g * f.r * s1 * eps / (f.variance + eps)), scale) <= agreement);
  }));
}

TEST(ReferenceIdentities, BackwardIsLinear) {
  EXPECT_TRUE(rc::check([] {
    Problem p = *problems();
    const Forward<Real50> f = forward<Real50>(p);
    Problem other = p;
    other.dz = *grid_vector(static_cast<int>(p.x.size()), 2);
    const Gradients<Real50> a = standard(p, f);
    const Gradients<Real50> b = standard(other, f);
    Problem sum = p;
    sum.dz = 3 * p.dz - 0.5 * other.dz;  // exact in double
    const Gradients<Real50> combined{3 * a.dx - Real50(0.5) * b.dx, 3 * a.dgamma - b.dgamma / 2,
                                     3 * a.dbeta - b.dbeta / 2};
    GradientScale scale = gradient_scale(p, f);
    const GradientScale of_other = gradient_scale(other, f);
    scale = {scale.dx + of_other.dx, scale.sum + of_other.sum};
    RC_ASSERT(difference(standard(sum, f), combined, scale) <= agreement);
  }));
}

TEST(ReferenceIdentities, InTermsOfDyBackwardIsSelfAdjointAndMapsConstantsToZero) {
  EXPECT_TRUE(rc::check([] {
    Problem p = *problems();
    p.frozen = false;
    p.channel.activation.kind = ActivationKind::identity;
    const Forward<Real50> f = forward<Real50>(p);
    Problem other = p;
    other.dz = *grid_vector(static_cast<int>(p.x.size()), 2);
    const Real50 left = sum_of<Real50>(standard(p, f).dx * convert<Real50>(other.dz));
    const Real50 right = sum_of<Real50>(standard(other, f).dx * convert<Real50>(p.dz));
    const Real50 scale = 16 * abs(f.g) * f.r;
    RC_ASSERT(difference(left, right, scale) <= agreement);
    other.dz.setConstant(1);
    RC_ASSERT(difference(standard(other, f).dx, Vector<Real50>(0 * f.y), scale) <= agreement);
  }));
}

TEST(ReferenceIdentities, ShiftAndPermutationOfTheSamples) {
  EXPECT_TRUE(rc::check([] {
    Problem p = *problems();
    p.frozen = false;
    const Forward<Real50> f = forward<Real50>(p);
    Problem moved = p;
    moved.x = (p.x + 1024).reverse().eval();
    moved.dz = p.dz.reverse().eval();
    const Forward<Real50> g = forward<Real50>(moved);
    Gradients<Real50> expected = standard(p, f);
    expected.dx = expected.dx.reverse().eval();
    RC_ASSERT(difference(Vector<Real50>(f.z.reverse()), g.z, Real50(1)) <= agreement);
    RC_ASSERT(difference(standard(moved, g), expected, gradient_scale(p, f)) <= agreement);
  }));
}

TEST(ReferenceIdentities, TrainingIsInferenceWithTheSavedStatisticsBitForBit) {
  EXPECT_TRUE(rc::check([] {
    Problem p = *problems();
    const Forward<double> training = forward_training(p.x, p.channel);
    const Forward<double> inference =
        forward_inference(p.x, training.mean, training.variance, p.channel);
    RC_ASSERT((training.z == inference.z).all());
  }));
}

// Powers of two scale through binary arithmetic without rounding.
TEST(ReferenceIdentities, PowersOfTwoScaleBitForBit) {
  EXPECT_TRUE(rc::check([] {
    Problem p = *problems();
    p.frozen = false;
    p.channel.scale = ScaleConvention::signed_gamma;
    const int k = *rc::gen::inRange(-30, 31);
    const Forward<double> f = forward<double>(p);
    Problem scaled = p;
    scaled.dz = p.dz * std::ldexp(1.0, k);
    const Vector<double> dx = backward(p, f, Scheme::in_place_one).dx;
    RC_ASSERT((backward(scaled, f, Scheme::in_place_one).dx == dx * std::ldexp(1.0, k)).all());

    scaled.x = p.x * std::ldexp(1.0, k);
    scaled.channel.eps = std::ldexp(p.channel.eps, 2 * k);
    RC_ASSERT((forward<double>(scaled).z == f.z).all());
  }));
}

// ---- conventions and edges ----

TEST(ReferenceEdges, EffectiveScaleAndItsDerivative) {
  Channel<double> c;
  c.eps = 0.25;
  for (const auto& [gamma, g, factor] : std::vector<std::array<double, 3>>{
           {2, 2.25, 1}, {-2, 2.25, -1}, {0.0, 0.25, 1}, {-0.0, 0.25, 1}}) {
    c.gamma = gamma;
    c.scale = ScaleConvention::abs_eps;
    EXPECT_EQ(effective_scale(c), g);
    EXPECT_EQ(dgamma_factor(c), factor);
    c.scale = ScaleConvention::signed_gamma;
    EXPECT_EQ(effective_scale(c), gamma);
    EXPECT_EQ(dgamma_factor(c), 1);
  }
}

TEST(ReferenceEdges, NoSamplesAreNoWork) {
  for (const ActivationKind kind : all_kinds) {
    const Channel<Real50> c{1, 0, Real50(1e-5), ScaleConvention::signed_gamma, {kind, 1}};
    const Vector<Real50> none;
    const Forward<Real50> f = forward_training(none, c);
    EXPECT_EQ(f.z.size(), 0);
    const Recovered<Real50> recovered = recover_in_place(f.z, c, none);
    for (const Gradients<Real50>& got :
         {gradients_training(recovered, sums(recovered), f.g, f.r, Real50(1)),
          gradients_frozen(recovered, sums(recovered), f.g, f.r, Real50(1)),
          gradients_in_place_two(f.z, f.variance, c, none)}) {
      EXPECT_EQ(got.dx.size(), 0);
      EXPECT_EQ(got.dgamma, 0);
      EXPECT_EQ(got.dbeta, 0);
    }
  }
}

TEST(ReferenceEdges, BadProblemsAreRefused) {
  const Vector<double> one = Vector<double>::Constant(1, 2.0);
  const Vector<double> two = Vector<double>::LinSpaced(2, 0.0, 1.0);
  Channel<double> c;
  EXPECT_THROW(forward_training(one, c), std::invalid_argument);
  EXPECT_NO_THROW(forward_inference(one, 0.0, 1.0, c));
  for (const double eps : {-1e-5, std::numeric_limits<double>::quiet_NaN()}) {
    c.eps = eps;
    EXPECT_THROW(forward_training(two, c), std::invalid_argument);
  }
  c.eps = 0;
  c.activation = {ActivationKind::leaky_relu, 0.0};
  EXPECT_THROW(forward_training(two, c), std::invalid_argument);
  EXPECT_THROW(recover_in_place(two, c, two), std::invalid_argument);
}

TEST(ReferenceEdges, ConstantChannelIsTheActivatedBeta) {
  for (const ActivationKind kind : all_kinds) {
    const Channel<double> c{1.5, -0.5, 1e-5, ScaleConvention::signed_gamma, {kind, 0.25}};
    const Vector<double> x = Vector<double>::Constant(4, 3.0);
    const Vector<double> dz = Vector<double>::LinSpaced(4, -1.0, 2.0);
    const Forward<double> f = forward_training(x, c);
    EXPECT_EQ(f.variance, 0);
    EXPECT_TRUE((f.z == c.activation.value(-0.5)).all());
    const Recovered<double> recovered = recover_standard(x, f.z, f.mean, f.variance, c, dz);
    const Gradients<double> got = gradients_training(recovered, sums(recovered), f.g, f.r, 1.0);
    EXPECT_EQ(got.dgamma, 0);
    EXPECT_TRUE((got.dx == f.g * f.r * (recovered.dy - recovered.dy.mean())).all());
  }
}

TEST(ReferenceEdges, ScaleZeroLosesXAndNothingElse) {
  for (const ActivationKind kind : all_kinds) {
    const Channel<double> c{0.0, -0.5, 1e-5, ScaleConvention::signed_gamma, {kind, 0.25}};
    const Vector<double> x = Vector<double>::LinSpaced(5, -2.0, 3.0);
    const Vector<double> dz = Vector<double>::LinSpaced(5, -1.0, 2.5);
    const Forward<double> f = forward_training(x, c);
    const Recovered<double> recovered = recover_in_place(f.z, c, dz);
    const double s0 = (dz * c.activation.derivative_from_input(-0.5)).sum();
    for (const Gradients<double>& got :
         {gradients_training(recovered, sums(recovered), f.g, f.r, 1.0),
          gradients_in_place_two(f.z, f.variance, c, dz)}) {
      EXPECT_TRUE((got.dx == 0).all());
      EXPECT_EQ(got.dgamma, 0);
      EXPECT_NEAR(got.dbeta, s0, 1e-15);  // 5 terms of size 1 in double
    }
  }
}

TEST(ReferenceEdges, ANaNReachesEverySampleOfItsChannel) {
  const Channel<Real50> c{
      1, 0, Real50(1e-5), ScaleConvention::signed_gamma, {ActivationKind::elu, 1}};
  Vector<Real50> x = Vector<Real50>::LinSpaced(4, Real50(0), Real50(3));
  x[2] = std::numeric_limits<Real50>::quiet_NaN();
  for (const Real50& z : forward_training(x, c).z) EXPECT_TRUE(isnan(z));
}

TEST(ReferenceEdges, MinusZeroInFiftyDigitsIsNegative) {
  const Activation<Real50> leaky{ActivationKind::leaky_relu, Real50(0.25)};
  EXPECT_TRUE(is_negative(Real50(-0.0)));
  EXPECT_EQ(leaky.derivative_from_output(Real50(-0.0)), Real50(0.25));
  EXPECT_EQ(leaky.derivative_from_output(Real50(0.0)), 1);
  EXPECT_FALSE(is_negative(leaky.value(Real50(-0.0))));
  EXPECT_TRUE(is_negative(leaky.inverse(Real50(-0.0))));
  const Activation<Real50> elu{ActivationKind::elu, Real50(1)};
  EXPECT_EQ(elu.inverse(Real50(-1)), -std::numeric_limits<Real50>::infinity());
  EXPECT_TRUE(isnan(elu.inverse(Real50(-2))));
}

}  // namespace
}  // namespace abn::tests
