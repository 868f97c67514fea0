// The activations phi: those that in-place batch norm can invert, with their inverses and
// derivatives, and those of reference/curve.hpp, which only schemes that keep x or xhat can do.
//
//              y < 0 ...                                                          ... else
//   identity   z = y                                                              z = y
//   leaky ReLU z = a y                   phi' = a            slope a > 0          z = y    phi' = 1
//   ELU        z = alpha(e^y-1)          phi' = alpha e^y    alpha > 0            z = y    phi' = 1
//   CELU       z = alpha(e^(y/alpha)-1)  phi' = e^(y/alpha)  alpha > 0            z = y    phi' = 1
//
// The backward pass of the in-place method has z and not y. Solved for y on the negative branch:
//   leaky ReLU y = z / a                      phi' = a
//   ELU        y = log(1 + z/alpha)           phi' = alpha e^y = alpha + z
//   CELU       y = alpha log(1 + z/alpha)     phi' = 1 + z/alpha
// so both are functions of z alone; for the exponentials at a cost: alpha + z has lost the digits
// that e^y is smaller than 1, so derivative_from_output is off by about u e^-y relatively, and the
// inverse by as much absolutely. With a <= 0 or alpha <= 0 phi is not invertible.
//
// Which branch a stored z came from is read off its sign bit: z = -0 belongs to the negative
// branch. For that to be right the forward pass never writes -0 for y = -0 or +0 (all but the
// identity write +0); a stored -0 can then only be a negative result that was too small for the
// storage type.
//
// With an inverse: value is strictly increasing and continuous; inverse(value(y)) = y;
// derivative_from_output(value(y)) = derivative_from_input(y), at y = +-0 too. NaN in, NaN out.
// The exponentials are invertible for z > -alpha only: inverse(-alpha) is -infinity and below that
// NaN. What a storage type rounds to or under -alpha, the caller moves back above it first.
#pragma once

#include <stdexcept>

#include "reference/curve.hpp"
#include "reference/scalar.hpp"

namespace abn::reference {

enum class ActivationKind {
  identity,
  leaky_relu,
  elu,
  celu,
  // without an inverse
  relu,
  relu6,
  silu,
  gelu,
  gelu_tanh,
  sigmoid,
  tanh,
  hardswish
};

template <class T>
struct Activation {
  ActivationKind kind = ActivationKind::identity;
  T parameter{1};  // slope a of leaky ReLU, alpha of ELU and CELU; unused by the others
  // At y = 0, where leaky ReLU and ELU with alpha != 1 have a kink, the derivative of the negative
  // branch and not 1. Both are subgradients.
  bool left_at_zero = false;

  bool has_inverse() const { return kind < ActivationKind::relu; }

  // z = phi(y).
  T value(const T& y) const {
    if (kind == ActivationKind::identity) return y;
    if (!has_inverse()) return curve_value(y);
    if (!(real_part(y) < 0)) return y + T(0);  // -0 + 0 = +0
    switch (kind) {
      case ActivationKind::elu:
        return T(parameter * expm1(y));
      case ActivationKind::celu:
        return T(parameter * expm1(T(y / parameter)));
      default:
        return T(parameter * y);
    }
  }

  // y with phi(y) = z; for those with an inverse.
  T inverse(const T& z) const {
    if (kind == ActivationKind::identity || !is_negative(z)) return z;
    switch (kind) {
      case ActivationKind::elu:
        return T(log1p(T(z / parameter)));
      case ActivationKind::celu:
        return T(parameter * log1p(T(z / parameter)));
      default:
        return T(z / parameter);
    }
  }

  // phi'(y), told z = phi(y); for those with an inverse.
  T derivative_from_output(const T& z) const {
    const bool negative = is_negative(z) || (left_at_zero && real_part(z) == 0);
    if (kind == ActivationKind::identity || !negative) return T(1);
    switch (kind) {
      case ActivationKind::elu:
        return T(z + parameter);
      case ActivationKind::celu:
        return T(T(z + parameter) / parameter);
      default:
        return parameter;
    }
  }

  // phi'(y), told y; at the kinks of those without an inverse that of the left side.
  T derivative_from_input(const T& y) const {
    if (!has_inverse()) return curve_derivative(y);
    const bool negative = real_part(y) < 0 || (left_at_zero && real_part(y) == 0);
    if (kind == ActivationKind::identity || !negative) return T(1);
    switch (kind) {
      case ActivationKind::elu:
        return T(parameter * exp(y));
      case ActivationKind::celu:
        return T(exp(T(y / parameter)));
      default:
        return parameter;
    }
  }

  // Throws std::invalid_argument for a parameter with which the inverse that there should be does
  // not exist.
  void validate() const {
    if (kind != ActivationKind::identity && has_inverse() && !(real_part(parameter) > 0))
      throw std::invalid_argument(
          "The activation has no inverse: its slope or alpha is not positive; choose one above 0.");
  }
  // The same, and for activations that never have one.
  void validate_inverse() const {
    validate();
    if (!has_inverse())
      throw std::invalid_argument(
          "The activation has no inverse, so y cannot be found again from z; keep x or xhat.");
  }

 private:
  T curve_value(const T& y) const {
    switch (kind) {
      case ActivationKind::relu:
        return curve::relu(y);
      case ActivationKind::relu6:
        return curve::relu6(y);
      case ActivationKind::silu:
        return curve::silu(y);
      case ActivationKind::gelu:
        return curve::gelu(y);
      case ActivationKind::gelu_tanh:
        return curve::gelu_tanh(y);
      case ActivationKind::sigmoid:
        return curve::logistic(y);
      case ActivationKind::tanh:
        return curve::tanh(y);
      default:
        return curve::hardswish(y);
    }
  }
  T curve_derivative(const T& y) const {
    switch (kind) {
      case ActivationKind::relu:
        return curve::relu_derivative(y);
      case ActivationKind::relu6:
        return curve::relu6_derivative(y);
      case ActivationKind::silu:
        return curve::silu_derivative(y);
      case ActivationKind::gelu:
        return curve::gelu_derivative(y);
      case ActivationKind::gelu_tanh:
        return curve::gelu_tanh_derivative(y);
      case ActivationKind::sigmoid:
        return curve::logistic_bell(y);
      case ActivationKind::tanh:
        return curve::tanh_derivative(y);
      default:
        return curve::hardswish_derivative(y);
    }
  }
};

}  // namespace abn::reference
