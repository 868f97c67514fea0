// The section on what the emulator's sanitiser saw: five checks a variant and operation, and what
// each moved beside the least there is to move.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "verify/check/sanitize/traffic.hpp"
#include "verify/report/parts.hpp"

namespace abn::verify::report {
namespace {

struct Heading {
  const char *check, *title;
};
constexpr std::array<Heading, 5> headings{{{"races", "races"},
                                           {"unwritten_reads", "unwritten reads"},
                                           {"bounds", "out of bounds"},
                                           {"barriers", "barriers"},
                                           {"traffic", "traffic as claimed"}}};

bool is_of(const results::Record& record, const char* check) {
  return is_contract(record) && record.check == check;
}

using Records = std::vector<const results::Record*>;

/// How many types and layouts came to which verdict, linked to the worst; the colour is that of
/// what did run.
std::string verdict_cell(const Records& records) {
  if (records.empty()) return "<td></td>";
  const auto rank = [](const results::Record& record) {
    return record.verdict == results::Verdict::skip ? -1 : severity(record.verdict);
  };
  const results::Record* worst = records.front();
  std::map<int, std::pair<results::Verdict, int>> counts;  // by falling rank
  for (const results::Record* const record : records) {
    if (rank(*record) > rank(*worst)) worst = record;
    auto& [verdict, count] = counts[-rank(*record)];
    verdict = record->verdict;
    ++count;
  }
  std::string text;
  for (const auto& [negated, counted] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", counted.second, glyph(counted.first));
  return fmt::format(
      "<td class=\"{}\"><a href=\"#{}\" title=\"{}\">{}</a></td>",
      worst->verdict == results::Verdict::pass ? "contract" : results::verdict_name(worst->verdict),
      anchor(worst->id), escape(worst->id), text);
}

std::string verdicts(const std::vector<Records>& groups) {
  std::string out =
      "<div class=\"scroll\"><table class=\"overview accesses\">\n<thead><tr><td></td>";
  for (const Heading& heading : headings)
    out += fmt::format("<th scope=\"col\">{}</th>", heading.title);
  out += "</tr></thead>\n<tbody>\n";
  for (const Records& group : groups) {
    out += fmt::format("<tr class=\"numbers\"><th scope=\"row\">{} <b>{}</b></th>",
                       escape(group.front()->variant), escape(group.front()->op));
    for (const Heading& heading : headings) {
      Records own;
      std::copy_if(group.begin(), group.end(), std::back_inserter(own),
                   [&](const results::Record* one) { return is_of(*one, heading.check); });
      out += verdict_cell(own);
    }
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table></div>\n";
}

/// "x × 2, z × 1" for what was loaded or stored, in tensor sizes.
std::string tensors(const results::CallTraffic& call, bool stores) {
  std::string out;
  for (const results::BufferTraffic& buffer : call.buffers) {
    const std::uint64_t moved = stores ? buffer.stored : buffer.loaded;
    if (!buffer.tensor || moved == 0) continue;
    out += fmt::format("{}{} × {:.3g}", out.empty() ? "" : ", ", buffer.buffer,
                       static_cast<double>(moved) / static_cast<double>(buffer.bytes));
  }
  return out;
}

std::string range(double low, double high) {
  const std::string a = fmt::format("{:.2f}", low), b = fmt::format("{:.2f}", high);
  return a == b ? a : a + " to " + b;
}

/// Least and largest over types and layouts; the tensors are those of the largest call.
struct Extent {
  const results::CallTraffic* largest = nullptr;
  double low = 0, high = 0, sectors_low = 0, sectors_high = 0;
  void add(const results::CallTraffic& call) {
    const double moved = check::sanitize::tensor_sweeps(call.buffers),
                 by_sectors = check::sanitize::sector_sweeps(call.buffers);
    if (largest == nullptr) low = moved, sectors_low = by_sectors;
    if (largest == nullptr || call.elements > largest->elements) largest = &call;
    low = std::min(low, moved), high = std::max(high, moved);
    sectors_low = std::min(sectors_low, by_sectors),
    sectors_high = std::max(sectors_high, by_sectors);
  }
};

Records all_seen(const results::Results& results) {
  Records seen;
  for (const results::Record* const record : reading_order(results))
    if (std::any_of(headings.begin(), headings.end(),
                    [&](const Heading& heading) { return is_of(*record, heading.check); }))
      seen.push_back(record);
  return seen;
}

bool same_operation(const results::Record& a, const results::Record& b) {
  return a.variant == b.variant && a.op == b.op;
}

}  // namespace

std::vector<MovedRow> moved_rows(const results::Results& results) {
  std::vector<MovedRow> rows;
  for (const Records& group : split(all_seen(results), same_operation)) {
    std::map<std::string, Extent> modes;
    for (const results::Record* const record : group)
      for (const results::CallTraffic& call : record->traffic) modes[call.mode].add(call);
    for (const auto& [mode, extent] : modes)
      rows.push_back(
          {group.front()->variant, group.front()->op, mode, tensors(*extent.largest, false),
           tensors(*extent.largest, true), range(extent.low, extent.high),
           fmt::format("{:.0f}", check::sanitize::floor_sweeps(group.front()->op == "backward")),
           range(extent.sectors_low, extent.sectors_high), extent.largest->problem});
  }
  return rows;
}

std::string accesses(const results::Results& results) {
  const Records seen = all_seen(results);
  if (seen.empty()) return "";
  std::string rows;
  for (const MovedRow& row : moved_rows(results))
    rows += fmt::format(
        "<tr><th scope=\"row\">{} <b>{}</b> "
        "{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></"
        "tr>\n",
        escape(row.variant), escape(row.op), escape(row.mode), escape(row.loaded),
        escape(row.stored), row.sweeps, row.floor, row.by_sectors, escape(row.problem));
  std::string out =
      "<section id=\"accesses\">\n<h2>What every memory access showed</h2>\n<p class=\"note\">Each "
      "kernel ran on the emulator with all of "
      "its memory "
      "accesses seen, under random and adversarial schedules of threads and blocks. Counted are "
      "types and layouts.</p>\n" +
      verdicts(split(seen, same_operation));
  if (!rows.empty())
    out +=
        "<h3>What the calls moved</h3>\n<div class=\"scroll\"><table "
        "class=\"values\">\n<tr><th></th><th>loaded</th><th>stored</th>"
        "<th>tensor sizes in all</th><th>floor</th><th>by sectors</th><th>largest "
        "call</th></tr>\n" +
        rows +
        "</table></div>\n<p class=\"note\">In units of one tensor. The floor is what has to cross "
        "memory if nothing is moved twice. By "
        "sectors: what "
        "the caches are asked for, 32 bytes at a time, where neighbouring lanes share one; far "
        "above the bytes, accesses are "
        "scattered.</p>\n";
  return out + "</section>\n";
}

}  // namespace abn::verify::report
