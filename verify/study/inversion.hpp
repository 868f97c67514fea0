// What in-place costs, point by point: the error of recovered xhat and of the gradients, predicted
// by the bound and measured.
//
// One surface belongs to a storage type, an activation, an accumulate type and a scheme. Its points
// are the channels of one problem: |gamma| and |beta|/|gamma| on logarithmic grids, beta of both
// signs, the worse of the two reported. All channels have the same m samples, so what differs
// between points is what gamma and beta do. Predicted are the bounds of expect_gradient, measured
// are the errors of a reference variant, both against the exact gradient at the unrounded x and
// relative to its size before anything cancels (ChannelFacts::scale), as in every report.
//
// The data keep clear of what is no matter of in-place: sigma = 2^-10, eps = 0 and dz scaled by a
// power of 2 for each gamma put |gamma| r max|dz| near 1, so that dx itself does not underflow in
// f16 where gamma is 1e-8.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace abn::verify::study {

/// The grid. |gamma| falls into two regimes: where z nears the subnormal range of its type, and
/// where |beta|/|gamma| amplifies.
struct InversionAxes {
  std::vector<double> gammas;  ///< rising
  std::vector<double> ratios;  ///< |beta|/|gamma|, rising, the first 0
};

/// `steps` points a decade: |gamma| from 1e-8 to 10; |beta|/|gamma| 0 and from 1e-2 to 1e6.
InversionAxes inversion_axes(int steps);

struct InversionSetting {
  int dtype = 0, activation = 0;
  double parameter = 0;
  int accumulate = 0, scheme = 0;
};
/// "leaky_relu:0.01"
std::string activation_text(const InversionSetting& setting);

/// A measured error and its predicted bound.
struct Cost {
  double measured = 0, predicted = 0;
};

struct InversionPoint {
  Cost xhat;               ///< largest absolute error of recovered xhat, whose variance is 1
  Cost dx, dgamma, dbeta;  ///< relative to ChannelFacts::scale
  Cost gradient() const;   ///< the largest of the three
};

struct InversionSurface {
  InversionSetting setting;
  InversionAxes axes;
  std::vector<InversionPoint> points;  ///< [gamma][ratio]
  const InversionPoint& at(std::size_t gamma, std::size_t ratio) const {
    return points[gamma * axes.ratios.size() + ratio];
  }
};

inline constexpr std::int64_t inversion_samples = 64;  // m of every channel

InversionSurface inversion_surface(const InversionSetting& setting, const InversionAxes& axes,
                                   std::uint64_t seed);

/// Where ELU ends: the y at which it saturates in a storage type, and where what z has lost passes
/// 1 %.
struct EluLimit {
  int dtype = 0;
  double alpha = 1;
  /// y at and below which the stored z is -alpha
  double saturates_predicted = 0, saturates_measured = 0;
  /// y below which the error of recovered y, and that of phi' relative to phi', may be and is above
  /// 1 %
  Cost y, derivative;
};
EluLimit elu_limit(int dtype, double alpha);

}  // namespace abn::verify::study
