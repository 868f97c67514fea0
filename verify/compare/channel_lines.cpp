// A tally for each channel, and the worst of them in words.
#include "verify/compare/channel_lines.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "verify/compare/compare.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::compare {

std::vector<ChannelLine> channel_lines(const abn_problem& problem, const Expectation& expectation,
                                       const std::vector<double>& got, const Explain& explain) {
  const bool tensor = is_tensor(expectation.output);
  const problem::Format& format = problem::format_of(expectation.dtype);
  const std::int64_t samples = tensor ? problem::sample_count(problem) : 1;
  std::vector<Tally> tallies(static_cast<std::size_t>(problem.c));
  for (std::size_t c = 0; c < tallies.size(); ++c)
    for (std::int64_t i = 0; i < samples; ++i) {
      const std::int64_t at = tensor
                                  ? problem::sample_offset(problem, static_cast<std::int64_t>(c), i)
                                  : static_cast<std::int64_t>(c);
      const auto k = static_cast<std::size_t>(at);
      tallies[c].add(at, expectation.points[k], got[k],
                     compare(expectation.points[k], got[k], format));
    }
  std::vector<std::size_t> order(tallies.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (tallies[a].failed != tallies[b].failed) return tallies[a].failed > tallies[b].failed;
    return tallies[a].max_ratio > tallies[b].max_ratio;
  });
  if (order.size() > most_channel_lines) order.resize(most_channel_lines);
  std::vector<ChannelLine> lines;
  for (const std::size_t c : order) {
    const Tally& tally = tallies[c];
    if (tally.elements == 0) continue;
    const auto count = static_cast<double>(tally.elements);
    ChannelLine line;
    line.channel = static_cast<std::int64_t>(c), line.elements = tally.elements,
    line.failed = tally.failed;
    line.max_ratio = tally.max_ratio, line.mean_ratio = tally.sum_ratio / count,
    line.p99_ratio = tally.p99_ratio();
    line.mean_ulp = tally.sum_ulp / count;
    // A NaN has a sign and a payload, which differ between machines and would make files differ.
    if (c < expectation.channels.size())
      line.kappa = std::isnan(expectation.channels[c].kappa)
                       ? std::numeric_limits<double>::quiet_NaN()
                       : expectation.channels[c].kappa;
    if (expectation.points[static_cast<std::size_t>(tally.worst)].bound > 0) {
      const Shares shares = explain(expectation.output, tally.worst);
      const auto largest = std::max_element(shares.begin(), shares.end());
      if (*largest > 0) line.dominating = term_name(static_cast<Term>(largest - shares.begin()));
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace abn::verify::compare
