// A directional derivative of each channel through the kernel's own forward, with steps and bars
// from the noise that it has.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "verify/bound/bound.hpp"
#include "verify/check/gradient/kernel_channel.hpp"
#include "verify/check/gradient/methods.hpp"
#include "verify/check/gradient/probes.hpp"
#include "verify/data/random.hpp"
#include "verify/expect/expect.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::gradient {
namespace {

constexpr int noise_values = 9;  // as More and Wild use
constexpr int levels = 4;        // of Richardson's table
// of the measured deviation that a value is taken to be off by
constexpr double noise_factor = 8;
constexpr double widest_share = 0.125;  // of sigma: the first step of the table
constexpr double least_digits = 0.5;

/// Grid, step and direction of one channel.
struct Direction {
  double grid = 0;        ///< spacing of x
  double first_step = 0;  ///< t of the table's first level, in units of the grid
  bool usable = false;
};

Direction direction_of(const KernelChannel& channel, const problem::Format& format) {
  Direction d;
  const double sigma = 1 / channel.r;
  double largest = 0;
  for (const double value : channel.x) largest = std::max(largest, std::fabs(value));
  if (!channel.usable() || !(largest > 0) || channel.g == 0) return d;
  // one binade and one bit in reserve: x + t v stays on it
  d.grid = 2 * problem::ulp_of(format, 2 * largest);
  // Fine enough to differentiate by, and not so fine that steps of the noise table are lost in a
  // wide type.
  d.grid = std::max(d.grid, std::exp2(std::floor(std::log2(sigma * 0x1p-30))));
  d.first_step = std::exp2(std::floor(std::log2(widest_share * sigma / d.grid)));
  d.usable = d.first_step >= 2;
  return d;
}

}  // namespace

