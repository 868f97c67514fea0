// Activations: inverse, derivative, signed zeros and edges; and the complex and dual scalars they
// run on.

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "reference/activation.hpp"
#include "reference/dual.hpp"
#include "tests/reference/support.hpp"

namespace abn::tests {
namespace {

constexpr double unit_roundoff = 0x1p-53;
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double smallest = std::numeric_limits<double>::denorm_min();

const std::vector<Activation<double>> activations = {
    {ActivationKind::identity, 1.0},    {ActivationKind::leaky_relu, 0.01},
    {ActivationKind::leaky_relu, 0.25}, {ActivationKind::leaky_relu, 3.0},
    {ActivationKind::elu, 1.0},         {ActivationKind::elu, 0.3},
    {ActivationKind::elu, 2.5},         {ActivationKind::celu, 1.0},
    {ActivationKind::celu, 0.5},        {ActivationKind::celu, 1.7}};

bool is_exponential(const Activation<double>& phi) {
  return phi.kind == ActivationKind::elu || phi.kind == ActivationKind::celu;
}
// phi' on the left of 0, from the table at the head of reference/activation.hpp.
double left_slope(const Activation<double>& phi) {
  return phi.kind == ActivationKind::leaky_relu || phi.kind == ActivationKind::elu ? phi.parameter
                                                                                   : 1;
}

template <class T>
Activation<T> convert(const Activation<double>& phi) {
  return {phi.kind, T(phi.parameter)};
}

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

// Every finite double, subnormals and both zeros included, equally likely by bit pattern.
rc::Gen<double> any_finite() {
  return rc::gen::suchThat(
      rc::gen::map(rc::gen::arbitrary<std::uint64_t>(),
                   [](std::uint64_t bits) { return std::bit_cast<double>(bits); }),
      [](double v) { return std::isfinite(v); });
}

// Magnitudes from 2^-60 to 2^4, where ELU is neither saturated nor flat: phi' >= 10^-7.
rc::Gen<double> moderate() {
  return rc::gen::map(rc::gen::tuple(rc::gen::arbitrary<std::uint32_t>(),
                                     rc::gen::resize(full_range, rc::gen::inRange(-60, 4)),
                                     rc::gen::arbitrary<bool>()),
                      [](const auto& t) {
                        const double fraction = 1 + std::get<0>(t) * 0x1p-32;
                        return (std::get<2>(t) ? -1 : 1) * std::ldexp(fraction, std::get<1>(t));
                      });
}

constexpr double flattest = 1e-7;  // phi' of ELU at -16; CELU with a small alpha comes below it

// phi^-1(z) moves by dz / phi'(y). z carries 3 roundings (a library's expm1 is within 1 ulp, which
// is 2, and the product) and z / alpha another; the inverse adds 2 of its own, and CELU one for
// y/alpha, which moves y by as much, and one for alpha log1p. The second order is
// smaller by u / phi' = 10^-9.
TEST(ReferenceActivation, InverseUndoesValue) {
  constexpr double second_order = 1 + 1e-8;
  EXPECT_TRUE(rc::check([] {
    const double y = *moderate();
    for (const Activation<double>& phi : activations) {
      const double z = phi.value(y);
      if (phi.derivative_from_input(y) < flattest) continue;
      const double of_y = phi.kind == ActivationKind::celu ? 4 : 2;
      const double bound =
          unit_roundoff * (4 * std::abs(z) / phi.derivative_from_input(y) + of_y * std::abs(y));
      RC_ASSERT(std::abs(phi.inverse(z) - y) <= bound * second_order);
    }
  }));
}

TEST(ReferenceActivation, ValueIncreases) {
  EXPECT_TRUE(rc::check([] {
    const double a = *any_finite();
    const double b = *any_finite();
    for (const Activation<double>& phi : activations)
      if (a <= b) RC_ASSERT(phi.value(a) <= phi.value(b));
  }));
}

TEST(ReferenceActivation, DerivativeFromOutputIsDerivativeFromInput) {
  EXPECT_TRUE(rc::check([] {
    const double y = *any_finite();
    for (const Activation<double>& phi : activations) {
      const double from_input = phi.derivative_from_input(y);
      const double from_output = phi.derivative_from_output(phi.value(y));
      // z = alpha (e^w - 1) rounds at alpha u at most, so alpha + z is right to a few alpha u; for
      // CELU that is divided by alpha, and y/alpha was rounded, which moves e^(y/alpha) by u/e.
      const double bound = is_exponential(phi) ? 4 * unit_roundoff * left_slope(phi) : 0.0;
      RC_ASSERT(std::abs(from_output - from_input) <= bound);
    }
  }));
}

TEST(ReferenceActivation, DerivativeIsThatOfDualsAndOfAComplexStep) {
  EXPECT_TRUE(rc::check([] {
    const double y = *moderate();
    for (const Activation<double>& phi : activations) {
      const double slope = phi.derivative_from_input(y);
      const double by_dual = convert<Dual<double>>(phi).value(Dual<double>(y, 1.0)).derivative;
      constexpr double step = 0x1p-400;  // its square is far under every result
      const std::complex<double> at(y, step);
      const double by_complex = convert<std::complex<double>>(phi).value(at).imag() / step;
      // CELU divides and multiplies by alpha where derivative_from_input does neither.
      const double bound = (phi.kind == ActivationKind::celu ? 6 : 4) * unit_roundoff * slope;
      RC_ASSERT(std::abs(by_dual - slope) <= bound);
      RC_ASSERT(std::abs(by_complex - slope) <= bound);
    }
  }));
}

TEST(ReferenceActivation, InverseHasTheReciprocalDerivative) {
  EXPECT_TRUE(rc::check([] {
    const double y = *moderate();
    for (const Activation<double>& phi : activations) {
      const double z = phi.value(y);
      if (z <= -phi.parameter * 0.999) continue;
      const double reciprocal = 1 / phi.derivative_from_output(z);
      const double by_dual = convert<Dual<double>>(phi).inverse(Dual<double>(z, 1.0)).derivative;
      // 1 + z/alpha cancels to no less than 0.001 here.
      RC_ASSERT(std::abs(by_dual - reciprocal) <= 4 * 1000 * unit_roundoff * reciprocal);
    }
  }));
}

TEST(ReferenceActivation, ZeroOfEitherSignBecomesPlusZero) {
  for (const Activation<double>& phi : activations) {
    EXPECT_TRUE(same_bits(phi.value(0.0), 0.0));
    EXPECT_TRUE(same_bits(phi.value(-0.0), phi.kind == ActivationKind::identity ? -0.0 : 0.0));
    EXPECT_EQ(phi.derivative_from_input(0.0), 1);
    EXPECT_EQ(phi.derivative_from_input(-0.0), 1);
    EXPECT_EQ(phi.derivative_from_output(phi.value(-0.0)), 1);
  }
}

TEST(ReferenceActivation, MinusZeroBelongsToTheNegativeBranch) {
  for (const Activation<double>& phi : activations) {
    EXPECT_TRUE(same_bits(phi.inverse(-0.0), -0.0));
    EXPECT_TRUE(same_bits(phi.inverse(0.0), 0.0));
    const double inverse_slope =
        convert<Dual<double>>(phi).inverse(Dual<double>(-0.0, 1.0)).derivative;
    // alpha (1/alpha) for CELU, which rounds twice
    EXPECT_NEAR(inverse_slope, 1 / left_slope(phi),
                phi.kind == ActivationKind::celu ? 2 * unit_roundoff : 0);
    EXPECT_EQ(phi.derivative_from_output(0.0), 1);
    EXPECT_EQ(phi.derivative_from_output(-0.0), left_slope(phi));
  }
}

TEST(ReferenceActivation, UnderflowKeepsTheSign) {
  const Activation<double> leaky{ActivationKind::leaky_relu, 0.01};
  EXPECT_TRUE(same_bits(leaky.value(-smallest), -0.0));
  EXPECT_EQ(leaky.derivative_from_output(leaky.value(-smallest)), 0.01);
  const Activation<double> elu{ActivationKind::elu, 0.3};
  EXPECT_TRUE(same_bits(elu.value(-smallest), -0.0));
  EXPECT_EQ(elu.derivative_from_output(elu.value(-smallest)), 0.3);
  const Activation<double> celu{ActivationKind::celu, 1.7};
  EXPECT_TRUE(std::signbit(celu.value(-smallest)));
  EXPECT_EQ(celu.derivative_from_output(celu.value(-smallest)), 1);
}

// Both sides of 0 with the slope 1, and a value that follows: z - y is of second order.
TEST(ReferenceActivation, CeluIsSmoothAtZeroWhateverAlpha) {
  for (const double alpha : {0.25, 0.5, 1.0, 1.7, 8.0}) {
    const Activation<double> celu{ActivationKind::celu, alpha};
    const double near = -0x1p-30, second_order = near * near / (2 * alpha);
    EXPECT_NEAR(celu.derivative_from_input(near), 1 + near / alpha, 2 * second_order / alpha);
    EXPECT_EQ(celu.derivative_from_output(-0.0), 1);
    EXPECT_EQ(celu.derivative_from_output(0.0), 1);
    EXPECT_NEAR(celu.value(near), near + second_order, 0x1p-80);
    EXPECT_EQ(celu.derivative_from_input(-near), 1);
  }
}

TEST(ReferenceActivation, CeluWithAlphaOneIsElu) {
  const Activation<double> celu{ActivationKind::celu, 1}, elu{ActivationKind::elu, 1};
  EXPECT_TRUE(rc::check([&] {
    const double y = *any_finite(), z = elu.value(y);
    RC_ASSERT(same_bits(celu.value(y), z));
    RC_ASSERT(same_bits(celu.inverse(z), elu.inverse(z)));
    RC_ASSERT(same_bits(celu.derivative_from_input(y), elu.derivative_from_input(y)));
    RC_ASSERT(same_bits(celu.derivative_from_output(z), elu.derivative_from_output(z)));
  }));
}

// celu_alpha(y) = alpha elu_1(y/alpha): powers of two scale without a rounding.
TEST(ReferenceActivation, CeluIsEluOfOneScaled) {
  const Activation<double> elu{ActivationKind::elu, 1};
  EXPECT_TRUE(rc::check([&] {
    const double y = *moderate();
    for (const double alpha : {0.25, 0.5, 2.0, 8.0}) {
      const Activation<double> celu{ActivationKind::celu, alpha};
      RC_ASSERT(celu.value(alpha * y) == alpha * elu.value(y));
      RC_ASSERT(celu.inverse(alpha * elu.value(y)) == alpha * elu.inverse(elu.value(y)));
      RC_ASSERT(celu.derivative_from_input(alpha * y) == elu.derivative_from_input(y));
      RC_ASSERT(celu.derivative_from_output(alpha * elu.value(y)) ==
                elu.derivative_from_output(elu.value(y)));
    }
  }));
}

TEST(ReferenceActivation, InfinitiesAndNaN) {
  for (const Activation<double>& phi : activations) {
    EXPECT_EQ(phi.value(infinity), infinity);
    EXPECT_EQ(phi.inverse(infinity), infinity);
    EXPECT_EQ(phi.value(-infinity), is_exponential(phi) ? -phi.parameter : -infinity);
    for (const double nan : {not_a_number, -not_a_number}) {
      EXPECT_TRUE(std::isnan(phi.value(nan)));
      EXPECT_TRUE(std::isnan(phi.inverse(nan)));
    }
    if (!is_exponential(phi)) continue;
    EXPECT_EQ(phi.inverse(-phi.parameter), -infinity);
    EXPECT_TRUE(std::isnan(phi.inverse(std::nextafter(-phi.parameter, -infinity))));
    EXPECT_TRUE(std::isfinite(phi.inverse(std::nextafter(-phi.parameter, 0.0))));
    EXPECT_EQ(phi.derivative_from_output(-phi.parameter), 0);
  }
}

TEST(ReferenceActivation, RefusesAParameterWithoutInverse) {
  for (const ActivationKind kind :
       {ActivationKind::leaky_relu, ActivationKind::elu, ActivationKind::celu}) {
    for (const double parameter : {0.0, -0.0, -0.01, -infinity, not_a_number})
      EXPECT_THROW((Activation<double>{kind, parameter}.validate()), std::invalid_argument);
    EXPECT_NO_THROW((Activation<double>{kind, smallest}.validate()));
  }
  EXPECT_NO_THROW((Activation<double>{ActivationKind::identity, 0.0}.validate()));
}

TEST(ReferenceActivation, LongDoubleIsDoubleWithMoreBits) {
  EXPECT_TRUE(rc::check([] {
    const double y = *moderate();
    for (const Activation<double>& phi : activations) {
      const double wide = static_cast<double>(convert<long double>(phi).value(y));
      // 3 roundings and an expm1; y/alpha moves expm1 relatively by no more than itself.
      RC_ASSERT(std::abs(wide - phi.value(y)) <= 5 * unit_roundoff * std::abs(wide));
    }
  }));
}

// ---- the scalars ----

// The same functions of a complex number, by their definitions, in 64 bits. Away from 0 that loses
// nothing.
TEST(ReferenceScalar, ComplexExpm1AndLog1pAreWhatTheirNamesSay) {
  EXPECT_TRUE(rc::check([] {
    const std::complex<double> z(*grid_value(3), *grid_value(3));
    RC_PRE(std::abs(z) >= 0.5 && std::abs(z + 1.0) >= 0.5);
    const std::complex<long double> wide(z.real(), z.imag());
    const std::complex<double> power(std::exp(wide) - 1.0L);
    const std::complex<double> logarithm(std::log(wide + 1.0L));
    // Measured against max(1, modulus): one part may cancel where the other does not.
    RC_ASSERT(std::abs(expm1(z) - power) <= 8 * unit_roundoff * std::max(1.0, std::abs(power)));
    RC_ASSERT(std::abs(log1p(z) - logarithm) <=
              8 * unit_roundoff * std::max(1.0, std::abs(logarithm)));
  }));
}

TEST(ReferenceScalar, ComplexExpm1AndLog1pKeepSmallNumbers) {
  const std::complex<double> small(3e-20, -4e-20);  // both functions are z + O(z^2)
  EXPECT_LE(std::abs(expm1(small) - small), 4 * unit_roundoff * std::abs(small));
  EXPECT_LE(std::abs(log1p(small) - small), 4 * unit_roundoff * std::abs(small));
}

TEST(ReferenceScalar, RealPartDecidesTheSign) {
  EXPECT_TRUE(is_negative(-0.0));
  EXPECT_FALSE(is_negative(0.0));
  EXPECT_TRUE(is_negative(std::complex<double>(-0.0, 1.0)));
  EXPECT_FALSE(is_negative(std::complex<double>(0.0, -1.0)));
  EXPECT_TRUE(is_negative(Dual<double>(-0.0, 1.0)));
  EXPECT_FALSE(is_negative(Dual<double>(0.0, -1.0)));
}

// One expression through every rule of Dual, differentiated by a complex step.
TEST(ReferenceScalar, DualAgreesWithAComplexStep) {
  const auto formula = [](const auto& a, const auto& b) {
    auto c = sqrt(a * a + b) / (exp(b) - 2.0 * a) - expm1(a * b);
    c += log1p(a * a);
    c *= -b;
    c -= a;
    c /= 3.0 + b * b;
    return c;
  };
  EXPECT_TRUE(rc::check([&] {
    const double a = -1 - std::abs(*grid_value(1));
    const double b = 1 + std::abs(*grid_value(1));
    constexpr double step = 0x1p-400;
    const double by_complex =
        formula(std::complex<double>(a, step), std::complex<double>(b, 3 * step)).imag() / step;
    const Dual<double> by_dual = formula(Dual<double>(a, 1.0), Dual<double>(b, 3.0));
    // About 20 operations on values up to expm1(4) = 54.
    RC_ASSERT(std::abs(by_dual.derivative - by_complex) <= 20 * unit_roundoff * 54 * 10);
    RC_ASSERT(std::abs(by_dual.value - formula(a, b)) <= 20 * unit_roundoff * 54);
  }));
}

TEST(ReferenceScalar, DualComparesByValueAndAbsFlipsTheDerivative) {
  const Dual<double> a(-2.0, 5.0);
  const Dual<double> b(3.0, -7.0);
  EXPECT_TRUE(a < b && a <= b && b > a && b >= a && a != b && a == Dual<double>(-2.0, 9.0));
  EXPECT_EQ(abs(a).value, 2);
  EXPECT_EQ(abs(a).derivative, -5);
  EXPECT_EQ(abs(b).derivative, -7);
  EXPECT_EQ(Dual<double>(0.5).value, 0.5);
  EXPECT_EQ(Dual<double>(0.5).derivative, 0);
}

}  // namespace
}  // namespace abn::tests
