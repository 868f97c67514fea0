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
  return channel;
}

template <class T>
void forward(const ForwardInput& in, ForwardValues& out) {
  const reference::Channel<T> channel = channel_of<T>(in.parameters);
  const reference::Vector<T> x = exact<T>(in.x);
  const reference::Forward<T> f =
      in.statistics.given ? reference::forward_inference(x, T(in.statistics.mean),
                                                         T(in.statistics.variance), channel)
                          : reference::forward_training(x, channel);
  out.mean = wide(f.mean);
  out.variance = wide(f.variance);
  out.r = narrow(f.r);
  out.g = narrow(f.g);
  widen(f.xhat, out.xhat);
  narrow(f.y, out.y);
  widen(f.z, out.z);
  if (in.statistics.given) return;
  const T momentum(in.parameters.momentum);
  out.running_mean = wide(T(reference::running_mean(T(in.running_mean), f.mean, momentum)));
  out.running_var = wide(T(reference::running_variance(
      T(in.running_var), f.variance, reference::as_count<T>(x.size()), momentum)));
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
  const reference::Recovered<T> recovered =
      in.source == Source::x ? reference::recover_checkpoint_x(x, mean, variance, channel, dz)
      : in.source == Source::x_and_z
          ? reference::recover_standard(x, exact<T>(in.z), mean, variance, channel, dz)
      : in.source == Source::xhat
          ? reference::recover_checkpoint_xhat(exact<T>(in.xhat), channel, dz)
          : reference::recover_in_place(exact<T>(in.z), channel, dz);
  const reference::Sums<T> sums = reference::sums(recovered);
  const T g = reference::effective_scale(channel);
  const T r = reference::reciprocal_deviation(variance, channel.eps);
  const T factor = reference::dgamma_factor(channel);
  const reference::Gradients<T> gradients =
      in.frozen ? reference::gradients_frozen(recovered, sums, g, r, factor)
                : reference::gradients_training(recovered, sums, g, r, factor);
  out.mean = wide(mean);
  out.variance = wide(variance);
  out.r = narrow(r);
  out.g = narrow(g);
  out.s0 = narrow(sums.s0);
  out.s1 = narrow(sums.s1);
  narrow(recovered.y, out.y);
  narrow(recovered.xhat, out.xhat);
  narrow(recovered.dy, out.dy);
  widen(gradients.dx, out.dx);
  out.dgamma = wide(gradients.dgamma);
  out.dbeta = wide(gradients.dbeta);
}

}  // namespace abn::verify::oracle::evaluate
