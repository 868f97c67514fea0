// From verdicts to tables: what each rule catches of the bugs that a grade shows, and how many
// right kernels it refuses.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <thread>

#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/study/judges.hpp"
#include "verify/study/judges_rules.hpp"

namespace abn::verify::study {
namespace {

constexpr int storages[] = {ABN_F16, ABN_BF16, ABN_F32};

/// Of all storage types of a grade together, or of one.
struct Count {
  std::size_t visible = 0, right = 0;
  std::vector<std::size_t> caught, alarms;  ///< for each rule
};

/// A kernel is refused where any type has a refusal, and visible where any type shows it.
Count count_of(std::span<const call::Subject> kernels,
               std::span<const std::vector<Verdicts>> types) {
  Count count{0, 0, std::vector<std::size_t>(rule_count(), 0),
              std::vector<std::size_t>(rule_count(), 0)};
  for (std::size_t k = 0; k < kernels.size(); ++k) {
    const bool right = is_right_kernel(*kernels[k].variant);
    const bool visible =
        std::any_of(types.begin(), types.end(), [&](const auto& one) { return one[k].visible; });
    if (right) ++count.right;
    if (!right && visible) ++count.visible;
    for (std::size_t rule = 0; rule < rule_count(); ++rule) {
      const bool refused = std::any_of(types.begin(), types.end(),
                                       [&](const auto& one) { return one[k].refusals[rule] > 0; });
      if (refused && right) ++count.alarms[rule];
      if (refused && !right && visible) ++count.caught[rule];
    }
  }
  return count;
}

double percent(std::size_t part, std::size_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

using ByGrade = std::map<Grade, std::vector<std::vector<Verdicts>>>;

Table summary_table(std::span<const call::Subject> kernels, const ByGrade& verdicts) {
  Table table{"judges",
              "Bugs caught and right kernels refused",
              "Caught: of the planted bugs that change a bit of an output on that data. False "
              "alarms: of the right kernels. A kernel counts "
              "as refused if one output of one problem in one type is.",
              {{"rule", ""}},
              {},
              false};
  std::vector<Count> counts;
  for (const auto& [grade, types] : verdicts) {
    counts.push_back(count_of(kernels, types));
    table.columns.push_back({fmt::format("{}, caught", grade_name(grade)), "%"});
    table.columns.push_back({fmt::format("{}, false alarms", grade_name(grade)), "%"});
  }
  for (std::size_t rule = 0; rule < rule_count(); ++rule) {
    std::vector<Cell> row{rule_name(rule)};
    for (const Count& count : counts) {
      row.emplace_back(percent(count.caught[rule], count.visible));
      row.emplace_back(percent(count.alarms[rule], count.right));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table detail_table(std::span<const call::Subject> kernels, const ByGrade& verdicts) {
  Table table{"types",
              "The same by storage type, counted",
              "Problems refused: how many problems of right kernels, of all that they met.",
              {{"grade", ""},
               {"storage", ""},
               {"rule", ""},
               {"bugs, visible", ""},
               {"bugs, caught", ""},
               {"right kernels, all", ""},
               {"right kernels, refused", ""},
               {"problems, all", ""},
               {"problems, refused", ""}},
              {},
              true};
  for (const auto& [grade, types] : verdicts)
    for (std::size_t k = 0; k < types.size(); ++k)
      for (auto& row : detail_rows(grade, storages[k], kernels, types[k]))
        table.rows.push_back(std::move(row));
  return table;
}

Table rules_table() {
  Table table{"rules", "What the rules say",
              "",      {{"rule", ""}, {"passes where", ""}, {"source", ""}},
              {},      true};
  for (const JudgeRule& rule : judge_rules())
    table.rows.push_back({rule.name, rule.says, rule.source});
  table.rows.push_back({rule_name(own_rule()),
                        "|got - exact| <= the bound that follows from the kernel's claims",
                        "this project"});
  table.rows.push_back({rule_name(own_rule() + 1),
                        "and status, guards, inputs, unwritten elements, in place and a second "
                        "call, as in abn-verify run",
                        "this project"});
  return table;
}

/// The visible bugs that this project's bounds let through, and why that may be.
Table missed_table(std::span<const call::Subject> kernels, const ByGrade& verdicts) {
  Table table{"missed",
              "Visible bugs within the bounds of abn-verify",
              "They change bits, and on this data by no more than a right kernel of their claims "
              "may err. A run of abn-verify has further "
              "data.",
              {{"grade", ""}, {"bug", ""}, {"what it does", ""}},
              {},
              true};
  for (const auto& [grade, types] : verdicts)
    for (std::size_t k = 0; k < kernels.size(); ++k) {
      const abn_variant& variant = *kernels[k].variant;
      const auto any = [&](const auto& holds) {
        return std::any_of(types.begin(), types.end(), holds);
      };
      if (is_right_kernel(variant) || !any([&](const auto& one) { return one[k].visible; }) ||
          any([&](const auto& one) { return one[k].refusals[own_rule()] > 0; }))
        continue;
      table.rows.push_back(
          {grade_name(grade), variant.name, variant.summary != nullptr ? variant.summary : ""});
    }
  return table;
}

std::string sentence_of(Grade grade, const Count& count) {
  std::size_t best = own_rule();
  for (std::size_t rule = 0; rule < own_rule(); ++rule)
    if (count.alarms[rule] == 0 && (best == own_rule() || count.caught[rule] > count.caught[best]))
      best = rule;
  std::string sentence = fmt::format(
      "{}: {} bugs are visible; abn-verify catches {} and refuses {} of {} right kernels",
      grade_name(grade), count.visible, count.caught[own_rule()], count.alarms[own_rule()],
      count.right);
  if (best == own_rule()) return sentence + ", and no other rule passes all of the right kernels.";
  return sentence + fmt::format("; of the other rules without a false alarm {} catches most, {}.",
                                rule_name(best), count.caught[best]);
}

}  // namespace

std::string planted_bugs_beside_program() {
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::filesystem::path path = folder / "plugins" / "mutants.so",
                              installed = folder / "../lib/abn-verify/plugins/mutants.so";
  if (std::filesystem::exists(installed)) return installed.lexically_normal().string();
  if (!std::filesystem::exists(path))
    throw problem::UsageError(
        fmt::format("There is no {}; build the target plugin_mutants, or name a plug-in of your "
                    "own with --plugin",
                    path.string()));
  return path.string();
}

std::vector<std::vector<Cell>> detail_rows(Grade grade, int dtype,
                                           std::span<const call::Subject> kernels,
                                           std::span<const Verdicts> verdicts) {
  const std::vector<Verdicts> one(verdicts.begin(), verdicts.end());
  const Count count = count_of(kernels, {&one, 1});
  std::vector<std::vector<Cell>> rows;
  const auto cell = [](std::size_t value) { return Cell(static_cast<double>(value)); };
  for (std::size_t rule = 0; rule < rule_count(); ++rule) {
    std::size_t problems = 0, refused = 0;
    for (std::size_t k = 0; k < kernels.size(); ++k) {
      if (!is_right_kernel(*kernels[k].variant)) continue;
      problems += static_cast<std::size_t>(verdicts[k].cases);
      refused += static_cast<std::size_t>(verdicts[k].refusals[rule]);
    }
    rows.push_back({grade_name(grade), problem::dtype_name(dtype), rule_name(rule),
                    cell(count.visible), cell(count.caught[rule]), cell(count.right),
                    cell(count.alarms[rule]), cell(problems), cell(refused)});
  }
  return rows;
}

Study judges_study(std::span<const call::Subject> kernels, std::uint64_t seed, int threads,
                   const std::function<void(std::size_t, std::size_t)>& progress) {
  std::size_t right = 0;
  for (const call::Subject& kernel : kernels) {
    if (kernel.device == nullptr)
      throw problem::UsageError(fmt::format("{} cannot run here: {}; choose another --device",
                                            kernel.variant->name, kernel.unavailable));
    right += is_right_kernel(*kernel.variant) ? 1 : 0;
  }
  if (right == 0 || right == kernels.size())
    throw problem::UsageError(
        fmt::format("study judges compares right kernels with planted bugs and has {} of the first "
                    "and {} of the second; name "
                    "the right ones {}..., and the others anything else",
                    right, kernels.size() - right, right_kernel_prefix));
  if (threads <= 0) threads = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u));
  ByGrade verdicts;
  constexpr std::size_t steps = std::size(grades) * std::size(storages);
  std::size_t done = 0;
  for (const Grade grade : grades)
    for (const int storage : storages) {
      verdicts[grade].push_back(verdicts_of(grade, storage, kernels, seed, threads));
      if (progress) progress(++done, steps);
    }

  Study study;
  study.name = "judges";
  study.title = "The rules of other projects on the same kernels";
  study.summary = fmt::format(
      "{} kernels with a planted bug each and {} right ones of other designs, in f16, bf16 and "
      "f32, on three grades of data. Every rule "
      "sees "
      "the same outputs beside the same exact values; backward is compared at what the kernel "
      "itself stored.",
      kernels.size() - right, right);
  study.seed = seed;
  study.settings = {
      {"easy", "x and dz from N(0,1), gamma 1, beta 0"},
      {"realistic",
       "moderate means and spreads, |gamma| from 0.1 to 1 of either sign, dz about 1e-6"},
      {"ill-conditioned",
       "in turn |mean|/sigma 1000 (f16 256, bf16 32), |gamma| from 2^-10 to 2^-6, |beta|/|gamma| "
       "from 16 to 256"},
      {"problems in each grade and type",
       std::to_string(graded_cases(Grade::easy, ABN_F32, seed).size())}};
  for (const auto& [grade, types] : verdicts)
    study.conclusions.push_back(sentence_of(grade, count_of(kernels, types)));
  study.tables = {summary_table(kernels, verdicts), rules_table(), detail_table(kernels, verdicts),
                  missed_table(kernels, verdicts)};
  return study;
}

}  // namespace abn::verify::study
