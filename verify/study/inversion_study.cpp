// From surfaces to limits: which |beta|/|gamma| and which |gamma| a user can work with in place.
#include "verify/study/inversion_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <thread>

#include "cuda/kernel.h"
#include "verify/call/parallel.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::study {
namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double infinite = std::numeric_limits<double>::infinity();
struct ActivationAt {
  int activation;
  double parameter;
};
/// Every activation with a parameter, with those of its parameters that are studied.
std::vector<ActivationAt> studied_activations() {
  std::vector<ActivationAt> all;
  for (const problem::Activation& row : problem::activation_table)
    for (const double parameter : row.studied) all.push_back({row.code, parameter});
  return all;
}
/// The two that everyone uses: mapped, and compared between schemes and accumulate types.
constexpr bool is_usual(const ActivationAt& phi) {
  return phi.parameter == problem::activation_of(phi.activation).default_parameter;
}
constexpr int betas_log10[] = {-3, -2, -1, 0, 1};
constexpr double ratios_shown[] = {0, 1, 100, 10000};

int own_accumulate(int dtype) { return problem::wide_type_of(dtype); }

std::vector<InversionSetting> settings() {
  std::vector<InversionSetting> all;
  for (const int dtype : problem::storage_types)
    for (const ActivationAt& phi : studied_activations()) {
      all.push_back({dtype, phi.activation, phi.parameter, own_accumulate(dtype), ABN_IN_PLACE_1});
      if (!is_usual(phi)) continue;
      all.push_back({dtype, phi.activation, phi.parameter, own_accumulate(dtype), ABN_IN_PLACE_2});
      if (dtype == ABN_F64) continue;
      all.push_back({dtype, phi.activation, phi.parameter, ABN_F64, ABN_IN_PLACE_1});
      all.push_back({dtype, phi.activation, phi.parameter, ABN_F64, ABN_IN_PLACE_2});
    }
  return all;
}

bool is_first_choice(const InversionSetting& s) {
  return s.scheme == ABN_IN_PLACE_1 && s.accumulate == own_accumulate(s.dtype);
}

using Side = double Cost::*;

/// The cost along one line through a surface, positions rising.
struct Line {
  std::vector<double> positions, costs;
};

Line along_ratio(const InversionSurface& surface, std::size_t gamma, Side side) {
  Line line{surface.axes.ratios, {}};
  for (std::size_t j = 0; j < surface.axes.ratios.size(); ++j)
    line.costs.push_back(surface.at(gamma, j).gradient().*side);
  return line;
}

Line along_gamma(const InversionSurface& surface, std::size_t ratio, Side side) {
  Line line{surface.axes.gammas, {}};
  for (std::size_t i = 0; i < surface.axes.gammas.size(); ++i)
    line.costs.push_back(surface.at(i, ratio).gradient().*side);
  return line;
}

/// |gamma| at |beta| = 10^exponent: a diagonal, as both axes have the same steps.
Line at_beta(const InversionSurface& surface, int exponent, Side side) {
  Line line;
  const int steps = inversion_steps, count = static_cast<int>(surface.axes.ratios.size());
  for (int i = 0; i < static_cast<int>(surface.axes.gammas.size()); ++i) {
    // log10 |beta| = log10 |gamma| + log10 ratio; ratio j > 0 is 10^(-2 + (j-1)/steps), gamma i is
    // 10^(-8 + i/steps)
    const int j = 1 + (exponent + 10) * steps - i;
    if (j < 1 || j >= count) continue;
    line.positions.push_back(surface.axes.gammas[static_cast<std::size_t>(i)]);
    line.costs.push_back(
        surface.at(static_cast<std::size_t>(i), static_cast<std::size_t>(j)).gradient().*side);
  }
  return line;
}

Line reversed(Line line) {
  std::reverse(line.positions.begin(), line.positions.end());
  std::reverse(line.costs.begin(), line.costs.end());
  return line;
}

