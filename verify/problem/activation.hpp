// The activations in one table: what differs between them is asked here and nowhere else.
//
// Those with an inverse are z = y from 0 on. Below 0 they are (lambda is phi' on the left of 0)
//
//   same          z = y                                                         identity
//   straight      z = lambda y                                                  leaky ReLU
//   exponential   z = alpha (e^(y/width) - 1)     phi' = (z + alpha)/width      ELU, CELU
//                 y = width log(1 + z/alpha)      lambda = alpha/width
//
// with width 1 for ELU, which has a kink at 0 unless alpha = 1, and width alpha for CELU, which is
// smooth there (J. T. Barron, "Continuously Differentiable Exponential Linear Units",
// arXiv 1704.07483). An exponential branch ends at -alpha: a stored z that is not above it cannot
// be inverted and stands for the next value of the storage type above (cuda/kernel.h).
//
// Those without one are no branch but a whole curve (verify/problem/curve.hpp). Schemes in place
// cannot do them: the problem is valid, and such a claim is nonsense (verify/problem/claims.cpp).
//
// A new activation is a row of `activation_table`, a kind in reference/activation.hpp and a branch
// in cuda/device/activation.cuh. One that fits no shape here needs a shape of its own, and then the
// compiler names the switches that have to know it.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/kernel.h"
#include "verify/problem/curve.hpp"

namespace abn::verify::problem {

enum class BranchShape { same, straight, exponential, curve };

/// One row: everything about an activation that does not depend on its parameter.
struct Activation {
  int code = 0;
  const char* name = nullptr;            ///< in problem strings
  const char* parameter_name = nullptr;  ///< "slope", "alpha"; null where there is none
  double default_parameter = 0;
  BranchShape shape = BranchShape::same;
  bool width_is_alpha = false;        ///< of an exponential branch: alpha, else 1
  std::span<const double> usual{};    ///< parameters for most cases
  std::span<const double> varied{};   ///< those that cases of a tier are drawn from
  std::span<const double> studied{};  ///< those that the study of inversion goes through
  const Curve* curve = nullptr;       ///< where there is no inverse
  const char* sentence = nullptr;     ///< for people

  constexpr bool has_parameter() const { return parameter_name != nullptr; }
  constexpr bool has_inverse() const { return curve == nullptr; }
  /// Does it take exp, expm1, log1p, tanh or erf, whose errors a variant declares as function_ulp?
  constexpr bool needs_functions() const {
    return shape == BranchShape::exponential || (curve != nullptr && !curve->pieces());
  }
};

namespace parameters {
inline constexpr double usual_slopes[] = {0.01, 0.25}, slopes[] = {0.01, 0.2, 0.0078125, 1.5},
                        studied_slopes[] = {0.01, 0.1, 0.5};
inline constexpr double usual_alphas[] = {1, 0.5}, alphas[] = {1, 0.5, 1.7},
                        studied_alphas[] = {0.5, 1, 2};
}  // namespace parameters

constexpr Activation without_inverse(int code, const char* name, const Curve& curve,
                                     const char* sentence) {
  Activation row;
  row.code = code, row.name = name, row.shape = BranchShape::curve, row.curve = &curve;
  row.sentence = sentence;
  return row;
}

inline constexpr std::array activation_table{
    Activation{.code = ABN_IDENTITY,
               .name = "identity",
               .shape = BranchShape::same,
               .sentence = "identity is z = y: batch norm alone"},
    Activation{.code = ABN_LEAKY_RELU,
               .name = "leaky_relu",
               .parameter_name = "slope",
               .default_parameter = 0.01,
               .shape = BranchShape::straight,
               .usual = parameters::usual_slopes,
               .varied = parameters::slopes,
               .studied = parameters::studied_slopes,
               .sentence = "leaky_relu:SLOPE is z = y, and SLOPE*y below 0; SLOPE is above 0, by "
                           "default 0.01"},
    Activation{.code = ABN_ELU,
               .name = "elu",
               .parameter_name = "alpha",
               .default_parameter = 1,
               .shape = BranchShape::exponential,
               .usual = parameters::usual_alphas,
               .varied = parameters::alphas,
               .studied = parameters::studied_alphas,
               .sentence = "elu:ALPHA is z = y, and ALPHA*(exp(y) - 1) below 0; ALPHA is above 0, "
                           "by default 1"},
    Activation{.code = ABN_CELU,
               .name = "celu",
               .parameter_name = "alpha",
               .default_parameter = 1,
               .shape = BranchShape::exponential,
               .width_is_alpha = true,
               .usual = parameters::usual_alphas,
               .varied = parameters::alphas,
               .studied = parameters::studied_alphas,
               .sentence = "celu:ALPHA is z = y, and ALPHA*(exp(y/ALPHA) - 1) below 0; ALPHA is "
                           "above 0, by default 1"},
    without_inverse(ABN_RELU, "relu", relu_curve,
                    "relu is z = y, and 0 below 0; it has no inverse"),
    without_inverse(ABN_RELU6, "relu6", relu6_curve,
                    "relu6 is z = y, 0 below 0 and 6 above 6; it has no inverse"),
    without_inverse(ABN_SILU, "silu", silu_curve,
                    "silu, also called swish, is z = y/(1 + exp(-y)); it has no inverse"),
    without_inverse(ABN_GELU, "gelu", gelu_curve,
                    "gelu is z = y*(1 + erf(y/sqrt(2)))/2; it has no inverse"),
    without_inverse(
        ABN_GELU_TANH, "gelu_tanh", gelu_tanh_curve,
        "gelu_tanh is z = y*(1 + tanh(sqrt(2/pi)*(y + 0.044715*y^3)))/2, which is close "
        "to gelu; it has no inverse"),
    without_inverse(ABN_SIGMOID, "sigmoid", sigmoid_curve,
                    "sigmoid is z = 1/(1 + exp(-y)); its inverse is of no use in place, for z "
                    "rounds to 1"),
    without_inverse(
        ABN_TANH, "tanh", tanh_curve,
        "tanh is z = tanh(y); its inverse is of no use in place, for z rounds to -1 and "
        "1"),
    without_inverse(ABN_HARDSWISH, "hardswish", hardswish_curve,
                    "hardswish is z = y*min(max(y + 3, 0), 6)/6; it has no inverse"),
};

inline constexpr int activation_count = static_cast<int>(activation_table.size());
/// Those with an inverse have the codes below it.
inline constexpr int invertible_count = [] {
  int count = 0;
  // by the shape: under UBSan GCC compares no address with null in a constant expression
  while (count < activation_count &&
         activation_table[static_cast<std::size_t>(count)].shape != BranchShape::curve)
    ++count;
  return count;
}();

/// The row of a code. Codes are positions, which a test holds.
constexpr const Activation& activation_of(int code) {
  return activation_table[static_cast<std::size_t>(code)];
}
inline const Activation& activation_of(const abn_problem& problem) {
  return activation_of(problem.activation);
}

/// phi with its parameter, in double: its branch below 0 as numbers, ready for loops over elements;
/// or its curve.
struct Phi {
  BranchShape shape = BranchShape::same;
  const Curve* curve = nullptr;  ///< where there is no inverse; then nothing else counts
  bool scaled = false;           ///< exponential, and y/width is a true division
  double parameter = 0;          ///< slope or alpha
  double width = 1;
  double lambda = 1;          ///< phi' on the left of 0
  bool left_at_zero = false;  ///< phi'(0) is lambda, and not 1 (abn_claims::kink)

