// The surfaces: inputs for all grid points at once, one forward and one backward of a reference
// variant, and the oracle's expectations.
#include "verify/study/inversion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reference/backward.hpp"
#include "verify/call/evaluator.hpp"
#include "verify/data/random.hpp"
#include "verify/expect/expect.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/expect/shared.hpp"
#include "verify/oracle/activation.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::study {
namespace {

constexpr int sigma_exponent = -10;
constexpr int largest_dz_exponent = 13;  // 2^13 times the largest dz stays below f16's 65504
constexpr std::int64_t images = 4;

abn_problem problem_of(const InversionSetting& setting, const InversionAxes& axes) {
  const std::size_t channels = 2 * axes.gammas.size() * axes.ratios.size();  // beta of both signs
  return problem::parse_problem(
      fmt::format("n{}c{}s{},{},{},eps:0", images, channels, inversion_samples / images,
                  problem::dtype_name(setting.dtype), activation_text(setting)));
}

/// Channel 2*(gamma*ratios + ratio) has beta >= 0, the next one -beta.
problem::Inputs inputs_of(const InversionSetting& setting, const InversionAxes& axes,
                          std::uint64_t seed) {
  problem::Inputs in;
  in.problem = problem_of(setting, axes);
  const problem::Format& storage = problem::format_of(in.problem.dtype);
  const problem::Format& parameter = problem::format_of(in.problem.param_dtype);
  const data::Stream root(seed);
  const data::Stream x_draw = root.fork(0), dz_draw = root.fork(1);
  std::vector<double> x, dz;
  double largest = 0;
  for (std::uint64_t i = 0; i < inversion_samples; ++i) {
    const double t = x_draw.normal(i);
    x.push_back(problem::round_to(storage, std::ldexp(t, sigma_exponent)));
    // Correlated with xhat and not of zero mean, as in the recipes: neither S0 nor S1 is small.
    dz.push_back(0.7 * dz_draw.normal(i) + 0.4 * t + 0.25);
    largest = std::max(largest, std::fabs(dz.back()));
  }
  const auto elements = static_cast<std::size_t>(problem::element_count(in.problem)),
             channels = static_cast<std::size_t>(in.problem.c);
  in.x.resize(elements);
  in.dz.resize(elements);
  in.running_mean.assign(channels, 0);
  in.running_var.assign(channels, 1);
  for (std::size_t c = 0; c < channels; ++c) {
    const double gamma = problem::round_to(parameter, axes.gammas[c / 2 / axes.ratios.size()]);
    const double ratio = axes.ratios[c / 2 % axes.ratios.size()];
    in.gamma.push_back(gamma);
    in.beta.push_back(problem::round_to(parameter, (c % 2 == 0 ? 1 : -1) * ratio * gamma));
    const int exponent =
        std::min(largest_dz_exponent,
                 sigma_exponent - static_cast<int>(std::floor(std::log2(gamma * largest))));
    for (std::int64_t i = 0; i < inversion_samples; ++i) {
      const auto at = static_cast<std::size_t>(
          problem::sample_offset(in.problem, static_cast<std::int64_t>(c), i));
      const auto sample = static_cast<std::size_t>(i);
      in.x[at] = x[sample];
      in.dz[at] = problem::round_to(storage, std::ldexp(dz[sample], exponent));
    }
  }
  return in;
}

template <class T>
reference::Activation<T> activation_of(int activation, double parameter) {
  return {oracle::reference_kind(activation), T(parameter)};
}

/// What cannot be inverted is stored as, or read as, the next value that can.
double lifted(const problem::Format& storage, int activation, double parameter, double z) {
  abn_problem p{};
  p.dtype = storage.dtype, p.activation = activation, p.activation_parameter = parameter;
  return problem::lifted(p, z);
}

/// One rounding of z to its type, as an error of z.
double storing(const problem::Format& storage, double z) {
  return std::max(storage.unit_roundoff * std::fabs(z), storage.smallest_subnormal / 2);
}

/// Largest change of phi^-1 where z = phi(y) is off by `off` either way, and not below the lowest z
/// that can be stored.
double inverse_error(const problem::Format& storage, const reference::Activation<long double>& phi,
                     int activation, long double y, double off) {
  // y itself is lost in z where ELU saturates, and the rounding of z to double is not to count: all
  // of this in long double.
  const long double z = phi.value(y),
                    lowest = lifted(storage, activation, static_cast<double>(phi.parameter),
                                    -bound::infinity);
  const auto moved = [&](long double to) {
    return std::fabs(phi.inverse(std::max(to, lowest)) - y);
  };
  return static_cast<double>(std::max(moved(z - off), moved(z + off)));
}

/// What is no number is as bad as can be.
double worse(double a, double b) {
  return std::isnan(a) || std::isnan(b) ? bound::infinity : std::max(a, b);
}
Cost worse(const Cost& a, const Cost& b) {
  return {worse(a.measured, b.measured), worse(a.predicted, b.predicted)};
}

/// Recovered xhat of one channel against the exact one. The prediction is of first order: z rounded
/// once, carried through the inverse at its steepest, with the roundings of y = g xhat + beta and
/// the statistics' (h+2)u mean|x|/sigma and (h+7)/2 u |xhat|; then 3 roundings of the inverse
/// (reciprocal, quotient, logarithm) and 5 of (y - beta)/g, in the accumulate type.
template <class T>
Cost xhat_cost(const problem::Inputs& inputs, std::int64_t c, const std::vector<double>& z_stored,
               double u) {
  const abn_problem& p = inputs.problem;
  const problem::Format& storage = problem::format_of(p.dtype);
  const auto at = static_cast<std::size_t>(c);
  const double gamma = inputs.gamma[at], beta = inputs.beta[at];
  std::vector<double> x, z;
  expect::gather(p, inputs.x, c, x);
  expect::gather(p, z_stored, c, z);
  const auto m = static_cast<Eigen::Index>(x.size());
  reference::Channel<long double> exact;
  exact.gamma = gamma, exact.beta = beta, exact.eps = p.eps;
  exact.activation = activation_of<long double>(p.activation, p.activation_parameter);
  reference::Channel<T> channel;
  channel.gamma = T(gamma), channel.beta = T(beta), channel.eps = T(p.eps);
  channel.activation = activation_of<T>(p.activation, p.activation_parameter);
  reference::Vector<long double> samples(m);
  reference::Vector<T> stored(m);
  for (Eigen::Index i = 0; i < m; ++i) {
    const auto sample = static_cast<std::size_t>(i);
    samples[i] = x[sample];
    stored[i] = T(lifted(storage, p.activation, p.activation_parameter, z[sample]));
  }
  const auto f = reference::forward_training(samples, exact);
  const auto recovered = reference::recover_in_place(
      stored, channel, reference::Vector<T>(reference::Vector<T>::Zero(m)));
  const double size = static_cast<double>(samples.cwiseAbs().mean() * f.r),
               h = static_cast<double>(m);
  Cost worst;
  for (Eigen::Index i = 0; i < m; ++i) {
    const double xhat = static_cast<double>(f.xhat[i]), y = static_cast<double>(f.y[i]),
                 value = static_cast<double>(f.z[i]);
    const double statistics = (h + 2) * u * size + (h + 7) / 2 * u * std::fabs(xhat),
                 own = u * (2 * std::fabs(gamma * xhat) + std::fabs(y));
    const double slope =
        y < 0 ? static_cast<double>(exact.activation.derivative_from_input(f.y[i])) : 1;
    const double off = storing(storage, value) + slope * (own + gamma * statistics);
    const double moved = inverse_error(storage, exact.activation, p.activation, f.y[i], off);
    // What is recovered is rounded at its own size, which may be far from that of what was stored.
    const double inversion =
        3 * u * (std::fabs(y) + moved) / gamma + 5 * u * (std::fabs(xhat) + moved / gamma);
    worst.predicted = worse(worst.predicted, moved / gamma + inversion);
    worst.measured = worse(
        worst.measured,
        std::fabs(static_cast<double>(static_cast<long double>(recovered.xhat[i]) - f.xhat[i])));
  }
  return worst;
}

/// One element of a gradient: an error that the storage type cannot avoid is no cost of working in
/// place, as in every record.
Cost cost_of(const compare::Expectation& expectation, std::size_t i, std::size_t c, double got) {
  const compare::Point& point = expectation.points[i];
  const double scale = expectation.channels[c].scale;
  // an overflow on the way: nothing is left
  if (point.rule == compare::Rule::anything && std::isfinite(point.hi))
    return {bound::infinity, bound::infinity};
  if (point.rule != compare::Rule::bounded && point.rule != compare::Rule::signed_bounded)
    return {};
  const double error = std::fabs((got - point.hi) - point.lo);
  const double representable = problem::ulp_of(problem::format_of(expectation.dtype), point.hi) / 2;
  return {error <= representable ? 0 : error / scale, point.bound / scale};
}

const std::vector<double>& numbers_of_output(const call::BackwardNumbers& numbers,
                                             compare::Output output) {
  return output == compare::Output::dx       ? numbers.dx
         : output == compare::Output::dgamma ? numbers.dgamma
                                             : numbers.dbeta;
}

}  // namespace

