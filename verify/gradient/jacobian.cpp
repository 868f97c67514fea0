// Steps and error bars of each channel; the rows by backward, the columns by differences.
#include "verify/gradient/jacobian.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "verify/bound_forward.hpp"
#include "verify/claims.hpp"
#include "verify/format.hpp"
#include "verify/gradient/kernel_channel.hpp"
#include "verify/oracle_problem.hpp"
#include "verify/problem.hpp"

namespace abn::verify {
namespace {

constexpr double own_roundings = 20;          // dy, xhat, two means, their products and differences, g r
constexpr double most_left_out = 0.01;        // of a case's outputs, for their nearness to the kink
constexpr double kink_margin = 1.5;           // steps away from the kink: rounding moves y, too
constexpr double usual_parameter_step = 0x1p-13;

/// What is known of one channel before it is perturbed.
struct Bars {
  KernelChannel channel;
  bool judged = true;  ///< finite, with bounds that are
  double rho = 0, step = 0, gamma_step = 0, beta_step = 0;
  double relative = 0;
  std::vector<double> z_error, xhat_error, phi_error, slope, reach;
  std::vector<char> out;  ///< outputs that a step may carry over the kink, or whose inverse (ELU, saturated) has no finite bound
};

double reach_of(const KernelChannel& c, bool frozen, double rho, double largest_xhat, std::size_t j) {
  const double g = std::fabs(c.g);
  if (frozen) return g * c.r * rho;
  const double v = 1 / (c.r * c.r), count = static_cast<double>(c.x.size());
  const double e = 2 * rho * largest_xhat / c.r / count + rho * rho / count;
  if (!(e <= v / 2)) return infinity;
  return g * std::sqrt(2 / v) * (rho + std::fabs(c.xhat[j]) / c.r * e / v);
}

/// Steps, without anything of a single sample but its reach.
void choose_step(Bars& b, const Inputs& inputs, const abn_claims& claims, const Arithmetic& arithmetic) {
  const KernelChannel& c = b.channel;
  b.judged = c.usable();
  if (!b.judged) return;
  const bool frozen = inputs.problem.mode == ABN_FROZEN;
  const std::size_t m = c.x.size();
  ChannelNumbers numbers = numbers_of(inputs.problem, c.parameters, c.mean, c.variance, c.r, c.g);
  if (!frozen) add_moments(numbers, c.x, c.xhat);
  const ForwardBound<Total> bound(arithmetic, numbers,
                                  frozen ? given_statistics_error(arithmetic, numbers, false) : batch_statistics_error(arithmetic, numbers));
  const double u = arithmetic.u, largest = c.largest_xhat(), g = std::fabs(c.g);
  const double saved = arithmetic.store_parameter.u;  // of the statistics that backward is given
  b.relative = gamma_of(arithmetic.depth_backward + own_roundings, u) + (bound.root.growth - 1) + saved;

  constexpr double far_for_elu = 0.5;  // y may move by this much on the circle, or e^y would make the estimate of no use
  const double far = inputs.problem.activation == ABN_ELU ? far_for_elu : std::numeric_limits<double>::max();
  b.rho = std::sqrt(static_cast<double>(m)) / c.r;
  const auto too_far = [&] {
    for (std::size_t j = 0; j < m; ++j)
      if (!(reach_of(c, frozen, b.rho, largest, j) <= far)) return true;
    return false;
  };
  while (b.rho > 0 && too_far()) b.rho /= 2;

  for (auto* const values : {&b.z_error, &b.xhat_error, &b.phi_error, &b.slope, &b.reach}) values->assign(m, 0);
  double noise = 0, change = 0;
  for (std::size_t j = 0; j < m; ++j) {
    const double y = c.y[j], slope = slope_at(c, y);
    const double z = slope_at(c, y) == 1 ? y : inputs.problem.activation == ABN_ELU ? c.parameters.parameter * std::expm1(y) : slope * y;
    const double z_error = bound.z(bound.y(c.x[j], c.xhat[j], y), y, z).total();
    const double stored = z_error + arithmetic.kept(std::fabs(z) + z_error);
    b.reach[j] = reach_of(c, frozen, b.rho, largest, j);
    const bool curved = inputs.problem.activation == ABN_ELU && y < 0;
    b.slope[j] = curved ? slope * std::exp(b.reach[j]) : slope;
    b.z_error[j] = stored;
    b.phi_error[j] = u + (curved ? (stored + 2 * u * c.parameters.parameter) / slope : 0);
    if (is_in_place(claims))
      b.xhat_error[j] = g > 0 ? (stored / slope + (arithmetic.function + 4 * u) * (std::fabs(y) + std::fabs(c.beta))) / g + 4 * u * std::fabs(c.xhat[j]) : 0;
    else
      b.xhat_error[j] = bound.xhat(c.x[j], c.xhat[j]).total() + saved * (std::fabs(c.mean) * c.r + std::fabs(c.xhat[j])) + arithmetic.kept(std::fabs(c.xhat[j]));
    noise = std::max(noise, stored);
    change = std::max(change, b.slope[j] * b.reach[j]);
  }
  const double best = change > 0 ? b.rho * std::cbrt(noise / (2 * change)) : b.rho / 4;
  b.step = std::exp2(std::floor(std::log2(std::min(best, b.rho / 4))));
  b.gamma_step = b.beta_step = usual_parameter_step;
  const double gamma = std::fabs(c.parameters.gamma);
  if (c.parameters.abs_eps && gamma > 0) b.gamma_step = std::min(b.gamma_step, std::exp2(std::floor(std::log2(gamma / 2))));  // |gamma| has a kink
  b.judged = c.usable() && std::isfinite(noise) && std::isfinite(b.relative) && std::isfinite(b.step) && b.step > 0;
}

double distance_needed(const Bars& b, bool frozen, std::size_t j) {
  const double moves = std::max(reach_of(b.channel, frozen, b.step, b.channel.largest_xhat(), j),
                                std::max(b.gamma_step * std::fabs(b.channel.xhat[j]), b.beta_step));
  const double flattest = b.channel.parameters.activation == ABN_IDENTITY ? 1 : std::min(1.0, b.channel.parameters.parameter);  // at the kink
  return kink_margin * moves + b.z_error[j] / flattest;
}

Bars bars_of(Inputs& inputs, std::int64_t c, const abn_claims& claims, const Arithmetic& arithmetic) {
  const bool frozen = inputs.problem.mode == ABN_FROZEN;
  Bars b;
  b.channel = kernel_channel(inputs, c);
  if (!b.channel.usable()) return b.judged = false, b;
  leave_the_kink(inputs, c, 0, [&](const KernelChannel& channel, std::size_t j) {
    if (j == 0) b.channel = channel, choose_step(b, inputs, claims, arithmetic);
    return b.judged ? distance_needed(b, frozen, j) : 0;
  });
  b.channel = kernel_channel(inputs, c);
  choose_step(b, inputs, claims, arithmetic);
  if (!b.judged) return b;
  b.out.assign(b.channel.x.size(), 0);
  if (inputs.problem.activation != ABN_IDENTITY)
    for (std::size_t j = 0; j < b.out.size(); ++j) {
      const bool crosses = std::fabs(b.channel.y[j]) <= distance_needed(b, frozen, j);
      b.out[j] = crosses || !std::isfinite(b.xhat_error[j]) || !std::isfinite(b.phi_error[j]) ? 1 : 0;
    }
  return b;
}

double truncation(double change, double h, double rho) {
  if (change == 0) return 0;
  const double share = h / rho;
  return change / rho * share * share / (1 - share * share);
}

double dx_bar(const Bars& b, bool frozen, std::size_t i, std::size_t j) {
  const KernelChannel& c = b.channel;
  const double count = static_cast<double>(c.x.size());
  if (frozen && i != j) return 0;  // nothing moves, and nothing is passed on
  const double change = b.slope[j] * b.reach[j];
  const double off_middle = 0x1p-53 * (std::fabs(c.x[i]) + b.step) * 2 * change / (b.rho * b.rho);
  const double differences = truncation(change, b.step, b.rho) + b.z_error[j] / b.step + off_middle;
  const double k = b.relative + b.phi_error[j];
  double bracket = i == j ? k : 0;
  if (!frozen) {
    const double xi = std::fabs(c.xhat[i]), xj = std::fabs(c.xhat[j]), ei = b.xhat_error[i], ej = b.xhat_error[j];
    bracket += (k * (1 + xi * xj) + ei * xj + ej * xi + ei * ej) / count;
  }
  return differences + std::fabs(c.g) * c.r * b.slope[j] * bracket;
}

/// Of dz_j/dgamma (factor |xhat_j|, off by factor_error) or dz_j/dbeta (factor 1) with step h.
double parameter_bar(const Bars& b, bool curved, double factor, double factor_error, double h, std::size_t j) {
  constexpr double reach = 0.5;  // of y on the circle, whose radius is reach/factor
  const double slope = slope_at(b.channel, b.channel.y[j]) * (curved ? std::exp(reach) : 1);
  const double bent = curved && factor > 0 ? truncation(slope * reach, h, reach / factor) : 0;
  return bent + b.z_error[j] / h + slope * ((factor + factor_error) * (b.relative + b.phi_error[j]) + factor_error);
}

struct Jacobian {
  const Work& work;
  const Evaluator& evaluator;
  Inputs& inputs;
  std::vector<Bars> bars;
  std::int64_t m, channels;
  bool frozen;

