// The three methods on the objective of one channel.
#include "verify/check/gradient/reference_numeric.hpp"

#include <array>
#include <complex>
#include <span>

namespace abn::verify::check::gradient {
namespace {

using reference::Dual;
using reference::ScaleConvention;

// Central differences: how far an input moves in units of y, at the widest step. With four levels
// the entry of order 6 is judged by the truncation of its parent of order 4, about 1e-80, beside
// rounding of 1e-101/1e-20.
constexpr double central_step = 0x1p-66;
constexpr int central_levels = 4;
constexpr double central_width = 1e-50;  // the widest bar beside the gradient's size
// a sample stays off a kink by so many of the farthest reaches of a step, or half as many once the
// distance of two samples is a power of two
constexpr double margin_steps = 4;

/// `setup` with input i moved to `value`: x_i, gamma or beta.
template <class T>
OneChannel<T> moved(OneChannel<T> setup, Eigen::Index i, const T& value) {
  const Eigen::Index m = setup.x.size();
  (i < m ? setup.x[i] : i == m ? setup.channel.gamma : setup.channel.beta) = value;
  return setup;
}

template <class T>
T input(const OneChannel<T>& setup, Eigen::Index i) {
  const Eigen::Index m = setup.x.size();
  return i < m ? setup.x[i] : i == m ? setup.channel.gamma : setup.channel.beta;
}

}  // namespace

double component_of(const Magnitudes& sizes, Eigen::Index i) {
  const auto m = static_cast<Eigen::Index>(sizes.dx.size());
  return i < m ? sizes.dx[static_cast<std::size_t>(i)] : i == m ? sizes.dgamma : sizes.dbeta;
}

double scale_of(const Magnitudes& sizes, Eigen::Index i) {
  const auto m = static_cast<Eigen::Index>(sizes.dx.size());
  return i < m ? sizes.scale_dx : i == m ? sizes.scale_dgamma : sizes.scale_dbeta;
}

Real100 kink_margin(Method method) {
  // A step in one input moves a y by at most |g| r h (1 + 1/m + |xhat xhat|/m) <= 3 |g| r h; by
  // sqrt(m) h in gamma and h in beta. With |g| < 1.4, m = 8 and frozen |xhat| < 4 all are below 8
  // steps.
  constexpr double reach = 8;
  switch (method) {
    case Method::central100:
      return Real100(margin_steps * reach * central_step);
    case Method::complex:
      return Real100(0x1p-40);  // y is off by some 1e-15
    default:
      return Real100(0x1p-140);  // and by some 1e-49
  }
}

Components<Real100> by_central_differences(const OneChannel<Real100>& given,
                                           const Magnitudes& sizes) {
  OneChannel<Real100> setup = given;
  // |gamma| + eps has a kink at gamma = 0, where the derivative is by convention that of the branch
  // gamma + eps: the signed scale gamma + eps.
  if (setup.channel.scale == ScaleConvention::abs_eps && setup.channel.gamma == 0)
    setup.channel.scale = ScaleConvention::signed_gamma, setup.channel.gamma = setup.channel.eps;
  const reference::Forward<Real100> kept = forward(setup);
  const Real100 at_x = (setup.dz * kept.z).sum();
  const Real100 noise = unit_roundoff<Real100>() * roundings(setup.x.size()) * sizes.objective;
  Components<Real100> out;
  for (Eigen::Index i = 0; i < setup.x.size() + 2; ++i) {
    Component<Real100> component;
    const bool is_x = i < setup.x.size();
    const Real100 x = input(setup, i);
    Real100 step =
        exact_step<Real100>(is_x ? Real100(central_step / kept.r) : Real100(central_step));
    std::array<CentralLevel<Real100>, central_levels> levels;
    bool all_equal = true;
    for (auto& level : levels) {
      const Real100 left = x - step, right = x + step;
      const Real100 at_left = objective(moved(setup, i, left)),
                    at_right = objective(moved(setup, i, right));
      all_equal = all_equal && at_left == at_x && at_right == at_x;
      level = central_level<Real100>(left, x, right, at_left, at_x, at_right);
      step /= 2;
    }
    const double scale = scale_of(sizes, i);
    if (scale == 0) {
      component.moves = !all_equal;
      component.value = levels.back().difference;
    } else {
      const EstimateOf<Real100> estimate =
          extrapolate<Real100>(std::span<const CentralLevel<Real100>>(levels), noise);
      component.value = estimate.value;
      component.bar = static_cast<double>(estimate.error);
      component.widest = central_width * scale;
    }
    out.push_back(component);
  }
  return out;
}

Components<double> by_complex_steps(const OneChannel<double>& setup, const Magnitudes& sizes) {
  const OneChannel<std::complex<double>> lifted = convert<std::complex<double>>(setup);
  const double r = forward(setup).r;
  Components<double> out;
  for (Eigen::Index i = 0; i < setup.x.size() + 2; ++i) {
    const double scale = i < setup.x.size() ? 1 / r : 1;
    const Estimate estimate = complex_step(
        [&](const std::complex<double>& value) { return objective(moved(lifted, i, value)); },
        input(setup, i), scale, roundings(setup.x.size()) * component_of(sizes, i));
    out.push_back({estimate.value, estimate.error});
  }
  return out;
}

Components<Real50> by_duals(const OneChannel<Real50>& setup, const Magnitudes& sizes) {
  using D = Dual<Real50>;
  const OneChannel<D> lifted = convert<D>(setup);
  Components<Real50> out;
  for (Eigen::Index i = 0; i < setup.x.size() + 2; ++i) {
    const auto estimate = dual_derivative<D, Real50>(
        [&](const D& value) { return objective(moved(lifted, i, value)); }, input(setup, i),
        Real50(roundings(setup.x.size()) * component_of(sizes, i)));
    out.push_back({estimate.value, static_cast<double>(estimate.error)});
  }
  return out;
}

}  // namespace abn::verify::check::gradient
