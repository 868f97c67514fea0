// Both comparisons.
#include "verify/bench/own_clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "verify/bench/sampling.hpp"

namespace abn::verify::bench {
namespace {

// Events of a GPU are exact to half a microsecond, and its clock is not the processor's.
constexpr double clock_share = 1.01, clock_microseconds = 5;
// How much longer the quickest of one kind of question may be than that of the other without
// anybody's cheating: this, and the distance from the 10th to the 90th percentile of `before`,
// which holds none of the calls.
constexpr double least_scatter = 200;

}  // namespace

std::string impossible_time(const OwnClock& clock) {
  const double said = clock.said.back(), seen = clock.seen.back();
  if (said >= 0 && said <= clock_share * seen + clock_microseconds) return {};
  return fmt::format(
      "its time is no time: its worker says {:.3g} us, and had answered after {:.3g}", said, seen);
}

std::string impossible_times(const OwnClock& clock) {
  double rest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < clock.said.size(); ++i)
    rest = std::min(rest, clock.seen[i] - clock.said[i]);
  const Quantiles said = quantiles_of(clock.said), before = quantiles_of(clock.before);
  const double hidden = rest - *std::min_element(clock.before.begin(), clock.before.end());
  if (hidden <= std::max(said.median, least_scatter + before.p90 - before.p10)) return {};
  return fmt::format(
      "its time is no time: its worker says {:.3g} us for a round, and by the judge's clock it "
      "took "
      "{:.3g}",
      said.median, said.median + hidden);
}

}  // namespace abn::verify::bench
