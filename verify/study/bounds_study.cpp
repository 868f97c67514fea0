// From the largest ratios of every class to tables: an overview, one line a pair of types, and
// every class as evidence.
#include "verify/study/bounds_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <thread>

#include "verify/call/parallel.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::study {
namespace {

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

/// One output of one class, its cells by decade of kappa.
struct Row {
  KernelClass declared;
  compare::Output output = compare::Output::z;
  std::uint64_t channels = 0;
  std::array<BoundsCell, kappa_decades> cells{};
};

bool is_forward(compare::Output output) {
  return output != compare::Output::dx && output != compare::Output::dgamma &&
         output != compare::Output::dbeta;
}

/// Does the bound of this output tell the two classes apart? Forward knows nothing of the scheme;
/// backward has the statistics as saved.
bool is_same(compare::Output output, const KernelClass& a, const KernelClass& b) {
  return a.dtype == b.dtype && a.accumulate == b.accumulate && a.folded == b.folded &&
         a.summation == b.summation &&
         (is_forward(output) ? a.statistics == b.statistics : a.scheme == b.scheme);
}

/// Classes that share a bound add up.
std::vector<Row> rows_of(const std::vector<BoundsResult>& results) {
  std::vector<Row> rows;
  for (const BoundsResult& result : results) {
    if (!convention_text(result.declared).empty()) continue;
    for (const compare::Output output : bounds_outputs) {
      const auto& cells = result.of(output);
      if (std::all_of(cells.begin(), cells.end(),
                      [](const BoundsCell& cell) { return cell.judged + cell.void_ == 0; }))
        continue;
      auto at = std::find_if(rows.begin(), rows.end(), [&](const Row& row) {
        return row.output == output && is_same(output, row.declared, result.declared);
      });
      if (at == rows.end()) at = rows.insert(rows.end(), Row{result.declared, output, 0, {}});
      at->channels += result.channels;
      for (std::size_t k = 0; k < cells.size(); ++k) at->cells[k] += cells[k];
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.output < b.output; });
  return rows;
}

/// What a set of cells comes to.
struct Sharpness {
  double largest = nan_value, median = nan_value, smallest = nan_value;
  double cells = 0, loose = 0, nothing = 0;
};
Sharpness sharpness_of(const std::vector<Row>& rows,
                       const std::function<bool(const Row&)>& wanted) {
  Sharpness out;
  std::vector<double> ratios;
  for (const Row& row : rows) {
    if (!wanted(row)) continue;
    for (const BoundsCell& cell : row.cells) {
      if (cell.judged == 0) {
        out.nothing += cell.void_ > 0 ? 1 : 0;
        continue;
      }
      ratios.push_back(cell.largest);
      out.loose += is_loose(row.output, cell) ? 1 : 0;
    }
  }
  out.cells = static_cast<double>(ratios.size());
  if (ratios.empty()) return out;
  std::sort(ratios.begin(), ratios.end());
  out.largest = ratios.back();
  out.median = ratios[ratios.size() / 2];
  out.smallest = ratios.front();
  return out;
}

Table overview_table(const std::vector<Row>& rows) {
  Table table{"overview",
              "How sharp the bounds are",
              fmt::format("Largest error/bound of right kernels, a cell for each class and decade "
                          "of kappa. Loose: below {:g} for z, xhat and dx, "
                          "below {:g} for sums. Empty: first order has ended, or a sum leaves its "
                          "type, and nothing is demanded.",
                          sharp_element, sharp_reduction),
              {{"output", ""},
               {"largest", ""},
               {"median cell", ""},
               {"smallest cell", ""},
               {"cells", ""},
               {"loose", ""},
               {"empty", ""}},
              {},
              false};
  for (const compare::Output output : bounds_outputs) {
    const Sharpness s = sharpness_of(rows, [&](const Row& row) { return row.output == output; });
    table.rows.push_back({compare::output_name(output), s.largest, s.median, s.smallest, s.cells,
                          s.loose, s.nothing});
  }
  return table;
}

Table types_table(const std::vector<Row>& rows) {
  Table table{"types",
              "By type",
              "Largest error/bound of any class, and how many of its cells are loose.",
              {{"storage", ""}, {"accumulate", ""}},
              {},
              false};
  for (const compare::Output output : bounds_outputs) {
    table.columns.push_back({fmt::format("{}, largest", compare::output_name(output)), ""});
    table.columns.push_back({fmt::format("{}, loose", compare::output_name(output)), ""});
  }
  std::vector<const Row*> pairs;
  for (const Row& row : rows) {
    const auto same = [&](const Row* other) {
      return other->declared.dtype == row.declared.dtype &&
             other->declared.accumulate == row.declared.accumulate;
    };
    if (std::none_of(pairs.begin(), pairs.end(), same)) pairs.push_back(&row);
  }
  for (const Row* const pair : pairs) {
    std::vector<Cell> cells{problem::dtype_name(pair->declared.dtype),
                            problem::dtype_name(pair->declared.accumulate)};
    for (const compare::Output output : bounds_outputs) {
      const Sharpness s = sharpness_of(rows, [&](const Row& row) {
        return row.output == output && row.declared.dtype == pair->declared.dtype &&
               row.declared.accumulate == pair->declared.accumulate;
      });
      cells.emplace_back(s.largest);
      cells.emplace_back(fmt::format("{} of {}", s.loose, s.cells));
    }
    table.rows.push_back(std::move(cells));
  }
  return table;
}

/// "1e3, 1e4 (exact)": the decades whose cell is loose.
std::string loose_text(const Row& row) {
  std::string text;
  for (std::size_t k = 0; k < row.cells.size(); ++k)
    if (is_loose(row.output, row.cells[k]))
      text += fmt::format("{}1e{}{}", text.empty() ? "" : " ", k,
                          row.cells[k].largest == 0 ? " (exact)" : "");
  return text;
}

void add_kappa_columns(Table& table) {
  for (int k = 0; k < kappa_decades; ++k)
    table.columns.push_back({fmt::format("kappa from, 1e{}", k), ""});
  table.columns.push_back({"loose from", ""});
  table.columns.push_back({"channels", ""});
}

/// `cells` say whose row it is.
void add_row(Table& table, std::vector<Cell> cells, const Row& row) {
  for (const BoundsCell& cell : row.cells)
    cells.emplace_back(cell.judged > 0 ? cell.largest : nan_value);
  cells.emplace_back(loose_text(row));
  cells.emplace_back(static_cast<double>(row.channels));
  table.rows.push_back(std::move(cells));
}

Table classes_table(const std::vector<Row>& rows, bool forward) {
  Table table{forward ? "forward" : "backward",
              forward ? "Every class, forward" : "Every class, backward",
              "Largest error/bound from this kappa on; a dash: nothing is demanded there. Exact: "
              "no channel of the cell had any error, as "
              "where a narrow type holds little but the mean and its sums need no rounding.",
              {{"output", ""},
               {"storage", ""},
               {"accumulate", ""},
               {forward ? "statistics" : "scheme", ""},
               {"normalise", ""},
               {"sums", ""}},
              {},
              true};
  add_kappa_columns(table);
  for (const Row& row : rows) {
    if (is_forward(row.output) != forward) continue;
    std::vector<Cell> cells{compare::output_name(row.output),
                            problem::dtype_name(row.declared.dtype),
                            problem::dtype_name(row.declared.accumulate),
                            forward ? problem::statistics_name(row.declared.statistics)
                                    : problem::scheme_name(row.declared.scheme),
                            problem::normalise_name(row.declared.folded ? ABN_FOLDED : ABN_DIRECT),
                            summation_name(row.declared.summation)};
    add_row(table, std::move(cells), row);
  }
  return table;
}

Table conventions_table(const std::vector<BoundsResult>& results) {
  Table table{"conventions",
              "Classes of other conventions",
              "As above, a line for each class and output; two passes, sums over 32 lanes, and a "
              "tenth of the channels.",
              {{"output", ""},
               {"convention", ""},
               {"storage", ""},
               {"accumulate", ""},
               {"scheme", ""},
               {"normalise", ""}},
              {},
              true};
  add_kappa_columns(table);
  for (const BoundsResult& result : results) {
    const KernelClass& declared = result.declared;
    const std::string convention = convention_text(declared);
    if (convention.empty()) continue;
    for (const compare::Output output : bounds_outputs) {
      const Row row{declared, output, result.channels, result.of(output)};
      if (std::all_of(row.cells.begin(), row.cells.end(),
                      [](const BoundsCell& cell) { return cell.judged + cell.void_ == 0; }))
        continue;
      std::vector<Cell> cells{compare::output_name(output),
                              convention,
                              problem::dtype_name(declared.dtype),
                              problem::accumulate_name(declared.accumulate),
                              problem::scheme_name(declared.scheme),
                              problem::normalise_name(declared.folded ? ABN_FOLDED : ABN_DIRECT)};
      add_row(table, std::move(cells), row);
    }
  }
  return table;
}

std::vector<std::string> conclusions_of(const std::vector<BoundsResult>& results,
                                        const std::vector<Row>& rows) {
  std::vector<std::string> sentences;
  std::uint64_t channels = 0, values = 0, failed = 0;
  for (const BoundsResult& result : results) {
    channels += result.channels;
    failed += result.failed;
    for (const auto& cells : result.cells)
      for (const BoundsCell& cell : cells) values += cell.judged;
  }
  const Row* best = nullptr;
  double largest = 0;
  for (const Row& row : rows)
    for (const BoundsCell& cell : row.cells)
      if (cell.largest > largest) largest = cell.largest, best = &row;
  if (failed == 0 && best != nullptr)
    sentences.push_back(
        fmt::format("None of {} values in {} channels of {} classes is above its bound; the "
                    "largest error/bound is {:.6f}: {} of {}.",
                    values, channels, results.size(), largest, compare::output_name(best->output),
                    class_text(best->declared)));
  if (failed > 0) {
    sentences.push_back(fmt::format(
        "{} values of right kernels are above their bounds: the bounds are wrong.", failed));
    for (const BoundsResult& result : results)
      if (result.failed > 0)
        sentences.push_back(fmt::format("{} of them: {}", result.failed, result.failure));
  }
  const Sharpness all = sharpness_of(rows, [](const Row&) { return true; });
  std::uint64_t exact = 0;
  for (const Row& row : rows)
    for (const BoundsCell& cell : row.cells)
      exact += is_loose(row.output, cell) && cell.largest == 0 ? 1 : 0;
  sentences.push_back(
      fmt::format("{} of {} cells are loose, {} of them because no channel had any error; the "
                  "column \"loose from\" names each.",
                  all.loose, all.cells, exact));
  return sentences;
}

}  // namespace

