// The entries of a reference variant, for any scalar; each scalar is instantiated in one .cpp
// (reference_variant_*.cpp).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "reference/backward.hpp"
#include "verify/expect/shared.hpp"
#include "verify/oracle/activation.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::expect {

/// One row of the table of reference variants: those of one scalar, by scheme.
using ReferenceRow = std::array<abn_variant, ABN_IN_PLACE_2 + 1>;
const ReferenceRow& reference_row_f32();
const ReferenceRow& reference_row_f64();
const ReferenceRow& reference_row_real50();

namespace reference_kernel {

using reference::Vector;

inline std::vector<double> read(const problem::Format& format, const void* from,
                                std::size_t count) {
  std::vector<double> values(count);
  problem::unpack(format, static_cast<const std::byte*>(from), values);
  return values;
}

inline void write(const problem::Format& format, std::vector<double>& values, void* to) {
  if (to == nullptr) return;
  for (double& value : values) value = problem::round_to(format, value);
  problem::pack(format, values, static_cast<std::byte*>(to));
}

/// A call's tensors and vectors in double, and their channels in the scalar T.
template <class T>
struct Data {
  const abn_problem& p;
  const problem::Format& storage = problem::format_of(p.dtype);
  const problem::Format& parameter = problem::format_of(p.param_dtype);
  std::size_t elements = static_cast<std::size_t>(problem::element_count(p)),
              channels = static_cast<std::size_t>(p.c);

  std::vector<double> tensor(const void* from) const {
    return from == nullptr ? std::vector<double>() : read(storage, from, elements);
  }
  std::vector<double> vector(const void* from) const {
    return from == nullptr ? std::vector<double>() : read(parameter, from, channels);
  }

  Vector<T> channel(const std::vector<double>& all, std::int64_t c) const {
    std::vector<double> values;
    gather(p, all, c, values);
    Vector<T> out(static_cast<Eigen::Index>(values.size()));
    for (std::size_t i = 0; i < values.size(); ++i)
      out[static_cast<Eigen::Index>(i)] = T(values[i]);
    return out;
  }
  void scatter(const Vector<T>& values, std::int64_t c, std::vector<double>& all) const {
    for (Eigen::Index i = 0; i < values.size(); ++i)
      all[static_cast<std::size_t>(problem::sample_offset(p, c, i))] =
          static_cast<double>(values[i]);
  }

