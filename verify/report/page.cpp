// The HTML page as a whole, and its last sections: how to read it, what the variants claim, where
// the numbers come from.
#include <fmt/format.h>

#include <algorithm>

#include "verify/report/parts.hpp"
#include "verify/report/report.hpp"

namespace abn::verify::report {
namespace {

constexpr std::size_t most_side_by_side = 5;

}  // namespace

std::string legend() {
  std::string verdicts;
  const auto words = results::verdict_words();
  for (std::size_t i = 0; i < words.size(); ++i)
    verdicts += fmt::format("<span class=\"verdict {0}\">{1} {0}</span>{2} ", words[i].name,
                            glyph(static_cast<results::Verdict>(i)), escape(words[i].sentence));
  return R"html(<section>
<h2>How to read this</h2>
<dl class="words legend">
<dt>ratio</dt><dd>|error| / bound of an element; a check shows its largest. The bound follows from
what the variant claims (class of algorithm, accumulate type, depth) and from the data. Up to 1,
rounding explains the error; above 1 it does not.</dd>
<dt>p99</dt><dd>99 of 100 elements have at most this ratio: the tick on the bar.</dd>
<dt>ulp</dt><dd>the error with its sign, in units of the last place of the exact value, in the type
of the output. A result that is rounded once stays within ±½. A mean away from 0 is a bias. Where
terms cancel, as in dx, many ulp can be right; the ratio decides.</dd>
<dt>competitive</dt><dd>the same ratio, but against twice the bound of the recommended class:
two-pass statistics, direct normalisation, a tree of 256 lanes, in f32 (in f64 for f64 tensors).
Above 1 a check may still pass: the kernel conforms to its claims, and is less accurate than it
could be.</dd>
<dt>in-place cost</dt><dd>the largest error against the true gradient at the unrounded x, in per
cent of the size that the gradient of the channel has before anything cancels. Above 1 % it is
<i>unsafe in place</i>. It measures what it costs to store only z; it fails no kernel.</dd>
<dt>κ</dt><dd>the condition number of the variance, √(1 + mean²/variance): large means that the data
itself takes digits away. |β|/|g| is what amplifies the rounding of z when an in-place backward
inverts it.</dd>
<dt>contract</dt><dd>what a kernel must do besides right numbers. It writes only into its outputs,
and all of them; it gives the same bits in place and under every schedule; it returns the right
status. With <code>--sanitize</code> every memory access counts, too: accesses without an order
(<i>races</i>), reads of memory that nobody wrote (<i>unwritten reads</i>), accesses out of
<i>bounds</i>, <i>barriers</i> that not all threads reach, and the <i>traffic</i> that the variant
claims.</dd>
<dt>property</dt><dd>what relates two results of one kernel: linearity, equal shards, a round trip.
Its ratio is their difference over what it may be. A gradient check of the reference stands under
its method and scheme instead of a type and layout.</dd>
<dt>verdicts</dt><dd>)html" +
         verdicts + R"html(</dd>
</dl>
</section>
)html";
}

/// Its memory, its process, and what else is in that.
std::string runs_in(const results::VariantInfo& variant) {
  std::string text = variant.memory;
  if (!variant.process.empty()) text += "; " + variant.process;
  if (!variant.libraries.empty())
    text += fmt::format("; the plug-in brought {}", fmt::join(variant.libraries, ", "));
  return text;
}

