// The top of the page: the verdict in one sentence, the counts, what needs attention and what was
// not checked.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "verify/report/parts.hpp"

namespace abn::verify::report {
namespace {

constexpr std::size_t most_links = 50;
constexpr std::size_t most_reasons = 12;

/// Worst verdict of the whole run, for the colour of the headline; a run of which nothing passed is
/// a skip.
const char* overall(const results::Summary& summary) {
  if (summary.fail + summary.error > 0) return "fail";
  if (summary.inconclusive > 0) return "inconclusive";
  return summary.pass == 0 || summary.skip > 0 ? "skip" : "pass";
}

std::string tile(const char* colour, std::uint64_t count, const char* label) {
  return fmt::format("<li class=\"{}{}\"><b>{}</b>{}</li>\n", colour, count == 0 ? " none" : "",
                     show_count(count), label);
}

std::string link(const results::Record& record) {
  return fmt::format("<a href=\"#{}\">{}</a>", anchor(record.id), escape(record.id));
}

}  // namespace

std::string masthead(const results::Results& results) {
  const results::Summary summary = results::summarise(results);
  const results::Provenance& from = results.provenance;
  std::string context;
  for (const std::string& part :
       {from.device, from.tier.empty() ? "" : "tier " + from.tier,
        fmt::format("seed {}", from.seed),
        from.git.empty() ? "" : from.git + (from.dirty ? ", modified" : ""), from.time})
    if (!part.empty()) context += fmt::format("<span>{}</span>", escape(part));
  std::string out = fmt::format(
      "<header>\n<p class=\"kicker\">abn-verify</p>\n<h1 class=\"{}\">{}</h1>\n<p "
      "class=\"context\">{}</p>\n",
      results.unfinished.empty() ? overall(summary) : "inconclusive",
      escape(results::headline(results)), context);
  out += "<ul class=\"tiles\">\n" + tile("pass", summary.pass, "pass") +
         tile("fail", summary.fail, "fail") +
         tile("inconclusive", summary.inconclusive, "inconclusive") +
         tile("skip", summary.skip, "skip") + tile("error", summary.error, "error");
  out += tile("plain", summary.cases, "cases run") +
         tile("plain", summary.elements, "elements compared");
  if (summary.unfit > 0) out += tile("inconclusive", summary.unfit, "not competitive");
  if (summary.unsafe > 0) out += tile("plain", summary.unsafe, "unsafe in place");
  return out + "</ul>\n</header>\n";
}

std::string attention(const results::Results& results) {
  std::string out;
  const auto records = attention_order(results);
  if (!records.empty()) {
    out += "<section>\n<h2>What needs attention</h2>\n<ul class=\"attention\">\n";
    for (std::size_t i = 0; i < std::min(records.size(), most_links); ++i) {
      const results::Record& record = *records[i];
      out += fmt::format(
          "<li><span class=\"verdict {0}\">{1} {0}</span>{2}{3} <span "
          "class=\"why\">{4}</span></li>\n",
          results::verdict_name(record.verdict), glyph(record.verdict), link(record),
          has_numbers(record) ? fmt::format(" ratio {}", show_ratio(record.tally.max_ratio)) : "",
          escape(record.reason));
    }
    out += "</ul>\n";
    if (records.size() > most_links)
      out += fmt::format("<p class=\"note\">and {} more, in the tables below.</p>\n",
                         records.size() - most_links);
    out += "</section>\n";
  }
  std::map<std::string, std::vector<const results::Record*>> skipped;
  for (const results::Record& record : results.records)
    if (record.verdict == results::Verdict::skip) skipped[record.reason].push_back(&record);
  if (!skipped.empty()) {
    out += "<section>\n<h2>What was not checked</h2>\n<ul class=\"attention\">\n";
    std::size_t shown = 0;
    for (const auto& [reason, members] : skipped) {
      if (shown++ == most_reasons) break;
      out += fmt::format(
          "<li><span class=\"verdict skip\">{} skip</span>{}{} <span "
          "class=\"why\">{}</span></li>\n",
          glyph(results::Verdict::skip), link(*members.front()),
          members.size() > 1 ? fmt::format(" and {} more", members.size() - 1) : "",
          reason.empty() ? "no reason was recorded" : escape(reason));
    }
    out += "</ul>\n";
    if (skipped.size() > most_reasons)
      out += fmt::format("<p class=\"note\">and {} more reasons, in the tables below.</p>\n",
                         skipped.size() - most_reasons);
    out += "</section>\n";
  }
  return out;
}

}  // namespace abn::verify::report
