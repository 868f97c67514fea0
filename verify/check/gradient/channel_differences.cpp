// The radius, the step and the numbers of which all bars of a channel are made.
#include "verify/check/gradient/channel_differences.hpp"

#include <algorithm>
#include <limits>

#include "verify/bound/forward.hpp"
#include "verify/expect/shared.hpp"

namespace abn::verify::check::gradient {
namespace {

// dy, xhat, two means, their products and differences, g r
constexpr double own_roundings = 20;
constexpr double kink_margin = 1.5;  // steps away from the kink: rounding moves y, too
// near the cube root of u, for |xhat| and y of order 1
constexpr double usual_parameter_step = 0x1p-13;

double power_of_two_below(double value) { return std::exp2(std::floor(std::log2(value))); }

/// B_j for a circle of radius rho; infinite where |q - V| <= V/2 does not hold.
double reach_of(const ChannelDifferences& d, double rho, double largest_xhat, std::size_t j) {
  const KernelChannel& c = d.channel;
  const double g = std::fabs(c.g);
  if (d.frozen) return g * c.r * rho;
  const double v = 1 / (c.r * c.r), count = static_cast<double>(c.x.size());
  const double e = 2 * rho * largest_xhat / c.r / count + rho * rho / count;
  if (!(e <= v / 2)) return bound::infinity;
  return g * std::sqrt(2 / v) * (rho + std::fabs(c.xhat[j]) / c.r * e / v);
}

/// Truncation of a central difference with step h whose function changes by at most `change` within
/// rho.
double truncation(double change, double h, double rho) {
  if (change == 0) return 0;
  const double share = h / rho;
  return change / rho * share * share / (1 - share * share);
}

void find_radius(ChannelDifferences& d, double largest_xhat) {
  // y may move by this much of the width on the circle, or e^y would make the estimate of no use
  constexpr double far_on_curve = 0.5;
  const problem::Phi& phi = d.channel.phi;
  const double far = phi.curved() ? far_on_curve * phi.width : std::numeric_limits<double>::max();
  d.rho = std::sqrt(static_cast<double>(d.m())) / d.channel.r;
  const auto too_far = [&] {
    for (std::size_t j = 0; j < d.m(); ++j)
      if (!(reach_of(d, d.rho, largest_xhat, j) <= far)) return true;
    return false;
  };
  while (d.rho > 0 && too_far()) d.rho /= 2;
}

/// Everything but `out`, for the samples as they are.
void find_bars(ChannelDifferences& d, const abn_problem& problem, const abn_claims& claims,
               const bound::Arithmetic& arithmetic) {
  const KernelChannel& c = d.channel;
  d.judged = c.usable();
  if (!d.judged) return;
  bound::ChannelNumbers numbers =
      expect::numbers_of(problem, c.parameters, c.mean, c.variance, c.r, c.g);
  if (!d.frozen) expect::add_moments(numbers, c.x, c.xhat);
  const bound::ForwardBound<bound::Total> bound(
      arithmetic, numbers,
      d.frozen ? bound::given_statistics_error(arithmetic, numbers, false)
               : bound::batch_statistics_error(arithmetic, numbers));
  const double u = arithmetic.u, g = std::fabs(c.g), largest_xhat = c.largest_xhat();
  const double saved = arithmetic.store_parameter.u;  // of the statistics that backward is given
  const double k = bound::gamma_of(arithmetic.depth_backward + own_roundings, u) +
                   (bound.root.growth - 1) + saved;
  find_radius(d, largest_xhat);

  for (auto* const values : {&d.same, &d.with_xhat, &d.with_error, &d.change, &d.diagonal,
                             &d.z_error, &d.xhat_error, &d.relative})
    values->assign(d.m(), 0);
  std::vector<double> slopes(d.m());
  // the division by the width and the product with it, where that is not 1
  const double scaled = c.phi.scaled ? 2 * bound::quotient_by_width(arithmetic, numbers) + u : 0;
  double noise = 0, change = 0;
  for (std::size_t j = 0; j < d.m(); ++j) {
    const double x = c.x[j], xhat = c.xhat[j], y = c.y[j], slope = c.phi.derivative(y);
    const bool curved = c.phi.curved() && y < 0;
    const double z = c.phi.value(y);
    const double z_error = bound.z(bound.y(x, xhat, y), y, z).total();
    const double reach = reach_of(d, d.rho, largest_xhat, j);
    d.z_error[j] = z_error + arithmetic.kept(std::fabs(z) + z_error);
    slopes[j] = curved ? slope * std::exp(reach / c.phi.width) : slope;
    d.change[j] = slopes[j] * reach;
    d.relative[j] =
        k + u +
        (curved ? (d.z_error[j] + 2 * u * c.phi.parameter) / c.phi.width / slope + scaled : 0);
    if (!problem::is_in_place(claims))
      d.xhat_error[j] = bound.xhat(x, xhat).total() +
                        saved * (std::fabs(c.mean) * c.r + std::fabs(xhat)) +
                        arithmetic.kept(std::fabs(xhat));
    else if (g > 0)
      d.xhat_error[j] = (d.z_error[j] / slope + (arithmetic.function + 4 * u + scaled) *
                                                    (std::fabs(y) + std::fabs(c.beta))) /
                            g +
                        4 * u * std::fabs(xhat);
    noise = std::max(noise, d.z_error[j]);
    change = std::max(change, d.change[j]);
  }

  // noise/h + change h^2/rho^3 is least at h^3 = noise rho^3 / (2 change); well inside of the
  // circle.
  const double best = change > 0 ? d.rho * std::cbrt(noise / (2 * change)) : d.rho / 4;
  d.step = power_of_two_below(std::min(best, d.rho / 4));
  const double gamma = std::fabs(c.parameters.gamma);
  d.gamma_step = d.beta_step = usual_parameter_step;
  // |gamma| has a kink
  if (c.parameters.abs_eps && gamma > 0)
    d.gamma_step = std::min(d.gamma_step, power_of_two_below(gamma / 2));
  d.judged = std::isfinite(noise) && std::isfinite(k) && std::isfinite(d.step) && d.step > 0;

  const double count = static_cast<double>(d.m());
  for (std::size_t j = 0; j < d.m(); ++j) {
    const double gradient = g * c.r * slopes[j], xhat = std::fabs(c.xhat[j]);
    d.same[j] = truncation(d.change[j], d.step, d.rho) + d.z_error[j] / d.step;
    d.diagonal[j] = gradient * d.relative[j];
    if (d.frozen) continue;
    d.same[j] += gradient * d.relative[j] / count;
    d.with_xhat[j] = gradient / count * (d.relative[j] * xhat + d.xhat_error[j]);
    d.with_error[j] = gradient / count * (xhat + d.xhat_error[j]);
  }
}

double distance_needed(const ChannelDifferences& d, double largest_xhat, std::size_t j) {
  const double moves = std::max(reach_of(d, d.step, largest_xhat, j),
                                std::max(d.gamma_step * std::fabs(d.channel.xhat[j]), d.beta_step));
  const double flattest =
      // at the kink
      std::min(1.0, d.channel.phi.lambda);
  return kink_margin * moves + d.z_error[j] / flattest;
}

/// Of dz_j/dgamma (factor |xhat_j|, off by factor_error) or dz_j/dbeta (factor 1) by points +-
/// width/2 from `parameter`.
double parameter_bar(const ChannelDifferences& d, std::size_t j, double factor, double factor_error,
                     double parameter, double width, double got, const problem::Format& format) {
  const KernelChannel& c = d.channel;
  const bool curved = c.phi.curved() && c.y[j] < 0;
  const double reach = 0.5 * c.phi.width;  // of y on the circle, whose radius is reach/factor
  const double slope = c.phi.derivative(c.y[j]) * (curved ? std::exp(reach / c.phi.width) : 1),
               h = width / 2;
  const double bent = curved && factor > 0 ? truncation(slope * reach, h, reach / factor) : 0;
  // Rounding the parameter +- h may have moved the middle; its gradient is stored in its own type.
  const double middle = curved ? format.unit_roundoff * (std::fabs(parameter) + width) *
                                     (1 + c.xhat[j] * c.xhat[j] / c.phi.width)
                               : 0;
  return bent + d.z_error[j] / h +
         slope * ((factor + factor_error) * d.relative[j] + factor_error) + middle +
         format.unit_roundoff * std::fabs(got);
}

}  // namespace

double ChannelDifferences::dx_bar(std::size_t i, std::size_t j) const {
  if (frozen && i != j) return 0;  // nothing moves, and nothing is passed on
  return same[j] + std::fabs(channel.xhat[i]) * with_xhat[j] + xhat_error[i] * with_error[j] +
         off_middle(i) * change[j] + (i == j ? diagonal[j] : 0);
}

double ChannelDifferences::dgamma_bar(std::size_t j, double width, double got,
                                      const problem::Format& format) const {
  return parameter_bar(*this, j, std::fabs(channel.xhat[j]), xhat_error[j],
                       channel.parameters.gamma, width, got, format);
}

double ChannelDifferences::dbeta_bar(std::size_t j, double width, double got,
                                     const problem::Format& format) const {
  return parameter_bar(*this, j, 1, 0, channel.beta, width, got, format);
}

ChannelDifferences channel_differences(problem::Inputs& inputs, std::int64_t c,
                                       const abn_claims& claims,
                                       const bound::Arithmetic& arithmetic) {
  ChannelDifferences d;
  d.frozen = inputs.problem.mode == ABN_FROZEN;
  d.channel = kernel_channel(inputs, c);
  if (!d.channel.usable()) return d;
  double largest_xhat = 0;
  leave_the_kink(inputs, c, 0, [&](const KernelChannel& channel, std::size_t j) {
    if (j == 0)
      d.channel = channel, largest_xhat = channel.largest_xhat(),
      find_bars(d, inputs.problem, claims, arithmetic);
    return d.judged ? distance_needed(d, largest_xhat, j) : 0;
  });
  d.channel = kernel_channel(inputs, c);
  find_bars(d, inputs.problem, claims, arithmetic);
  if (!d.judged) return d;
  d.out.assign(d.m(), 0);
  if (d.channel.phi.linear()) return d;
  largest_xhat = d.channel.largest_xhat();
  for (std::size_t j = 0; j < d.m(); ++j) {
    const bool crosses = std::fabs(d.channel.y[j]) <= distance_needed(d, largest_xhat, j);
    d.out[j] = crosses || !std::isfinite(d.xhat_error[j]) || !std::isfinite(d.relative[j]) ? 1 : 0;
  }
  return d;
}

}  // namespace abn::verify::check::gradient
