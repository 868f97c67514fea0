// The table of activations against the reference, which shares no formula with it; and the list of
// storage types.
#include "verify/problem/activation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <ostream>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "reference/activation.hpp"
#include "reference/multiprecision.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::problem;
using abn::reference::ActivationKind;
using abn::reference::Real50;

constexpr double u = 0x1p-53;
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

// By name and not by code: a row under the wrong code is then compared with the wrong kind.
const std::map<std::string, ActivationKind> kinds = {{"identity", ActivationKind::identity},
                                                     {"leaky_relu", ActivationKind::leaky_relu},
                                                     {"elu", ActivationKind::elu},
                                                     {"celu", ActivationKind::celu}};

struct Chosen {
  int code;
  double parameter;
  ActivationKind kind;

  Phi phi() const { return phi_of(code, parameter); }
  template <class T>
  abn::reference::Activation<T> reference() const {
    return {kind, T(parameter)};
  }
};

std::ostream& operator<<(std::ostream& out, const Chosen& one) {
  return out << activation_name(one.code) << ":" << one.parameter;
}

/// Every row with an inverse, with every parameter that any list of it has, its default, and two of
/// the test's own. The others are in curve_test.cpp.
std::vector<Chosen> all_chosen() {
  std::vector<Chosen> out;
  for (const Activation& row : activation_table) {
    if (!row.has_inverse()) continue;
    std::set<double> parameters{row.default_parameter};
    for (const auto list : {row.usual, row.varied, row.studied})
      parameters.insert(list.begin(), list.end());
    if (row.has_parameter()) parameters.insert({0.3, 2.5});
    for (const double parameter : parameters)
      out.push_back({row.code, parameter, kinds.at(row.name)});
  }
  return out;
}

double narrow(const Real50& value) { return static_cast<double>(value); }

/// |got - exact| <= units * u * size, where both are finite numbers.
::testing::AssertionResult within(double got, const Real50& exact, double units, double size) {
  const double error = std::fabs(narrow(Real50(got) - exact)), bound = units * u * size;
  if (error <= bound) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << got << " and not " << narrow(exact) << ": off by " << error << ", allowed " << bound;
}

/// Magnitudes from 2^-60 to 2^5 of both signs, dense enough that no branch hides.
std::vector<double> sampled() {
  std::vector<double> out;
  for (int exponent = -60; exponent <= 4; ++exponent)
    for (const double fraction : {1.0, 1.2345678901234567, 1.9})
      for (const double sign : {-1.0, 1.0}) out.push_back(sign * std::ldexp(fraction, exponent));
  return out;
}

abn_problem problem_with(const Chosen& one, int dtype) {
  abn_problem p = parse_problem(std::string("n2c3s4,identity,") + dtype_name(dtype));
  set_activation(p, one.code, one.parameter);
  return p;
}

TEST(ActivationTable, CodesArePositionsAndNamesAreUnique) {
  std::set<std::string> names, sentences;
  for (int code = 0; code < activation_count; ++code) {
    const Activation& row = activation_of(code);
    EXPECT_EQ(row.code, code);
    if (row.has_inverse()) {
      ASSERT_TRUE(kinds.contains(row.name)) << row.name << " has no reference in this test";
    }
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(activation_from_name(row.name), code);
    EXPECT_STREQ(activation_name(code), row.name);
    ASSERT_NE(row.sentence, nullptr) << row.name;
    EXPECT_TRUE(sentences.insert(row.sentence).second) << row.name;
    EXPECT_EQ(std::string(row.sentence).rfind(row.name, 0), 0u) << row.sentence;
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(activation_count));
  EXPECT_EQ(kinds.size(), static_cast<std::size_t>(invertible_count));
  EXPECT_EQ(activation_from_name("none of them"), -1);
  EXPECT_STREQ(activation_name(activation_count), "unknown");
  EXPECT_STREQ(activation_name(-1), "unknown");
}