  bool has_inverse() const { return curve == nullptr; }
  /// Does phi' at a stored z take the branch below 0? Its sign bit says so, and at 0 the kink.
  bool is_negative(double z, bool sign) const { return sign || (left_at_zero && z == 0); }
  bool linear() const { return shape == BranchShape::same; }
  /// Exponential below 0.
  bool curved() const { return shape == BranchShape::exponential; }
  /// phi' jumps, at 0 where there is an inverse: both one-sided derivatives are right there.
  bool has_kink() const { return has_inverse() ? lambda != 1 : !curve->kinks.empty(); }
  /// z from which on there is no inverse; -infinity where there always is one.
  double saturation() const {
    return curved() ? -parameter : -std::numeric_limits<double>::infinity();
  }

  template <std::floating_point T>
  T value(T y) const {
    if (!has_inverse()) return T(curve->value(static_cast<double>(y)));
    if (linear() || !(y < 0)) return y;
    return T(parameter) * (curved() ? std::expm1(y / T(width)) : y);
  }
  /// phi'(y); at 0 the one of the side that the kink belongs to, the left one at a kink of a curve.
  double derivative(double y) const {
    if (!has_inverse()) return curve->derivative(y);
    return linear() || !is_negative(y, y < 0) ? 1 : left_derivative(y);
  }
  /// phi' of the branch below 0 at y <= 0, at 0 too. Of no curve.
  double left_derivative(double y) const {
    return curved() ? lambda * std::exp(y / width) : lambda;
  }
  /// The largest phi' anywhere: a constant by which phi stretches at most.
  double stretch() const { return has_inverse() ? std::fmax(1, lambda) : curve->stretch(); }
  /// y of a z above the saturation; the branch is told, as a stored z has it in its sign bit. Of no
  /// curve, nor is what follows.
  double inverse(double z, bool negative) const {
    if (linear() || !negative) return z;
    return curved() ? width * std::log1p(z / parameter) : z / parameter;
  }
  /// phi' from z.
  double derivative_from_output(double z, bool negative) const {
    if (linear() || !is_negative(z, negative)) return 1;
    return curved() ? (z + parameter) / width : lambda;
  }
};

inline Phi phi_of(int activation, double parameter) {
  const Activation& row = activation_of(activation);
  Phi phi;
  phi.shape = row.shape;
  phi.curve = row.curve;
  phi.parameter = parameter;
  switch (row.shape) {
    case BranchShape::same:
    case BranchShape::curve:
      break;
    case BranchShape::straight:
      phi.lambda = parameter;
      break;
    case BranchShape::exponential:
      phi.scaled = row.width_is_alpha;
      phi.width = row.width_is_alpha ? parameter : 1;
      phi.lambda = row.width_is_alpha ? 1 : parameter;
      break;
  }
  return phi;
}
inline Phi phi_of(const abn_problem& problem) {
  return phi_of(problem.activation, problem.activation_parameter);
}

/// A stored z as backward takes it: what is saturated stands for the next value of the storage type
/// above the saturation.
double lifted(const abn_problem& problem, double z);
void lift_saturated(const abn_problem& problem, std::vector<double>& z);
/// The smallest z that has an inverse, in the storage type; -infinity where all have.
double lowest_invertible(const abn_problem& problem);

const char* activation_name(int code);
/// The code of a name, or -1.
int activation_from_name(std::string_view name);
/// The end of a sentence about a name that frameworks have and this project has not: what it is
/// called here, or which are known; empty for any other word.
std::string activation_hint(std::string_view name);

/// Sets the activation and its parameter, rounded to the problem's parameter type.
void set_activation(abn_problem& problem, int activation, double parameter);

/// The same with one of the row's parameters, chosen by a number that was drawn.
void draw_usual(abn_problem& problem, int activation, std::uint64_t drawn);
void draw_varied(abn_problem& problem, int activation, std::uint64_t drawn);

}  // namespace abn::verify::problem
