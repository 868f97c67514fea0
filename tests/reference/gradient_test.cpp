// The backward formulas against derivatives of the forward pass, found in three ways that know no
// backward formula.
//
//   central differences in 100 digits   step h = 10^-33: off by h^2 f'''/6 = 10^-66 and, from
//                                       rounding, 10^-100 / h = 10^-67
//   duals in 50 digits                  exact derivatives of the forward formulas
//   a complex step in double            Im L(x + ih) / h: no difference is taken, so only roundoff
//                                       is left
//
// L = sum(dz z), so that dL/dz = dz. Each planted error at the end must be told from the right
// answer.

#include <functional>

#include <gtest/gtest.h>

#include "reference/dual.hpp"
#include "reference/multiprecision.hpp"
#include "tests/reference/support.hpp"

namespace abn::tests {
namespace {

// Rounding and truncation of the differences, 10^-66, times the growth of f''' in these problems:
// r up to 10^2.5 where the channel is constant, cubed, and three digits to spare.
const double central_tolerance = 1e-55;
// 50 digits less 10 for x/sigma up to 10^3.4, e^-y up to 10^4 and the sums.
const double dual_tolerance = 1e-40;

template <class T>
T loss(const Problem& p, const Vector<T>& x, const Channel<T>& channel) {
  return (convert<T>(p.dz) * forward(p, x, channel).z).sum();
}

// Calls derivative(i) for each input: i < m is x_i, then gamma, then beta.
template <class R>
Gradients<R> gather(const Problem& p, const std::function<R(Eigen::Index)>& derivative) {
  const Eigen::Index m = p.x.size();
  Gradients<R> out{Vector<R>(m), derivative(m), derivative(m + 1)};
  for (Eigen::Index i = 0; i < m; ++i) out.dx[i] = derivative(i);
  return out;
}

// L with `step` added to input i.
template <class T>
T loss_moved(const Problem& p, Eigen::Index i, const T& step) {
  Vector<T> x = convert<T>(p.x);
  Channel<T> channel = convert<T>(p.channel);
  const Eigen::Index m = x.size();
  (i < m ? x[i] : i == m ? channel.gamma : channel.beta) += step;
  return loss(p, x, channel);
}

Gradients<Real100> by_central_differences(const Problem& p) {
  static const Real100 h("1e-33");
  return gather<Real100>(p, [&](Eigen::Index i) -> Real100 {
    return (loss_moved<Real100>(p, i, h) - loss_moved<Real100>(p, i, -h)) / (2 * h);
  });
}

Gradients<Real50> by_duals(const Problem& p) {
  return gather<Real50>(p, [&](Eigen::Index i) -> Real50 {
    return loss_moved(p, i, Dual<Real50>(Real50(0), Real50(1))).derivative;
  });
}

Gradients<double> by_complex_step(const Problem& p) {
  constexpr double h = 0x1p-400;  // h^2 underflows beside anything that matters
  return gather<double>(
      p, [&](Eigen::Index i) { return loss_moved(p, i, std::complex<double>(0, h)).imag() / h; });
}

// A difference may not straddle the kink at y = 0: none of the samples may sit on it.
bool off_the_kink(const Forward<double>& f) { return (f.y.abs() > 1e-9).all(); }

TEST(ReferenceGradient, IsTheCentralDifferenceIn100Digits) {
  EXPECT_TRUE(rc::check([] {
    const Problem p = *problems();
    RC_PRE(off_the_kink(forward<double>(p)));
    const Forward<Real100> f = forward<Real100>(p);
    RC_ASSERT(difference(backward(p, f, Scheme::standard), by_central_differences(p),
                         gradient_scale(p, f)) <= central_tolerance);
  }));
}

TEST(ReferenceGradient, IsTheDualDerivativeIn50Digits) {
  EXPECT_TRUE(rc::check([] {
    const Problem p = *problems();
    const Forward<Real50> f = forward<Real50>(p);
    RC_ASSERT(difference(backward(p, f, Scheme::in_place_one), by_duals(p), gradient_scale(p, f)) <=
              dual_tolerance);
  }));
}

TEST(ReferenceGradient, IsTheComplexStepInDouble) {
  EXPECT_TRUE(rc::check([] {
    const Problem p = *problems();
    const Forward<double> f = forward<double>(p);
    RC_PRE(off_the_kink(f));
    // Both sides round like checkpointing in double.
    RC_ASSERT(difference(backward(p, f, Scheme::checkpoint_x), by_complex_step(p),
                         gradient_scale(p, f)) <= 2 * 0x1p-53 * amplification(p, f));
  }));
}

// At y = 0 the derivative is, by convention, that of the positive branch; duals follow the code
// there.
TEST(ReferenceGradient, OnTheKinkThePositiveBranchCounts) {
  Problem p;
  p.x = Vector<double>::Constant(3, 2.0);
  p.dz = Eigen::Array3d(1, -2, 4);
  p.channel = {1.0, 0.0, 1e-3, ScaleConvention::signed_gamma, {ActivationKind::leaky_relu, 0.25}};
  const Forward<Real50> f = forward<Real50>(p);
  for (const Scheme scheme : all_schemes) {
    const Gradients<Real50> got = backward(p, f, scheme);
    EXPECT_EQ(got.dbeta, 3);
    EXPECT_LE(difference(got, by_duals(p), gradient_scale(p, f)), dual_tolerance);
  }
}

// ---- planted errors ----

struct Planted {
  const char* name;
  std::function<Gradients<Real50>(const Problem&)> gradients;
};

// The standard backward pass with one thing changed by `spoil`, which sees everything it is made
// of.
Planted planted(const char* name,
                const std::function<void(Problem&, Forward<Real50>&, Recovered<Real50>&,
                                         Sums<Real50>&, Real50&)>& spoil) {
  return {name, [spoil](const Problem& original) {
            Problem p = original;
            Forward<Real50> f = forward<Real50>(p);
            Recovered<Real50> recovered = recover(p, f, Scheme::standard);
            Sums<Real50> total = sums(recovered);
            Real50 factor = dgamma_factor(convert<Real50>(p.channel));
            const Sums<Real50> right = total;
            spoil(p, f, recovered, total, factor);
            Gradients<Real50> out = p.frozen
                                        ? gradients_frozen(recovered, total, f.g, f.r, factor)
                                        : gradients_training(recovered, total, f.g, f.r, factor);
            // A term dropped from dx alone leaves the parameters' gradients right.
            if (total.s0 == 0) out.dbeta = right.s0;
            if (total.s1 == 0) out.dgamma = factor * right.s1;
            return out;
          }};
}

const std::vector<Planted>& planted_errors() {
  using P = Problem;
  using F = Forward<Real50>;
  using R = Recovered<Real50>;
  using S = Sums<Real50>;
  static const std::vector<Planted> errors = {
      planted("dx without xhat mean(dy xhat)", [](P&, F&, R&, S& s, Real50&) { s.s1 = 0; }),
      planted("dx without mean(dy)", [](P&, F&, R&, S& s, Real50&) { s.s0 = 0; }),
      planted("means over m - 1", [](P&, F&, R&, S& s, Real50&) { s.count -= 1; }),
      planted("dx without g", [](P&, F& f, R&, S&, Real50&) { f.g = 1; }),
      planted("dx with the sign of g lost", [](P&, F& f, R&, S&, Real50&) { f.g = abs(f.g); }),
      planted("r from the unbiased variance",
              [](P& p, F& f, R&, S&, Real50&) {
                const Real50 m = as_count<Real50>(p.x.size());
                f.r = reciprocal_deviation(Real50(f.variance * m / (m - 1)), Real50(p.channel.eps));
              }),
      planted("eps outside the root",
              [](P& p, F& f, R&, S&, Real50&) {
                f.r = 1 / (sqrt(f.variance) + Real50(p.channel.eps));
              }),
      planted("r without eps", [](P&, F& f, R&, S&, Real50&) { f.r = 1 / sqrt(f.variance); }),
      planted("dz in place of dy",
              [](P& p, F&, R& r, S& s, Real50&) {
                r.dy = convert<Real50>(p.dz);
                s = sums(r);
              }),
      planted("dgamma with its sign lost",
              [](P&, F&, R&, S&, Real50& factor) { factor = -factor; }),
      planted("xhat still times g",
              [](P&, F& f, R& r, S& s, Real50&) {
                r.xhat *= f.g;
                s = sums(r);
              }),
      planted("xhat without beta removed",
              [](P&, F& f, R& r, S& s, Real50&) {
                r.xhat = r.y / f.g;
                s = sums(r);
              }),
      planted("frozen in place of training", [](P& p, F&, R&, S&, Real50&) { p.frozen = true; }),
      planted("first sample left out of the sums",
              [](P&, F&, R& r, S& s, Real50&) {
                s.s0 -= r.dy[0];
                s.s1 -= r.dy[0] * r.xhat[0];
              }),
  };
  return errors;
}

// A problem on which none of the errors above happens to be harmless.
Problem telling_problem(ActivationKind kind, ScaleConvention scale) {
  Problem p;
  p.x = Eigen::Array<double, 6, 1>(0.5, -1.25, 2.0, -0.375, 3.5, -2.0);
  p.dz = Eigen::Array<double, 6, 1>(1.0, 0.25, -0.5, 2.0, 0.75, -1.5);
  p.channel = {-1.5, 0.25, 1e-3, scale, {kind, 0.25}};
  return p;
}

// The smallest of the planted changes is that of eps, 10^-3 / (2 v) with v about 4.
constexpr double smallest_planted_change = 1e-5;

TEST(ReferenceGradient, PlantedErrorsAreTold) {
  for (const ActivationKind kind : all_kinds)
    for (const ScaleConvention scale : all_scales) {
      const Problem p = telling_problem(kind, scale);
      const Forward<Real50> f = forward<Real50>(p);
      const Gradients<Real50> truth = by_duals(p);
      const GradientScale against = gradient_scale(p, f);
      ASSERT_LE(difference(backward(p, f, Scheme::standard), truth, against), dual_tolerance);
      for (const Planted& error : planted_errors()) {
        const std::string name = error.name;
        // the same thing
        if (kind == ActivationKind::identity && name == "dz in place of dy") continue;
        // g > 0
        if (scale == ScaleConvention::abs_eps && name == "dx with the sign of g lost") continue;
        EXPECT_GT(difference(error.gradients(p), truth, against), smallest_planted_change) << name;
      }
    }
}

TEST(ReferenceGradient, AFalseDifferenceIsNeverSmall) {
  const Gradients<Real50> good{Vector<Real50>::Constant(2, Real50(1)), 1, 1};
  const GradientScale one{1, 1};
  EXPECT_EQ(difference(good, good, one), 0);
  Gradients<Real50> bad = good;
  bad.dx[1] = std::numeric_limits<Real50>::quiet_NaN();
  EXPECT_EQ(difference(good, bad, one), std::numeric_limits<double>::infinity());
  EXPECT_EQ(difference(bad, bad, one), std::numeric_limits<double>::infinity());
  bad = good;
  bad.dgamma = std::numeric_limits<Real50>::infinity();
  EXPECT_EQ(difference(good, bad, one), std::numeric_limits<double>::infinity());
  bad = good;
  bad.dx = Vector<Real50>::Constant(1, Real50(1));
  EXPECT_EQ(difference(good, bad, one), std::numeric_limits<double>::infinity());
  EXPECT_EQ(difference(good, bad, one), difference(bad, good, one));
}

}  // namespace
}  // namespace abn::tests