std::vector<BoundsResult> bounds_results(std::uint64_t channels, std::uint64_t seed, int threads,
                                         const StudyProgress& progress) {
  std::vector<KernelClass> classes = bounds_classes();
  for (const KernelClass& one : bounds_conventions()) classes.push_back(one);
  std::vector<BoundsResult> results(classes.size());
  std::mutex reporting;
  std::size_t done = 0;
  const int workers =
      threads > 0 ? threads : static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u));
  call::in_parallel(classes.size(), workers, [&](std::size_t i, int) {
    constexpr std::uint64_t fewer = 10;  // in what else they are, they are like the others
    const bool usual = convention_text(classes[i]).empty();
    results[i] = bounds_of(classes[i], usual ? channels : channels / fewer, seed);
    const std::lock_guard lock(reporting);
    if (++done; progress) progress(done, classes.size());
  });
  return results;
}

Study bounds_study(const std::vector<BoundsResult>& results, std::uint64_t channels,
                   std::uint64_t seed) {
  const std::vector<Row> rows = rows_of(results);
  Study study;
  study.name = "bounds";
  study.title = "How sharp the bounds are";
  study.summary =
      "Right kernels of every declared class, every sum done in the accumulate type in the "
      "declared order, on random channels: kappa from "
      "0.5 to 1e6, |gamma| from 2^-14 to 2^5, |beta|/|gamma| 0 and from 2^-3 to 2^14, 2 to 4096 "
      "samples (to 128 where the exact values "
      "take "
      "50 digits), in training and, every eighth batch, with frozen statistics. Backward is judged "
      "on what forward stored.";
  study.seed = seed;
  study.settings = {{"channels a class, at least", std::to_string(channels)},
                    {"classes", std::to_string(results.size())}};
  study.conclusions = conclusions_of(results, rows);
  study.tables = {overview_table(rows), types_table(rows), classes_table(rows, true),
                  classes_table(rows, false), conventions_table(results)};
  return study;
}

bool all_within(const std::vector<BoundsResult>& results) {
  return std::all_of(results.begin(), results.end(),
                     [](const BoundsResult& result) { return result.failed == 0; });
}

}  // namespace abn::verify::study
