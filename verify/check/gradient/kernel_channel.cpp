// Statistics of a channel, and samples moved until none is at the kink.
#include "verify/check/gradient/kernel_channel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "verify/expect/shared.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::gradient {

bool KernelChannel::usable() const {
  if (!(r > 0) || !std::isfinite(r) || !std::isfinite(g) || !std::isfinite(beta)) return false;
  return std::all_of(y.begin(), y.end(), [](double value) { return std::isfinite(value); });
}

double KernelChannel::largest_xhat() const {
  double largest = 0;
  for (const double value : xhat) largest = std::max(largest, std::fabs(value));
  return largest;
}

KernelChannel kernel_channel(const problem::Inputs& inputs, std::int64_t c) {
  KernelChannel out;
  const auto at = static_cast<std::size_t>(c);
  out.parameters = expect::parameters_of(inputs, at);
  out.phi = problem::phi_of(inputs.problem);
  expect::gather(inputs.problem, inputs.x, c, out.x);
  const auto count = static_cast<double>(out.x.size());
  if (inputs.problem.mode == ABN_TRAINING) {
    long double sum = 0, squares = 0;
    for (const double value : out.x) sum += value;
    const long double mean = sum / count;
    for (const double value : out.x) squares += (value - mean) * (value - mean);
    out.mean = static_cast<double>(mean), out.variance = static_cast<double>(squares / count);
  } else {
    out.mean = inputs.running_mean[at], out.variance = inputs.running_var[at];
  }
  out.r = 1 / std::sqrt(out.variance + out.parameters.eps);
  out.g = out.parameters.abs_eps ? std::fabs(out.parameters.gamma) + out.parameters.eps
                                 : out.parameters.gamma;
  out.beta = out.parameters.beta;
  for (const double value : out.x) {
    out.xhat.push_back((value - out.mean) * out.r);
    out.y.push_back(out.g * out.xhat.back() + out.beta);
  }
  return out;
}

std::int64_t leave_the_kink(
    problem::Inputs& inputs, std::int64_t c, double grid,
    const std::function<double(const KernelChannel&, std::size_t)>& margin) {
  constexpr int rounds = 30;  // a moved sample moves the statistics, and they the others
  const problem::Format& format = problem::format_of(inputs.problem.dtype);
  for (int round = 0;; ++round) {
    const KernelChannel channel = kernel_channel(inputs, c);
    const double scale = std::fabs(channel.g) * channel.r;
    if (channel.phi.linear() || !channel.usable() || scale == 0) return 0;
    std::int64_t near = 0;
    for (std::size_t j = 0; j < channel.x.size(); ++j) {
      const double wanted = margin(channel, j);
      if (std::fabs(channel.y[j]) > wanted) continue;
      ++near;
      const double shift = std::copysign(1.5 * wanted / scale, channel.g * channel.y[j]);
      double moved = channel.x[j] + shift;
      if (grid > 0) moved = std::round(moved / grid) * grid;
      inputs.x[static_cast<std::size_t>(problem::sample_offset(
          inputs.problem, c, static_cast<std::int64_t>(j)))] = problem::round_to(format, moved);
    }
    if (near == 0 || round == rounds) return near;
  }
}

results::Witness* add_point(results::Record& record, const judge::Origin& origin,
                            const compare::Point& point, double got, int dtype) {
  const problem::Format& format = problem::format_of(dtype);
  const compare::Comparison comparison = compare::compare(point, got, format);
  const std::int64_t before = record.tally.worst;
  record.tally.add(static_cast<std::int64_t>(record.tally.elements), point, got, comparison);
  if (!comparison.passed) record.failed_cases = 1, record.verdict = results::Verdict::fail;
  if (record.tally.worst == before) return nullptr;
  results::Witness witness = judge::blank_witness(origin, record.id);
  witness.expected = point.hi, witness.expected_low = point.lo, witness.got = got;
  witness.got_bits = fmt::format("0x{:0{}x}", problem::bits_of(format, got), 2 * format.bytes);
  witness.error = comparison.error, witness.bound = point.bound, witness.ratio = comparison.ratio,
  witness.ulp = comparison.ulp;
  witness.reason = comparison.reason;
  record.witnesses.assign(1, std::move(witness));
  return &record.witnesses.front();
}

}  // namespace abn::verify::check::gradient