TEST(ActivationTable, HasTheCodesOfTheAbi) {
  EXPECT_EQ(activation_from_name("identity"), ABN_IDENTITY);
  EXPECT_EQ(activation_from_name("leaky_relu"), ABN_LEAKY_RELU);
  EXPECT_EQ(activation_from_name("elu"), ABN_ELU);
  EXPECT_EQ(activation_from_name("celu"), ABN_CELU);
  EXPECT_EQ(activation_from_name("relu"), ABN_RELU);
  EXPECT_EQ(activation_from_name("relu6"), ABN_RELU6);
  EXPECT_EQ(activation_from_name("silu"), ABN_SILU);
  EXPECT_EQ(activation_from_name("gelu"), ABN_GELU);
  EXPECT_EQ(activation_from_name("gelu_tanh"), ABN_GELU_TANH);
  EXPECT_EQ(activation_from_name("sigmoid"), ABN_SIGMOID);
  EXPECT_EQ(activation_from_name("tanh"), ABN_TANH);
  EXPECT_EQ(activation_from_name("hardswish"), ABN_HARDSWISH);
}

/// A parameter of 1 hides where it is forgotten; one for which a is 1/a would hide a division.
TEST(ActivationTable, HasParametersThatTellItsFormulaFromOthers) {
  for (const Activation& row : activation_table) {
    EXPECT_EQ(row.has_parameter(), !row.varied.empty()) << row.name;
    EXPECT_EQ(row.has_parameter(), !row.usual.empty()) << row.name;
    EXPECT_EQ(row.has_parameter(), !row.studied.empty()) << row.name;
    if (!row.has_parameter()) continue;
    for (const auto list : {row.usual, row.varied, row.studied}) {
      std::size_t telling = 0;
      for (const double parameter : list) telling += parameter > 0 && parameter != 1;
      EXPECT_GE(telling, 1u) << row.name;
    }
  }
}

TEST(ActivationTable, ValueIsThatOfTheReference) {
  for (const Chosen& one : all_chosen())
    for (const double y : sampled()) {
      const Real50 exact = one.reference<Real50>().value(Real50(y));
      const double size = std::fabs(narrow(exact));
      EXPECT_TRUE(within(one.phi().value(y), exact, 6, size)) << one << " at " << y;
      EXPECT_TRUE(within(one.reference<double>().value(y), exact, 6, size)) << one << " at " << y;
      const auto single = static_cast<float>(y);
      EXPECT_NEAR(one.phi().value(single), narrow(one.reference<Real50>().value(Real50(single))),
                  6 * 0x1p-24 * size)
          << one << " at " << y;
    }
}

TEST(ActivationTable, DerivativeIsThatOfTheReference) {
  for (const Chosen& one : all_chosen())
    for (const double y : sampled()) {
      const Phi phi = one.phi();
      const Real50 exact = one.reference<Real50>().derivative_from_input(Real50(y));
      // a rounded quotient in the exponent is off by |y/width| u
      const double units = 6 + std::fabs(y / phi.width);
      EXPECT_TRUE(within(phi.derivative(y), exact, units, narrow(exact))) << one << " at " << y;
      const double left = y < 0 ? phi.left_derivative(y) : phi.derivative(y);
      EXPECT_TRUE(within(left, exact, units, narrow(exact))) << one << " at " << y;
      EXPECT_LE(narrow(exact), phi.stretch()) << one << " at " << y;
    }
}

