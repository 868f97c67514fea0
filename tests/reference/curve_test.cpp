// The activations without an inverse in every scalar: 50 digits against 100, derivatives by a
// complex step, and what the other formulas of each of them give.
#include "reference/curve.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <stdexcept>
#include <vector>

#include "reference/dual.hpp"
#include "reference/multiprecision.hpp"
#include "tests/reference/support.hpp"

namespace abn::tests {
namespace {

constexpr ActivationKind curves[] = {ActivationKind::relu,      ActivationKind::relu6,
                                     ActivationKind::silu,      ActivationKind::gelu,
                                     ActivationKind::gelu_tanh, ActivationKind::sigmoid,
                                     ActivationKind::tanh,      ActivationKind::hardswish};

std::vector<double> sampled() {
  std::vector<double> out;
  for (int i = -60; i <= 60; ++i) out.push_back(i / 4.0 + 1 / 64.0);
  for (const double far : {-300.0, -90.0, -40.0, 40.0, 90.0, 1e-9, -1e-9}) out.push_back(far);
  return out;
}

TEST(ReferenceCurve, FiftyDigitsAgreeWithAHundred) {
  const Real100 unit = ldexp(Real100(1), -std::numeric_limits<Real50>::digits);
  for (const ActivationKind kind : curves)
    for (const double y : sampled()) {
      const Activation<Real50> phi{kind, Real50(1)};
      const Activation<Real100> wide{kind, Real100(1)};
      // e^-v is off by |v| u, and v of gelu_tanh grows like y^3/14
      const Real100 units = 64 + 8 * y * y * (1 + std::fabs(y));
      const Real100 value = wide.value(Real100(y)), slope = wide.derivative_from_input(Real100(y));
      EXPECT_LE(abs(Real100(phi.value(Real50(y))) - value), units * unit * abs(value))
          << static_cast<int>(kind) << " at " << y;
      EXPECT_LE(abs(Real100(phi.derivative_from_input(Real50(y))) - slope),
                units * unit * (abs(slope) + abs(value)))
          << static_cast<int>(kind) << " at " << y;
    }
}

TEST(ReferenceCurve, ErfcOfFiftyDigitsIsGoodToThirtyTwoUnits) {
  const Real100 unit = ldexp(Real100(1), -std::numeric_limits<Real50>::digits);
  std::vector<double> places{0.5, -0.5, 12.56, 12.5625, 100, 1e-30, 0};
  for (int i = -330; i <= 480; ++i) places.push_back(i / 32.0 + 1 / 512.0);
  double worst = 0;
  for (const double x : places) {
    const Real50 found = erfc(Real50(x));
    const Real100 exact = erfc(Real100(x)), got(found);
    const double units = static_cast<double>(Real100(abs(got - exact) / (abs(exact) * unit)));
    EXPECT_LE(units, 32 + x * x) << x;
    worst = std::max(worst, units);
  }
  EXPECT_EQ(erfc(Real50(-1e5)), 2);
  EXPECT_EQ(erfc(Real50(1e5)), 0);
  EXPECT_GT(worst, 0.1);
}

TEST(ReferenceCurve, DerivativesAreThoseOfAComplexStep) {
  constexpr double step = 0x1p-300;
  for (const ActivationKind kind : curves)
    for (const double y : sampled()) {
      const Activation<std::complex<double>> phi{kind, 1.0};
      const double slope = Activation<double>{kind, 1}.derivative_from_input(y);
      EXPECT_NEAR(phi.value({y, step}).imag() / step, slope, 64 * 0x1p-53 * (1 + std::fabs(y)))
          << static_cast<int>(kind) << " at " << y;
    }
}

/// The formulas of the papers, where they lose nothing.
TEST(ReferenceCurve, AreTheFormulasOfTheirPapers) {
  const auto value = [](ActivationKind kind, double y) {
    return static_cast<double>(Activation<Real100>{kind, Real100(1)}.value(Real100(y)));
  };
  const double root = std::sqrt(2 / std::acos(-1.0));
  for (const double y : {-2.5, -1.0, -0.25, 0.5, 1.75, 4.0}) {
    EXPECT_NEAR(value(ActivationKind::relu, y), std::fmax(y, 0), 0);
    EXPECT_NEAR(value(ActivationKind::relu6, 2 * y), std::fmin(std::fmax(2 * y, 0), 6), 0);
    EXPECT_NEAR(value(ActivationKind::silu, y), y / (1 + std::exp(-y)), 1e-15);
    EXPECT_NEAR(value(ActivationKind::gelu, y), y * (1 + std::erf(y / std::sqrt(2.0))) / 2, 1e-15);
    EXPECT_NEAR(value(ActivationKind::gelu_tanh, y),
                y * (1 + std::tanh(root * (y + 0.044715 * y * y * y))) / 2, 1e-15);
    EXPECT_NEAR(value(ActivationKind::sigmoid, y), 1 / (1 + std::exp(-y)), 1e-15);
    EXPECT_NEAR(value(ActivationKind::tanh, y), std::tanh(y), 1e-15);
    EXPECT_NEAR(value(ActivationKind::hardswish, 2 * y),
                2 * y * std::fmin(std::fmax(2 * y + 3, 0), 6) / 6, 1e-15);
  }
}

TEST(ReferenceCurve, EndsAndNaN) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  for (const ActivationKind kind : curves) {
    const Activation<double> phi{kind, 1};
    const bool bounded = kind == ActivationKind::relu6 || kind == ActivationKind::sigmoid ||
                         kind == ActivationKind::tanh;
    EXPECT_EQ(phi.value(inf), !bounded ? inf : kind == ActivationKind::relu6 ? 6 : 1);
    EXPECT_EQ(phi.value(-inf), kind == ActivationKind::tanh ? -1 : 0);
    EXPECT_EQ(phi.derivative_from_input(-inf), 0);
    EXPECT_EQ(phi.derivative_from_input(inf), bounded ? 0 : 1);
    EXPECT_TRUE(std::isnan(phi.value(std::nan(""))));
  }
}

TEST(ReferenceCurve, HaveNoInverseAndSaySo) {
  for (const ActivationKind kind : curves) {
    const Activation<double> phi{kind, 0};
    EXPECT_FALSE(phi.has_inverse());
    EXPECT_NO_THROW(phi.validate());
    EXPECT_THROW(phi.validate_inverse(), std::invalid_argument);
  }
  EXPECT_NO_THROW((Activation<double>{ActivationKind::celu, 1}.validate_inverse()));
}

/// Standard and both ways of checkpointing are one function where nothing is rounded.
TEST(ReferenceCurve, SchemesThatKeepXAgree) {
  for (const ActivationKind kind : curves)
    for (const bool frozen : {false, true}) {
      Problem p;
      p.x = Vector<double>::LinSpaced(7, -2, 3);
      p.dz = Vector<double>::LinSpaced(7, 1, -0.5);
      p.frozen = frozen;
      p.channel = {4.0, 1.0, 1e-3, ScaleConvention::signed_gamma, {kind, 1}};
      const Forward<Real100> f = forward<Real100>(p);
      const Gradients<Real100> standard = backward(p, f, Scheme::standard);
      for (const Scheme scheme : {Scheme::checkpoint_x, Scheme::checkpoint_xhat})
        EXPECT_LE(difference(backward(p, f, scheme), standard, gradient_scale(p, f)), 1e-90);
      EXPECT_THROW(backward(p, f, Scheme::in_place_one), std::invalid_argument);
    }
}

}  // namespace
}  // namespace abn::tests