struct Range {
  /// 0 and infinity where the grid ends first; NaN where nothing is safe
  double from = nan_value, to = nan_value;
};

/// The longest run of points that stay below the threshold, its ends between grid points.
Range safe_range(const Line& line) {
  std::size_t best = 0, length = 0;
  for (std::size_t begin = 0; begin < line.costs.size();) {
    std::size_t end = begin;
    while (end < line.costs.size() && line.costs[end] <= inversion_threshold) ++end;
    if (end - begin > length) best = begin, length = end - begin;
    begin = end + 1;
  }
  if (length == 0) return {};
  const auto part = [](const std::vector<double>& all, std::size_t from) {
    return std::vector<double>(all.begin() + static_cast<std::ptrdiff_t>(from), all.end());
  };
  Line below = line;
  below.positions.resize(best + length), below.costs.resize(best + length);
  below = reversed(below);
  const double low = crossing(below.positions, below.costs, inversion_threshold);
  return {std::isinf(low) ? 0 : low,
          crossing(part(line.positions, best), part(line.costs, best), inversion_threshold)};
}

Cell lower_cell(const Range& range, double end) {
  return range.from == 0 ? Cell(fmt::format("< {:.0e}", end)) : Cell(range.from);
}
Cell upper_cell(double value, double end) {
  return std::isinf(value) ? Cell(fmt::format("> {:.0e}", end)) : Cell(value);
}

std::size_t nearest_index(const std::vector<double>& values, double wanted) {
  const auto distance = [&](double value) { return std::fabs(value - wanted); };
  return static_cast<std::size_t>(
      std::min_element(values.begin(), values.end(),
                       [&](double a, double b) { return distance(a) < distance(b); }) -
      values.begin());
}

std::string percent_text() { return fmt::format("{:g} %", 100 * inversion_threshold); }

struct Limits {
  double ratio;  ///< largest |beta|/|gamma| at |gamma| = 1
  Range gamma;   ///< at beta = 0
};
Limits limits_of(const InversionSurface& surface, Side side) {
  const Line ratios = along_ratio(surface, nearest_index(surface.axes.gammas, 1), side);
  return {crossing(ratios.positions, ratios.costs, inversion_threshold),
          safe_range(along_gamma(surface, 0, side))};
}

Table limits_table(const std::vector<InversionSurface>& surfaces) {
  Table table{
      "limits",
      fmt::format("Where in-place costs more than {} of the gradient", percent_text()),
      "|beta|/|gamma| above the first pair (at |gamma| = 1), |gamma| below the second pair or "
      "above the third (at beta = 0) cost more. "
      "A dash: every point does. Predicted is a bound, so it comes earlier than what was measured.",
      {{"storage", ""},
       {"activation", ""},
       {"|beta|/|gamma| up to, predicted", ""},
       {"|beta|/|gamma| up to, measured", ""},
       {"|gamma| from, predicted", ""},
       {"|gamma| from, measured", ""},
       {"|gamma| to, predicted", ""},
       {"|gamma| to, measured", ""}},
      {},
      false};
  for (const InversionSurface& surface : surfaces) {
    if (!is_first_choice(surface.setting)) continue;
    const Limits predicted = limits_of(surface, &Cost::predicted),
                 measured = limits_of(surface, &Cost::measured);
    const double most = surface.axes.ratios.back(), low = surface.axes.gammas.front(),
                 high = surface.axes.gammas.back();
    table.rows.push_back({problem::dtype_name(surface.setting.dtype),
                          activation_text(surface.setting), upper_cell(predicted.ratio, most),
                          upper_cell(measured.ratio, most), lower_cell(predicted.gamma, low),
                          lower_cell(measured.gamma, low), upper_cell(predicted.gamma.to, high),
                          upper_cell(measured.gamma.to, high)});
  }
  return table;
}

