// Forward batch normalisation of one channel followed by its activation, z = phi(g xhat + beta).
//
// With m samples x and biased statistics mu, v (In-Place Activated BatchNorm, arXiv 1712.02616):
//   r    = 1 / sqrt(v + eps)      eps inside the root
//   xhat = (x - mu) r
//   y    = g xhat + beta
//   z    = phi(y)                 the one buffer that the in-place method keeps
// Training takes mu and v from x; inference takes the running averages. The scale g is gamma itself
// (signed_gamma: the paper, cuDNN, PyTorch) or |gamma| + eps (abs_eps: the code published with the
// paper, which so keeps g away from 0); then dg/dgamma = sign(gamma), taken as +1 at 0.
//
// Invariants in training: sum(xhat) = 0 and sum(xhat^2) = m v / (v + eps). A constant channel has
// v = 0, xhat = 0 and z = phi(beta), for eps > 0. No samples give empty results, not an error.
#pragma once

#include <stdexcept>

#include "reference/activation.hpp"
#include "reference/statistics.hpp"

namespace abn::reference {

enum class ScaleConvention { signed_gamma, abs_eps };

template <class T>
struct Channel {
  T gamma{1};
  T beta{0};
  T eps{0};
  ScaleConvention scale = ScaleConvention::signed_gamma;
  Activation<T> activation{};

  // Throws std::invalid_argument with the reason.
  void validate() const {
    if (!(real_part(eps) >= 0))
      throw std::invalid_argument(
          "eps is negative or NaN, so v + eps may have no root; choose eps >= 0.");
    activation.validate();
  }
};

// g, the factor of xhat in y.
template <class T>
T effective_scale(const Channel<T>& channel) {
  if (channel.scale == ScaleConvention::signed_gamma) return channel.gamma;
  return (real_part(channel.gamma) < 0 ? T(-channel.gamma) : channel.gamma) + channel.eps;
}

// dg/dgamma, by which dL/dg becomes dL/dgamma.
template <class T>
T dgamma_factor(const Channel<T>& channel) {
  const bool flips = channel.scale == ScaleConvention::abs_eps && real_part(channel.gamma) < 0;
  return T(flips ? -1 : 1);
}

// r = 1 / sqrt(v + eps); infinite where both are 0.
template <class T>
T reciprocal_deviation(const T& variance, const T& eps) {
  return T(1) / sqrt(T(variance + eps));
}

// Everything the forward pass passes through; xhat, y and z have the length of x.
template <class T>
struct Forward {
  T mean, variance, r, g;
  Vector<T> xhat, y, z;
};

// The forward pass under given statistics. Running averages make it inference, the batch's own
// statistics make it the last step of training.
template <class T>
Forward<T> forward_inference(const Vector<T>& x, const T& mean, const T& variance,
                             const Channel<T>& channel) {
  channel.validate();
  Forward<T> out{
      mean, variance, reciprocal_deviation(variance, channel.eps), effective_scale(channel), {},
      {},   {}};
  for (Vector<T>* const values : {&out.xhat, &out.y, &out.z}) values->resize(x.size());
  for (Eigen::Index i = 0; i < x.size(); ++i) {
    out.xhat[i] = (x[i] - mean) * out.r;
    out.y[i] = out.xhat[i] * out.g + channel.beta;
    out.z[i] = channel.activation.value(out.y[i]);
  }
  return out;
}

// The forward pass on the statistics of x. Throws std::invalid_argument for a single sample, which
// has no variance to normalise by.
template <class T>
Forward<T> forward_training(const Vector<T>& x, const Channel<T>& channel) {
  if (x.size() == 1)
    throw std::invalid_argument(
        "Training needs more than 1 sample per channel; give a larger batch, or use inference "
        "statistics.");
  const Statistics<T> of_x = statistics(x);
  return forward_inference(x, of_x.mean, of_x.variance(), channel);
}

}  // namespace abn::reference