InversionAxes inversion_axes(int steps) {
  InversionAxes axes;
  for (int i = -8 * steps; i <= steps; ++i)
    axes.gammas.push_back(std::pow(10.0, static_cast<double>(i) / steps));
  axes.ratios.push_back(0);
  for (int i = -2 * steps; i <= 6 * steps; ++i)
    axes.ratios.push_back(std::pow(10.0, static_cast<double>(i) / steps));
  return axes;
}

std::string activation_text(const InversionSetting& setting) {
  const problem::Activation& row = problem::activation_of(setting.activation);
  return row.has_parameter() ? fmt::format("{}:{:g}", row.name, setting.parameter) : row.name;
}

Cost InversionPoint::gradient() const { return worse(worse(dx, dgamma), dbeta); }

InversionSurface inversion_surface(const InversionSetting& setting, const InversionAxes& axes,
                                   std::uint64_t seed) {
  const problem::Inputs inputs = inputs_of(setting, axes, seed);
  const bool single = setting.accumulate == ABN_F32;
  call::Subject subject;
  subject.variant = &expect::reference_variant(
      single ? expect::ReferenceArithmetic::f32 : expect::ReferenceArithmetic::f64, setting.scheme);
  subject.device = call::host_device();
  const call::Evaluator evaluator(
      subject, problem::claims_of(*subject.variant, inputs.problem).claims, seed);
  const call::ForwardNumbers forward = evaluator.forward(inputs);
  const call::BackwardNumbers backward =
      evaluator.backward(inputs, evaluator.saved(inputs.problem, forward));
  const std::vector<compare::Expectation> gradient =
      expect::expect_gradient(inputs, evaluator.claims());

  InversionSurface surface{setting, axes,
                           std::vector<InversionPoint>(axes.gammas.size() * axes.ratios.size())};
  const double u = problem::format_of(setting.accumulate).unit_roundoff;
  for (std::int64_t c = 0; c < inputs.problem.c; ++c) {
    const auto channel = static_cast<std::size_t>(c);
    InversionPoint& point = surface.points[channel / 2];
    point.xhat = worse(point.xhat, single ? xhat_cost<float>(inputs, c, forward.z, u)
                                          : xhat_cost<double>(inputs, c, forward.z, u));
    for (const compare::Expectation& expectation : gradient) {
      Cost& cost = expectation.output == compare::Output::dx       ? point.dx
                   : expectation.output == compare::Output::dgamma ? point.dgamma
                                                                   : point.dbeta;
      const std::vector<double>& got = numbers_of_output(backward, expectation.output);
      if (!compare::is_tensor(expectation.output)) {
        cost = worse(cost, cost_of(expectation, channel, channel, got[channel]));
        continue;
      }
      for (std::int64_t i = 0; i < inversion_samples; ++i) {
        const auto at = static_cast<std::size_t>(problem::sample_offset(inputs.problem, c, i));
        cost = worse(cost, cost_of(expectation, at, channel, got[at]));
      }
    }
  }
  return surface;
}

