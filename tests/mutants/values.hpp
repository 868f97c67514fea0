// Bugs that bite at the ends of ranges alone: a number clamped, floored, flushed, narrowed, lost
// where it is NaN, or taken for a default, as a kernel reads or makes it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/mutants/arithmetic.hpp"
#include "tests/mutants/plan.hpp"

namespace abn::mutants {

/// Which of its numbers a kernel has in hand.
enum class Number : std::uint8_t {
  gamma,
  beta,
  x,
  dz,
  running_mean,
  running_var,
  batch_variance,
  root,
  slope,
  alpha,
  eps,
  momentum
};

/// The number as the kernel with this bug goes on with it.
template <class A>
A taken(Bug bug, Number which, A value, bool backward) {
  const auto is = [&](Bug one, Number number) { return bug == one && which == number; };
  const A largest = std::numeric_limits<float>::max();
  if (is(Bug::gamma_clamped, Number::gamma)) return std::clamp(value, A(-64), A(64));
  const bool flushed = is(Bug::gamma_flushed, Number::gamma) ||
                       (is(Bug::gamma_flushed_backward, Number::gamma) && backward);
  if (flushed && std::fabs(value) < A(0x1p-126)) return 0;
  if (is(Bug::gamma_nan_lost, Number::gamma)) return std::isnan(value) ? A(0) : value;
  if (is(Bug::gamma_infinity_lost, Number::gamma)) return std::clamp(value, -largest, largest);
  if (is(Bug::beta_clamped, Number::beta)) return std::clamp(value, A(-1e6), A(1e6));
  if (is(Bug::beta_nan_lost, Number::beta)) return std::fmax(value, -std::numeric_limits<A>::max());
  if (is(Bug::beta_infinity_lost, Number::beta)) return std::clamp(value, -largest, largest);
  if (is(Bug::x_clamped, Number::x)) return std::clamp(value, A(-1e7), A(1e7));
  if (is(Bug::dz_nan_lost, Number::dz)) return std::isnan(value) ? A(0) : value;
  if (is(Bug::dz_infinity_lost, Number::dz)) return std::clamp(value, -largest, largest);
  if (is(Bug::running_mean_nan_lost, Number::running_mean)) return std::isnan(value) ? A(0) : value;
  if (is(Bug::running_variance_nan_lost, Number::running_var)) return std::fmax(value, A(0));
  if (is(Bug::running_variance_capped, Number::running_var)) return std::min(value, A(1e12));
  if (is(Bug::running_variance_flushed, Number::running_var))
    return value < A(0x1p-126) ? A(0) : value;
  if (is(Bug::variance_capped, Number::batch_variance)) return std::min(value, A(1e12));
  if (is(Bug::root_capped, Number::root)) return std::min(value, A(1000));
  if (is(Bug::slope_capped, Number::slope)) return std::min(value, A(2));
  if (is(Bug::slope_floored, Number::slope)) return std::max(value, A(0x1p-10));
  if (is(Bug::slope_floored_backward, Number::slope))
    return backward ? std::max(value, A(0x1p-10)) : value;
  if (is(Bug::slope_in_half, Number::slope))
    return static_cast<A>(rounded(ABN_F16, static_cast<double>(value)));
  if (is(Bug::alpha_capped, Number::alpha)) return std::min(value, A(2));
  if (is(Bug::alpha_floored, Number::alpha)) return std::max(value, A(0x1p-10));
  if (is(Bug::eps_floored, Number::eps)) return std::max(value, A(1e-9));
  if (is(Bug::eps_default, Number::eps)) return value == 0 ? A(1e-5) : value;
  if (is(Bug::eps_capped, Number::eps)) return std::min(value, A(0.5));
  if (is(Bug::momentum_default, Number::momentum)) return value == 0 ? A(0.1) : value;
  if (is(Bug::momentum_below_one, Number::momentum)) return std::min(value, A(0.999));
  if (is(Bug::momentum_flushed, Number::momentum)) return value < A(1e-6) ? A(0) : value;
  return value;
}

}  // namespace abn::mutants
