// The oracle's channel functions for any scalar: exact inputs into reference/, its results out as
// hi + lo.
#pragma once

#include <cmath>

#include "reference/backward.hpp"
#include "verify/oracle/activation.hpp"
#include "verify/oracle/channel.hpp"

namespace abn::verify::oracle::evaluate {

template <class T>
Wide wide(const T& value) {
  const double hi = static_cast<double>(value);
  if (!std::isfinite(hi)) return {hi, 0};
  // A zero or an underflow keeps its sign, which the comparison of z looks at.
  if (hi == 0) return {std::copysign(hi, reference::is_negative(value) ? -1.0 : 1.0), 0};
  return {hi, static_cast<double>(T(value - T(hi)))};
}

template <class T>
double narrow(const T& value) {
  return wide(value).hi;
}

template <class T>
void widen(const reference::Vector<T>& values, WideVector& out) {
  const auto size = static_cast<std::size_t>(values.size());
  out.hi.resize(size);
  out.lo.resize(size);
  for (std::size_t i = 0; i < size; ++i) {
    const Wide value = wide(values[static_cast<Eigen::Index>(i)]);
    out.hi[i] = value.hi;
    out.lo[i] = value.lo;
  }
}

template <class T>
void narrow(const reference::Vector<T>& values, std::vector<double>& out) {
  out.resize(static_cast<std::size_t>(values.size()));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = narrow(values[static_cast<Eigen::Index>(i)]);
}

template <class T>
reference::Vector<T> exact(const std::vector<double>& values) {
  reference::Vector<T> out(static_cast<Eigen::Index>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) out[static_cast<Eigen::Index>(i)] = T(values[i]);
  return out;
}

template <class T>
reference::Channel<T> channel_of(const ChannelParameters& p) {
  using reference::ScaleConvention;
  reference::Channel<T> channel;
  channel.gamma = T(p.gamma);
  channel.beta = T(p.beta);
  channel.eps = T(p.eps);
  channel.scale = p.abs_eps ? ScaleConvention::abs_eps : ScaleConvention::signed_gamma;
  channel.activation.kind = reference_kind(p.activation);
  channel.activation.parameter = T(p.parameter);
  channel.activation.left_at_zero = p.left_kink;
  return channel;
}

template <class T>
void forward(const ForwardInput& in, ForwardValues& out) {
  const reference::Channel<T> channel = channel_of<T>(in.parameters);
  const reference::Vector<T> x = exact<T>(in.x);
  const reference::Forward<T> f =
      // the statistics of a single sample are itself and 0
      in.x.size() == 1 && !in.statistics.given
          ? reference::forward_inference(x, x[0], T(0), channel)
      : in.statistics.given ? reference::forward_inference(x, T(in.statistics.mean),
                                                           T(in.statistics.variance), channel)
                            : reference::forward_training(x, channel);
  out.mean = wide(f.mean);
  out.variance = wide(f.variance);
  out.invstd = wide(f.r);
  out.r = narrow(f.r);
  out.g = narrow(f.g);
  widen(f.xhat, out.xhat);
  narrow(f.y, out.y);
  widen(f.z, out.z);
  if (in.statistics.given && in.samples == 0) return;
  const T momentum(in.parameters.momentum);
  const T samples = in.samples > 0 ? T(in.samples) : reference::as_count<T>(x.size());
  out.running_mean = wide(T(reference::running_mean(T(in.running_mean), f.mean, momentum)));
  // the biased one is averaged as the mean is
  out.running_var =
      wide(T(in.biased_running || samples == T(1)  // which has no unbiased one
                 ? reference::running_mean(T(in.running_var), f.variance, momentum)
                 : reference::running_variance(T(in.running_var), f.variance, samples, momentum)));
}

template <class T>
void backward(const BackwardInput& in, BackwardValues& out) {
  const reference::Channel<T> channel = channel_of<T>(in.parameters);
  const reference::Vector<T> dz = exact<T>(in.dz);
  T mean(in.statistics.mean), variance(in.statistics.variance);
  reference::Vector<T> x;
  if (in.source == Source::x || in.source == Source::x_and_z) x = exact<T>(in.x);
  if (!in.statistics.given) {
    const reference::Statistics<T> batch = reference::statistics(x);
    mean = batch.mean;
    variance = batch.variance();
  }
  T r;
  if (in.statistics.invstd > 0) {
    r = T(in.statistics.invstd);
    variance = T(T(1) / (r * r) - channel.eps);
  } else {
    r = reference::reciprocal_deviation(variance, channel.eps);
  }
  const reference::Recovered<T> recovered =
      in.source == Source::x ? reference::recover_checkpoint_x_with_root(x, mean, r, channel, dz)
      : in.source == Source::x_and_z
          ? reference::recover_standard_with_root(x, exact<T>(in.z), mean, r, channel, dz)
      : in.source == Source::xhat
          ? reference::recover_checkpoint_xhat(exact<T>(in.xhat), channel, dz)
          : reference::recover_in_place(exact<T>(in.z), channel, dz);
  const reference::Sums<T> sums = reference::sums(recovered);
  const T g = reference::effective_scale(channel);
  const T factor = reference::dgamma_factor(channel);
  reference::Sums<T> all = sums;
  if (in.all.samples > 0) all = {T(in.all.samples), T(in.all.sum_dy), T(in.all.sum_dy_xhat)};
  const reference::Gradients<T> gradients =
      in.frozen ? reference::gradients_frozen(recovered, sums, g, r, factor)
                : reference::gradients_synchronised(recovered, sums, all, g, r, factor);
  out.mean = wide(mean);
  out.variance = wide(variance);
  out.r = narrow(r);
  out.g = narrow(g);
  out.s0 = narrow(sums.s0);
  out.s1 = narrow(sums.s1);
  out.all_s0 = narrow(all.s0);
  out.all_s1 = narrow(all.s1);
  narrow(recovered.y, out.y);
  narrow(recovered.xhat, out.xhat);
  narrow(recovered.dy, out.dy);
  widen(gradients.dx, out.dx);
  out.dgamma = wide(gradients.dgamma);
  out.dbeta = wide(gradients.dbeta);
}

}  // namespace abn::verify::oracle::evaluate
