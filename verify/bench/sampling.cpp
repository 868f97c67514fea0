// Sets of buffers and quantiles.
#include "verify/bench/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace abn::verify::bench {

int sets_of(double footprint, double cache, double memory) {
  if (!(footprint > 0)) return 0;
  const double wanted = std::clamp(std::ceil(sets_in_caches * cache / footprint),
                                   double{least_sets}, double{most_sets});
  return static_cast<int>(std::min(wanted, std::floor(memory / footprint)));
}

Quantiles quantiles_of(std::vector<double> times) {
  if (times.empty()) return {};
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    const double position = share * static_cast<double>(times.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const std::size_t above = std::min(below + 1, times.size() - 1);
    return times[below] + (position - static_cast<double>(below)) * (times[above] - times[below]);
  };
  return {at(0.5), at(0.1), at(0.9)};
}

double geometric_mean(const std::vector<double>& ratios) {
  if (ratios.empty()) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const double ratio : ratios) sum += std::log(ratio);
  return std::exp(sum / static_cast<double>(ratios.size()));
}

}  // namespace abn::verify::bench
