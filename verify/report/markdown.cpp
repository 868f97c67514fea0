// report.md: what fits into a pull-request comment: the headline, the worst ratios in one table,
// the failures in full.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "verify/report/parts.hpp"
#include "verify/report/report.hpp"

namespace abn::verify::report {
namespace {

constexpr std::size_t most_failures = 50;
constexpr std::size_t most_rows = 24;
constexpr std::size_t most_reasons = 12;
// for the line that says how many failures were left out
constexpr std::size_t closing_room = 400;
constexpr std::size_t longest_text = 8'000;  // of one failure
constexpr std::size_t longest_name = 120;    // in a table or a sentence
constexpr std::size_t longest_headline = 500;

/// Cuts at a character boundary.
std::string shortened(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

/// Text in which Markdown, HTML and table cells find nothing to interpret: no tags, no links, no
/// mentions.
std::string plain(const std::string& text, std::size_t limit = longest_name) {
  std::string out;
  for (const char c : shortened(text, limit)) {
    if (c == '\n' || c == '\r' || c == '\t')
      out += ' ';
    else if (static_cast<unsigned char>(c) < 0x20)
      out += '?';
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '@')
      out += "@&#8203;";
    else if (std::string_view("\\`*_[]|#~!").find(c) != std::string_view::npos)
      out += std::string("\\") + c;
    else
      out += c;
  }
  return out;
}

/// A code span where the text is an ordinary name, else plain text.
std::string code(const std::string& text) {
  const bool ordinary = !text.empty() && text.size() <= longest_name && anchor(text) == text;
  return ordinary ? "`" + text + "`" : plain(text);
}

/// A fenced block whose fence is longer than any run of backticks in it.
std::string fenced(const std::string& text) {
  std::size_t longest = 0, run = 0;
  for (const char c : text) longest = std::max(longest, run = c == '`' ? run + 1 : 0);
  const std::string fence(std::max<std::size_t>(3, longest + 1), '`');
  return fence + "\n" + text + (text.empty() || text.back() != '\n' ? "\n" : "") + fence + "\n";
}

/// The largest ratio among the records of one type, and what did not pass.
std::string table_cell(const std::vector<const results::Record*>& group, const std::string& dtype) {
  double ratio = -1;
  std::map<int, std::pair<results::Verdict, int>> verdicts;  // by falling severity
  for (const results::Record* record : group) {
    if (record->dtype != dtype) continue;
    if (has_numbers(*record)) ratio = std::max(ratio, ranking_ratio(*record));
    auto& [verdict, count] = verdicts[-severity(record->verdict)];
    verdict = record->verdict;
    ++count;
  }
  std::string out = " ";
  if (ratio >= 0) out += show_ratio(ratio) + " ";
  if (verdicts.size() == 1 && verdicts.begin()->second.first == results::Verdict::pass) out += "✓ ";
  for (const auto& [negated, counted] : verdicts)
    if (counted.first != results::Verdict::pass)
      out += fmt::format("**{} {}** ", counted.second, results::verdict_name(counted.first));
  return out + "|";
}

std::string table(const results::Results& results) {
  const auto order = reading_order(results);
  std::vector<std::string> dtypes;
  results::Results by_type;  // one record a type, to put them in reading order
  for (const results::Record* record : order)
    if (std::find(dtypes.begin(), dtypes.end(), record->dtype) == dtypes.end()) {
      dtypes.push_back(record->dtype);
      results::Record only;
      only.dtype = record->dtype;
      by_type.records.push_back(only);
    }
  dtypes.clear();
  for (const results::Record* record : reading_order(by_type)) dtypes.push_back(record->dtype);

  std::string out = "| variant | op |", rule = "\n|---|---|";
  for (const std::string& dtype : dtypes) {
    out += " " + plain(dtype) + " |";
    rule += "---|";
  }
  out += rule + "\n";
  // Where there are many rows, those that matter: the worst verdicts, then the largest ratios.
  using Group = std::vector<const results::Record*>;
  const auto groups = split(order, [](const results::Record& a, const results::Record& b) {
    return a.variant == b.variant && a.op == b.op;
  });
  const auto rank = [](const Group& group) {
    std::pair<int, double> worst{0, 0};
    for (const results::Record* record : group) {
      worst.first = std::max(worst.first, severity(record->verdict));
      worst.second = std::max(worst.second, has_numbers(*record) ? ranking_ratio(*record) : 0);
    }
    return worst;
  };
  std::vector<std::pair<int, double>> ranks;
  for (const Group& group : groups) ranks.push_back(rank(group));
  std::sort(ranks.rbegin(), ranks.rend());
  std::size_t shown = 0;
  for (const Group& group : groups) {
    if (shown == most_rows || (groups.size() > most_rows && rank(group) < ranks[most_rows - 1]))
      continue;
    ++shown;
    out += fmt::format("| {} | {} |", code(group.front()->variant), plain(group.front()->op));
    for (const std::string& dtype : dtypes) out += table_cell(group, dtype);
    out += "\n";
  }
  if (shown < groups.size()) {
    const auto& [severity, ratio] = ranks[shown];
    out += fmt::format("\n{} more rows {}, with ratios up to {}.\n", groups.size() - shown,
                       severity == 0 ? "passed" : "are in index.html, not all of them passed",
                       show_ratio(ratio));
  }
  return out;
}

/// What the calls moved, where the sanitiser counted it.
std::string moved(const results::Results& results) {
  const auto rows = moved_rows(results);
  if (rows.empty()) return "";
  std::string out =
      "What the calls moved, in units of one tensor (the floor: nothing is moved twice):\n\n| "
      "variant | op | mode | loaded | stored | in all | "
      "floor | by sectors |\n|---|---|---|---|---|---|---|---|\n";
  for (std::size_t i = 0; i < std::min(rows.size(), most_rows); ++i) {
    const auto& row = rows[i];
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", code(row.variant),
                       plain(row.op), plain(row.mode), plain(row.loaded), plain(row.stored),
                       row.sweeps, row.floor, row.by_sectors);
  }
  if (rows.size() > most_rows)
    out += fmt::format("\n{} more rows are in index.html.\n", rows.size() - most_rows);
  return out + "\n";
}

std::string of_table(const study::Table& table) {
  std::string heads = "|", rule = "|", out;
  for (const study::Column& column : table.columns) {
    const study::Head head = study::head_of(column);
    heads +=
        fmt::format(" {} |", plain(head.group.empty() ? head.own : head.group + ", " + head.own));
    rule += "---|";
  }
  out = fmt::format("{}\n\n{}\n{}\n", plain(table.title), heads, rule);
  for (const auto& row : table.rows) {
    out += "|";
    for (const study::Cell& cell : row) out += fmt::format(" {} |", plain(study::show_cell(cell)));
    out += "\n";
  }
  return out + "\n";
}

/// The sentences and the first table of every study, as far as they fit.
std::string of_studies(std::span<const study::Study> studies, std::size_t room) {
  std::string out;
  for (const study::Study& study : studies) {
    std::string text = fmt::format("### {}\n\n", plain(study.title));
    for (const std::string& sentence : study.conclusions)
      text += fmt::format("- {}\n", plain(sentence, longest_headline));
    text += "\n";
    if (!study.tables.empty()) text += of_table(study.tables.front());
    if (out.size() + text.size() > room) break;
    out += text;
  }
  return out;
}

}  // namespace

