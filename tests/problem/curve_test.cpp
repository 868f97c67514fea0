// The activations without an inverse: the table in double against the reference in 50 digits, and
// the constants that the bounds are made of.
#include "verify/problem/curve.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "reference/dual.hpp"
#include "reference/multiprecision.hpp"
#include "verify/bound/curve.hpp"
#include "verify/oracle/activation.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::problem;
using abn::reference::Dual;
using abn::reference::Real50;

constexpr double inf = std::numeric_limits<double>::infinity();

template <class T>
abn::reference::Activation<T> reference_of(const Activation& row) {
  return {oracle::reference_kind(row.code), T(1)};
}
double narrow(const Real50& value) { return static_cast<double>(value); }

std::vector<const Activation*> rows() {
  std::vector<const Activation*> out;
  for (const Activation& row : activation_table)
    if (!row.has_inverse()) out.push_back(&row);
  return out;
}

/// Both tails, dense around 0, and the places where kinks are from either side.
std::vector<double> sampled() {
  std::vector<double> out{0.0, -0.0, 3, -3, 6, std::nextafter(3.0, 0.0), std::nextafter(-3.0, 0.0)};
  for (int i = -1600; i <= 1600; ++i) out.push_back(i / 64.0 + 1 / 512.0);
  for (int exponent = -60; exponent <= 10; ++exponent)
    for (const double sign : {-1.0, 1.0}) out.push_back(sign * std::ldexp(1.2345, exponent));
  return out;
}

TEST(CurveTable, ThereAreEightAndTheyFollowThoseWithAnInverse) {
  EXPECT_EQ(rows().size(), 8u);
  EXPECT_EQ(invertible_count, ABN_CELU + 1);
  for (const char* name :
       {"relu", "relu6", "silu", "gelu", "gelu_tanh", "sigmoid", "tanh", "hardswish"}) {
    const int code = activation_from_name(name);
    ASSERT_GE(code, invertible_count) << name;
    EXPECT_FALSE(activation_of(code).has_inverse()) << name;
    EXPECT_FALSE(activation_of(code).has_parameter()) << name;
  }
}

// Relative to each value, down both tails: P and s do not come from 1 - something.
TEST(CurveTable, ValuesAndDerivativesAreThoseOfTheReferenceInFiftyDigits) {
  for (const Activation* const row : rows())
    for (const double y : sampled()) {
      const auto exactly = reference_of<Real50>(*row);
      const auto in_double = reference_of<double>(*row);
      const Real50 value = exactly.value(Real50(y)),
                   slope = exactly.derivative_from_input(Real50(y));
      // e^(-y^2/2) is off by y^2 u, e^-v by |v| u
      const double v = row->curve->kind == CurveKind::gelu_tanh
                           ? std::fabs(curves::tanh_argument(y))
                           : 0,
                   units = 16 + 4 * std::fabs(y) + 2 * y * y + 4 * v,
                   tiny = std::numeric_limits<double>::min();
      for (const double got : {row->curve->value(y), in_double.value(y)})
        EXPECT_NEAR(got, narrow(value), units * 0x1p-53 * std::fabs(narrow(value)) + tiny)
            << row->name << " at " << y;
      // s + y s q cancels where phi' is 0
      const double size =
          std::fabs(narrow(slope)) +
          std::fabs(y) * std::fabs(narrow(abn::reference::curve::logistic_bell(Real50(y / 2))));
      for (const double got : {row->curve->derivative(y), in_double.derivative_from_input(y)})
        EXPECT_NEAR(got, narrow(slope), units * 0x1p-53 * std::fmin(size, 2) + tiny)
            << row->name << " at " << y;
    }
}

TEST(CurveTable, DerivativesAreThoseOfTheValuesByDualNumbers) {
  for (const Activation* const row : rows())
    for (const double y : sampled()) {
      if (y == 0 || std::fabs(y) == 3 || y == 6 || std::fabs(y) > 30) continue;
      const auto phi = reference_of<Dual<Real50>>(*row);
      const Dual<Real50> value = phi.value({Real50(y), Real50(1)});
      const Real50 slope = reference_of<Real50>(*row).derivative_from_input(Real50(y));
      EXPECT_LE(narrow(Real50(abs(Real50(value.derivative - slope)))),
                1e-45 * (std::fabs(narrow(slope)) + std::fabs(y)))
          << row->name << " at " << y;
      // and phi'' is that of phi'
      const Dual<Real50> second = phi.derivative_from_input({Real50(y), Real50(1)});
      EXPECT_NEAR(row->curve->second(y), narrow(second.derivative), 1e-12)
          << row->name << " at " << y;
    }
}

