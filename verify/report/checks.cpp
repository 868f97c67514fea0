// The table of checks: one row a check, which opens to the worst element, its inputs, its bound and
// the command that reproduces it.
//
// A row is a <details> element whose summary is laid out on the columns of its group, so that the
// page needs no script to open one.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "verify/report/parts.hpp"

namespace abn::verify::report {
namespace {

// failures that are open from the start; a page of hundreds of open ones is a page that nobody
// reads
constexpr std::size_t most_open = 40;

/// Colour of a term of the bound: its place in the order of enum Term, so that a term has one
/// colour on the whole page.
std::string term_colour(std::string_view name) {
  for (std::size_t term = 0; term < compare::term_count; ++term)
    if (name == compare::term_name(static_cast<compare::Term>(term)))
      return fmt::format("term{}", term + 1);
  return "term-other";
}

std::string verdict_chip(results::Verdict verdict) {
  return fmt::format("<span class=\"verdict {0}\">{1} {0}</span>", results::verdict_name(verdict),
                     glyph(verdict));
}

std::string ratio_bar(const results::Record& record) {
  const auto percent = [](double ratio) {
    return std::isnan(ratio) ? 100.0 : 100 * std::clamp(ratio, 0.0, 1.0);
  };
  const double largest = record.tally.max_ratio, p99 = record.tally.p99_ratio();
  return fmt::format(
      "<span class=\"bar{}\"><i style=\"width:{:.1f}%\"></i><u style=\"left:{:.1f}%\"></u></span>",
      record.verdict == results::Verdict::pass
          ? ""
          : fmt::format(" {}", results::verdict_name(record.verdict)),
      percent(largest), percent(p99));
}

std::string fit_text(const results::Record& record) {
  if (is_property(record)) return "";
  return fmt::format("{}<span class=\"{}\">{}</span>", results::is_unfit(record) ? "<b>" : "",
                     results::is_unfit(record) ? "unfit" : "fit",
                     show_ratio(record.tally.max_fit_ratio)) +
         (results::is_unfit(record) ? " no</b>" : " yes");
}

std::string cost_text(const results::Record& record) {
  if (!record.has_end_to_end) return "";
  return escape(show_percent(record.end_to_end_cost)) +
         (record.unsafe_cases ? " <b>unsafe</b>" : " safe");
}

std::string value_row(const char* name, double value, const std::string& more = "") {
  return fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>\n", name,
                     show_decimal(value), show_hex(value), more);
}

std::string bound_terms(const results::Witness& witness) {
  if (witness.terms.empty()) return "";
  std::string bar, list;
  double rest = 1;
  const auto add = [&](const std::string& name, double share) {
    if (!(share > 0)) return;
    bar += fmt::format("<i class=\"{}\" style=\"width:{:.1f}%\"></i>", term_colour(name),
                       100 * std::min(share, 1.0));
    list += fmt::format("<li><span class=\"swatch {}\"></span>{} {}</li>", term_colour(name),
                        escape(name), escape(show_percent(share)));
  };
  for (const auto& [name, share] : witness.terms) {
    add(name, share);
    rest -= share;
  }
  constexpr double visible = 0.005;  // the shares are rounded and those below 1 % are not listed
  if (rest > visible) add("smaller terms", rest);
  return fmt::format(
      "<h4>What the bound is made of</h4>\n<div class=\"stack\">{}</div>\n<ul "
      "class=\"terms\">{}</ul>\n",
      bar, list);
}

std::string witness_block(const results::Witness& witness) {
  std::string out = fmt::format(
      "<div class=\"witness\">\n<div>\n<h4>Worst element: <code>{}</code></h4>\n<p "
      "class=\"from\">{}{}{}seed {}</p>\n",
      escape(witness.where),
      witness.problem.empty() ? "" : "problem <code>" + escape(witness.problem) + "</code>, ",
      witness.data.empty() ? "" : "data <code>" + escape(witness.data) + "</code>",
      witness.data.empty() ? "" : ", ", witness.seed);
  out += "<div class=\"scroll\"><table class=\"values\">\n";
  const double high_part = witness.expected, low_part = witness.expected_low;
  out += value_row("expected", high_part,
                   low_part == 0 || std::isnan(low_part)
                       ? ""
                       : fmt::format("{} {:.3g}", low_part < 0 ? "−" : "+", std::fabs(low_part)));
  out += value_row("got", witness.got,
                   witness.got_bits.empty() ? "" : "bits " + escape(witness.got_bits));
  for (const auto& [name, value] : witness.inputs)
    out += value_row(escape(name).c_str(), value, "input");
  out += "</table></div>\n";
  if (!witness.reason.empty())
    out += fmt::format("<p class=\"why\">{}</p>\n", escape(witness.reason));
  out += "</div>\n<div>\n<h4>Error against its bound</h4>\n<dl class=\"facts\">\n";
  const auto fact = [&](const char* name, const std::string& value) {
    out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
  };
  fact("error", std::isnan(witness.error) ? "NaN" : fmt::format("{:.4g}", witness.error));
  fact("bound", fmt::format("{:.4g}", witness.bound));
  fact("ratio", show_ratio(witness.ratio));
  fact("ulp", show_ulp(witness.ulp));
  fact("κ", fmt::format("{:.3g}", witness.kappa));
  fact("|β|/|g|", fmt::format("{:.3g}", witness.beta_over_g));
  return out + "</dl>\n" + bound_terms(witness) + "</div>\n</div>\n";
}

std::string channel_table(const results::Witness& witness) {
  if (witness.channels.empty()) return "";
  std::string out =
      "<h4>Worst channels of this case</h4>\n<div class=\"scroll\"><table "
      "class=\"values\">\n<tr><th>channel</th><th>failed</th>"
      "<th>largest ratio</th><th>p99</th><th>mean</th><th>mean ulp</th><th>κ</th><th>largest part "
      "of the bound</th></tr>\n";
  for (const compare::ChannelLine& line : witness.channels)
    out += fmt::format(
        "<tr><td>{}</td><td>{} of "
        "{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.3g}</td><td>{}</td></tr>\n",
        line.channel, line.failed, line.elements, show_ratio(line.max_ratio),
        show_ratio(line.p99_ratio), show_ratio(line.mean_ratio), show_ulp(line.mean_ulp),
        line.kappa, escape(line.dominating));
  return out + "</table></div>\n";
}

std::string other_witnesses(const results::Record& record) {
  if (record.witnesses.size() < 2) return "";
  std::string out =
      "<h4>Next worst</h4>\n<div class=\"scroll\"><table "
      "class=\"values\">\n<tr><th>element</th><th>expected</th><th>got</th><th>ratio</"
      "th><th>problem, data, seed</th></tr>\n";
  for (std::size_t i = 1; i < record.witnesses.size(); ++i) {
    const results::Witness& witness = record.witnesses[i];
    out +=
        fmt::format("<tr><td>{}</td><td>{}</td><td>{} {}</td><td>{}</td><td>{}, {}, {}</td></tr>\n",
                    escape(witness.where), show_hex(witness.expected), show_hex(witness.got),
                    escape(witness.got_bits), show_ratio(witness.ratio), escape(witness.problem),
                    escape(witness.data), witness.seed);
  }
  return out + "</table></div>\n";
}

std::string counts(const results::Record& record) {
  const compare::Tally& tally = record.tally;
  std::string out = show_plural(record.cases, "case");
  const auto add = [&](std::uint64_t count, const char* what) {
    if (count > 0) out += fmt::format(", {} {}", show_count(count), what);
  };
  add(record.failed_cases, "failed");
  add(record.skipped_cases, "skipped");
  if (!is_contract(record) && !is_property(record))
    add(record.discriminating_cases,
        "whose data tell a right kernel from one that computes nothing");
  add(record.method_limited_cases, "limited by the in-place method");
  if (!has_numbers(record)) return out + ".";
  out += fmt::format(". {}, {} failed; ratio: mean {}, p99 {}, largest {}",
                     show_plural(tally.elements, "element"), show_count(tally.failed),
                     show_ratio(tally.sum_ratio / static_cast<double>(tally.elements)),
                     show_ratio(tally.p99_ratio()), show_ratio(tally.max_ratio));
  if (tally.nonfinite_expected + tally.nonfinite_got > 0)
    out += fmt::format("; not finite: {} expected, {} got", show_count(tally.nonfinite_expected),
                       show_count(tally.nonfinite_got));
  out += ".";
  if (record.has_end_to_end)
    out += fmt::format(
        " Against the true gradient at the unrounded x: error up to {} of the gradient's size, {}; "
        "{} of its own bound, which "
        "includes what storing z costs.",
        escape(show_percent(record.end_to_end_cost)),
        record.unsafe_cases
            ? fmt::format("<b>unsafe in place</b> in {}", show_plural(record.unsafe_cases, "case"))
            : "safe in place",
        show_ratio(record.end_to_end.max_ratio));
  if (record.open_branches > 0)
    out += fmt::format(" {} so near the kink that either branch is right, and not counted.",
                       show_plural(record.open_branches, "element"));
  return out;
}

std::string detail(const results::Record& record) {
  std::string out = "<div class=\"detail\">\n";
  const std::string text = needs_attention(record.verdict) ? results::failure_text(record) : "";
  if (!text.empty())
    out += fmt::format("<pre>{}</pre>\n", escape(text));
  else if (!record.reason.empty() &&
           !(record.verdict == results::Verdict::pass && has_numbers(record) &&
             (is_property(record) || record.discriminating_cases > 0)))
    out += fmt::format("<p class=\"why\">{}</p>\n", escape(record.reason));
  out += fmt::format("<p>{}</p>\n", counts(record));
  if (!record.witnesses.empty()) {
    const results::Witness& worst = record.witnesses.front();
    if (!is_contract(record)) out += witness_block(worst) + channel_table(worst);
    if (needs_attention(record.verdict)) out += other_witnesses(record);
    if (!worst.reproduce.empty() && text.find(worst.reproduce) == std::string::npos)
      out += fmt::format("<h4>Reproduce</h4>\n<pre class=\"command\">{}</pre>\n",
                         escape(worst.reproduce));
  }
  return out + "</div>\n";
}

/// Attributes for sorting and filtering by script.
std::string sort_keys(const results::Record& record) {
  const auto number = [](double value) {
    return std::isfinite(value) ? fmt::format("{:.4g}", value) : std::string("1e300");
  };
  return fmt::format("data-id=\"{}\" data-verdict=\"{}\" data-ratio=\"{}\" data-ulp=\"{}\"",
                     escape(record.id), results::verdict_name(record.verdict),
                     number(record.tally.max_ratio), number(std::fabs(record.tally.max_abs_ulp)));
}

std::string number_row(const results::Record& record, bool open) {
  const bool numbers = has_numbers(record);
  const compare::Tally& tally = record.tally;
  std::string out = fmt::format(
      "<details class=\"check\" id=\"{}\" {}{}>\n<summary>{}<code>{} <b>{}</b></code>",
      anchor(record.id), sort_keys(record), open ? " open" : "", verdict_chip(record.verdict),
      escape(record.dtype + " " + record.layout), escape(record.check));
  if (numbers) {
    const double mean_ulp = tally.sum_ulp / static_cast<double>(tally.elements);
    out += fmt::format(
        "<span class=\"number\">{}</span>{}<span class=\"number wide\">{}</span><span "
        "class=\"number\">{}</span><span class=\"number "
        "wide\">{}</span>"
        "<span class=\"number wide\">{}</span><span class=\"number\">{}</span><span class=\"number "
        "wide\">{}</span><span class=\"number "
        "wide\">{}</span>",
        show_ratio(tally.max_ratio), ratio_bar(record), show_ratio(tally.p99_ratio()),
        show_ulp(tally.max_abs_ulp), show_ulp(mean_ulp), fit_text(record), cost_text(record),
        show_count(record.cases - record.skipped_cases), show_count(tally.elements));
  } else {
    out += fmt::format("<span class=\"why rest\">{}</span>", escape(record.reason));
  }
  return out + "</summary>\n" + detail(record) + "</details>\n";
}

std::string contract_row(const std::vector<const results::Record*>& records,
                         std::size_t& open_left) {
  const results::Record& worst = **std::max_element(
      records.begin(), records.end(), [](const results::Record* a, const results::Record* b) {
        return severity(a->verdict) < severity(b->verdict);
      });
  const bool alarming = needs_attention(worst.verdict);
  std::string names, body, ids;
  for (const results::Record* record : records) {
    names +=
        fmt::format("<span class=\"name {}\">{} {}</span>", results::verdict_name(record->verdict),
                    glyph(record->verdict), escape(record->check));
    ids += record->id + " ";
    body += fmt::format("<div class=\"one\" id=\"{}\"><p>{} <code>{}</code></p>\n{}</div>\n",
                        anchor(record->id), verdict_chip(record->verdict), escape(record->id),
                        detail(*record));
  }
  const bool open = alarming && open_left > 0;
  if (open) --open_left;
  return fmt::format(
      "<details class=\"check contract\" data-id=\"{}\" data-verdict=\"{}\" data-ratio=\"-1\" "
      "data-ulp=\"-1\"{}>\n<summary>{}<code>{} "
      "<b>contract</b></code>"
      "<span class=\"rest\">{}</span></summary>\n{}</details>\n",
      escape(ids), results::verdict_name(worst.verdict), open ? " open" : "",
      verdict_chip(worst.verdict), escape(records.front()->dtype + " " + records.front()->layout),
      names, body);
}

}  // namespace

