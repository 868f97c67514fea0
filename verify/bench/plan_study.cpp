// Choices and candidates, and measured times beside predicted ones.
#include "verify/bench/plan_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>

#include "cuda/plan.h"
#include "verify/bench/sampling.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::bench {
namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

std::size_t column_of(const study::Table& table, const std::string& name) {
  const auto at = std::find_if(table.columns.begin(), table.columns.end(),
                               [&](const study::Column& column) { return column.name == name; });
  if (at == table.columns.end())
    throw problem::UsageError(fmt::format(
        "the table \"{}\" has no column \"{}\"; measure with this version of abn-verify bench",
        table.name, name));
  return static_cast<std::size_t>(at - table.columns.begin());
}

/// Microseconds by problem and direction.
std::map<std::string, double> times_of_auto(const study::Study& study) {
  std::map<std::string, double> times;
  const auto table = std::find_if(study.tables.begin(), study.tables.end(),
                                  [](const study::Table& one) { return one.name == "times"; });
  if (table != study.tables.end()) {
    const std::size_t problem = column_of(*table, "problem"), op = column_of(*table, "op"),
                      variant = column_of(*table, "variant"),
                      time = column_of(*table, "time, median");
    for (const auto& row : table->rows) {
      const auto word = [&](std::size_t i) {
        return i < row.size() && std::holds_alternative<std::string>(row[i])
                   ? std::get<std::string>(row[i])
                   : "";
      };
      if (word(variant) != "auto" || time >= row.size() ||
          !std::holds_alternative<double>(row[time]))
        continue;
      times[word(problem) + " " + word(op)] = std::get<double>(row[time]);
    }
  }
  if (times.empty())
    throw problem::UsageError(
        "The file given to --measured holds no times of auto; make one with abn-verify bench auto "
        "--out FILE");
  return times;
}

std::vector<study::Column> columns_of(bool all, bool measured, bool counted) {
  std::vector<study::Column> columns{{"layer", ""},
                                     {"problem", ""},
                                     {"op", ""},
                                     {"kernel", ""},
                                     {"tensor sizes moved", ""},
                                     {"moved", "MB"},
                                     {"predicted", "us"},
                                     {"launches", ""},
                                     {"blocks", ""},
                                     {"in flight", ""},
                                     {"waves", ""},
                                     {"barriers", ""},
                                     {"shared memory of a block", "KiB"}};
  if (all) columns.push_back({"chosen", ""});
  if (measured)
    columns.push_back({"measured", "us"}), columns.push_back({"measured / predicted", ""});
  if (counted)
    for (const char* const name : {"instructions for 16 bytes", "the memory's pace leaves",
                                   "branches that parted", "replays"})
      columns.push_back({name, ""});
  columns.push_back({"what takes the time", ""});
  return columns;
}

std::vector<study::Cell> cells_of(const SpeedProblem& subject, const char* op, const PlanRow& row) {
  const auto number = [&](double value) { return study::Cell(row.possible ? value : nothing); };
  return {subject.layer,
          problem::to_string(subject.problem),
          std::string(op),
          row.kernel,
          number(row.tensor_sizes),
          number(row.bytes / 1e6),
          number(row.microseconds),
          number(row.launches),
          number(static_cast<double>(row.blocks)),
          number(static_cast<double>(row.in_flight)),
          number(row.waves),
          number(row.barriers),
          number(row.shared_bytes / 1024)};
}

}  // namespace

study::Study plan_study(std::span<const SpeedProblem> problems, const study::Study* measured,
                        const CountsByCall& counted) {
  const std::map<std::string, double> times =
      measured != nullptr ? times_of_auto(*measured) : std::map<std::string, double>{};
  const Machine machine;
  study::Study study;
  study.name = "plan";
  study.title = "What auto chooses";
  study.summary =
      "The cost model of auto: for every problem the candidates, and the one with the least "
      "predicted time. Predictions rank kernels; none "
      "of them is a measurement.";
  study.settings = {{"processors", fmt::format("{}", machine.processors)},
                    {"bandwidth", fmt::format("{:g} TB/s", machine.bandwidth / 1e12)},
                    {"second-level cache", fmt::format("{:g} MB", machine.cache_bytes / 1e6)}};
  if (measured != nullptr)
    for (const auto& [name, value] : measured->settings)
      study.settings.emplace_back("measured, " + name, value);
  study::Table choices{"choices",
                       "The kernel for every problem",
                       "",
                       columns_of(false, measured != nullptr, !counted.empty()),
                       {}};
  study::Table candidates{
      "candidates", "Every candidate", "A dash: not possible.", columns_of(true, false, false), {},
      true};
  std::map<std::string, int> taken;
  std::vector<double> ratios;
  int count = 0;
  for (const SpeedProblem& subject : problems)
    for (const int direction : {ABN_FORWARD, ABN_BACKWARD}) {
      const char* const op = direction == ABN_FORWARD ? "forward" : "backward";
      for (const PlanRow& row : plan_rows(subject.problem, direction)) {
        std::vector<study::Cell> cells = cells_of(subject, op, row);
        std::vector<study::Cell> all = cells;
        all.emplace_back(std::string(row.chosen ? "yes" : "no"));
        all.emplace_back(row.why);
        candidates.rows.push_back(std::move(all));
        if (!row.chosen) continue;
        ++count, ++taken[row.kernel.substr(0, row.kernel.find(" of "))];
        if (measured != nullptr) {
          const auto at = times.find(problem::to_string(subject.problem) + " " + op);
          const double time = at == times.end() ? nothing : at->second;
          if (time > 0) ratios.push_back(time / row.microseconds);
          cells.emplace_back(time);
          cells.emplace_back(time / row.microseconds);
        }
        if (const auto at = counted.find(problem::to_string(subject.problem) + " " + op);
            at != counted.end()) {
          const Counts& counts = at->second;
          cells.emplace_back(counts.instructions);
          cells.emplace_back(counts.budget);
          cells.emplace_back(static_cast<double>(counts.divergences));
          cells.emplace_back(static_cast<double>(counts.replays));
          study.conclusions.push_back(fmt::format(
              "{} {}, {}: {:.0f} instructions for each 16 bytes of a tensor; the memory's pace on "
              "an H100 leaves {:.0f}.",
              problem::to_string(subject.problem), op, row.kernel, counts.instructions,
              counts.budget));
        } else if (!counted.empty()) {
          cells.insert(cells.end(), 4, nothing);
        }
        cells.emplace_back(row.why);
        choices.rows.push_back(std::move(cells));
      }
    }
  for (const auto& [kernel, times_taken] : taken)
    study.conclusions.push_back(fmt::format("{}: {} of {} choices.", kernel, times_taken, count));
  if (!ratios.empty())
    study.conclusions.push_back(fmt::format(
        "Measured over predicted time: {:.2f} in the geometric mean of {} problems, {:.2f} to "
        "{:.2f}.",
        geometric_mean(ratios), ratios.size(), *std::min_element(ratios.begin(), ratios.end()),
        *std::max_element(ratios.begin(), ratios.end())));
  constexpr std::size_t most_rows_shown = 150;
  choices.detail = choices.rows.size() > most_rows_shown;
  study.tables.push_back(std::move(choices));
  study.tables.push_back(std::move(candidates));
  return study;
}

}  // namespace abn::verify::bench