TEST(CurveTable, ConstantsHoldEverywhereAndAreTight) {
  for (const Activation* const row : rows()) {
    const Curve& curve = *row->curve;
    double least = inf, most = -inf, bend = 0;
    for (int i = -40000; i <= 40000; ++i) {
      const double y = i / 2000.0, slope = curve.derivative(y);
      least = std::fmin(least, slope), most = std::fmax(most, slope);
      bend = std::fmax(bend, std::fabs(curve.second(y)));
    }
    for (const Kink& kink : curve.kinks)
      least = std::fmin(least, std::fmin(kink.left, kink.right)),
      most = std::fmax(most, std::fmax(kink.left, kink.right));
    EXPECT_GE(least, curve.least) << row->name;
    EXPECT_LE(most, curve.most) << row->name;
    EXPECT_LE(bend, curve.bend) << row->name;
    EXPECT_NEAR(least, curve.least, 2e-3) << row->name;
    EXPECT_NEAR(most, curve.most, 2e-3) << row->name;
    EXPECT_NEAR(bend, curve.bend, 2e-3) << row->name;
  }
}

TEST(CurveTable, KinksAreWhereTheDerivativeJumps) {
  for (const Activation* const row : rows())
    for (const Kink& kink : row->curve->kinks) {
      EXPECT_EQ(row->curve->derivative(kink.at), kink.left) << row->name << " at " << kink.at;
      EXPECT_NEAR(row->curve->derivative(kink.at - 1e-9), kink.left, 1e-8) << row->name;
      EXPECT_NEAR(row->curve->derivative(kink.at + 1e-9), kink.right, 1e-8) << row->name;
      EXPECT_NEAR(row->curve->value(kink.at - 1e-9), row->curve->value(kink.at + 1e-9), 4e-9)
          << row->name;
    }
}

TEST(CurveTable, OutputTellsTheDerivativeWhereItSaysSo) {
  for (const Activation* const row : rows()) {
    if (row->curve->derivative_from_output == nullptr) continue;
    for (const double y : sampled())
      EXPECT_NEAR(row->curve->derivative_from_output(row->curve->value(y)),
                  row->curve->derivative(y), y == 6 ? 1 : 1e-15)
          << row->name << " at " << y;
  }
}

TEST(CurveTable, EndsWhereItTends) {
  for (const Activation* const row : rows())
    for (const double far : {1e3, 1e10, 1e200, inf}) {
      const Curve& curve = *row->curve;
      const bool grows = curve.value(100) > 50;
      EXPECT_EQ(curve.value(far), grows ? far : curve.value(1e3)) << row->name << " at " << far;
      EXPECT_EQ(std::fabs(curve.value(-far)), std::fabs(curve.value(-1e4))) << row->name << far;
      EXPECT_EQ(curve.derivative(far), grows ? 1 : 0) << row->name << " at " << far;
      EXPECT_EQ(curve.derivative(-far), 0) << row->name << " at " << -far;
    }
  for (const Activation* const row : rows())
    EXPECT_TRUE(std::isnan(row->curve->value(std::nan("")))) << row->name;
}

// ---- the bounds of how far phi and phi' move ----------------------------------------------------

TEST(CurveBounds, HoldForEveryShiftWithinThemAndAreNotTwiceAsLarge) {
  double worst_value = 0, worst_slope = 0;
  for (const Activation* const row : rows())
    for (const double off : {1e-12, 1e-6, 1e-3, 0.1, 0.7, 3.0}) {
      const Curve& curve = *row->curve;
      for (int i = -500; i <= 500; ++i) {
        const double y = i / 40.0;
        const double value = off * bound::stretch_near(curve, y, off),
                     slope = bound::tilt_near(curve, y, off), room = 1e-15 * (1 + std::fabs(y));
        double moved = 0, tilted = 0;
        for (const double share : {-1.0, -0.5, 0.5, 1.0}) {
          moved = std::fmax(moved, std::fabs(curve.value(y + share * off) - curve.value(y)));
          tilted =
              std::fmax(tilted, std::fabs(curve.derivative(y + share * off) - curve.derivative(y)));
        }
        ASSERT_LE(moved, value + room) << row->name << " at " << y << " +- " << off;
        ASSERT_LE(tilted, slope + room) << row->name << " at " << y << " +- " << off;
        if (off == 1e-3 && std::fabs(y) < 6 && value > 1e-6)
          worst_value = std::fmax(worst_value, value / moved);
        if (off == 1e-3 && std::fabs(y) < 6 && slope > 1e-6)
          worst_slope = std::fmax(worst_slope, slope / std::fmax(tilted, 1e-7));
      }
    }
  EXPECT_LE(worst_value, 2.1);  // ReLU beside its kink, where half of the interval is flat
  EXPECT_LE(worst_slope, 4);    // where phi'' is 0, of phi'''
}

