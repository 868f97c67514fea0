// The top of the page: the verdict in one sentence, the counts, what needs attention, and every check in one table coloured by ratio.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "verify/report_parts.hpp"

namespace abn::verify::report {
namespace {

constexpr std::size_t most_links = 50;
constexpr std::size_t most_reasons = 12;
constexpr std::array<double, 4> tint_from{0.01, 0.1, 0.3, 0.7};  // ratios at which the next of the five tints begins

using Column = std::pair<std::string, std::string>;  // type and layout

/// Worst verdict of the whole run, for the colour of the headline; a run of which nothing passed is a skip.
const char* overall(const Summary& summary) {
  if (summary.fail + summary.error > 0) return "fail";
  if (summary.inconclusive > 0) return "inconclusive";
  return summary.pass == 0 || summary.skip > 0 ? "skip" : "pass";
}

std::string tile(const char* colour, std::uint64_t count, const char* label) {
  return fmt::format("<li class=\"{}{}\"><b>{}</b>{}</li>\n", colour, count == 0 ? " none" : "", show_count(count), label);
}

std::string link(const Record& record) { return fmt::format("<a href=\"#{}\">{}</a>", anchor(record.id), escape(record.id)); }

/// What a cell of the overview says of one check.
std::string cell(const Record& record) {
  const bool numbers = has_numbers(record);
  const std::string ratio = numbers ? show_ratio(record.tally.max_ratio) : "";
  std::string colour = verdict_name(record.verdict),
              text = fmt::format("{} {}", glyph(record.verdict), numbers ? ratio : verdict_name(record.verdict));
  if (record.verdict == Verdict::pass && numbers) {
    const auto tint = std::upper_bound(tint_from.begin(), tint_from.end(), record.tally.max_ratio) - tint_from.begin();
    colour = fmt::format("tint{}", tint + 1);
    text = ratio + (is_method_limited(record) ? " †" : "");
  }
  return fmt::format("<td class=\"{}\"><a href=\"#{}\" title=\"{}\">{}</a></td>", colour, anchor(record.id), escape(record.id), text);
}

/// The contract checks of one variant, op, type and layout in one cell: counts of verdicts, linked to the first of the worst.
std::string contract_cell(const std::vector<const Record*>& records) {
  std::map<int, std::pair<const Record*, int>> counts;  // by falling severity
  for (const Record* record : records) {
    auto& [first, count] = counts[-severity(record->verdict)];
    if (count++ == 0) first = record;
  }
  std::string text;
  for (const auto& [negated, counted] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", counted.second, glyph(counted.first->verdict));
  const Record& worst = *counts.begin()->second.first;
  return fmt::format("<td class=\"{}\"><a href=\"#{}\">{}</a></td>",
                     worst.verdict == Verdict::pass ? "contract" : verdict_name(worst.verdict), anchor(worst.id), text);
}

std::string cost_cell(const Record& record) {
  if (!record.has_end_to_end) return "<td></td>";
  return fmt::format("<td class=\"cost\">{}{}</td>", escape(show_percent(record.end_to_end_cost)),
                     record.unsafe_cases ? " <b>unsafe</b>" : "");
}

template <class Cell>
std::string row(const std::string& head, const char* style, const std::vector<Column>& columns, Cell content) {
  std::string out = fmt::format("<tr class=\"{}\"><th scope=\"row\">{}</th>", style, head);
  for (const Column& column : columns) out += content(column);
  return out + "</tr>\n";
}

}  // namespace

std::string masthead(const Results& results) {
  const Summary summary = summarise(results);
  const Provenance& from = results.provenance;
  std::string context;
  for (const std::string& part : {from.device, from.tier.empty() ? "" : "tier " + from.tier, fmt::format("seed {}", from.seed),
                                  from.git.empty() ? "" : from.git + (from.dirty ? ", modified" : ""), from.time})
    if (!part.empty()) context += fmt::format("<span>{}</span>", escape(part));
  std::string out = fmt::format("<header>\n<p class=\"kicker\">abn-verify</p>\n<h1 class=\"{}\">{}</h1>\n<p class=\"context\">{}</p>\n",
                                overall(summary), escape(headline(results)), context);
  out += "<ul class=\"tiles\">\n" + tile("pass", summary.pass, "pass") + tile("fail", summary.fail, "fail") +
         tile("inconclusive", summary.inconclusive, "inconclusive") + tile("skip", summary.skip, "skip") +
         tile("error", summary.error, "error");
  out += tile("plain", summary.cases, "cases run") + tile("plain", summary.elements, "elements compared");
  if (summary.unfit > 0) out += tile("inconclusive", summary.unfit, "unfit");
  if (summary.unsafe > 0) out += tile("plain", summary.unsafe, "unsafe in place");
  return out + "</ul>\n</header>\n";
}

std::string attention(const Results& results) {
  std::string out;
  const auto records = attention_order(results);
  if (!records.empty()) {
    out += "<section>\n<h2>What needs attention</h2>\n<ul class=\"attention\">\n";
    for (std::size_t i = 0; i < std::min(records.size(), most_links); ++i) {
      const Record& record = *records[i];
      out += fmt::format("<li><span class=\"verdict {0}\">{1} {0}</span>{2}{3} <span class=\"why\">{4}</span></li>\n",
                         verdict_name(record.verdict), glyph(record.verdict), link(record),
                         has_numbers(record) ? fmt::format(" ratio {}", show_ratio(record.tally.max_ratio)) : "", escape(record.reason));
    }
    out += "</ul>\n";
    if (records.size() > most_links)
      out += fmt::format("<p class=\"note\">and {} more, in the tables below.</p>\n", records.size() - most_links);
    out += "</section>\n";
  }
  std::map<std::string, std::vector<const Record*>> skipped;
  for (const Record& record : results.records)
    if (record.verdict == Verdict::skip) skipped[record.reason].push_back(&record);
  if (!skipped.empty()) {
    out += "<section>\n<h2>What was not checked</h2>\n<ul class=\"attention\">\n";
    std::size_t shown = 0;
    for (const auto& [reason, members] : skipped) {
      if (shown++ == most_reasons) break;
      out += fmt::format("<li><span class=\"verdict skip\">{} skip</span>{}{} <span class=\"why\">{}</span></li>\n", glyph(Verdict::skip),
                         link(*members.front()), members.size() > 1 ? fmt::format(" and {} more", members.size() - 1) : "",
                         reason.empty() ? "no reason was recorded" : escape(reason));
    }
    out += "</ul>\n";
    if (skipped.size() > most_reasons)
      out += fmt::format("<p class=\"note\">and {} more reasons, in the tables below.</p>\n", skipped.size() - most_reasons);
    out += "</section>\n";
  }
  return out;
}

std::string overview(const Results& results) {
  const auto order = reading_order(results);
  if (order.empty()) return "<section><p>No check ran: there is nothing to show.</p></section>\n";

  std::vector<Column> columns;  // in the reading order of types and layouts
  {
    std::set<Column> present;
    for (const Record* record : order) present.emplace(record->dtype, record->layout);
    Results one_of_each;
    for (const auto& [dtype, layout] : present) {
      Record record;
      record.dtype = dtype;
      record.layout = layout;
      one_of_each.records.push_back(record);
    }
    for (const Record* record : reading_order(one_of_each)) columns.emplace_back(record->dtype, record->layout);
  }
  std::string types, layouts;
  for (std::size_t at = 0; at < columns.size();) {
    std::size_t end = at;
    while (end < columns.size() && columns[end].first == columns[at].first)
      layouts += fmt::format("<th scope=\"col\">{}</th>", escape(columns[end++].second));
    types += fmt::format("<th colspan=\"{}\" scope=\"colgroup\">{}</th>", end - at, escape(columns[at].first));
    at = end;
  }
  std::string out = fmt::format(
      "<section>\n<h2>Every check, by its largest ratio</h2>\n<div class=\"scroll\"><table "
      "class=\"overview\">\n<thead><tr><td></td>{}</tr>\n<tr><td></td>{}</tr></thead>\n",
      types, layouts);
  for (const auto& variant : split(order, [](const Record&a, const Record&b) { return a.variant == b.variant; })) {
    out += fmt::format("<tbody>\n<tr class=\"variant\"><th colspan=\"{}\" scope=\"rowgroup\">{}</th></tr>\n", columns.size() + 1,
                       escape(variant.front()->variant));
    for (const auto& op : split(variant, [](const Record&a, const Record&b) { return a.op == b.op; })) {
      std::map<Column, std::vector<const Record*>> contracts;
      for (const auto& rows :
           split(op, [](const Record&a, const Record&b) { return a.check == b.check && is_contract(a) == is_contract(b); })) {
        std::map<Column, const Record*> at;
        bool in_place = false;
        for (const Record* record : rows) {
          const Column column{record->dtype, record->layout};
          if (is_contract(*record))
            contracts[column].push_back(record);
          else
            at[column] = record;
          in_place = in_place || record->has_end_to_end;
        }
        if (at.empty()) continue;
        out += row(escape(op.front()->op) + " <b>" + escape(rows.front()->check) + "</b>", "numbers", columns,
                   [&](const Column& column) { return at.count(column) ? cell(*at[column]) : "<td></td>"; });
        if (in_place)
          out += row("↳ cost of working in place", "cost", columns,
                     [&](const Column& column) { return at.count(column) ? cost_cell(*at[column]) : "<td></td>"; });
      }
      if (!contracts.empty())
        out += row(escape(op.front()->op) + " contract", "contracts", columns,
                   [&](const Column& column) { return contracts.count(column) ? contract_cell(contracts[column]) : "<td></td>"; });
    }
    out += "</tbody>\n";
  }
  out +=
      "</table></div>\n<p class=\"note\">Largest ratio of any element, |error| / bound: <span class=\"swatch tint1\"></span>below 0.01 "
      "<span class=\"swatch tint2\"></span>0.1 "
      "<span class=\"swatch tint3\"></span>0.3 <span class=\"swatch tint4\"></span>0.7 <span class=\"swatch tint5\"></span>1 "
      "<span class=\"swatch fail\"></span>above its bound, failed. ";
  if (std::any_of(order.begin(), order.end(), [](const Record* record) { return record->has_end_to_end; }))
    out +=
        "The cost of working in place is the largest error against the true gradient at the unrounded x, in percent of the channel's "
        "largest gradient: "
        "a measurement of the method, which fails no kernel. ";
  if (std::any_of(order.begin(), order.end(), [](const Record* record) { return is_method_limited(*record); }))
    out += "† within its bound, but in every case the in-place method itself leaves no signal to judge. ";
  return out + "</p>\n</section>\n";
}

}  // namespace abn::verify::report