results::Record difference_record(const Work& work, const CheckName& name,
                                  const call::Evaluator& evaluator, problem::Inputs inputs) {
  const abn_problem& p = inputs.problem;
  const problem::Format& format = problem::format_of(p.dtype);
  const std::int64_t m = problem::sample_count(p);
  const data::Stream draws = data::Stream(work.one.seed).fork(13);
  const data::Stream signs = draws.fork(0), weights = draws.fork(1);

  std::vector<Direction> directions;
  for (std::int64_t c = 0; c < p.c; ++c) {
    Direction d = direction_of(kernel_channel(inputs, c), format);
    if (d.usable) {
      for (std::int64_t i = 0; i < m; ++i) {
        double& x = inputs.x[static_cast<std::size_t>(problem::sample_offset(p, c, i))];
        x = std::round(x / d.grid) * d.grid;
      }
      leave_the_kink(inputs, c, d.grid, [&](const KernelChannel& channel, std::size_t) {
        return 2 * std::fabs(channel.g) * channel.r * d.first_step * d.grid;
      });
      // moved samples move sigma
      const Direction again = direction_of(kernel_channel(inputs, c), format);
      d.usable = again.usable && again.grid <= d.grid;
    }
    directions.push_back(d);
  }
  for (std::size_t i = 0; i < inputs.dz.size(); ++i)
    inputs.dz[i] = problem::round_to(format, weights.normal(i) + 0.25);
  const std::vector<compare::Expectation> expected = expect::expect_gradient(inputs, work.claims);
  // Mostly up the gradient, where a short step changes f most; random for one sample in four, so
  // that not all of v is known beforehand.
  constexpr std::size_t random_every = 4;
  const auto direction = [&](std::size_t at) {
    const double gradient = expected.front().points[at].hi;
    return at % random_every == 0 || gradient == 0 || std::isnan(gradient)
               ? signs.sign(at)
               : std::copysign(1.0, gradient);
  };

  /// f of each channel at t = factor(c) grid steps.
  const auto evaluate = [&](auto&& factor) {
    problem::Inputs moved = inputs;
    for (std::int64_t c = 0; c < p.c; ++c) {
      const Direction& d = directions[static_cast<std::size_t>(c)];
      if (!d.usable) continue;
      const double t = factor(d) * d.grid;
      for (std::int64_t i = 0; i < m; ++i) {
        const auto at = static_cast<std::size_t>(problem::sample_offset(p, c, i));
        moved.x[at] += t * direction(at);
      }
    }
    const std::vector<double> z = evaluator.forward(moved).z;
    std::vector<double> f;
    for (std::int64_t c = 0; c < p.c; ++c) {
      long double sum = 0;
      for (std::int64_t i = 0; i < m; ++i) {
        const auto at = static_cast<std::size_t>(problem::sample_offset(p, c, i));
        sum += static_cast<long double>(inputs.dz[at]) * z[at];
      }
      f.push_back(static_cast<double>(sum));
    }
    return f;
  };

  std::vector<std::vector<double>> near;  // [k][c]
  for (int k = 0; k < noise_values; ++k)
    near.push_back(
        evaluate([k](const Direction&) { return static_cast<double>(k - noise_values / 2); }));
  const std::vector<double>& middle = near[noise_values / 2];
  std::array<std::vector<double>, levels> above, below;
  for (int k = 0; k < levels; ++k) {
    const auto step = [k](const Direction& d) {
      return std::max(1.0, std::ldexp(d.first_step, -k));
    };
    above[static_cast<std::size_t>(k)] = evaluate(step);
    below[static_cast<std::size_t>(k)] = evaluate([&](const Direction& d) { return -step(d); });
  }

  const problem::Saved saved = evaluator.saved(p, evaluator.forward(inputs));
  const call::BackwardNumbers got = evaluator.backward(inputs, saved);

  results::Record record = judge::blank_record(work.origin, name.op, name.check, name.kind);
  double digits = 0;
  for (std::int64_t c = 0; c < p.c; ++c) {
    const auto channel = static_cast<std::size_t>(c);
    const Direction& d = directions[channel];
    if (!d.usable) continue;
    long double sum = 0;
    double bound = 0;
    for (std::int64_t i = 0; i < m; ++i) {
      const auto at = static_cast<std::size_t>(problem::sample_offset(p, c, i));
      sum += direction(at) * static_cast<long double>(got.dx[at]);
      bound += expected.front().points[at].bound;
    }
    std::array<double, noise_values> values{};
    for (std::size_t k = 0; k < values.size(); ++k) values[k] = near[k][channel];
    double noise = measured_noise(values);
    // Where no order settles, what rounding each z to its type alone makes; it is no less anywhere.
    double squares = 0;
    const KernelChannel numbers = kernel_channel(inputs, c);
    for (std::int64_t i = 0; i < m; ++i) {
      const auto at = static_cast<std::size_t>(problem::sample_offset(p, c, i));
      const double half =
          problem::ulp_of(format, numbers.phi.derivative(numbers.y[static_cast<std::size_t>(i)]) *
                                      numbers.y[static_cast<std::size_t>(i)]) /
          2;
      squares += inputs.dz[at] * inputs.dz[at] * half * half / 3;
    }
    noise = std::max(std::isfinite(noise) ? noise : 0.0, std::sqrt(squares));
    std::array<CentralLevel<double>, levels> taken{};
    std::size_t count = 0;
    for (std::size_t k = 0; k < levels; ++k) {
      const double t = std::ldexp(d.first_step, -static_cast<int>(k));
      if (t < 1) break;
      const double h = t * d.grid;
      taken[count++] =
          central_level<double>(-h, 0, h, below[k][channel], middle[channel], above[k][channel]);
    }
    const Estimate estimate = extrapolate<double>(
        std::span<const CentralLevel<double>>(taken.data(), count), noise_factor * noise);
    compare::Point point;
    point.hi = estimate.value, point.bound = point.fit_bound = estimate.error + bound;
    if (!std::isfinite(point.bound)) continue;
    const double seen = std::log10(std::fabs(estimate.value) / estimate.error);
    digits = std::max(digits, seen);
    if (std::fabs(point.hi) > point.bound) record.discriminating_cases = 1;
    if (results::Witness* const witness =
            add_point(record, work.origin, point, static_cast<double>(sum), ABN_F64))
      witness->where = fmt::format("<v, dx>[c {}]", c);
  }
  if (record.tally.failed == 0 && digits < least_digits)
    return skip_record(work.origin, name,
                       fmt::format("in {} a difference sees {:.1f} decimal digits here, less than "
                                   "half of one; the probes judge this case",
                                   problem::dtype_name(p.dtype), digits));
  if (record.tally.failed == 0 && record.discriminating_cases == 0) record.method_limited_cases = 1;
  for (results::Witness& witness : record.witnesses)
    witness.inputs.emplace_back("decimal digits seen", std::floor(10 * digits) / 10);
  return record;
}

}  // namespace abn::verify::check::gradient
