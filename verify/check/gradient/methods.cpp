// The noise of a function from the differences of its values.
#include "verify/check/gradient/methods.hpp"

#include <stdexcept>
#include <vector>

namespace abn::verify::check::gradient {
namespace {

constexpr std::size_t fewest_values = 6;
constexpr std::size_t agreeing_orders = 3;  // as More and Wild: three orders in a row ...
constexpr double agreement = 4;             // ... whose estimates are within this factor ...

/// ... and differences that change sign, as those of noise do and those of a smooth function do
/// not.
bool changes_sign(const std::vector<double>& differences) {
  const auto [low, high] = std::minmax_element(differences.begin(), differences.end());
  return *low < 0 && *high > 0;
}

}  // namespace

double measured_noise(std::span<const double> values_at_equal_steps) {
  if (values_at_equal_steps.size() < fewest_values)
    throw std::invalid_argument(
        "The noise of a function needs at least 6 values at equal steps; evaluate it at more "
        "points.");
  std::vector<double> differences(values_at_equal_steps.begin(), values_at_equal_steps.end());
  if (std::all_of(differences.begin(), differences.end(),
                  [&](double value) { return value == differences.front(); }))
    return 0;

  std::vector<double> levels;
  std::vector<bool> signs;
  double factor = 1;  // (k!)^2 / (2k)!
  for (std::size_t order = 1; differences.size() > 1; ++order) {
    for (std::size_t i = 0; i + 1 < differences.size(); ++i)
      differences[i] = differences[i + 1] - differences[i];
    differences.pop_back();
    factor *= static_cast<double>(order) / (2 * (2 * static_cast<double>(order) - 1));
    double squares = 0;
    for (const double difference : differences) squares += difference * difference;
    levels.push_back(std::sqrt(factor * squares / static_cast<double>(differences.size())));
    signs.push_back(changes_sign(differences));
  }
  for (std::size_t first = 0; first + agreeing_orders <= levels.size(); ++first) {
    const auto begin = levels.begin() + static_cast<std::ptrdiff_t>(first);
    const auto [low, high] = std::minmax_element(begin, begin + agreeing_orders);
    if (signs[first] && *high <= agreement * *low) return levels[first];
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace abn::verify::check::gradient
