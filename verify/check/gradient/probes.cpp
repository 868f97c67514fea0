// Cotangents, and what a kernel's backward makes of them beside the exact adjoint and beside
// itself.
#include "verify/check/gradient/probes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "verify/check/gradient/kernel_channel.hpp"
#include "verify/data/random.hpp"
#include "verify/expect/expect.hpp"
#include "verify/judge/kink.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::gradient {
namespace {

/// One pass of the whole pipeline: what backward makes of dz, beside what it should.
struct Passed {
  problem::Inputs inputs;
  call::BackwardNumbers got;
  std::vector<compare::Expectation> expected;
};

Passed pass_back(const call::Evaluator& evaluator, const problem::Inputs& inputs,
                 const problem::Saved& saved, std::vector<double> dz) {
  Passed out{inputs, {}, {}};
  out.inputs.dz = std::move(dz);
  out.got = evaluator.backward(out.inputs, saved);
  out.expected = expect::expect_backward(
      out.inputs, saved, judge::with_kink(out.inputs, saved, evaluator.claims(), out.got));
  return out;
}

const std::vector<double>& values_of(const call::BackwardNumbers& got, compare::Output output) {
  return output == compare::Output::dx       ? got.dx
         : output == compare::Output::dgamma ? got.dgamma
                                             : got.dbeta;
}

/// dx, dgamma and dbeta of one probe, and all probes of one check, are one case.
void add_probe(results::Record& record, const Work& work, const CheckName& name,
               const problem::Saved& saved, const Passed& passed) {
  std::uint64_t limited = record.method_limited_cases, discriminating = record.discriminating_cases,
                failed = record.failed_cases;
  for (const compare::Expectation& expectation : passed.expected) {
    const std::vector<double>& got = values_of(passed.got, expectation.output);
    if (got.size() != expectation.points.size()) continue;  // no affine
    const auto explain = [&](compare::Output output, std::int64_t element) {
      return expect::shares_of(passed.inputs, &saved, work.claims, output, element);
    };
    const results::Record one = judge::judge(work.origin, name.op, passed.inputs, saved,
                                             expectation, got, explain, name.check);
    results::merge(record, one);
    discriminating |= one.discriminating_cases, failed |= one.failed_cases,
        limited |= one.method_limited_cases;
  }
  record.cases = 1;
  record.discriminating_cases = discriminating, record.failed_cases = failed,
  record.method_limited_cases = limited;
  record.cancelled_cases = 0;
}

std::vector<double> constant_probe(const problem::Inputs& inputs, double value) {
  return std::vector<double>(inputs.x.size(), value);
}

std::vector<double> xhat_probe(const problem::Inputs& inputs) {
  std::vector<double> dz = constant_probe(inputs, 0);
  const abn_problem& p = inputs.problem;
  const problem::Format& format = problem::format_of(p.dtype);
  for (std::int64_t c = 0; c < p.c; ++c) {
    const KernelChannel channel = kernel_channel(inputs, c);
    for (std::size_t i = 0; i < channel.xhat.size(); ++i) {
      const double value = problem::round_to(format, channel.xhat[i]);
      dz[static_cast<std::size_t>(problem::sample_offset(p, c, static_cast<std::int64_t>(i)))] =
          std::isfinite(value) ? value : 1;
    }
  }
  return dz;
}

std::vector<double> unit_probe(const problem::Inputs& inputs, std::int64_t at) {
  std::vector<double> dz = constant_probe(inputs, 0);
  for (std::int64_t c = 0; c < inputs.problem.c; ++c)
    dz[static_cast<std::size_t>(problem::sample_offset(inputs.problem, c, at))] = 1;
  return dz;
}

std::vector<double> sign_probe(const problem::Inputs& inputs, const data::Stream& draw) {
  std::vector<double> dz = constant_probe(inputs, 0);
  for (std::size_t i = 0; i < dz.size(); ++i) dz[i] = draw.sign(i);
  return dz;
}

/// Random, of both signs and with a mean, of size `scale`.
std::vector<double> random_probe(const problem::Inputs& inputs, const data::Stream& draw,
                                 double scale) {
  std::vector<double> dz = constant_probe(inputs, 0);
  const problem::Format& format = problem::format_of(inputs.problem.dtype);
  constexpr double mean = 0.25;
  for (std::size_t i = 0; i < dz.size(); ++i)
    dz[i] = problem::round_to(format, scale * (draw.normal(i) + mean));
  return dz;
}

/// phi' from the stored z, branch by sign bit, a saturated z as the next value that can be inverted
/// (cuda/kernel.h).
double stored_slope(const abn_problem& p, double z) {
  return problem::phi_of(p).derivative_from_output(problem::lifted(p, z), std::signbit(z));
}

results::Record adjoint_record(const Work& work, const CheckName& name,
                               const call::Evaluator& evaluator, const problem::Inputs& inputs,
                               const problem::Saved& saved) {
  constexpr double scales[][2] = {{1, 1}, {1, 0x1p-6}, {0x1p5, 0x1p-3}};
  constexpr long double own_rounding =
      // a product of doubles is rounded once in long double, and its sum has few terms that matter
      0x1p-60L;
  results::Record record = judge::blank_record(work.origin, name.op, name.check, name.kind);
  const abn_problem& p = inputs.problem;
  const data::Stream draws = data::Stream(work.one.seed).fork(11);
  std::uint64_t label = 0;
  for (const auto& scale : scales) {
    const Passed u =
        pass_back(evaluator, inputs, saved, random_probe(inputs, draws.fork(label++), scale[0]));
    const Passed v =
        pass_back(evaluator, inputs, saved, random_probe(inputs, draws.fork(label++), scale[1]));
    for (std::int64_t c = 0; c < p.c; ++c) {
      long double left = 0, right = 0, bound = 0, size = 0;
      for (std::int64_t i = 0; i < problem::sample_count(p); ++i) {
        const auto at = static_cast<std::size_t>(problem::sample_offset(p, c, i));
        const long double slope = stored_slope(p, saved.z[at]), du = slope * u.inputs.dz[at],
                          dv = slope * v.inputs.dz[at];
        left += du * v.got.dx[at], right += dv * u.got.dx[at];
        size += std::fabs(du * v.got.dx[at]) + std::fabs(dv * u.got.dx[at]);
        bound += std::fabs(du) * v.expected.front().points[at].bound +
                 std::fabs(dv) * u.expected.front().points[at].bound;
      }
      compare::Point point;
      point.hi = static_cast<double>(left),
      point.lo = static_cast<double>(left - static_cast<long double>(point.hi));
      point.bound = point.fit_bound =
          static_cast<double>(
              bound + own_rounding * static_cast<long double>(problem::sample_count(p)) * size) +
          // `right` as a double
          0x1p-53 * static_cast<double>(std::fabs(right));
      // non-finite data, and what no bound is known for
      if (!std::isfinite(point.bound)) continue;
      if (results::Witness* const witness =
              add_point(record, work.origin, point, static_cast<double>(right), ABN_F64)) {
        if (!witness->reason.empty())
          witness->reason = "sum(phi' u B(v)) is not sum(phi' v B(u)), where B takes dz to dx: " +
                            witness->reason;
        witness->where = fmt::format("sum(phi' u B(v))[c {}], u of size {}, v of size {}", c,
                                     scale[0], scale[1]);
      }
    }
  }
  if (record.tally.elements == 0)
    return skip_record(work.origin, name, "no channel has a finite bound");
  return record;
}

}  // namespace