EluLimit elu_limit(int dtype, double alpha) {
  constexpr double percent = 0.01;
  constexpr double step = 0x1p-7;  // of y: fine beside the scatter of rounding errors
  constexpr double deepest = -64;  // below what any of the types can tell from -alpha
  const problem::Format& storage = problem::format_of(dtype);
  const double gap = problem::next_above(storage, -alpha) + alpha;
  EluLimit limit{dtype,
                 alpha,
                 std::log(gap / 2 / alpha),
                 0,
                 {-bound::infinity, -bound::infinity},
                 {-bound::infinity, -bound::infinity}};
  const auto stored = [&](double y) { return problem::round_to(storage, alpha * std::expm1(y)); };
  double saturated = deepest, alive = 0;
  for (int halving = 0; halving < 60; ++halving) {
    const double middle = (saturated + alive) / 2;
    (stored(middle) <= -alpha ? saturated : alive) = middle;
  }
  limit.saturates_measured = saturated;
  for (double y = -step; y > deepest; y -= step) {
    const double z = stored(y), used = z <= -alpha ? -alpha + gap : z, w = alpha * std::exp(y);
    // Half a spacing of the type where z lies; the inverse is steepest downwards.
    const double off = problem::ulp_of(storage, alpha * std::expm1(y)) / 2;
    const double y_predicted = off < w ? -std::log1p(-off / w) : bound::infinity,
                 phi_predicted = off / w;
    const double y_measured = std::fabs(std::log1p(used / alpha) - y),
                 phi_measured = std::fabs(used + alpha - w) / w;
    const auto note = [&](double& where, double error) {
      if (where == -bound::infinity && error > percent) where = y;
    };
    note(limit.y.predicted, y_predicted), note(limit.y.measured, y_measured);
    note(limit.derivative.predicted, phi_predicted), note(limit.derivative.measured, phi_measured);
  }
  return limit;
}

}  // namespace abn::verify::study