std::string render_markdown(const results::Results& results,
                            std::span<const study::Study> studies) {
  if (results.records.empty() && !studies.empty())
    return shortened(of_studies(studies, markdown_limit), markdown_limit);
  const results::Summary summary = results::summarise(results);
  const results::Provenance& from = results.provenance;
  std::string out =
      fmt::format("### abn-verify: {}\n\n", plain(results::headline(results), longest_headline));
  out += fmt::format(
      "{} pass, {} fail, {} inconclusive, {} skip, {} error; {} and {} compared.\n\n",
      show_count(summary.pass), show_count(summary.fail), show_count(summary.inconclusive),
      show_count(summary.skip), show_count(summary.error), show_plural(summary.cases, "case"),
      show_plural(summary.elements, "element"));
  if (!results.records.empty())
    out += "Largest ratio, |error| / bound, by type; at most 1 passes.\n\n" + table(results) + "\n";

  const results::Record* costliest = nullptr;
  for (const results::Record& record : results.records)
    if (record.has_end_to_end &&
        (costliest == nullptr || record.end_to_end_cost > costliest->end_to_end_cost))
      costliest = &record;
  if (costliest != nullptr)
    out += fmt::format(
        "What it costs to work in place, which fails no kernel: up to {} of the "
        "gradient's size ({}), {} unsafe in "
        "place.\n\n",
        show_percent(costliest->end_to_end_cost), code(costliest->id),
        show_plural(summary.unsafe, "check"));
  if (summary.unfit > 0)
    out += fmt::format(
        "{} not competitive: within the bound for what the variant claims, but above twice the "
        "bound of the recommended class.\n\n",
        show_plural(summary.unfit, "check"));

  out += moved(results);

  std::map<std::string, std::uint64_t> skipped;
  for (const results::Record& record : results.records)
    if (record.verdict == results::Verdict::skip) ++skipped[record.reason];
  std::size_t reasons = 0;
  for (const auto& [reason, count] : skipped) {
    if (reasons++ == most_reasons) break;
    out += fmt::format("- {} skipped: {}\n", show_count(count),
                       reason.empty() ? "no reason was recorded" : plain(reason));
  }
  if (!skipped.empty()) out += "\n";

  std::string origin;
  for (const std::string& part :
       {from.version.empty() ? "" : "abn-verify " + from.version,
        from.git.empty() ? "" : "git " + from.git + (from.dirty ? " (modified)" : ""),
        from.compiler, from.cuda, from.driver, from.device,
        from.tier.empty() ? "" : "tier " + from.tier, fmt::format("seed {}", from.seed), from.time})
    if (!part.empty()) origin += (origin.empty() ? "" : " · ") + plain(part);
  origin = "<sub>" + origin + "</sub>\n";

  const auto failures = attention_order(results);
  std::size_t shown = 0;
  for (const results::Record* record : failures) {
    std::string text = fenced(shortened(results::failure_text(*record), longest_text)) + "\n";
    if (shown == most_failures ||
        out.size() + text.size() + origin.size() + closing_room > markdown_limit)
      break;
    out += text;
    ++shown;
  }
  if (shown < failures.size())
    out += fmt::format(
        "{} more that failed, were inconclusive or errored: all of them are in index.html and "
        "results.json.\n\n",
        failures.size() - shown);
  if (!studies.empty())
    out += of_studies(
        studies,
        markdown_limit - std::min(markdown_limit, out.size() + origin.size() + closing_room));
  return out + origin;
}

}  // namespace abn::verify::report