std::string variant_table(const results::Results& results) {
  if (results.variants.empty()) return "";
  std::vector<std::string> keys;  // in the order in which variants name them
  for (const results::VariantInfo& variant : results.variants)
    for (const auto& [key, value] : variant.claims)
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);

  // a row a variant, below the heads
  std::vector<std::vector<std::string>> table(1 + results.variants.size());
  table[0] = {"", "what it is", "runs in"};
  table[0].insert(table[0].end(), keys.begin(), keys.end());
  for (std::size_t i = 0; i < results.variants.size(); ++i) {
    const results::VariantInfo& variant = results.variants[i];
    table[i + 1] = {variant.name, variant.summary, runs_in(variant)};
    for (const std::string& key : keys) {
      const auto claim = std::find_if(variant.claims.begin(), variant.claims.end(),
                                      [&](const auto& pair) { return pair.first == key; });
      table[i + 1].push_back(claim == variant.claims.end() ? "" : claim->second);
    }
  }
  // a few variants are compared column by column
  const bool sideways = results.variants.size() <= most_side_by_side;
  const std::size_t rows = sideways ? table[0].size() : table.size(),
                    columns = sideways ? table.size() : table[0].size();
  std::string out =
      "<section>\n<h2>What the variants claim</h2>\n<p class=\"note\">The bounds above hold "
      "for these claims. A claim that is too generous widens them; one that is too strict makes "
      "the "
      "kernel fail.</p>\n<div "
      "class=\"scroll\"><table class=\"claims\">\n";
  for (std::size_t row = 0; row < rows; ++row) {
    out += "<tr>";
    for (std::size_t column = 0; column < columns; ++column) {
      const std::string& text = sideways ? table[column][row] : table[row][column];
      const char* scope = row == 0 ? "col" : "row";
      out += row == 0 || column == 0 ? fmt::format("<th scope=\"{}\">{}</th>", scope, escape(text))
                                     : fmt::format("<td>{}</td>", escape(text));
    }
    out += "</tr>\n";
  }
  out += "</table></div>\n";
  std::string unneeded;
  for (const results::VariantInfo& variant : results.variants)
    for (const std::string& sentence : variant.unneeded)
      unneeded += fmt::format("<li>{}, {}</li>\n", escape(variant.name), escape(sentence));
  if (!unneeded.empty())
    out +=
        "<p class=\"note\">Claims that are more generous than the errors needed. This is advice, "
        "and fails nothing.</p>\n<ul "
        "class=\"said\">\n" +
        unneeded + "</ul>\n";
  return out + "</section>\n";
}

std::string provenance(const results::Results& results) {
  const results::Provenance& from = results.provenance;
  std::string out = "<section>\n<h2>Where these results come from</h2>\n<dl class=\"words\">\n";
  const auto add = [&](const char* name, const std::string& value, bool code = false) {
    if (!value.empty())
      out += code ? fmt::format("<dt>{}</dt><dd><code>{}</code></dd>\n", name, escape(value))
                  : fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escape(value));
  };
  add("command", from.command, true);
  add("abn-verify", from.version);
  add("git", from.git.empty() ? "" : from.git + (from.dirty ? ", with uncommitted changes" : ""));
  add("compiler", from.compiler);
  add("CUDA", from.cuda.empty() ? "none" : from.cuda);
  add("driver", from.driver.empty() ? "none" : from.driver);
  add("device", from.device);
  add("tier", from.tier);
  add("seed", std::to_string(from.seed));
  add("time",
      from.time.empty()
          ? ""
          : fmt::format("{}{}", from.time,
                        from.seconds > 0 ? fmt::format(", took {:.1f} s", from.seconds) : ""));
  for (const results::FileHash& file : from.files)
    add(escape(file.role).c_str(), fmt::format("{}, SHA-256 {}", file.name, file.sha256), true);
  add("schema", results::results_schema);
  return out + "</dl>\n</section>\n";
}

std::string render_html(const results::Results& results,
                        std::span<const study::Study> all_studies) {
  const bool studies_only = results.records.empty() && !all_studies.empty();
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n";
  out += fmt::format("<title>{} – abn-verify</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n",
                     escape(studies_only ? all_studies.front().title : results::headline(results)),
                     style_sheet());
  if (studies_only)
    return out + "<header>\n<p class=\"kicker\">abn-verify</p>\n</header>\n" +
           studies(all_studies) + "</main>\n</body>\n</html>\n";
  out += masthead(results) + attention(results) + overview(results) + accesses(results) + legend() +
         plots(results) + studies(all_studies) + check_table(results) + variant_table(results) +
         provenance(results);
  return out + fmt::format("</main>\n<script>{}</script>\n</body>\n</html>\n", script());
}

}  // namespace abn::verify::report
