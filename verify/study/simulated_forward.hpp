// Forward of the simulated kernel, one channel: statistics, running averages, xhat and z.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "verify/study/simulated_channel.hpp"
#include "verify/study/simulated_curve.hpp"

namespace abn::verify::study::simulated {

/// A part of a channel on its way through Welford's updates and Chan's merges.
template <class A>
struct Moments {
  double count = 0;
  A mean{}, m2{};
};

template <class A>
Moments<A> moments_of(const Channel<A>& k, const std::vector<A>& x) {
  const auto start = [&](std::size_t i) { return Moments<A>{1, x[i], A(0)}; };
  const auto absorb = [&](Moments<A>& lane, std::size_t i) {
    const A delta = x[i] - lane.mean;
    lane.mean = lane.mean + k.divide(delta, A(++lane.count));
    lane.m2 = lane.m2 + delta * (x[i] - lane.mean);
  };
  const auto merge = [](const Moments<A>& a, const Moments<A>& b) {
    const double count = a.count + b.count;
    const A delta = b.mean - a.mean, part = A(b.count) / A(count);
    return Moments<A>{count, a.mean + delta * part,
                      a.m2 + b.m2 + delta * delta * (A(a.count) * part)};
  };
  return reduced<Moments<A>>(k.declared, k.m, start, absorb, merge);
}

template <class A>
void find_statistics(const Channel<A>& k, const std::vector<A>& x, A& mean, A& variance) {
  if (k.declared.statistics == ABN_WELFORD) {
    const Moments<A> all = moments_of(k, x);
    mean = all.mean;
    variance = k.divide(all.m2, k.count);
    return;
  }
  const std::size_t seen = k.has(Bug::last_dropped_forward) ? k.m - 1 : k.m;
  const auto average = [&](const auto& term, A divisor) {
    return k.divide(k.sum(seen, false, term), divisor);
  };
  mean = average([&](std::size_t i) { return x[i]; }, k.count);
  if (k.declared.statistics == ABN_ONE_PASS) {
    variance = average([&](std::size_t i) { return x[i] * x[i]; }, k.count) - mean * mean;
    if (variance < A(0)) variance = A(0);
    return;
  }
  const auto squared = [&](std::size_t i) {
    const A distance = x[i] - mean;
    return distance * distance;
  };
  variance =
      average(squared, k.has(Bug::unbiased_variance) ? A(static_cast<double>(k.m - 1)) : k.count);
}

template <class A>
void update_running(const Channel<A>& k, A mean, A variance, KernelOutputs& out) {
  const A momentum(k.has(Bug::momentum_swapped) ? 1 - k.p.momentum : k.p.momentum);
  const A unbiased = k.has(Bug::biased_running_variance)
                         ? variance
                         : variance * k.divide(k.count, A(static_cast<double>(k.m - 1)));
  const auto updated = [&](double kept, A value) {
    const A old(kept);
    return k.stored_parameter(k.free.order == 1 ? old + momentum * (value - old)
                                                : (A(1) - momentum) * old + momentum * value);
  };
  out.running_mean[k.c] = updated(k.in.running_mean[k.c], mean);
  out.running_var[k.c] = updated(k.in.running_var[k.c], unbiased);
}

template <class A>
A value_of(const Channel<A>& k, A y) {
  using std::expm1;
  if (k.phi.linear()) return y;
  if (!k.phi.has_inverse()) return curve_value(k, y);
  if (!(y < A(0))) return y + A(0);  // +0 of both zeros
  const A parameter(k.phi.parameter);
  if (!k.phi.curved()) return parameter * y;
  return parameter * expm1(k.phi.scaled ? k.over_width(y) : y);
}

template <class A>
A activated(const Channel<A>& k, A y) {
  return in_activation_arithmetic(
      k, y, [](const auto& channel, auto argument) { return value_of(channel, argument); });
}

template <class A>
void forward(const Channel<A>& k, KernelOutputs& out) {
  std::vector<A> x(k.m);
  for (std::size_t i = 0; i < k.m; ++i) x[i] = A(k.in.x[k.at[i]]);
  A mean{}, variance{};
  if (k.training)
    find_statistics(k, x, mean, variance);
  else
    mean = A(k.in.running_mean[k.c]), variance = A(k.in.running_var[k.c]);
  const A full_mean = mean, full_variance = variance;
  mean = k.materialised(ABN_MATERIALISES_STATISTICS, mean);
  variance = k.materialised(ABN_MATERIALISES_STATISTICS, variance);
  if (k.training) {
    const bool full = k.free.saves_full_statistics;
    out.saved.mean[k.c] = k.stored_parameter(full ? full_mean : mean);
    out.saved.variance[k.c] = k.stored_parameter(full ? full_variance : variance);
    if (!out.running_mean.empty()) update_running(k, mean, variance, out);
  }
  const A r = k.reciprocal_root(variance);
  for (std::size_t i = 0; i < k.m; ++i) {
    out.saved.xhat[k.at[i]] = k.stored(k.xhat_of(x[i], mean, r));
    out.saved.z[k.at[i]] = k.stored_out(activated(k, k.y_of(x[i], mean, r)));
  }
}

}  // namespace abn::verify::study::simulated
