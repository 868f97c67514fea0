// Backward pass of one channel, under every scheme for what was kept from the forward pass.
//
// Given dz = dL/dz, first dy = dz phi'(y). In training mu and v depend on x too. From
//   xhat = (x - mu) r:   dxhat_j/dx_i = r [ (i = j) - 1/m - xhat_i xhat_j / m ]
// (dmu/dx_i = 1/m, dr/dx_i = -r^3 (x_i - mu)/m, so x_j - mu contributes xhat_j times -r xhat_i/m)
// and dL/dxhat_j = g dy_j follow, with S0 = sum(dy) and S1 = sum(dy xhat),
//   dbeta = S0      dL/dg = S1      dx = g r (dy - S0/m - xhat S1/m)
// and dgamma = S1 dg/dgamma. With frozen statistics mu and v are constants: dx = g r dy.
//
// The schemes differ only in where y, xhat and dy come from:
//   scheme               kept       recomputed                          here
//   standard             x, z       -                                   recover_standard
//   checkpointing x      x, mu, v   xhat, y, z                          recover_checkpoint_x
//   checkpointing xhat   xhat, v    y, z                                recover_checkpoint_xhat
//   in place I           z, v       y = phi^-1(z), xhat = (y-beta)/g    recover_in_place
//   in place II          z, v       y = phi^-1(z)                       gradients_in_place_two
// Scheme II writes xhat = (y - beta)/g into the sums and into dx instead. With Sy = sum(dy y),
//   S1 = (Sy - beta S0)/g     dx = r [ g dy - (S1/m) y - (g S0 - beta S1)/m ]
// Synchronised over shards: statistics by an ordered merge, S0 and S1 by a sum; dx uses those,
// while each shard's dgamma and dbeta are its own part, and add up to the whole.
//
// Invariants in training: sum(dx) = 0; sum(dx xhat) = g r S1 eps/(v + eps); the map dz -> dx is
// linear. Where g = 0 the in-place schemes cannot know xhat: they give dx = 0, dbeta = S0 and
// dgamma = 0. No samples give empty dx and zero dgamma, dbeta.
#pragma once

#include <vector>

#include "reference/batch_norm.hpp"

