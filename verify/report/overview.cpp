// Every check in one table, coloured by its largest ratio.
//
// A variant that ran in several types and layouts has a row an op and output and a column a type
// and layout. Those that come in one type and layout only, as tensor files do, have one row each in
// a second table, and a column an op and output.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "verify/report/parts.hpp"

namespace abn::verify::report {
namespace {

// ratios at which the next of the five tints begins
constexpr std::array<double, 4> tint_from{0.01, 0.1, 0.3, 0.7};

using Records = std::vector<const results::Record*>;
using Column = std::pair<std::string, std::string>;  // type and layout, or op and output
constexpr const char* contract_column = "contract";

bool same_variant(const results::Record& a, const results::Record& b) {
  return a.variant == b.variant;
}
bool same_op(const results::Record& a, const results::Record& b) { return a.op == b.op; }
bool same_output(const results::Record& a, const results::Record& b) {
  return a.check == b.check && is_contract(a) == is_contract(b);
}

/// What a cell of the overview says of one check.
std::string cell(const results::Record& record) {
  const bool numbers = has_numbers(record);
  const std::string ratio = numbers ? show_ratio(record.tally.max_ratio) : "";
  std::string colour = results::verdict_name(record.verdict),
              text = fmt::format("{} {}", glyph(record.verdict),
                                 numbers ? ratio : results::verdict_name(record.verdict));
  if (record.verdict == results::Verdict::pass && numbers) {
    const auto tint = std::upper_bound(tint_from.begin(), tint_from.end(), record.tally.max_ratio) -
                      tint_from.begin();
    colour = fmt::format("tint{}", tint + 1);
    text = ratio + (is_method_limited(record) ? " †" : "");
  }
  return fmt::format("<td class=\"{}\"><a href=\"#{}\" title=\"{}\">{}</a></td>", colour,
                     anchor(record.id), escape(record.id), text);
}

/// The contract checks of one variant, op, type and layout in one cell: counts of verdicts, linked
/// to the first of the worst.
std::string contract_cell(const Records& records) {
  std::map<int, std::pair<const results::Record*, int>> counts;  // by falling severity
  for (const results::Record* record : records) {
    auto& [first, count] = counts[-severity(record->verdict)];
    if (count++ == 0) first = record;
  }
  std::string text;
  for (const auto& [negated, counted] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", counted.second,
                        glyph(counted.first->verdict));
  const results::Record& worst = *counts.begin()->second.first;
  return fmt::format(
      "<td class=\"{}\"><a href=\"#{}\">{}</a></td>",
      worst.verdict == results::Verdict::pass ? "contract" : results::verdict_name(worst.verdict),
      anchor(worst.id), text);
}

std::string cost_cell(const results::Record& record) {
  if (!record.has_end_to_end) return "<td></td>";
  const std::string largest = escape(show_percent(record.end_to_end_cost));
  if (record.unsafe_cases == 0) return fmt::format("<td class=\"cost\">{}</td>", largest);
  // The largest comes from data made to break the method; how often it breaks says more.
  return fmt::format("<td class=\"cost\" title=\"up to {}\">{} of {} <b>unsafe</b></td>", largest,
                     record.unsafe_cases, record.cases - record.skipped_cases);
}

template <class Cell>
std::string row(const std::string& head, const char* style, const std::vector<Column>& columns,
                Cell content) {
  std::string out = fmt::format("<tr class=\"{}\"><th scope=\"row\">{}</th>", style, head);
  for (const Column& column : columns) out += content(column);
  return out + "</tr>\n";
}

/// Two lines of column heads, the first of which spans the columns that share it, and what opens
/// the table.
std::string table_head(const std::vector<Column>& columns, const char* style) {
  std::string first, second;
  for (std::size_t at = 0; at < columns.size();) {
    std::size_t end = at;
    while (end < columns.size() && columns[end].first == columns[at].first)
      second += fmt::format("<th scope=\"col\">{}</th>", escape(columns[end++].second));
    first += fmt::format("<th colspan=\"{}\" scope=\"colgroup\">{}</th>", end - at,
                         escape(columns[at].first));
    at = end;
  }
  return fmt::format(
      "<div class=\"scroll\"><table "
      "class=\"{}\">\n<thead><tr><td></td>{}</tr>\n<tr><td></td>{}</tr></thead>\n",
      style, first, second);
}

/// The types and layouts of these records, in reading order.
std::vector<Column> types_and_layouts(const Records& records) {
  std::set<Column> present;
  for (const results::Record* record : records) present.emplace(record->dtype, record->layout);
  results::Results one_of_each;
  for (const auto& [dtype, layout] : present) {
    one_of_each.records.emplace_back();
    one_of_each.records.back().dtype = dtype;
    one_of_each.records.back().layout = layout;
  }
  std::vector<Column> columns;
  for (const results::Record* record : reading_order(one_of_each))
    columns.emplace_back(record->dtype, record->layout);
  return columns;
}

/// The rows of one op: an output each, what working in place costs below it, and the contract last.
std::string op_rows(const Records& op, const std::vector<Column>& columns) {
  std::string out;
  std::map<Column, Records> contracts;
  for (const Records& output : split(op, same_output)) {
    std::map<Column, const results::Record*> at;
    bool in_place = false;
    for (const results::Record* record : output) {
      const Column column{record->dtype, record->layout};
      if (is_contract(*record))
        contracts[column].push_back(record);
      else
        at[column] = record;
      in_place = in_place || record->has_end_to_end;
    }
    if (at.empty()) continue;
    out += row(escape(op.front()->op) + " <b>" + escape(output.front()->check) + "</b>", "numbers",
               columns, [&](const Column& column) {
                 return at.count(column) ? cell(*at[column]) : "<td></td>";
               });
    if (in_place)
      out += row("↳ cost of working in place", "cost", columns, [&](const Column& column) {
        return at.count(column) ? cost_cell(*at[column]) : "<td></td>";
      });
  }
  if (!contracts.empty())
    out +=
        row(escape(op.front()->op) + " contract", "contracts", columns, [&](const Column& column) {
          return contracts.count(column) ? contract_cell(contracts[column]) : "<td></td>";
        });
  return out;
}

std::string table_by_type(const std::vector<Records>& variants) {
  Records all;
  for (const Records& variant : variants) all.insert(all.end(), variant.begin(), variant.end());
  const std::vector<Column> columns = types_and_layouts(all);
  std::string out = table_head(columns, "overview");
  for (const Records& variant : variants) {
    out += fmt::format(
        "<tbody>\n<tr class=\"variant\"><th colspan=\"{}\" scope=\"rowgroup\">{}</th></tr>\n",
        columns.size() + 1, escape(variant.front()->variant));
    for (const Records& op : split(variant, same_op)) out += op_rows(op, columns);
    out += "</tbody>\n";
  }
  return out + "</table></div>\n";
}

std::string table_by_output(const std::vector<Records>& variants) {
  results::Results one_of_each;
  std::set<std::pair<Column, bool>> present;
  for (const Records& variant : variants)
    for (const results::Record* record : variant)
      if (present
              .insert({{record->op, is_contract(*record) ? contract_column : record->check},
                       is_contract(*record)})
              .second) {
        one_of_each.records.push_back({});
        results::Record& one = one_of_each.records.back();
        one.op = record->op;
        one.kind = record->kind;
        one.check = is_contract(*record) ? contract_column : record->check;
      }
  std::vector<Column> columns;
  for (const results::Record* record : reading_order(one_of_each))
    columns.emplace_back(record->op, record->check);

  std::string out = table_head(columns, "overview files") + "<tbody>\n";
  for (const Records& variant : variants) {
    std::map<Column, Records> at;
    for (const results::Record* record : variant)
      at[{record->op, is_contract(*record) ? contract_column : record->check}].push_back(record);
    const results::Record& first = *variant.front();
    out += row(fmt::format("{} <span class=\"note\">{} {}</span>", escape(first.variant),
                           escape(first.dtype), escape(first.layout)),
               "numbers", columns, [&](const Column& column) {
                 const Records& records = at[column];
                 if (records.empty()) return std::string("<td></td>");
                 return is_contract(*records.front()) ? contract_cell(records)
                                                      : cell(*records.front());
               });
  }
  return out + "</tbody>\n</table></div>\n";
}

/// Its records by what stands in the places of type and layout, one group a row.
std::vector<Records> by_type_and_layout(const Records& variant) {
  std::vector<Records> groups;
  for (const Column& column : types_and_layouts(variant)) {
    groups.emplace_back();
    for (const results::Record* record : variant)
      if (Column{record->dtype, record->layout} == column) groups.back().push_back(record);
  }
  return groups;
}

}  // namespace

std::string overview(const results::Results& results) {
  const Records order = reading_order(results);
  if (order.empty()) return "<section><p>No check ran: there is nothing to show.</p></section>\n";

  // other: what has methods and schemes for types and layouts
  std::vector<Records> broad, single, other;
  for (Records& variant : split(order, same_variant))
    (!has_types(*variant.front())            ? other
     : types_and_layouts(variant).size() > 1 ? broad
                                             : single)
        .push_back(std::move(variant));
  if (single.size() == 1) broad.push_back(std::move(single.front())), single.clear();
  std::string out = "<section>\n<h2>Every check, by its largest ratio</h2>\n";
  if (!broad.empty()) out += table_by_type(broad);
  if (!single.empty()) out += table_by_output(single);
  for (const Records& variant : other) out += table_by_output(by_type_and_layout(variant));
  out +=
      "<p class=\"note\">Largest ratio of any element, |error| / bound: <span class=\"swatch "
      "tint1\"></span>below 0.01 "
      "<span class=\"swatch tint2\"></span>0.1 <span class=\"swatch tint3\"></span>0.3 <span "
      "class=\"swatch tint4\"></span>0.7 "
      "<span class=\"swatch tint5\"></span>1 <span class=\"swatch fail\"></span>above its bound, "
      "failed. ";
  if (std::any_of(order.begin(), order.end(),
                  [](const results::Record* record) { return record->has_end_to_end; }))
    out +=
        "The cost of working in place is the largest error against the true gradient at the "
        "unrounded x, in percent of the "
        "gradient's size before anything cancels: a measurement of the method, which fails no "
        "kernel. ";
  if (std::any_of(order.begin(), order.end(),
                  [](const results::Record* record) { return is_method_limited(*record); }))
    out +=
        "† within its bound, but in every case the in-place method itself leaves no signal to "
        "judge. ";
  return out + "</p>\n</section>\n";
}

}  // namespace abn::verify::report