std::vector<std::int64_t> unit_positions(std::int64_t m) {
  std::set<std::int64_t> at{0, m - 1};
  for (const std::int64_t edge : {1, 31, 32, 33, 255, 256, 257, 1023, 1024})
    if (edge < m) at.insert(edge);
  return {at.begin(), at.end()};
}

bool is_probe(const CheckName& name) {
  return std::string_view(name.check).starts_with("probe_") ||
         std::string_view(name.check) == "adjoint";
}

std::vector<results::Record> probe_records(const Work& work, const call::Evaluator& evaluator,
                                           const problem::Inputs& inputs) {
  std::vector<results::Record> records;
  if (std::none_of(work.wanted.begin(), work.wanted.end(), is_probe)) return records;
  const problem::Saved saved = evaluator.saved(inputs.problem, evaluator.forward(inputs));
  const data::Stream draws = data::Stream(work.one.seed).fork(7);
  for (const CheckName& name : work.wanted) {
    if (!is_probe(name)) continue;
    const std::string_view check = name.check;
    if (check == "adjoint") {
      records.push_back(adjoint_record(work, name, evaluator, inputs, saved));
      continue;
    }
    std::vector<std::vector<double>> probes;
    if (check == "probe_ones") probes.push_back(constant_probe(inputs, 1));
    if (check == "probe_xhat") probes.push_back(xhat_probe(inputs));
    if (check == "probe_units")
      for (const std::int64_t at : unit_positions(problem::sample_count(inputs.problem)))
        probes.push_back(unit_probe(inputs, at));
    if (check == "probe_rademacher")
      for (int k = 0; k < rademacher_probes; ++k)
        probes.push_back(sign_probe(inputs, draws.fork(static_cast<std::uint64_t>(k))));
    results::Record record = judge::blank_record(work.origin, name.op, name.check, name.kind);
    for (auto& dz : probes)
      add_probe(record, work, name, saved, pass_back(evaluator, inputs, saved, std::move(dz)));
    if (check == "probe_rademacher")
      for (results::Witness& witness : record.witnesses) {
        constexpr double missed_once = 13.0 / 16;
        const double one_channel = std::pow(missed_once, rademacher_probes);
        witness.inputs.emplace_back("missed at most, one channel", one_channel);
        witness.inputs.emplace_back("missed at most, all channels",
                                    std::pow(one_channel, static_cast<double>(inputs.problem.c)));
      }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace abn::verify::check::gradient