  std::size_t at(std::int64_t c, std::int64_t j) const { return static_cast<std::size_t>(sample_offset(inputs.problem, c, j)); }
  bool left_out(std::int64_t c, std::int64_t j) const {
    const Bars& b = bars[static_cast<std::size_t>(c)];
    return !b.judged || b.out[static_cast<std::size_t>(j)] != 0;
  }

  /// dx for a 1 at sample j of every channel: rows[j], with dgamma and dbeta.
  std::vector<BackwardNumbers> rows(const Saved& saved) const {
    std::vector<BackwardNumbers> out;
    Inputs with = inputs;
    with.dz.assign(with.x.size(), 0.0);
    for (std::int64_t j = 0; j < m; ++j) {
      for (std::int64_t c = 0; c < channels; ++c) with.dz[at(c, j)] = 1;
      out.push_back(evaluator.backward(with, saved));
      for (std::int64_t c = 0; c < channels; ++c) with.dz[at(c, j)] = 0;
    }
    return out;
  }

  void compare_entry(Record& record, double difference, double bar, double backward, const char* what, std::int64_t c, std::int64_t i, std::int64_t j) const {
    Point point;
    point.hi = difference, point.bound = point.fit_bound = bar;
    if (std::fabs(difference) > bar) record.discriminating_cases = 1;
    add_point(record, work.origin, point, backward, ABN_F64, [&] {
      return i < 0 ? fmt::format("dz[c {}, sample {}]/d{}", c, j, what) : fmt::format("dz[c {}, sample {}]/dx[sample {}]", c, j, i);
    });
  }