  reference::Channel<T> parameters(const std::vector<double>& gamma,
                                   const std::vector<double>& beta, std::size_t c) const {
    using reference::ScaleConvention;
    reference::Channel<T> out;
    out.eps = T(p.eps);
    out.activation.kind = oracle::reference_kind(p.activation);
    out.activation.parameter = T(p.activation_parameter);
    if (gamma.empty()) return out;
    out.gamma = T(gamma[c]);
    out.beta = T(beta[c]);
    out.scale =
        p.scale == ABN_SCALE_ABS_EPS ? ScaleConvention::abs_eps : ScaleConvention::signed_gamma;
    return out;
  }
};

template <class T>
int forward(const abn_problem* problem, const abn_forward_args* args) {
  const Data<T> data{*problem};
  if (data.elements == 0) return ABN_OK;
  const abn_problem& p = *problem;
  const bool training = p.mode == ABN_TRAINING;
  const std::vector<double> x = data.tensor(args->x), gamma = data.vector(args->gamma),
                            beta = data.vector(args->beta);
  std::vector<double> running_mean = data.vector(args->running_mean),
                      running_var = data.vector(args->running_var);
  std::vector<double> z(data.elements), xhat(data.elements), mean(data.channels),
      variance(data.channels);
  const T momentum(p.momentum);
  for (std::int64_t c = 0; c < p.c; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const reference::Channel<T> channel = data.parameters(gamma, beta, at);
    const Vector<T> samples = data.channel(x, c);
    const reference::Forward<T> f = training
                                        ? reference::forward_training(samples, channel)
                                        : reference::forward_inference(samples, T(running_mean[at]),
                                                                       T(running_var[at]), channel);
    data.scatter(f.z, c, z);
    data.scatter(f.xhat, c, xhat);
    mean[at] = static_cast<double>(f.mean);
    variance[at] = static_cast<double>(f.variance);
    if (!training) continue;
    if (!running_mean.empty())
      running_mean[at] =
          static_cast<double>(reference::running_mean(T(running_mean[at]), f.mean, momentum));
    if (!running_var.empty())
      running_var[at] = static_cast<double>(reference::running_variance(
          T(running_var[at]), f.variance, reference::as_count<T>(samples.size()), momentum));
  }
  write(data.storage, z, args->z);
  write(data.storage, xhat, args->xhat);
  if (!training) return ABN_OK;
  write(data.parameter, mean, args->mean);
  write(data.parameter, variance, args->var);
  if (!running_mean.empty()) write(data.parameter, running_mean, args->running_mean);
  if (!running_var.empty()) write(data.parameter, running_var, args->running_var);
  return ABN_OK;
}

template <class T, int scheme>
int backward(const abn_problem* problem, const abn_backward_args* args) {
  const Data<T> data{*problem};
  if (data.elements == 0) return ABN_OK;
  const abn_problem& p = *problem;
  const bool training = p.mode == ABN_TRAINING;
  const std::vector<double> x = data.tensor(args->x), xhat = data.tensor(args->xhat),
                            dz = data.tensor(args->dz);
  const std::vector<double> gamma = data.vector(args->gamma), beta = data.vector(args->beta),
                            mean = data.vector(args->mean), var = data.vector(args->var);
  std::vector<double> z = data.tensor(args->z);
  problem::lift_saturated(data.p, z);
  std::vector<double> dx(data.elements), dgamma(data.channels), dbeta(data.channels);
  for (std::int64_t c = 0; c < p.c; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const reference::Channel<T> channel = data.parameters(gamma, beta, at);
    const Vector<T> upstream = data.channel(dz, c);
    const T variance(var[at]);
    const T g = reference::effective_scale(channel),
            r = reference::reciprocal_deviation(variance, channel.eps);
    const T factor = reference::dgamma_factor(channel);
    reference::Gradients<T> gradients;
    if (scheme == ABN_IN_PLACE_2 && training) {
      gradients =
          reference::gradients_in_place_two(data.channel(z, c), variance, channel, upstream);
    } else {
      const reference::Recovered<T> recovered =
          scheme == ABN_STANDARD
              ? reference::recover_standard(data.channel(x, c), data.channel(z, c), T(mean[at]),
                                            variance, channel, upstream)
          : scheme == ABN_CHECKPOINT_X
              ? reference::recover_checkpoint_x(data.channel(x, c), T(mean[at]), variance, channel,
                                                upstream)
          : scheme == ABN_CHECKPOINT_XHAT
              ? reference::recover_checkpoint_xhat(data.channel(xhat, c), channel, upstream)
              : reference::recover_in_place(data.channel(z, c), channel, upstream);
      const reference::Sums<T> sums =
          scheme == ABN_IN_PLACE_2
              ? reference::sums_in_place_two(recovered.y, recovered.dy, channel)
              : reference::sums(recovered);
      gradients = training ? reference::gradients_training(recovered, sums, g, r, factor)
                           : reference::gradients_frozen(recovered, sums, g, r, factor);
    }
    data.scatter(gradients.dx, c, dx);
    dgamma[at] = static_cast<double>(gradients.dgamma);
    dbeta[at] = static_cast<double>(gradients.dbeta);
  }
  write(data.storage, dx, args->dx);
  write(data.parameter, dgamma, args->dgamma);
  write(data.parameter, dbeta, args->dbeta);
  return ABN_OK;
}

template <int accumulate, int scheme>
int claims(const abn_problem* p, abn_claims* out) {
  if (problem::format_of(accumulate).precision < problem::format_of(p->dtype).precision)
    return ABN_ERROR_UNSUPPORTED;
  constexpr bool in_place = scheme == ABN_IN_PLACE_1 || scheme == ABN_IN_PLACE_2;
  if (in_place && !problem::activation_of(*p).has_inverse()) return ABN_ERROR_UNSUPPORTED;
  out->scheme = scheme;
  out->statistics = ABN_TWO_PASS;
  out->kink = ABN_KINK_RIGHT;
  out->normalise = ABN_DIRECT;
  out->accumulate = accumulate;
  out->saves = ABN_SAVES_VAR | (in_place                        ? std::uint32_t{ABN_SAVES_Z}
                                : scheme == ABN_CHECKPOINT_XHAT ? std::uint32_t{ABN_SAVES_XHAT}
                                : scheme == ABN_CHECKPOINT_X
                                    ? std::uint32_t{ABN_SAVES_X | ABN_SAVES_MEAN}
                                    : std::uint32_t{ABN_SAVES_X | ABN_SAVES_Z | ABN_SAVES_MEAN});
  out->materialises = 0;
  out->z_may_alias_x = in_place || scheme == ABN_CHECKPOINT_XHAT;  // the others read x again
  out->dx_may_alias_dz = 1;
  out->deterministic = 1;
  out->alignment = 0;
  // one sample after the other
  out->depth_statistics = out->depth_backward =
      std::max<std::int64_t>(problem::sample_count(*p), 1);
  // exp, expm1, log1p and erfc of the GNU C library and of Boost stay below; tanh is made of expm1
  out->function_ulp = problem::activation_of(*p).has_inverse() ? 2 : 6;
  return ABN_OK;
}

inline std::size_t no_workspace(const abn_problem*, int) { return 0; }

template <class T, int accumulate, int scheme>
constexpr abn_variant variant(const char* name) {
  return {ABN_ABI_VERSION,
          sizeof(abn_variant),
          name,
          "the reference as a kernel: two-pass, one sample after the other",
          ABN_MEMORY_HOST,
          0,
          claims<accumulate, scheme>,
          no_workspace,
          forward<T>,
          backward<T, scheme>};
}

/// The row of a scalar: names are those of its variants, by scheme.
template <class T, int accumulate>
ReferenceRow row(const std::array<const char*, std::tuple_size_v<ReferenceRow>>& names) {
  return {variant<T, accumulate, ABN_STANDARD>(names[ABN_STANDARD]),
          variant<T, accumulate, ABN_CHECKPOINT_X>(names[ABN_CHECKPOINT_X]),
          variant<T, accumulate, ABN_CHECKPOINT_XHAT>(names[ABN_CHECKPOINT_XHAT]),
          variant<T, accumulate, ABN_IN_PLACE_1>(names[ABN_IN_PLACE_1]),
          variant<T, accumulate, ABN_IN_PLACE_2>(names[ABN_IN_PLACE_2])};
}

}  // namespace reference_kernel
}  // namespace abn::verify::expect
