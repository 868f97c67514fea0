// Observations of bias, and what they say.
#include "verify/compare/bias.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "verify/problem/format.hpp"

namespace abn::verify::compare {
namespace {

double mean_of(const Lean& lean, std::uint64_t cases) {
  return lean.sum / static_cast<double>(cases);
}

bool is_named(const Lean& lean, std::uint64_t cases) {
  if (cases < Bias::least_cases) return false;
  const double k = static_cast<double>(cases), mean = lean.sum / k;
  const double variance = std::max(0.0, lean.squares / k - mean * mean) * k / (k - 1);
  return std::fabs(mean) >= Bias::least_lean &&
         mean * mean * k >= Bias::least_t * Bias::least_t * variance;
}

}  // namespace

Bias bias_of(const Expectation& expectation, std::span<const double> got) {
  const problem::Format& format = problem::format_of(expectation.dtype);
  double up = 0, outward = 0, elements = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const Point& point = expectation.points[i];
    const double error = (got[i] - point.hi) - point.lo;
    if (!std::isfinite(error) || point.hi == 0) continue;
    const double ulp =
        std::clamp(error / problem::ulp_of(format, point.hi), -Bias::most_ulp, Bias::most_ulp);
    up += ulp, outward += point.hi < 0 ? -ulp : ulp, elements += 1;
  }
  if (elements == 0) return {};
  const auto one = [&](double sum) {
    return Lean{sum / elements, (sum / elements) * (sum / elements)};
  };
  return {1, one(up), one(outward)};
}

std::string bias_text(const Bias& bias) {
  const bool is_outward = is_named(bias.outward, bias.cases), is_up = is_named(bias.up, bias.cases);
  if (!is_outward && !is_up) return {};
  const double outward = is_outward ? mean_of(bias.outward, bias.cases) : 0,
               up = is_up ? mean_of(bias.up, bias.cases) : 0;
  const bool by_size = std::fabs(outward) >= std::fabs(up);
  const double lean = by_size ? outward : up;
  const char* const side = by_size ? (lean < 0 ? "towards zero" : "away from zero")
                                   : (lean < 0 ? "towards -infinity" : "towards +infinity");
  return fmt::format("errors lean {}, {:.2g} ulp on average over {} cases", side, std::fabs(lean),
                     bias.cases);
}

}  // namespace abn::verify::compare