  void columns(Record& record, const std::vector<BackwardNumbers>& rows) const {
    Inputs plus = inputs, minus = inputs;
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const double h = bars[static_cast<std::size_t>(c)].judged ? bars[static_cast<std::size_t>(c)].step : 0;
        plus.x[at(c, i)] += h, minus.x[at(c, i)] -= h;
      }
      const std::vector<double> above = evaluator.forward(plus).z, below = evaluator.forward(minus).z;
      for (std::int64_t c = 0; c < channels; ++c) {
        const Bars& b = bars[static_cast<std::size_t>(c)];
        const double width = plus.x[at(c, i)] - minus.x[at(c, i)];
        plus.x[at(c, i)] = minus.x[at(c, i)] = inputs.x[at(c, i)];
        for (std::int64_t j = 0; j < m; ++j)
          if (!left_out(c, j))
            compare_entry(record, (above[at(c, j)] - below[at(c, j)]) / width,
                          dx_bar(b, frozen, static_cast<std::size_t>(i), static_cast<std::size_t>(j)), rows[static_cast<std::size_t>(j)].dx[at(c, i)],
                          "x", c, i, j);
      }
    }
  }

  void parameters(Record& record, const std::vector<BackwardNumbers>& rows, bool of_gamma) const {
    if (!inputs.affine) return;
    Inputs plus = inputs, minus = inputs;
    const Format& format = format_of(inputs.problem.param_dtype);
    std::vector<double>&up = of_gamma ? plus.gamma : plus.beta, &down = of_gamma ? minus.gamma : minus.beta;
    for (std::size_t c = 0; c < bars.size(); ++c) {
      const double h = of_gamma ? bars[c].gamma_step : bars[c].beta_step;
      up[c] = round_to(format, up[c] + h), down[c] = round_to(format, down[c] - h);
    }
    const std::vector<double> above = evaluator.forward(plus).z, below = evaluator.forward(minus).z;
    for (std::int64_t c = 0; c < channels; ++c) {
      const Bars& b = bars[static_cast<std::size_t>(c)];
      // Where g = 0 an in-place kernel cannot know xhat; where gamma = 0 |gamma| has no derivative but the one that is agreed on.
      if (of_gamma && (b.channel.g == 0 || (b.channel.parameters.abs_eps && b.channel.parameters.gamma == 0))) continue;
      const auto channel = static_cast<std::size_t>(c);
      const double width = up[channel] - down[channel];
      for (std::int64_t j = 0; j < m; ++j) {
        if (left_out(c, j)) continue;
        const auto sample = static_cast<std::size_t>(j);
        const bool curved = inputs.problem.activation == ABN_ELU && b.channel.y[sample] < 0;
        const double bar = of_gamma ? parameter_bar(b, curved, std::fabs(b.channel.xhat[sample]), b.xhat_error[sample], width / 2, sample)
                                    : parameter_bar(b, curved, 1, 0, width / 2, sample);
        // The parameter's own gradient is stored in its type; and rounding gamma +- h may have moved the middle.
        const double middle = curved ? format.unit_roundoff * (std::fabs(of_gamma ? b.channel.parameters.gamma : b.channel.beta) + width) *
                                           (1 + b.channel.xhat[sample] * b.channel.xhat[sample])
                                     : 0;
        const double got = (of_gamma ? rows[sample].dgamma : rows[sample].dbeta)[channel];
        compare_entry(record, (above[at(c, j)] - below[at(c, j)]) / width, bar + middle + format.unit_roundoff * std::fabs(got), got,
                      of_gamma ? "gamma" : "beta", c, -1, j);
      }
    }
  }
};

}  // namespace

