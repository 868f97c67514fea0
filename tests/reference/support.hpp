// What the tests of the reference share: random small problems and NaN-safe measures of difference.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include <rapidcheck.h>

#include "reference/backward.hpp"

namespace abn::tests {

using namespace abn::reference;

// One channel in double: every input is exact in any wider scalar.
struct Problem {
  Channel<double> channel;
  Vector<double> x, dz;
  bool frozen = false;
  double old_mean = 0.375, old_variance = 1.75;
};

inline std::ostream& operator<<(std::ostream& out, const Problem& p) {
  return out << "activation " << static_cast<int>(p.channel.activation.kind) << " parameter "
             << p.channel.activation.parameter << " scale " << static_cast<int>(p.channel.scale)
             << " gamma " << p.channel.gamma << " beta " << p.channel.beta << " eps "
             << p.channel.eps << " frozen " << p.frozen << "\nx  " << p.x.transpose() << "\ndz "
             << p.dz.transpose();
}

template <class T>
Vector<T> convert(const Vector<double>& values) {
  Vector<T> out(values.size());
  for (Eigen::Index i = 0; i < values.size(); ++i) out[i] = T(values[i]);
  return out;
}

template <class T>
Channel<T> convert(const Channel<double>& c) {
  return {T(c.gamma), T(c.beta), T(c.eps), c.scale, {c.activation.kind, T(c.activation.parameter)}};
}

inline constexpr std::array all_kinds = {ActivationKind::identity, ActivationKind::leaky_relu,
                                         ActivationKind::elu};
inline constexpr std::array all_scales = {ScaleConvention::signed_gamma, ScaleConvention::abs_eps};

// RapidCheck draws from a part of each range that grows with its size parameter; at this size, from
// all of it.
inline constexpr int full_range = 1000;

// A value of at most `largest` in steps of 1/64, which RapidCheck shrinks towards 0.
inline rc::Gen<double> grid_value(int largest) {
  return rc::gen::map(
      rc::gen::resize(full_range, rc::gen::inRange(-64 * largest, 64 * largest + 1)),
      [](int steps) { return steps / 64.0; });
}

inline rc::Gen<Vector<double>> grid_vector(int count, int largest) {
  return rc::gen::map(
      rc::gen::container<std::vector<double>>(static_cast<std::size_t>(count), grid_value(largest)),
      [](const std::vector<double>& v) -> Vector<double> {
        return Eigen::Map<const Vector<double>>(v.data(), static_cast<Eigen::Index>(v.size()));
      });
}

// 2 to 8 samples of size up to 8, all equal in one problem of eight; |gamma| from 1/4 to 2, so that
// the in-place schemes apply.
inline rc::Gen<Problem> problems() {
  return rc::gen::resize(full_range, rc::gen::exec([] {
                           Problem p;
                           const int count = *rc::gen::inRange(2, 9);
                           p.x = *grid_vector(count, 8);
                           if (*rc::gen::inRange(0, 8) == 7) p.x.setConstant(p.x[0]);
                           p.dz = *grid_vector(count, 2);
                           p.frozen = *rc::gen::arbitrary<bool>();
                           p.channel.activation.kind = *rc::gen::elementOf(all_kinds);
                           p.channel.activation.parameter = *rc::gen::element(0.01, 0.25, 1.0, 3.0);
                           p.channel.scale = *rc::gen::elementOf(all_scales);
                           p.channel.gamma =
                               *rc::gen::inRange(1, 9) / (*rc::gen::arbitrary<bool>() ? 4.0 : -4.0);
                           p.channel.beta = *grid_value(2);
                           p.channel.eps = *rc::gen::element(1e-5, 1e-3);
                           return p;
                         }));
}

// The forward pass of the problem in its own mode.
template <class T>
Forward<T> forward(const Problem& p, const Vector<T>& x, const Channel<T>& channel) {
  return p.frozen ? forward_inference(x, T(p.old_mean), T(p.old_variance), channel)
                  : forward_training(x, channel);
}

template <class T>
Forward<T> forward(const Problem& p) {
  return forward(p, convert<T>(p.x), convert<T>(p.channel));
}

// The backward pass of the problem by one of the five schemes, fed with the forward pass f.
enum class Scheme { standard, checkpoint_x, checkpoint_xhat, in_place_one, in_place_two };
inline constexpr std::array all_schemes = {Scheme::standard, Scheme::checkpoint_x,
                                           Scheme::checkpoint_xhat, Scheme::in_place_one,
                                           Scheme::in_place_two};

template <class T>
Recovered<T> recover(const Problem& p, const Forward<T>& f, Scheme scheme) {
  const Channel<T> channel = convert<T>(p.channel);
  const Vector<T> x = convert<T>(p.x);
  const Vector<T> dz = convert<T>(p.dz);
  switch (scheme) {
    case Scheme::standard:
      return recover_standard(x, f.z, f.mean, f.variance, channel, dz);
    case Scheme::checkpoint_x:
      return recover_checkpoint_x(x, f.mean, f.variance, channel, dz);
    case Scheme::checkpoint_xhat:
      return recover_checkpoint_xhat(f.xhat, channel, dz);
    default:
      return recover_in_place(f.z, channel, dz);
  }
}

template <class T>
Gradients<T> backward(const Problem& p, const Forward<T>& f, Scheme scheme) {
  const Channel<T> channel = convert<T>(p.channel);
  if (scheme == Scheme::in_place_two && !p.frozen)
    return gradients_in_place_two(f.z, f.variance, channel, convert<T>(p.dz));
  const Recovered<T> got = recover(p, f, scheme);
  const Sums<T> total =
      scheme == Scheme::in_place_two ? sums_in_place_two(got.y, got.dy, channel) : sums(got);
  return p.frozen ? gradients_frozen(got, total, f.g, f.r, dgamma_factor(channel))
                  : gradients_training(got, total, f.g, f.r, dgamma_factor(channel));
}

// max |a - b| / scale, where equal values differ by 0 whatever the scale; infinite where a NaN or a
// different length leaves nothing to measure.
template <class T>
double difference(const Vector<T>& a, const Vector<T>& b, const T& scale) {
  double worst = a.size() == b.size() ? 0 : std::numeric_limits<double>::infinity();
  for (Eigen::Index i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] == b[i]) continue;
    const double d = std::abs(static_cast<double>(T((a[i] - b[i]) / scale)));
    worst = d <= std::numeric_limits<double>::max() ? std::max(worst, d)
                                                    : std::numeric_limits<double>::infinity();
  }
  return worst;
}

