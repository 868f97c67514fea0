// The rows by backward, the columns by differences.
#include "verify/check/gradient/jacobian.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "verify/check/gradient/channel_differences.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::gradient {
namespace {

constexpr double most_left_out = 0.01;  // of a case's outputs, for their nearness to the kink

struct Jacobian {
  const Work& work;
  const call::Evaluator& evaluator;
  problem::Inputs& inputs;
  std::vector<ChannelDifferences> differences;
  std::int64_t m, channels;

  std::size_t at(std::int64_t c, std::int64_t j) const {
    return static_cast<std::size_t>(problem::sample_offset(inputs.problem, c, j));
  }
  const ChannelDifferences& of(std::int64_t c) const {
    return differences[static_cast<std::size_t>(c)];
  }
  bool left_out(std::int64_t c, std::int64_t j) const {
    const ChannelDifferences& d = of(c);
    return !d.judged || d.out[static_cast<std::size_t>(j)] != 0;
  }

  /// dx for a 1 at sample j of every channel: rows[j], with dgamma and dbeta.
  std::vector<call::BackwardNumbers> rows(const problem::Saved& saved) const {
    std::vector<call::BackwardNumbers> out;
    problem::Inputs with = inputs;
    with.dz.assign(with.x.size(), 0.0);
    for (std::int64_t j = 0; j < m; ++j) {
      for (std::int64_t c = 0; c < channels; ++c) with.dz[at(c, j)] = 1;
      out.push_back(evaluator.backward(with, saved));
      for (std::int64_t c = 0; c < channels; ++c) with.dz[at(c, j)] = 0;
    }
    return out;
  }

  void compare_entry(results::Record& record, double difference, double bar, double backward,
                     const char* what, std::int64_t c, std::int64_t i, std::int64_t j) const {
    compare::Point point;
    point.hi = difference, point.bound = point.fit_bound = bar;
    if (std::fabs(difference) > bar) record.discriminating_cases = 1;
    results::Witness* const witness = add_point(record, work.origin, point, backward, ABN_F64);
    if (witness == nullptr) return;
    witness->where = i < 0 ? fmt::format("dz[c {}, sample {}]/d{}", c, j, what)
                           : fmt::format("dz[c {}, sample {}]/dx[sample {}]", c, j, i);
  }

  void columns(results::Record& record, const std::vector<call::BackwardNumbers>& rows) const {
    problem::Inputs plus = inputs, minus = inputs;
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const double h = of(c).judged ? of(c).step : 0;
        plus.x[at(c, i)] += h, minus.x[at(c, i)] -= h;
      }
      const std::vector<double> above = evaluator.forward(plus).z,
                                below = evaluator.forward(minus).z;
      for (std::int64_t c = 0; c < channels; ++c) {
        const double width = plus.x[at(c, i)] - minus.x[at(c, i)];
        plus.x[at(c, i)] = minus.x[at(c, i)] = inputs.x[at(c, i)];
        for (std::int64_t j = 0; j < m; ++j)
          if (!left_out(c, j))
            compare_entry(record, (above[at(c, j)] - below[at(c, j)]) / width,
                          of(c).dx_bar(static_cast<std::size_t>(i), static_cast<std::size_t>(j)),
                          rows[static_cast<std::size_t>(j)].dx[at(c, i)], "x", c, i, j);
      }
    }
  }

  void parameters(results::Record& record, const std::vector<call::BackwardNumbers>& rows,
                  bool of_gamma) const {
    if (!inputs.affine) return;
    problem::Inputs plus = inputs, minus = inputs;
    const problem::Format& format = problem::format_of(inputs.problem.param_dtype);
    std::vector<double>&up = of_gamma ? plus.gamma : plus.beta,
    &down = of_gamma ? minus.gamma : minus.beta;
    for (std::size_t c = 0; c < differences.size(); ++c) {
      const double h = of_gamma ? differences[c].gamma_step : differences[c].beta_step;
      up[c] = problem::round_to(format, up[c] + h),
      down[c] = problem::round_to(format, down[c] - h);
    }
    const std::vector<double> above = evaluator.forward(plus).z, below = evaluator.forward(minus).z;
    for (std::int64_t c = 0; c < channels; ++c) {
      const ChannelDifferences& d = of(c);
      if (of_gamma && !d.has_dgamma()) continue;
      const auto channel = static_cast<std::size_t>(c);
      const double width = up[channel] - down[channel];
      for (std::int64_t j = 0; j < m; ++j) {
        if (left_out(c, j)) continue;
        const auto sample = static_cast<std::size_t>(j);
        const double got = (of_gamma ? rows[sample].dgamma : rows[sample].dbeta)[channel];
        const double bar = of_gamma ? d.dgamma_bar(sample, width, got, format)
                                    : d.dbeta_bar(sample, width, got, format);
        compare_entry(record, (above[at(c, j)] - below[at(c, j)]) / width, bar, got,
                      of_gamma ? "gamma" : "beta", c, -1, j);
      }
    }
  }
};

}  // namespace

bool is_jacobian(const CheckName& name) {
  return std::string_view(name.check).starts_with("jacobian_");
}

std::vector<results::Record> jacobian_records(const Work& work, const call::Evaluator& evaluator,
                                              problem::Inputs inputs) {
  std::vector<CheckName> names;
  std::copy_if(work.wanted.begin(), work.wanted.end(), std::back_inserter(names), is_jacobian);
  std::vector<results::Record> records;
  if (names.empty()) return records;
  const abn_problem& p = inputs.problem;
  const auto skip_all = [&](const std::string& reason) {
    for (const CheckName& name : names) records.push_back(skip_record(work.origin, name, reason));
    return records;
  };
  const std::int64_t m = problem::sample_count(p);
  if (m > most_jacobian_samples || m * m * p.c > most_jacobian_entries)
    return skip_all(
        fmt::format("a Jacobian of {} samples a channel and {} channels is too large; use the "
                    "probes, or a smaller problem",
                    m, p.c));

  const bound::Arithmetic arithmetic = bound::arithmetic_of(p, work.claims);
  Jacobian jacobian{work, evaluator, inputs, {}, m, p.c};
  std::int64_t left_out = 0;
  for (std::int64_t c = 0; c < p.c; ++c) {
    jacobian.differences.push_back(channel_differences(inputs, c, work.claims, arithmetic));
    const ChannelDifferences& d = jacobian.differences.back();
    left_out += !d.judged ? m : std::count(d.out.begin(), d.out.end(), 1);
  }
  if (static_cast<double>(left_out) > most_left_out * static_cast<double>(m * p.c))
    return skip_all(
        fmt::format("{} of {} outputs are not finite or cannot be kept off the kink; use other "
                    "data, such as --data standard",
                    left_out, m * p.c));

  const std::vector<call::BackwardNumbers> rows =
      jacobian.rows(evaluator.saved(p, evaluator.forward(inputs)));
  for (const CheckName& name : names) {
    results::Record record = judge::blank_record(work.origin, name.op, name.check, name.kind);
    const std::string_view check = name.check;
    if (check == "jacobian_dx")
      jacobian.columns(record, rows);
    else
      jacobian.parameters(record, rows, check == "jacobian_dgamma");
    if (record.tally.elements == 0) {
      records.push_back(skip_record(work.origin, name, "there is nothing to differentiate by"));
      continue;
    }
    if (left_out > 0)
      for (results::Witness& witness : record.witnesses)
        witness.inputs.emplace_back("outputs left out", static_cast<double>(left_out));
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace abn::verify::check::gradient