/// Each formula in float, whose functions are those of the C library, against the table in double.
TEST(CurveBounds, CoverTheFormulasInFloat) {
  bound::ActivationArithmetic single;
  single.u = 0x1p-24;
  single.largest = std::numeric_limits<float>::max();
  single.function = 2 * single.u * 2;
  const auto s = [](float y) { return 1 / (1 + std::exp(-y)); };
  const auto P = [](float y) { return 0.5F * (1 + std::erf(y * 0.70710678F)); };
  const auto t = [](float y) { return std::tanh(0.79788456F * (y + 0.044715F * y * y * y)); };
  double worst = 0;
  for (const Activation* const row : rows())
    for (int i = -12000; i <= 12000; ++i) {
      const float y = static_cast<float>(i) / 100.0F;
      const Curve& curve = *row->curve;
      float value = 0, slope = 0;
      switch (curve.kind) {
        case CurveKind::relu:
        case CurveKind::relu6:
          continue;
        case CurveKind::silu:
          value = y * s(y), slope = s(y) * (1 + y * (1 - s(y)));
          break;
        case CurveKind::gelu:
          value = y * P(y);
          slope = P(y) + y * (std::exp(-0.5F * y * y) * 0.39894228F);
          break;
        case CurveKind::gelu_tanh: {
          const float bell = 1 - t(y) * t(y);
          value = 0.5F * y * (1 + t(y));
          slope = 0.5F * (1 + t(y)) + 0.5F * y * bell * (0.79788456F * (1 + 0.134145F * y * y));
          break;
        }
        case CurveKind::sigmoid:
          value = s(y), slope = s(y) * (1 - s(y));
          break;
        case CurveKind::tanh:
          value = std::tanh(y), slope = 1 - value * value;
          break;
        case CurveKind::hardswish:
          value = y <= -3 ? 0 : y >= 3 ? y : y * (y + 3) * (1 / 6.0F);
          slope = y <= -3 ? 0 : y > 3 ? 1 : y * (1 / 3.0F) + 0.5F;
          break;
      }
      const bound::Evaluation evaluation(single, curve);
      const double own = static_cast<double>(y), tiny = 0x1p-140;
      const double off = std::fabs(static_cast<double>(value) - curve.value(own)),
                   allowed = evaluation.value(own).in(single) + tiny,
                   slope_off = std::fabs(static_cast<double>(slope) - curve.derivative(own)),
                   slope_allowed = evaluation.derivative(own).in(single) + tiny;
      ASSERT_LE(off, allowed) << row->name << " at " << y;
      ASSERT_LE(slope_off, slope_allowed) << row->name << "' at " << y;
      worst = std::fmax(worst, std::fmax(off / allowed, slope_off / slope_allowed));
    }
  EXPECT_GE(worst, 0.25);
}

// ---- problems and claims ------------------------------------------------------------------------

TEST(CurveProblems, AreValidUnderEverySchemeAndPrintedAsTheyAreTyped) {
  for (const Activation* const row : rows()) {
    const std::string text = std::string("n2c3s5,nchw,bf16,") + row->name;
    EXPECT_EQ(to_string(parse_problem(text)), text);
    EXPECT_EQ(parse_problem(text).activation_parameter, 0);
    EXPECT_THROW(parse_problem(text + ":0.5"), UsageError);
  }
}

TEST(CurveProblems, InPlaceClaimsAreNonsenseWithTheReason) {
  for (const Activation* const row : rows())
    for (const int scheme : {ABN_IN_PLACE_1, ABN_IN_PLACE_2}) {
      const abn_problem p = parse_problem(std::string("n2c3s5,") + row->name);
      abn_claims claims{};
      claims.scheme = scheme;
      claims.accumulate = ABN_F32;
      claims.saves = ABN_SAVES_Z | ABN_SAVES_VAR;
      claims.depth_statistics = claims.depth_backward = 1;
      const std::string reason = nonsense_in(claims, p);
      EXPECT_NE(reason.find(row->name), std::string::npos) << reason;
      EXPECT_NE(reason.find("no inverse"), std::string::npos) << reason;
      claims.scheme = ABN_CHECKPOINT_X;
      claims.saves = ABN_SAVES_X;
      EXPECT_EQ(nonsense_in(claims, p), "");
    }
}

std::string complaint(const std::string& text) {
  try {
    parse_problem(text);
  } catch (const UsageError& wrong) {
    return wrong.what();
  }
  return {};
}

TEST(CurveProblems, UnknownActivationsAreAnsweredByMeaning) {
  for (const auto& [typed, meant] : {std::pair{"swish", "silu"},
                                     {"lrelu", "leaky_relu"},
                                     {"ReLU", "relu"},
                                     {"hard-swish", "hardswish"},
                                     {"logistic", "sigmoid"},
                                     {"gelu_new", "gelu_tanh"},
                                     {"linear", "identity"}})
    EXPECT_NE(complaint(std::string("n2c3s5,") + typed).find(std::string("did you mean ") + meant),
              std::string::npos)
        << complaint(std::string("n2c3s5,") + typed);
  for (const char* unknown : {"mish", "softplus", "selu", "prelu"}) {
    const std::string text = complaint(std::string("n2c3s5,") + unknown);
    EXPECT_EQ(text.find("did you mean"), std::string::npos) << text;
    EXPECT_NE(text.find("hardswish"), std::string::npos) << text;
  }
  EXPECT_NE(complaint("n2c3s5,relu:0.1").find("has no parameter"), std::string::npos);
}

}  // namespace