template <class T>
double difference(const T& a, const T& b, const T& scale) {
  return difference(Vector<T>(Vector<T>::Constant(1, a)), Vector<T>(Vector<T>::Constant(1, b)),
                    scale);
}

// What gradients are measured against, so that cancellation to nearly 0 counts for what it is:
// |g| r max|dy| for dx, and m max|dy| max(1, |xhat|) for the two sums.
struct GradientScale {
  double dx, sum;
};

template <class T>
double largest_of(const Vector<T>& values, double at_least) {
  for (const T& v : values) at_least = std::max(at_least, std::abs(static_cast<double>(v)));
  return at_least;
}

template <class T>
GradientScale gradient_scale(const Problem& p, const Forward<T>& f) {
  const Channel<T> channel = convert<T>(p.channel);
  const double largest_dy =
      largest_of(recover_checkpoint_xhat(f.xhat, channel, convert<T>(p.dz)).dy, 0);
  const double count = static_cast<double>(p.x.size());
  return {std::abs(static_cast<double>(T(f.g * f.r))) * largest_dy,
          count * largest_dy * largest_of(f.xhat, 1)};
}

// The largest difference over dx, dgamma and dbeta.
template <class T>
double difference(const Gradients<T>& a, const Gradients<T>& b, const GradientScale& scale) {
  return std::max({difference(a.dx, b.dx, T(scale.dx)),
                   difference(a.dgamma, b.dgamma, T(scale.sum)),
                   difference(a.dbeta, b.dbeta, T(scale.sum))});
}

// First-order growth of rounding errors from the inputs to the gradients, relative to the scales
// above, in units of roundoff: the roundings of one element on its way, times m for the sums, times
//   1 + max|x| r             x - mu cancels when the mean is large
//   (1 + max|xhat|)^2        xhat enters dx twice
//   1 + |g| + |beta|         an error of y moves an ELU derivative
// It covers checkpointing, where phi' comes from y; reading it off z, or inverting z, adds e^-y for
// ELU, and the in-place schemes add |beta|/|g|.
// mean, -, v, root, *, affine, activation, derivative
inline constexpr double roundings_per_element = 8;

template <class T>
double amplification(const Problem& p, const Forward<T>& f) {
  const double xhat_growth = 1 + largest_of(f.xhat, 0);
  const double mean_growth = 1 + p.x.abs().maxCoeff() * static_cast<double>(f.r);
  const double affine = 1 + std::abs(static_cast<double>(f.g)) + std::abs(p.channel.beta);
  return roundings_per_element * static_cast<double>(p.x.size()) * mean_growth * xhat_growth *
         xhat_growth * affine;
}

}  // namespace abn::tests
