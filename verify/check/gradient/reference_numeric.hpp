// Numeric derivatives of the reference's forward pass, component by component: by central
// differences, complex steps and dual numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "verify/check/gradient/reference_derivation.hpp"

namespace abn::verify::check::gradient {

enum class Method : std::uint8_t { central100, complex, dual50, real50 };

/// One gradient component: what the method found and how far that may be off.
template <class T>
struct Component {
  T value{0};
  double bar = 0;
  double widest = 0;   ///< the widest bar that is accepted; 0: none is set
  bool moves = false;  ///< the objective moved with an input that it does not depend on
};

/// dx_0 .. dx_{m-1}, dgamma, dbeta.
template <class T>
using Components = std::vector<Component<T>>;

/// How close to a kink a sample may be for a method to tell its side: some steps, or some roundings
/// of y.
Real100 kink_margin(Method method);

/// `sizes` are those of the setup where nothing is read off z. Where the size of a gradient is 0,
/// every value of the objective must be the same: else the component `moves`.
Components<Real100> by_central_differences(const OneChannel<Real100>& setup,
                                           const Magnitudes& sizes);
Components<double> by_complex_steps(const OneChannel<double>& setup, const Magnitudes& sizes);
Components<Real50> by_duals(const OneChannel<Real50>& setup, const Magnitudes& sizes);

/// M and size of component i: x_i, then gamma, then beta.
double component_of(const Magnitudes& sizes, Eigen::Index i);
double scale_of(const Magnitudes& sizes, Eigen::Index i);

}  // namespace abn::verify::check::gradient