TEST(ActivationTable, DerivativeFromOutputAndInverseAreThoseOfTheReference) {
  for (const Chosen& one : all_chosen())
    for (const double y : sampled()) {
      const Phi phi = one.phi();
      const auto exactly = one.reference<Real50>();
      const double z = phi.value(y);
      if (z <= phi.saturation()) continue;
      const bool negative = std::signbit(z);
      // z + alpha is rounded once and not hurt by what it cancels, for z is what it is
      const Real50 slope = exactly.derivative_from_output(Real50(z));
      EXPECT_TRUE(within(phi.derivative_from_output(z, negative), slope, 3, narrow(slope)))
          << one << " at " << y;
      // z/parameter is rounded, which log1p answers with u |w| / (1 + w)
      const Real50 inverse = exactly.inverse(Real50(z));
      const double size = std::fabs(narrow(inverse)),
                   moved = phi.curved() && negative ? std::fabs(z) / narrow(slope) : 0;
      EXPECT_TRUE(within(phi.inverse(z, negative), inverse, 6, size + moved)) << one << " at " << y;
      EXPECT_TRUE(within(one.reference<double>().inverse(z), inverse, 6, size + moved))
          << one << " at " << y;
    }
}

TEST(ActivationTable, InverseUndoesValueWithinTheRoundingOfZ) {
  for (const Chosen& one : all_chosen())
    for (const double y : sampled()) {
      const Phi phi = one.phi();
      const double z = phi.value(y), slope = phi.derivative(y);
      if (slope < 1e-7) continue;
      const double bound = 8 * u * (std::fabs(z) / slope + std::fabs(y)) * (1 + 1e-7);
      EXPECT_LE(std::fabs(phi.inverse(z, std::signbit(z)) - y), bound) << one << " at " << y;
    }
}

TEST(ActivationTable, ZeroInfinityAndNaNAreThoseOfTheReference) {
  for (const Chosen& one : all_chosen()) {
    const Phi phi = one.phi();
    const auto reference = one.reference<double>();
    EXPECT_EQ(phi.value(0.0), 0) << one;
    EXPECT_EQ(phi.value(inf), inf) << one;
    EXPECT_EQ(phi.value(-inf), reference.value(-inf)) << one;
    EXPECT_TRUE(std::isnan(phi.value(not_a_number))) << one;
    EXPECT_EQ(phi.derivative(0), reference.derivative_from_input(0)) << one;
    EXPECT_EQ(phi.derivative_from_output(0, false), 1) << one;
    EXPECT_EQ(phi.derivative_from_output(-0.0, true), reference.derivative_from_output(-0.0))
        << one;
    EXPECT_EQ(phi.left_derivative(0), reference.derivative_from_output(-0.0)) << one;
    EXPECT_EQ(phi.lambda, phi.left_derivative(0)) << one;
    EXPECT_EQ(phi.has_kink(), reference.derivative_from_output(-0.0) != 1) << one;
  }
}

TEST(ActivationTable, CeluAloneOfThoseWithAParameterIsSmoothForAll) {
  for (const double parameter : {0.3, 0.5, 1.7, 2.0}) {
    EXPECT_FALSE(phi_of(ABN_CELU, parameter).has_kink());
    EXPECT_TRUE(phi_of(ABN_ELU, parameter).has_kink());
    EXPECT_TRUE(phi_of(ABN_LEAKY_RELU, parameter).has_kink());
  }
  EXPECT_FALSE(phi_of(ABN_ELU, 1).has_kink());
}

// ---- saturation in the storage types ------------------------------------------------------------

double below(const Format& format, double value) { return -next_above(format, -value); }

TEST(Saturation, EndsAtTheFirstValueOfTheTypeThatHasAnInverse) {
  for (const int dtype : storage_types)
    for (const Chosen& one : all_chosen()) {
      const abn_problem p = problem_with(one, dtype);
      const Format& format = format_of(dtype);
      // the parameter as the problem has it, rounded to the parameters' type
      const abn::reference::Activation<double> reference{one.kind, p.activation_parameter};
      const double lowest = lowest_invertible(p), end = phi_of(p).saturation();
      if (std::isinf(reference.value(-inf))) {  // nothing saturates
        EXPECT_EQ(lowest, -inf) << one;
        EXPECT_EQ(end, -inf) << one;
        continue;
      }
      EXPECT_EQ(end, reference.value(-inf)) << one;
      EXPECT_EQ(round_to(format, lowest), lowest) << one << " " << dtype_name(dtype);
      EXPECT_TRUE(std::isfinite(reference.inverse(lowest))) << one << " " << dtype_name(dtype);
      EXPECT_GT(reference.derivative_from_output(lowest), 0) << one << " " << dtype_name(dtype);
      EXPECT_FALSE(std::isfinite(reference.inverse(below(format, lowest))))
          << one << " " << dtype_name(dtype);
    }
}