bool is_jacobian(const CheckName& name) { return std::string_view(name.check).starts_with("jacobian_"); }

std::vector<Record> jacobian_records(const Work& work, const Evaluator& evaluator, Inputs inputs) {
  std::vector<CheckName> names;
  std::copy_if(work.wanted.begin(), work.wanted.end(), std::back_inserter(names), is_jacobian);
  std::vector<Record> records;
  if (names.empty()) return records;
  const abn_problem& p = inputs.problem;
  const auto skip_all = [&](const std::string& reason) {
    for (const CheckName& name : names) records.push_back(skip_record(work.origin, name, reason));
    return records;
  };
  const std::int64_t m = sample_count(p);
  if (m > most_jacobian_samples || m * m * p.c > most_jacobian_entries)
    return skip_all(fmt::format("a Jacobian of {} samples a channel and {} channels is too large; use the probes, or a smaller problem", m, p.c));

  const Arithmetic arithmetic = arithmetic_of(p, work.claims);
  Jacobian jacobian{work, evaluator, inputs, {}, m, p.c, p.mode == ABN_FROZEN};
  std::int64_t left_out = 0;
  for (std::int64_t c = 0; c < p.c; ++c) {
    jacobian.bars.push_back(bars_of(inputs, c, work.claims, arithmetic));
    const Bars& b = jacobian.bars.back();
    left_out += !b.judged ? m : std::count(b.out.begin(), b.out.end(), 1);
  }
  if (static_cast<double>(left_out) > most_left_out * static_cast<double>(m * p.c))
    return skip_all(fmt::format("{} of {} outputs are not finite or cannot be kept off the kink; use other data, such as --data standard", left_out, m * p.c));

  const std::vector<BackwardNumbers> rows = jacobian.rows(evaluator.saved(p, evaluator.forward(inputs)));
  for (const CheckName& name : names) {
    Record record = blank_record(work.origin, name.op, name.check, name.kind);
    const std::string_view check = name.check;
    const std::uint64_t before = evaluator.forwards();
    if (check == "jacobian_dx")
      jacobian.columns(record, rows);
    else
      jacobian.parameters(record, rows, check == "jacobian_dgamma");
    if (record.tally.elements == 0) {
      records.push_back(skip_record(work.origin, name, "there is nothing to differentiate by"));
      continue;
    }
    for (Witness& witness : record.witnesses) {
      witness.inputs.emplace_back("forward evaluations", static_cast<double>(evaluator.forwards() - before + 1));
      witness.inputs.emplace_back("backward evaluations", static_cast<double>(m));
      if (left_out > 0) witness.inputs.emplace_back("outputs left out", static_cast<double>(left_out));
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace abn::verify