std::string check_table(const results::Results& results) {
  const auto order = reading_order(results);
  if (order.empty()) return "";
  std::size_t open_left = most_open;
  std::string out = "<section id=\"checks\">\n<h2>Checks</h2>\n";
  for (const auto& group : split(order, [](const results::Record&a, const results::Record&b) {
         return a.variant == b.variant && a.op == b.op;
       })) {
    const bool in_place =
        std::any_of(group.begin(), group.end(),
                    [](const results::Record* record) { return record->has_end_to_end; });
    out += fmt::format("<div class=\"group\">\n<h3>{} <b>{}</b></h3>\n",
                       escape(group.front()->variant), escape(group.front()->op));
    out += fmt::format(
        "<div class=\"head\"><span>verdict</span><span>check</span><span "
        "class=\"number\">ratio</span><span>share of the bound</span><span "
        "class=\"number wide\">p99</span>"
        "<span class=\"number\">ulp, largest</span><span class=\"number wide\">ulp, "
        "mean</span><span class=\"number wide\">competitive</span><span "
        "class=\"number\">{}</span>"
        "<span class=\"number wide\">cases</span><span class=\"number "
        "wide\">elements</span></div>\n",
        in_place ? "in-place cost" : "");
    std::vector<const results::Record*> contracts;
    for (const results::Record* record : group) {
      if (is_contract(*record)) {
        contracts.push_back(record);
        continue;
      }
      const bool open = needs_attention(record->verdict) && open_left > 0;
      if (open) --open_left;
      out += number_row(*record, open);
    }
    for (const auto& same : split(contracts, [](const results::Record&a, const results::Record&b) {
           return a.dtype == b.dtype && a.layout == b.layout;
         }))
      out += contract_row(same, open_left);
    out += "</div>\n";
  }
  return out + "</section>\n";
}

}  // namespace abn::verify::report