TEST(Saturation, LiftsWhatIsSaturatedAndNothingElse) {
  for (const int dtype : storage_types)
    for (const Chosen& one : all_chosen()) {
      const abn_problem p = problem_with(one, dtype);
      const Format& format = format_of(dtype);
      const abn::reference::Activation<double> reference{one.kind, p.activation_parameter};
      const double lowest = lowest_invertible(p);
      std::vector<double> z{0.0, -0.0, 1, -0.125, -inf, inf, not_a_number, -format.largest};
      for (double step = round_to(format, -p.activation_parameter), i = 0; i < 3; ++i)
        z.insert(z.end(), {step, -step}), step = below(format, step);
      if (std::isfinite(lowest)) z.insert(z.end(), {lowest, next_above(format, lowest)});
      std::vector<double> all = z;
      lift_saturated(p, all);
      for (std::size_t i = 0; i < z.size(); ++i) {
        // Whatever is negative and has no finite inverse, save for leaky ReLU's -infinity.
        const bool saturated =
            z[i] < 0 && !std::isinf(reference.value(-inf)) && !(reference.inverse(z[i]) > -inf);
        const double expected = saturated ? lowest : z[i];
        for (const double got : {lifted(p, z[i]), all[i]}) {
          if (std::isnan(expected)) {
            EXPECT_TRUE(std::isnan(got));
            continue;
          }
          EXPECT_EQ(got, expected) << one << " " << dtype_name(dtype) << " " << z[i];
          EXPECT_EQ(std::signbit(got), std::signbit(expected)) << one << " " << z[i];
        }
      }
    }
}

TEST(Drawing, TakesParametersOfTheRowInTheTypeOfParameters) {
  for (const int dtype : storage_types)
    for (const Activation& row : activation_table) {
      std::set<double> usual, varied;
      constexpr std::uint64_t draws = 32;
      abn_problem p = parse_problem(std::string("n2c3s4,identity,") + dtype_name(dtype));
      const Format& parameters = format_of(p.param_dtype);
      for (std::uint64_t drawn = 0; drawn < draws; ++drawn) {
        draw_usual(p, row.code, drawn);
        EXPECT_EQ(p.activation, row.code);
        usual.insert(p.activation_parameter);
        draw_varied(p, row.code, drawn);
        EXPECT_EQ(p.activation, row.code);
        varied.insert(p.activation_parameter);
      }
      const auto rounded = [&](std::span<const double> list) {
        std::set<double> out;
        for (const double one : list) out.insert(round_to(parameters, one));
        return out.empty() ? std::set<double>{0.0} : out;
      };
      EXPECT_EQ(usual, rounded(row.usual)) << row.name;
      EXPECT_EQ(varied, rounded(row.varied)) << row.name;
    }
}

// ---- the list of storage types ------------------------------------------------------------------

TEST(StorageTypes, AreAllThatHaveANameAndAFormat) {
  std::set<int> listed;
  for (const int dtype : storage_types) {
    EXPECT_TRUE(listed.insert(dtype).second) << dtype;
    EXPECT_EQ(format_of(dtype).dtype, dtype);
    EXPECT_EQ(dtype_from_name(dtype_name(dtype)), dtype);
  }
  constexpr int far_beyond = 64;
  for (int dtype = -1; dtype < far_beyond; ++dtype)
    EXPECT_EQ(std::string(dtype_name(dtype)) != "unknown", listed.contains(dtype)) << dtype;
}

}  // namespace
