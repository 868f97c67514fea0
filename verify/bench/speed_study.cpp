// Tables of times.
#include "verify/bench/speed_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "verify/problem/problem.hpp"

namespace abn::verify::bench {
namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();
constexpr double giga = 1e9, mega = 1e6;
// beyond, a table is folded on the page and left out of Markdown
constexpr std::size_t most_rows_shown = 150;

const char* direction_name(int direction) {
  return direction == ABN_FORWARD ? "forward" : "backward";
}

/// GB/s of `bytes` in so many microseconds.
double rate(double bytes, double microseconds) {
  return microseconds > 0 ? bytes / microseconds * 1e6 / giga : nothing;
}

/// Of the pace at which a tensor of this size is scaled in place.
double share_of_ceiling(const SpeedGroup& group, double bytes, double microseconds) {
  return rate(bytes, microseconds) / rate(2 * group.tensor_bytes, group.scale.median);
}

study::Table floors_table(std::span<const SpeedGroup> groups) {
  study::Table table{
      "floors",
      "The pace of the memory",
      "A copy and a scaling in place of one tensor, read and written bytes together: what "
      "nothing in place can beat.",
      {{"problem", ""},
       {"op", ""},
       {"tensor", "MB"},
       {"sets of buffers", ""},
       {"rounds", ""},
       {"copy", "GB/s"},
       {"scale in place", "GB/s"}},
      {},
      true};
  for (const SpeedGroup& group : groups) {
    if (!group.skipped.empty()) continue;
    table.rows.push_back({problem::to_string(group.subject.problem),
                          direction_name(group.direction), group.tensor_bytes / mega,
                          static_cast<double>(group.sets), static_cast<double>(group.rounds),
                          rate(2 * group.tensor_bytes, group.copy.median),
                          rate(2 * group.tensor_bytes, group.scale.median)});
  }
  return table;
}

study::Table times_table(std::span<const SpeedGroup> groups) {
  study::Table table{
      "times",
      "Times of every variant",
      "Of one call. Moved: the bytes that the variant claims to move. Ceiling: moved bytes "
      "over time, as a share of the pace of a "
      "scaling in place. Floor: the same for the least that has to be moved, 2 tensor "
      "sizes forward and 3 backward.",
      {{"layer", ""},
       {"problem", ""},
       {"op", ""},
       {"variant", ""},
       {"tensor", "MB"},
       {"moved", "MB"},
       {"time, median", "us"},
       {"time, p10", "us"},
       {"time, p90", "us"},
       {"time, predicted", "us"},
       {"share, of the ceiling", "%"},
       {"share, of the floor", "%"},
       {"launches", ""},
       {"note", ""}},
      {}};
  for (const SpeedGroup& group : groups) {
    const auto row = [&](const std::string& variant) -> std::vector<study::Cell> {
      return {group.subject.layer, problem::to_string(group.subject.problem),
              direction_name(group.direction), variant, group.tensor_bytes / mega};
    };
    const auto empty_row = [&](const std::string& variant, const std::string& note) {
      table.rows.push_back(row(variant));
      for (int i = 0; i < 8; ++i) table.rows.back().emplace_back(nothing);
      table.rows.back().emplace_back(note);
    };
    if (!group.skipped.empty()) empty_row("", group.skipped);
    for (const SpeedRow& one : group.rows) {
      if (!one.measured) {
        if (!one.note.empty()) empty_row(one.variant, one.note);
        continue;
      }
      const double median = one.microseconds.median;
      std::vector<study::Cell> cells = row(one.variant);
      for (const double value :
           {one.bytes / mega, median, one.microseconds.p10, one.microseconds.p90, one.predicted,
            100 * share_of_ceiling(group, one.bytes, median),
            100 * share_of_ceiling(group, group.floor_bytes, median), one.launches})
        cells.emplace_back(value);
      cells.emplace_back(one.note);
      table.rows.push_back(std::move(cells));
    }
  }
  return table;
}

const SpeedRow* measured_row(const SpeedGroup& group, const std::string& variant) {
  const auto at = std::find_if(group.rows.begin(), group.rows.end(), [&](const SpeedRow& row) {
    return row.measured && row.variant == variant && row.microseconds.median > 0;
  });
  return at == group.rows.end() ? nullptr : &*at;
}

/// A class of problems whose ratios are averaged.
std::string class_of(const SpeedGroup& group) {
  const abn_problem& p = group.subject.problem;
  return fmt::format("{}|{}|{}|{}", problem::dtype_name(p.dtype), problem::layout_name(p.layout),
                     direction_name(group.direction),
                     group.tensor_bytes >= large_tensor ? "25 MB and more" : "less than 25 MB");
}

/// Geometric means over the problems of each class, a column a variant. `value(group, row)` is NaN
/// where a problem has none.
template <class Value>
study::Table by_class(study::Table table, std::span<const SpeedGroup> groups,
                      const std::vector<std::string>& variants, const Value& value) {
  table.columns = {{"type", ""}, {"layout", ""}, {"op", ""}, {"tensors", ""}, {"problems", ""}};
  for (const std::string& variant : variants) table.columns.push_back({variant, ""});
  std::map<std::string, std::vector<const SpeedGroup*>> classes;
  for (const SpeedGroup& group : groups)
    if (group.skipped.empty()) classes[class_of(group)].push_back(&group);
  for (const auto& [name, members] : classes) {
    std::vector<study::Cell> row;
    for (std::size_t begin = 0; begin <= name.size();) {
      const std::size_t end = std::min(name.find('|', begin), name.size());
      row.emplace_back(name.substr(begin, end - begin));
      begin = end + 1;
    }
    row.emplace_back(static_cast<double>(members.size()));
    for (const std::string& variant : variants) {
      std::vector<double> values;
      for (const SpeedGroup* const group : members) {
        const SpeedRow* const one = measured_row(*group, variant);
        if (const double found = one == nullptr ? nothing : value(*group, *one); found > 0)
          values.push_back(found);
      }
      row.emplace_back(geometric_mean(values));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

study::Table ratios_table(std::span<const SpeedGroup> groups,
                          const std::vector<std::string>& variants) {
  return by_class(
      {"ratios",
       "How much faster than two_sweep",
       "Geometric means of time of two_sweep over time of the variant, by turns in one process.",
       {},
       {}},
      groups, variants, [](const SpeedGroup& group, const SpeedRow& row) {
        const SpeedRow* const base = measured_row(group, "two_sweep");
        return base == nullptr ? nothing : base->microseconds.median / row.microseconds.median;
      });
}

study::Table shares_table(std::span<const SpeedGroup> groups,
                          const std::vector<std::string>& variants) {
  return by_class({"shares",
                   "Percent of the in-place ceiling",
                   "Geometric means of moved bytes over time, as a share of the pace at which a "
                   "tensor of that size is scaled in place.",
                   {},
                   {}},
                  groups, variants, [](const SpeedGroup& group, const SpeedRow& row) {
                    return 100 * share_of_ceiling(group, row.bytes, row.microseconds.median);
                  });
}

std::vector<std::string> conclusions_of(std::span<const SpeedGroup> groups,
                                        const std::vector<std::string>& variants) {
  std::vector<std::string> out;
  for (const std::string& variant : variants) {
    int large = 0, fast = 0, compared = 0, slower = 0;
    std::vector<double> predicted;
    double worst = 0;
    std::string where;
    for (const SpeedGroup& group : groups) {
      const SpeedRow* const one = measured_row(group, variant);
      if (one == nullptr) continue;
      const double median = one->microseconds.median;
      if (group.tensor_bytes >= large_tensor)
        ++large, fast += share_of_ceiling(group, one->bytes, median) >= wanted_share ? 1 : 0;
      if (one->predicted > 0) predicted.push_back(median / one->predicted);
      const SpeedRow* const base = measured_row(group, "two_sweep");
      if (base == nullptr || base == one) continue;
      const double ratio = median / base->microseconds.median;
      ++compared, slower += ratio > slower_share ? 1 : 0;
      if (ratio > worst)
        worst = ratio, where = fmt::format("{} {}", problem::to_string(group.subject.problem),
                                           direction_name(group.direction));
    }
    if (large > 0)
      out.push_back(
          fmt::format("{}: {} of {} problems with tensors of 25 MB and more run at 85 % of the "
                      "in-place ceiling or above.",
                      variant, fast, large));
    if (compared > 0)
      out.push_back(
          fmt::format("{}: slower than two_sweep by more than 5 % on {} of {} problems; {:.2f} "
                      "times its time at worst, on {}.",
                      variant, slower, compared, worst, where));
    if (!predicted.empty())
      out.push_back(
          fmt::format("{}: {:.2f} times the predicted time in the geometric mean of {} problems.",
                      variant, geometric_mean(predicted), predicted.size()));
  }
  return out;
}

std::vector<std::string> variants_of(std::span<const SpeedGroup> groups) {
  std::vector<std::string> names;
  for (const SpeedGroup& group : groups)
    for (const SpeedRow& row : group.rows)
      if (std::find(names.begin(), names.end(), row.variant) == names.end())
        names.push_back(row.variant);
  return names;
}

}  // namespace

study::Study speed_study(const SpeedRun& run) {
  const std::vector<std::string> variants = variants_of(run.groups);
  study::Study study;
  study.name = "speed";
  study.title = "Speed";
  study.summary =
      "Variants and floors by turns, each replay on buffers that the cache does not hold, filled "
      "again outside of the timed window. "
      "Medians "
      "of the rounds.";
  study.seed = run.seed;
  study.settings = {{"device", run.device}, {"command", run.command}};
  study.conclusions = conclusions_of(run.groups, variants);
  if (std::find(variants.begin(), variants.end(), "two_sweep") != variants.end())
    study.tables.push_back(ratios_table(run.groups, variants));
  study.tables.push_back(shares_table(run.groups, variants));
  study::Table times = times_table(run.groups);
  times.detail = times.rows.size() > most_rows_shown;
  study.tables.push_back(std::move(times));
  study.tables.push_back(floors_table(run.groups));
  return study;
}

std::string speed_text(const SpeedGroup& group) {
  std::string out = fmt::format("{} {}{}{}\n", problem::to_string(group.subject.problem),
                                direction_name(group.direction),
                                group.subject.layer.empty() ? "" : "  ", group.subject.layer);
  if (!group.skipped.empty()) out += fmt::format("  {}\n", group.skipped);
  if (group.rounds > 0)
    out += fmt::format(
        "  {:<16} {:>9.1f} us copy, {:.1f} us scaled in place: {:.0f} and {:.0f} GB/s; {} sets, {} "
        "rounds\n",
        "floors", group.copy.median, group.scale.median,
        rate(2 * group.tensor_bytes, group.copy.median),
        rate(2 * group.tensor_bytes, group.scale.median), group.sets, group.rounds);
  for (const SpeedRow& row : group.rows) {
    if (!row.measured) {
      out += fmt::format("  {:<16} {}\n", row.variant, row.note);
      continue;
    }
    const double median = row.microseconds.median;
    out += fmt::format(
        "  {:<16} {:>9.1f} us ({:.1f} to {:.1f}), {:.0f} % of the ceiling, {:.0f} % of the floor",
        row.variant, median, row.microseconds.p10, row.microseconds.p90,
        100 * share_of_ceiling(group, row.bytes, median),
        100 * share_of_ceiling(group, group.floor_bytes, median));
    if (row.launches >= 0) out += fmt::format(", {:g} launches", row.launches);
    if (row.predicted > 0) out += fmt::format(", {:.1f} us predicted", row.predicted);
    out += row.note.empty() ? "\n" : "; " + row.note + "\n";
  }
  return out;
}

}  // namespace abn::verify::bench