Table gamma_table(const std::vector<InversionSurface>& surfaces) {
  Table table{"gamma_at_beta",
              fmt::format("The smallest |gamma| for a given |beta| at which in-place stays within "
                          "{} of the gradient",
                          percent_text()),
              "Below it in-place costs more. A dash: no |gamma| from |beta|/1e6 to 100 |beta| is "
              "safe. With the usual slope 0.01 and alpha 1.",
              {{"storage", ""}, {"activation", ""}},
              {},
              false};
  for (const int exponent : betas_log10)
    for (const char* const side : {"predicted", "measured"})
      table.columns.push_back(
          {fmt::format("|beta| = {:g}, {}", std::pow(10.0, exponent), side), ""});
  for (const InversionSurface& surface : surfaces) {
    if (!is_first_choice(surface.setting) ||
        !is_usual({surface.setting.activation, surface.setting.parameter}))
      continue;
    std::vector<Cell> row{problem::dtype_name(surface.setting.dtype),
                          activation_text(surface.setting)};
    for (const int exponent : betas_log10)
      for (const Side side : {&Cost::predicted, &Cost::measured}) {
        const Line line = at_beta(surface, exponent, side);
        row.push_back(lower_cell(safe_range(line), line.positions.front()));
      }
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// The largest measured/predicted of any gradient in a surface, over points where both are finite.
double largest_share(const InversionSurface& surface) {
  double largest = 0;
  for (const InversionPoint& point : surface.points)
    for (const Cost& cost : {point.dx, point.dgamma, point.dbeta})
      if (std::isfinite(cost.measured) && std::isfinite(cost.predicted) && cost.predicted > 0)
        largest = std::max(largest, cost.measured / cost.predicted);
  return largest;
}

Table schemes_table(const std::vector<InversionSurface>& surfaces) {
  Table table{"schemes",
              "Variant I against II, and the accumulate type",
              "The largest safe |beta|/|gamma| at |gamma| = 1, as above; the share is the largest "
              "measured/predicted at any point of the grid.",
              {{"storage", ""},
               {"activation", ""},
               {"accumulate", ""},
               {"variant", ""},
               {"|beta|/|gamma| up to, predicted", ""},
               {"|beta|/|gamma| up to, measured", ""},
               {"largest share of the bound", ""}},
              {},
              true};
  for (const InversionSurface& surface : surfaces) {
    const InversionSetting& s = surface.setting;
    if (!is_usual({s.activation, s.parameter})) continue;
    table.rows.push_back(
        {problem::dtype_name(s.dtype), activation_text(s), problem::dtype_name(s.accumulate),
         s.scheme == ABN_IN_PLACE_1 ? "I" : "II",
         upper_cell(limits_of(surface, &Cost::predicted).ratio, surface.axes.ratios.back()),
         upper_cell(limits_of(surface, &Cost::measured).ratio, surface.axes.ratios.back()),
         largest_share(surface)});
  }
  return table;
}

Table errors_table(const std::vector<InversionSurface>& surfaces) {
  Table table{"errors",
              "Errors at |gamma| = 1",
              "xhat: largest absolute error of what is recovered, in units of its deviation; dx, "
              "dgamma, dbeta: relative to the gradient's "
              "size before anything cancels.",
              {{"storage", ""},
               {"activation", ""},
               {"|beta|/|gamma|", ""},
               {"xhat, predicted", ""},
               {"xhat, measured", ""},
               {"dx, predicted", ""},
               {"dx, measured", ""},
               {"dgamma, predicted", ""},
               {"dgamma, measured", ""},
               {"dbeta, predicted", ""},
               {"dbeta, measured", ""}},
              {},
              true};
  for (const InversionSurface& surface : surfaces) {
    if (!is_first_choice(surface.setting) ||
        !is_usual({surface.setting.activation, surface.setting.parameter}))
      continue;
    for (const double ratio : ratios_shown) {
      const InversionPoint& p = surface.at(nearest_index(surface.axes.gammas, 1),
                                           nearest_index(surface.axes.ratios, ratio));
      table.rows.push_back({problem::dtype_name(surface.setting.dtype),
                            activation_text(surface.setting), ratio, p.xhat.predicted,
                            p.xhat.measured, p.dx.predicted, p.dx.measured, p.dgamma.predicted,
                            p.dgamma.measured, p.dbeta.predicted, p.dbeta.measured});
    }
  }
  return table;
}

Table elu_table(const std::vector<EluLimit>& limits) {
  Table table{"elu",
              "The y at which ELU must not be used in place",
              "At and below the first pair the stored z is -alpha and y is lost. Below the second "
              "the recovered y is off by more than "
              "0.01, below the third "
              "phi' = z + alpha by more than 1 % of itself.",
              {{"storage", ""},
               {"alpha", ""},
               {"saturates at y, predicted", ""},
               {"saturates at y, measured", ""},
               {"y off by 0.01 below, predicted", ""},
               {"y off by 0.01 below, measured", ""},
               {"phi' off by 1 % below, predicted", ""},
               {"phi' off by 1 % below, measured", ""}},
              {},
              false};
  for (const EluLimit& limit : limits)
    table.rows.push_back({problem::dtype_name(limit.dtype), limit.alpha, limit.saturates_predicted,
                          limit.saturates_measured, limit.y.predicted, limit.y.measured,
                          limit.derivative.predicted, limit.derivative.measured});
  return table;
}

Grid grid_of(const InversionSurface& surface) {
  const std::string dtype = problem::dtype_name(surface.setting.dtype),
                    activation = activation_text(surface.setting);
  Grid grid{dtype + " " + activation,
            fmt::format("Cost of working in place, {}, {}", dtype, activation),
            "error of the gradient",
            "%",
            100 * inversion_threshold,
            {"|beta|/|gamma|", "1", {}},
            {"|gamma|", "1", surface.axes.gammas},
            {},
            {}};
  // 0 has no place on a logarithmic axis
  grid.x.values.assign(surface.axes.ratios.begin() + 1, surface.axes.ratios.end());
  for (std::size_t i = 0; i < surface.axes.gammas.size(); ++i)
    for (std::size_t j = 1; j < surface.axes.ratios.size(); ++j) {
      const Cost cost = surface.at(i, j).gradient();
      grid.measured.push_back(100 * cost.measured);
      grid.predicted.push_back(100 * cost.predicted);
    }
  return grid;
}

std::string number_text(double value) { return fmt::format("{:.3g}", value); }

std::vector<std::string> conclusions_of(const std::vector<InversionSurface>& surfaces,
                                        const std::vector<EluLimit>& limits) {
  std::vector<std::string> sentences;
  for (const InversionSurface& surface : surfaces) {
    const InversionSetting& s = surface.setting;
    if (!is_first_choice(s) || problem::activation_of(s.activation).needs_functions() ||
        !is_usual({s.activation, s.parameter}))
      continue;
    const Limits predicted = limits_of(surface, &Cost::predicted),
                 measured = limits_of(surface, &Cost::measured);
    std::string sentence =
        fmt::format("{}, {}: ", problem::dtype_name(s.dtype), activation_text(s));
    if (std::isinf(measured.ratio) && std::isinf(predicted.ratio))
      sentence += fmt::format(
          "in-place costs less than {} of the gradient for every |beta|/|gamma| up to {:g}",
          percent_text(), surface.axes.ratios.back());
    else
      sentence += fmt::format(
          "in-place costs more than {} of the gradient above |beta|/|gamma| = {} (bound: {})",
          percent_text(),
          std::isinf(measured.ratio)
              ? fmt::format("{:g}, the end of the grid", surface.axes.ratios.back())
              : number_text(measured.ratio),
          number_text(predicted.ratio));
    sentence += predicted.gamma.from > 0
                    ? fmt::format(
                          ", and below |gamma| = {} even without beta (bound: {}), where z nears "
                          "the subnormal numbers.",
                          number_text(measured.gamma.from), number_text(predicted.gamma.from))
                    : ", whatever |gamma| of the grid.";
    sentences.push_back(sentence);
  }
  for (const EluLimit& limit : limits)
    if (limit.alpha == 1)
      sentences.push_back(
          fmt::format("{}, ELU: y must stay above {:.2f}, below which 1 % of phi' is lost (bound: "
                      "{:.2f}); at {:.2f} z saturates and y is gone.",
                      problem::dtype_name(limit.dtype), limit.derivative.measured,
                      limit.derivative.predicted, limit.saturates_measured));
  double share = 0;
  for (const InversionSurface& surface : surfaces) share = std::max(share, largest_share(surface));
  sentences.push_back(
      share <= 1
          ? fmt::format("No measured cost is above its bound; the largest reaches {:.0f} % of it.",
                        100 * share)
          : fmt::format(
                "A measured cost is {:.3g} times its bound: the bound or the kernel is wrong.",
                share));
  return sentences;
}

}  // namespace

double crossing(const std::vector<double>& positions, const std::vector<double>& costs,
                double threshold) {
  const auto above =
      std::find_if(costs.begin(), costs.end(), [&](double cost) { return !(cost <= threshold); });
  if (above == costs.end()) return infinite;
  const auto k = static_cast<std::size_t>(above - costs.begin());
  if (k == 0) return nan_value;
  const double low = positions[k - 1], high = positions[k];
  if (low == 0) return high;
  if (!std::isfinite(costs[k]) || costs[k - 1] <= 0) return low;
  const double part = std::log(threshold / costs[k - 1]) / std::log(costs[k] / costs[k - 1]);
  return low * std::pow(high / low, part);
}

Study inversion_study(std::uint64_t seed, int threads, const StudyProgress& progress) {
  const std::vector<InversionSetting> wanted = settings();
  const InversionAxes axes = inversion_axes(inversion_steps);
  std::vector<InversionSurface> surfaces(wanted.size());
  std::mutex reporting;
  std::size_t done = 0;
  const int workers =
      threads > 0 ? threads : static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u));
  call::in_parallel(wanted.size(), workers, [&](std::size_t i, int) {
    surfaces[i] = inversion_surface(wanted[i], axes, seed);
    const std::lock_guard lock(reporting);
    if (++done; progress) progress(done, wanted.size());
  });
  std::vector<EluLimit> limits;
  for (const int dtype : problem::storage_types)
    for (const ActivationAt& phi : studied_activations())
      if (phi.activation == ABN_ELU) limits.push_back(elu_limit(dtype, phi.parameter));

  Study study;
  study.name = "inversion";
  study.title = "What working in place costs";
  study.summary = fmt::format(
      "Channels of {} samples with |gamma| from 1e-8 to 10 and |beta|/|gamma| 0 and from 1e-2 to "
      "1e6, beta of both signs: the gradient "
      "that an in-place "
      "backward computes from the stored z, against the exact one at the unrounded x, relative to "
      "its size before anything cancels. "
      "Measured with the "
      "reference as a kernel, predicted by its error bound.",
      inversion_samples);
  study.seed = seed;
  study.settings = {{"samples a channel", std::to_string(inversion_samples)},
                    {"points a decade", std::to_string(inversion_steps)},
                    {"eps", "0"},
                    {"variant", "I, unless the table says II"},
                    {"accumulate", "f32 (f64 for f64), unless the table says otherwise"}};
  study.conclusions = conclusions_of(surfaces, limits);
  study.tables = {limits_table(surfaces), gamma_table(surfaces), elu_table(limits),
                  errors_table(surfaces), schemes_table(surfaces)};
  for (const InversionSurface& surface : surfaces)
    if (is_first_choice(surface.setting) &&
        is_usual({surface.setting.activation, surface.setting.parameter}))
      study.grids.push_back(grid_of(surface));
  return study;
}

}  // namespace abn::verify::study
