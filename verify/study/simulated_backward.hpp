// Backward of the simulated kernel, one channel: from what was kept to dx, dgamma and dbeta.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "verify/study/simulated_channel.hpp"
#include "verify/study/simulated_curve.hpp"

namespace abn::verify::study::simulated {

/// What backward works with, of every sample.
template <class A>
struct Recovered {
  std::vector<A> y, xhat, dy;
};

template <class A>
A inverted(const Channel<A>& k, double kept, bool negative) {
  using std::log1p;
  const A z(kept), parameter(k.phi.parameter);
  if (!negative) return z;
  if (!k.phi.curved()) return k.has(Bug::slope_not_in_inverse) ? z : k.divide(z, parameter);
  // divided by alpha: times a rounded 1/alpha it may reach -1, of which there is no logarithm
  const A y = log1p(z / parameter);
  return k.phi.scaled ? A(k.phi.width) * y : y;
}

template <class A>
A normalised_again(const Channel<A>& k, A y) {
  if (k.is_lost()) return A(0);
  if (k.has(Bug::xhat_without_beta)) return k.divide(y, k.g);
  const A inverse = A(1) / k.g;
  return k.declared.folded ? y * inverse - k.beta * inverse : k.divide(y - k.beta, k.g);
}

/// phi' below 0, from y or else from z.
template <class A>
A slope_of(const Channel<A>& k, double kept, A y, bool from_y) {
  using std::exp;
  const A parameter(k.phi.parameter);
  if (!k.phi.curved()) return parameter;
  if (from_y) return k.phi.scaled ? exp(k.over_width(y)) : parameter * exp(y);
  const A above = A(kept) + parameter;
  return k.phi.scaled ? k.divide(above, parameter) : above;
}

template <class A>
Recovered<A> recovered(const Channel<A>& k, const problem::Saved& saved, A mean, A r) {
  const int scheme = k.declared.scheme;
  const bool in_place = k.in_place();
  // z tells the branch where it is kept, in its sign bit
  const bool from_output = in_place || scheme == ABN_STANDARD;
  const bool from_y = !from_output || (k.free.derivative_from_y && k.phi.curved());
  Recovered<A> out{std::vector<A>(k.m), std::vector<A>(k.m), std::vector<A>(k.m)};
  for (std::size_t i = 0; i < k.m; ++i) {
    const std::size_t at = k.at[i];
    double kept = from_output ? saved.z[at] : 0;
    if (in_place) kept = problem::lifted(k.p, kept);
    bool negative = k.has(Bug::branch_by_comparison) ? kept < 0 : std::signbit(kept);
    A &y = out.y[i], &xhat = out.xhat[i], &dy = out.dy[i];
    if (in_place) {
      y = k.materialised(ABN_MATERIALISES_Y, inverted(k, kept, negative && !k.phi.linear()));
      xhat = k.materialised(ABN_MATERIALISES_XHAT, normalised_again(k, y));
    } else if (scheme == ABN_CHECKPOINT_XHAT) {
      xhat = A(saved.xhat[at]);
      y = k.materialised(ABN_MATERIALISES_Y | ABN_MATERIALISES_ACTIVATION, k.g * xhat + k.beta);
    } else {
      const A x(k.in.x[at]);
      xhat = k.xhat_of(x, mean, r);
      y = k.y_of(x, mean, r);
    }
    if (!in_place && from_y) negative = y < A(0);
    const A dz(k.in.dz[at]);
    dy = dz;
    if (!k.phi.has_inverse()) {
      const bool of_z = scheme == ABN_STANDARD && !k.free.derivative_from_y &&
                        k.phi.curve->derivative_from_output != nullptr;
      dy = in_activation_arithmetic(k, of_z ? A(kept) : y,
                                    [&](const auto& channel, auto argument) {
                                      return of_z ? curve_slope_of_output(channel, argument)
                                                  : curve_slope(channel, argument);
                                    }) *
           dz;
    } else if (negative && !k.phi.linear()) {
      const A slope = slope_of(k, kept, y, from_y);
      dy = slope * dz;
      if (k.has(Bug::slope_twice)) dy = dy * slope;
    }
    dy = k.materialised(ABN_MATERIALISES_DY, dy);
  }
  return out;
}

template <class A>
void store_sums(const Channel<A>& k, A s0, A s1, A last_dy, KernelOutputs& out) {
  if (k.has(Bug::last_dropped_dbeta)) s0 = s0 - last_dy;
  if (k.has(Bug::dbeta_halved)) s0 = s0 / A(2);
  out.dbeta[k.c] = k.stored_parameter(s0);
  const bool negated = k.negated != k.has(Bug::dgamma_negated);
  out.dgamma[k.c] = negated ? -k.stored_parameter(s1) : k.stored_parameter(s1);
}

template <class A>
void backward(const Channel<A>& k, const problem::Saved& saved, KernelOutputs& out) {
  using std::fma;
  // in place, nothing is left of the mean
  const auto kept = [&](const std::vector<double>& of_batch, const std::vector<double>& running) {
    const std::vector<double>& used = k.training ? of_batch : running;
    const A value(used.empty() ? 0 : used[k.c]);
    return k.training && !k.free.saves_full_statistics
               ? value
               : k.materialised(ABN_MATERIALISES_STATISTICS, value);
  };
  const A mean = kept(saved.mean, k.in.running_mean),
          variance = kept(saved.variance, k.in.running_var);
  const A r = k.reciprocal_root(variance), g = k.g;
  const Recovered<A> sample = recovered(k, saved, mean, r);
  const std::vector<A>&y = sample.y, &xhat = sample.xhat, &dy = sample.dy;
  const std::size_t seen = k.has(Bug::last_dropped_backward) ? k.m - 1 : k.m;
  const bool two = k.declared.scheme == ABN_IN_PLACE_2, by_y = two && !k.free.dx_by_xhat,
             narrow = k.has(Bug::narrow_sums);
  const A s0 = k.sum(seen, narrow, [&](std::size_t i) {
    return k.has(Bug::sum_of_dz) ? A(k.in.dz[k.at[i]]) : dy[i];
  });
  A s1 = k.sum(seen, narrow, [&](std::size_t i) { return dy[i] * (two ? y[i] : xhat[i]); });
  if (two) s1 = k.divide(s1 - k.beta * s0, g);
  if (k.is_lost()) s1 = A(0);
  store_sums(k, s0, s1, dy.back(), out);

  const A root = k.has(Bug::missing_rstd) ? A(1) : r, gr = g * root;
  const A total0 = k.has(Bug::missing_mean) ? A(0) : s0,
          total1 = k.has(Bug::missing_xhat) ? A(0) : s1;
  const A mean0 = k.divide(total0, k.count), mean1 = k.divide(total1, k.count);
  const auto dx_of = [&](std::size_t i) {
    if (!k.training) return k.free.order == 0 ? g * (root * dy[i]) : gr * dy[i];
    if (by_y) return root * (g * dy[i] - mean1 * y[i] - k.divide(g * s0 - k.beta * s1, k.count));
    if (k.free.order == 0) return gr * (dy[i] - mean0 - xhat[i] * mean1);
    if (k.free.order == 1)
      return k.divide(gr, k.count) * (k.count * dy[i] - total0 - xhat[i] * total1);
    return fma(gr, dy[i], fma(-(gr * mean1), xhat[i], -(gr * mean0)));
  };
  for (std::size_t i = 0; i < k.m; ++i)
    out.dx[k.at[i]] = k.is_lost() || k.has(Bug::dx_zero) ? 0 : k.stored(dx_of(i));
}

}  // namespace abn::verify::study::simulated