namespace abn::reference {

template <class T>
struct Gradients {
  Vector<T> dx;
  T dgamma{0}, dbeta{0};
};

// What every scheme has in hand before the sums; all of the length of the channel.
template <class T>
struct Recovered {
  Vector<T> y, xhat, dy;
};

template <class T>
struct Sums {
  T count{0};
  T s0{0};  // sum of dy
  T s1{0};  // sum of dy * xhat, which is dL/dg
};

// ---- recovering y, xhat and dy ------------------------------------------------------------------

// dy = dz * phi', phi' read off the stored z.
template <class T>
Vector<T> upstream_of_affine(const Vector<T>& z, const Channel<T>& channel, const Vector<T>& dz) {
  return dz * z.unaryExpr([&](const T& stored) {
    return channel.activation.derivative_from_output(stored);
  });
}

// dy = dz * phi', phi' taken from y.
template <class T>
Vector<T> upstream_of_input(const Vector<T>& y, const Channel<T>& channel, const Vector<T>& dz) {
  return dz *
         y.unaryExpr([&](const T& at) { return channel.activation.derivative_from_input(at); });
}

// Standard batch norm and activation: x and z were both kept. phi' is read off z where z tells it,
// and else taken from the y of x. The statistics are mean and r.
template <class T>
Recovered<T> recover_standard_with_root(const Vector<T>& x, const Vector<T>& z, const T& mean,
                                        const T& r, const Channel<T>& channel,
                                        const Vector<T>& dz) {
  Recovered<T> out;
  out.xhat = (x - mean) * r;
  out.y = out.xhat * effective_scale(channel) + channel.beta;
  out.dy = channel.activation.has_inverse() ? upstream_of_affine(z, channel, dz)
                                            : upstream_of_input(out.y, channel, dz);
  return out;
}
template <class T>
Recovered<T> recover_standard(const Vector<T>& x, const Vector<T>& z, const T& mean,
                              const T& variance, const Channel<T>& channel, const Vector<T>& dz) {
  return recover_standard_with_root(x, z, mean, T(reciprocal_deviation(variance, channel.eps)),
                                    channel, dz);
}

// Checkpointing as the paper does it: xhat was kept; y and z are recomputed from it.
template <class T>
Recovered<T> recover_checkpoint_xhat(const Vector<T>& xhat, const Channel<T>& channel,
                                     const Vector<T>& dz) {
  Recovered<T> out;
  out.xhat = xhat;
  out.y = xhat * effective_scale(channel) + channel.beta;
  out.dy = upstream_of_input(out.y, channel, dz);
  return out;
}

// Checkpointing, prior art: x was kept; xhat, y and z are recomputed from it, with mean and r.
template <class T>
Recovered<T> recover_checkpoint_x_with_root(const Vector<T>& x, const T& mean, const T& r,
                                            const Channel<T>& channel, const Vector<T>& dz) {
  return recover_checkpoint_xhat(Vector<T>((x - mean) * r), channel, dz);
}
template <class T>
Recovered<T> recover_checkpoint_x(const Vector<T>& x, const T& mean, const T& variance,
                                  const Channel<T>& channel, const Vector<T>& dz) {
  return recover_checkpoint_x_with_root(x, mean, T(reciprocal_deviation(variance, channel.eps)),
                                        channel, dz);
}

// y = phi^-1(z). Throws std::invalid_argument where there is no inverse.
template <class T>
Vector<T> invert_activation(const Vector<T>& z, const Channel<T>& channel) {
  channel.activation.validate_inverse();
  return z.unaryExpr([&](const T& stored) { return channel.activation.inverse(stored); });
}

// In place I: only z was kept. xhat = 0 where g = 0, as nothing of x is left.
template <class T>
Recovered<T> recover_in_place(const Vector<T>& z, const Channel<T>& channel, const Vector<T>& dz) {
  const T g = effective_scale(channel);
  Recovered<T> out;
  out.y = invert_activation(z, channel);
  if (g == T(0))
    out.xhat = Vector<T>::Constant(z.size(), T(0));
  else
    out.xhat = (out.y - channel.beta) / g;
  out.dy = upstream_of_affine(z, channel, dz);
  return out;
}

// ---- sums ---------------------------------------------------------------------------------------

template <class T>
Sums<T> sums(const Recovered<T>& recovered) {
  return {as_count<T>(recovered.dy.size()), recovered.dy.sum(),
          (recovered.dy * recovered.xhat).sum()};
}

// The same sums as scheme II finds them, from y and dy: s1 = (Sy - beta S0)/g, and 0 where g = 0.
template <class T>
Sums<T> sums_in_place_two(const Vector<T>& y, const Vector<T>& dy, const Channel<T>& channel) {
  const T g = effective_scale(channel);
  const T s0 = dy.sum();
  const T sy = (dy * y).sum();
  return {as_count<T>(y.size()), s0, g == T(0) ? T(0) : T((sy - channel.beta * s0) / g)};
}

template <class T>
Sums<T> merge(const Sums<T>& a, const Sums<T>& b) {
  return {a.count + b.count, a.s0 + b.s0, a.s1 + b.s1};
}

template <class T>
Sums<T> merge(const std::vector<Sums<T>>& shards) {
  Sums<T> all;
  for (const Sums<T>& shard : shards) all = merge(all, shard);
  return all;
}

// ---- gradients ----------------------------------------------------------------------------------

// Training gradients of one shard: `local` are its own sums, `global` those of all shards, and r
// that of the merged statistics.
template <class T>
Gradients<T> gradients_synchronised(const Recovered<T>& recovered, const Sums<T>& local,
                                    const Sums<T>& global, const T& g, const T& r,
                                    const T& dgamma_factor) {
  if (recovered.dy.size() == 0) return {};
  const T scale = g * r;
  const T mean_dy = global.s0 / global.count;
  const T mean_dy_xhat = global.s1 / global.count;
  return {scale * (recovered.dy - mean_dy - recovered.xhat * mean_dy_xhat),
          dgamma_factor * local.s1, local.s0};
}

// Training gradients of a whole channel.
template <class T>
Gradients<T> gradients_training(const Recovered<T>& recovered, const Sums<T>& sums, const T& g,
                                const T& r, const T& dgamma_factor) {
  return gradients_synchronised(recovered, sums, sums, g, r, dgamma_factor);
}

// Gradients with the statistics frozen at their running values, r taken from them.
template <class T>
Gradients<T> gradients_frozen(const Recovered<T>& recovered, const Sums<T>& sums, const T& g,
                              const T& r, const T& dgamma_factor) {
  return {g * r * recovered.dy, dgamma_factor * sums.s1, sums.s0};
}

// In place II, one shard: its z and its own sums; `global` and `variance` over all shards.
template <class T>
Gradients<T> gradients_in_place_two(const Vector<T>& z, const T& variance,
                                    const Channel<T>& channel, const Vector<T>& dz,
                                    const Sums<T>& local, const Sums<T>& global) {
  if (z.size() == 0) return {};
  const T g = effective_scale(channel);
  const T r = reciprocal_deviation(variance, channel.eps);
  const T dg_mean = global.s1 / global.count;
  const T offset = (g * global.s0 - channel.beta * global.s1) / global.count;
  const Vector<T> y = invert_activation(z, channel);
  const Vector<T> dy = upstream_of_affine(z, channel, dz);
  return {r * (g * dy - dg_mean * y - offset), dgamma_factor(channel) * local.s1, local.s0};
}

// In place II: only z was kept, and xhat is never formed.
template <class T>
Gradients<T> gradients_in_place_two(const Vector<T>& z, const T& variance,
                                    const Channel<T>& channel, const Vector<T>& dz) {
  const Sums<T> own =
      sums_in_place_two(invert_activation(z, channel), upstream_of_affine(z, channel, dz), channel);
  return gradients_in_place_two(z, variance, channel, dz, own, own);
}

}  // namespace abn::reference
