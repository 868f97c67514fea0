// The reports: well-formed, complete, safe against hostile names, honest in their headline, and the
// same bytes every time.
#include "verify/report/report.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/report/sample.hpp"
#include "verify/problem/error.hpp"
#include "verify/report/heat_map.hpp"
#include "verify/report/parts.hpp"
#include "verify/report/plot.hpp"

namespace abn::verify::report {
namespace {

namespace fs = std::filesystem;

/// What is wrong with the markup: unbalanced tags, unquoted or repeated attributes, stray '<' or
/// '&', repeated ids; empty where nothing is.
std::string markup_error(const std::string& html, std::set<std::string>& ids) {
  const std::set<std::string> empty_tags{"meta", "!DOCTYPE"};
  std::vector<std::string> open;
  std::size_t at = 0;
  const auto near = [&] { return " near: " + html.substr(at > 40 ? at - 40 : 0, 120); };
  while (at < html.size()) {
    const char c = html[at];
    if (c == '&') {
      const std::size_t end = html.find(';', at);
      if (end == std::string::npos || end - at > 8) return "stray &" + near();
      at = end + 1;
      continue;
    }
    if (c == '>') return "stray >" + near();
    if (c != '<') {
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t')
        return "control character" + near();
      ++at;
      continue;
    }
    if (html[at + 1] == '/') {
      const std::size_t end = html.find('>', at);
      const std::string name = html.substr(at + 2, end - at - 2);
      if (open.empty() || open.back() != name)
        return "</" + name + "> closes " + (open.empty() ? "nothing" : "<" + open.back() + ">") +
               near();
      open.pop_back();
      at = end + 1;
      continue;
    }
    std::size_t name_end = at + 1;
    while (name_end < html.size() &&
           (std::isalnum(static_cast<unsigned char>(html[name_end])) || html[name_end] == '!'))
      ++name_end;
    const std::string name = html.substr(at + 1, name_end - at - 1);
    if (name.empty()) return "stray <" + near();
    std::size_t p = name_end;
    std::set<std::string> attributes;
    bool closed = false;
    while (true) {
      while (p < html.size() && std::isspace(static_cast<unsigned char>(html[p]))) ++p;
      if (p >= html.size()) return "tag without end" + near();
      if (html[p] == '>') break;
      if (html[p] == '/' && html[p + 1] == '>') {
        closed = true;
        ++p;
        break;
      }
      std::size_t end = p;
      while (end < html.size() && (std::isalnum(static_cast<unsigned char>(html[end])) ||
                                   html[end] == '-' || html[end] == ':'))
        ++end;
      const std::string attribute = html.substr(p, end - p);
      if (attribute.empty()) return "bad attribute" + near();
      if (!attributes.insert(attribute).second) return "attribute twice: " + attribute + near();
      p = end;
      while (html[p] == ' ' && (html[p + 1] == '=' || html[p + 1] == ' ')) ++p;
      if (html[p] != '=') continue;  // an attribute without a value
      do ++p;
      while (html[p] == ' ');
      const char quote = html[p];
      if (quote != '"' && quote != '\'') return "unquoted value of " + attribute + near();
      const std::size_t value_end = html.find(quote, p + 1);
      const std::string value = html.substr(p + 1, value_end - p - 1);
      if (value.find('<') != std::string::npos) return "< in the value of " + attribute + near();
      if (attribute == "id" && !ids.insert(value).second) return "id twice: " + value;
      p = value_end + 1;
    }
    at = p + 1;
    if (closed || empty_tags.count(name)) continue;
    if (name == "style" || name == "script") {
      at = html.find("</" + name + ">", at);
      if (at == std::string::npos) return "no end of " + name;
    }
    open.push_back(name);
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

std::string markup_error(const std::string& html) {
  std::set<std::string> ids;
  return markup_error(html, ids);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + what.size()))
    ++found;
  return found;
}

/// The headline as the page shows it.
std::string shown_headline(const std::string& html) {
  const std::size_t begin = html.find('>', html.find("<h1")) + 1;
  return html.substr(begin, html.find("</h1>") - begin);
}

struct Scratch {
  fs::path path;
  Scratch() {
    std::string name = (fs::temp_directory_path() / "abn_report_XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

/// PATH set to something else for a while.
struct OtherPath {
  std::string before = getenv("PATH") ? getenv("PATH") : "";
  explicit OtherPath(const std::string& path) { setenv("PATH", path.c_str(), 1); }
  ~OtherPath() { setenv("PATH", before.c_str(), 1); }
};

bool have_gnuplot() { return draw({"probe", "probe", 100, 100, "plot x"}).problem.empty(); }

/// Names that try to leave every context that a report puts them into: HTML, attributes, SVG,
/// gnuplot, Markdown, CSV, a shell.
std::vector<std::string> hostile_names() {
  return {"</details></main><script>alert(1)</script>",
          "\" onmouseover=\"alert(1)",
          "' id='x",
          "&lt;&amp;",
          "`system(\"touch pwned\")`",
          "\"\nsystem \"touch pwned\"\n",
          "EOD\n!touch pwned\n",
          "a|b\n```\n# big",
          "@everyone",
          "=1+1",
          std::string("nul\0byte", 8),
          "\xff\xfe latin \xe9",
          "\xed\xa0\x80",
          "ümlaut ½",
          "<!--",
          "]]>",
          "%s%n{}",
          "\x1b[31mred",
          "a\"b,c\r\nd"};
}

results::Results hostile() {
  results::Results out;
  sample::Noise noise{3};
  for (const std::string& name : hostile_names()) {
    for (const bool numbers : {true, false}) {
      results::Record record =
          sample::record(name, name, name, name, name + (numbers ? "n" : "c"), numbers);
      record.reason = name;
      record.verdict = numbers ? results::Verdict::fail : results::Verdict::skip;
      if (numbers) {
        record.tally = sample::tally(noise, 50, 3, 2, true);
        record.witnesses = {sample::witness(record, 3), sample::witness(record, 2)};
        for (results::Witness& witness : record.witnesses) {
          witness.where = witness.reason = witness.data = witness.problem = witness.got_bits =
              witness.reproduce = name;
          witness.inputs = {{name, 1}};
          witness.terms = {{name, 0.5}};
        }
      }
      out.records.push_back(record);
    }
    out.variants.push_back({name, name, name, {{name, name}}});
  }
  const std::string worst = hostile_names().front();
  out.provenance = {worst, worst, worst, worst, worst, worst, worst, worst, worst, true, 1, 1};
  return out;
}

TEST(VerifyReport, PageIsWellFormedAndHasAnAnchorForEveryCheck) {
  for (const results::Results& results :
       {sample::all_pass(), sample::mixed(), sample::tensor_files(), results::Results{}}) {
    const std::string html = render_html(results);
    std::set<std::string> ids;
    EXPECT_EQ(markup_error(html, ids), "");
    for (const results::Record& record : results.records)
      EXPECT_EQ(ids.count(record.id), 1u) << record.id;
    for (const results::Record& record : results.records)
      EXPECT_GE(count(html, "href=\"#" + record.id + "\""),
                record.kind == results::CheckKind::numbers ? 1u : 0u)
          << record.id;
  }
}

TEST(VerifyReport, TheMarkupCheckerFindsFaults) {
  EXPECT_EQ(markup_error("<p class=\"a\">x &lt; y<br/></p>"), "");
  for (const char* bad :
       {"<p>", "<p></div></p>", "<p class=a></p>", "<p id=\"a\"></p><p id=\"a\"></p>", "a & b",
        "a < b", "<p title=\"<\"></p>", "<p a=\"1\" a=\"1\"></p>", "\x01"})
    EXPECT_NE(markup_error(bad), "") << bad;
}

TEST(VerifyReport, PageRefersToNothingOutside) {
  const std::string html = render_html(sample::mixed());
  for (const char* reference :
       {"http:", "https:", "//cdn", "src=", "url(", "@import", "<link", "<iframe", "<img"})
    EXPECT_EQ(html.find(reference), std::string::npos) << reference;
}

TEST(VerifyReport, PageStaysSmall) {
  constexpr std::size_t largest = 2'000'000;
  results::Results results = sample::mixed();
  // the worst for size: every check has a detail with all its witnesses
  for (results::Record& record : results.records) {
    record.verdict = results::Verdict::fail;
    if (!record.witnesses.empty()) record.witnesses.resize(3, record.witnesses.front());
  }
  EXPECT_EQ(results.records.size(), 256u);
  EXPECT_LT(render_html(results).size(), largest);
}

TEST(VerifyReport, SameResultsGiveSameBytes) {
  const results::Results results = sample::mixed();
  const ReportFiles first = render_report(results), second = render_report(results);
  EXPECT_EQ(first.html, second.html);
  EXPECT_EQ(first.markdown, second.markdown);
  EXPECT_EQ(first.csv, second.csv);
}

TEST(VerifyReport, HeadlineIsThatOfTheResultsAndClaimsNothingOverWhatDidNotPass) {
  const results::Results passed = sample::all_pass();
  const std::string well = shown_headline(render_html(passed));
  EXPECT_EQ(well, escape(results::headline(passed)));
  EXPECT_NE(render_html(passed).find("<h1 class=\"pass\">"), std::string::npos);

  const auto with = [&](results::Verdict verdict, std::size_t records) {
    results::Results results = passed;
    for (std::size_t i = 0; i < records; ++i) {
      results.records[i].verdict = verdict;
      results.records[i].reason = "for a reason";
    }
    return results;
  };
  const std::pair<results::Results, std::string> others[] = {
      {with(results::Verdict::fail, 1), "fail"},
      {with(results::Verdict::error, 1), "fail"},
      {with(results::Verdict::inconclusive, 1), "inconclusive"},
      {with(results::Verdict::skip, 1), "skip"},
      {with(results::Verdict::skip, 256), "skip"},
      {results::Results{}, "skip"}};
  for (const auto& [results, style] : others) {
    const std::string html = render_html(results);
    EXPECT_NE(shown_headline(html), well) << style;
    EXPECT_EQ(shown_headline(html), escape(results::headline(results)));
    EXPECT_NE(html.find("<h1 class=\"" + style + "\">"), std::string::npos) << style;
    EXPECT_EQ(render_markdown(results).find("### abn-verify: " +
                                            results::headline(results).substr(0, 12)),
              0u);
  }
  EXPECT_NE(render_html(others[3].first).find("What was not checked"), std::string::npos);
  EXPECT_NE(render_html(others[5].first).find("No check ran"), std::string::npos);
}

TEST(VerifyReport, FailuresAreOpenWithTheirTextWitnessAndCommand) {
  const results::Results results = sample::mixed();
  const std::string html = render_html(results);
  const std::string id = "two_sweep/backward/bf16/nhwc/dx";
  const std::size_t begin = html.find("<details class=\"check\" id=\"" + id + "\""),
                    end = html.find("</details>", begin);
  ASSERT_NE(begin, std::string::npos);
  const std::string block = html.substr(begin, end - begin);
  EXPECT_NE(block.substr(0, block.find('>')).find(" open"), std::string::npos);
  const results::Record& record = sample::find(const_cast<results::Results&>(results), id);
  for (const std::string& part :
       {escape(results::failure_text(record)), record.witnesses[0].reproduce,
        record.witnesses[0].where, std::string("0x1.8p-7"), std::string("bits 0xbb1c"),
        std::string("reduction of dy 61 %"), std::string("2 failed"), std::string("Next worst")})
    EXPECT_NE(block.find(part), std::string::npos) << part;
  const std::size_t passed =
      html.find("<details class=\"check\" id=\"two_sweep/backward/bf16/nchw/dx\"");
  ASSERT_NE(passed, std::string::npos);
  EXPECT_EQ(html.substr(passed, html.find('>', passed) - passed).find(" open"), std::string::npos);

  // A contract check that fails opens the row that it shares with those that passed.
  const std::size_t guards = html.find("id=\"two_sweep/forward/f32/nhwc/guards\""),
                    row = html.rfind("<details", guards);
  EXPECT_NE(html.substr(row, html.find('>', row) - row).find(" open"), std::string::npos);
}

TEST(VerifyReport, InPlaceCostAndFitStandBesideTheVerdict) {
  results::Results results = sample::all_pass();
  for (results::Record& record : results.records)
    record.unsafe_cases = 0, record.has_end_to_end = false;
  EXPECT_EQ(render_html(results).find("unsafe</b>"), std::string::npos);
  results::Record& dx = sample::find(results, "naive/backward/bf16/nchw/dx");
  dx.has_end_to_end = true;
  dx.end_to_end_cost = 0.39;
  dx.unsafe_cases = 4;
  sample::find(results, "naive/backward/f32/nchw/dx").tally.max_fit_ratio = 41;
  const std::string html = render_html(results);
  EXPECT_NE(html.find("39 % <b>unsafe</b>"), std::string::npos);
  EXPECT_NE(html.find("<b>unsafe in place</b> in 4 cases"), std::string::npos);
  EXPECT_NE(html.find("41</span> no"), std::string::npos);
  EXPECT_NE(html.find("<h1 class=\"pass\">"), std::string::npos)
      << "a measurement of the method fails no kernel";
}

TEST(VerifyReport, HostileNamesStayText) {
  const Scratch scratch;
  const fs::path here = fs::current_path();
  fs::current_path(scratch.path);  // where a command that got through would leave its mark
  const results::Results results = hostile();
  const ReportFiles files = render_report(results);
  fs::current_path(here);
  EXPECT_TRUE(fs::is_empty(scratch.path));

  std::set<std::string> ids;
  EXPECT_EQ(markup_error(files.html, ids), "");
  for (const results::Record& record : results.records) EXPECT_EQ(ids.count(anchor(record.id)), 1u);
  EXPECT_EQ(count(files.html, "<script"), 1u);
  EXPECT_EQ(files.html.find("onmouseover=\"alert"), std::string::npos);
  EXPECT_EQ(files.html.find('\0'), std::string::npos);

  // Markdown: outside of fenced blocks there is no tag but <sub>, no live mention, and each table
  // row keeps its cells.
  std::istringstream lines(files.markdown);
  std::string line, fence;
  while (std::getline(lines, line)) {
    const std::size_t ticks = line.find_first_not_of('`');
    const std::size_t run = ticks == std::string::npos ? line.size() : ticks;
    if (fence.empty() && run >= 3) {
      fence = line;
      continue;
    }
    if (!fence.empty()) {
      if (run == line.size() && run >= fence.size()) fence.clear();
      continue;
    }
    EXPECT_EQ(line.find("<script"), std::string::npos) << line;
    EXPECT_EQ(line.find("@everyone"), std::string::npos) << line;
    if (line.rfind("| ", 0) == 0) {
      std::size_t cells = 0;
      for (std::size_t i = 0; i < line.size(); ++i)
        cells += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
      EXPECT_EQ(cells, 3 + hostile_names().size()) << line;
    }
  }
  EXPECT_EQ(fence, "");
}

TEST(VerifyReport, AnchorsOfDifferentIdsDiffer) {
  std::set<std::string> anchors;
  const std::vector<std::string> ids{"a/b", "a b", "a~20b", "a~b", "a\nb", "A/b", "ä", "", "~"};
  for (const std::string& id : ids) anchors.insert(anchor(id));
  EXPECT_EQ(anchors.size(), ids.size());
  EXPECT_EQ(anchor("two_sweep/backward/bf16/nhwc/dx"), "two_sweep/backward/bf16/nhwc/dx");
}

TEST(VerifyReport, NumbersReadAsTheyAre) {
  EXPECT_EQ(show_ratio(1), "1");
  EXPECT_EQ(show_ratio(1.0004), "1.0004");
  EXPECT_EQ(show_ratio(std::nextafter(1.0, 2.0)), ">1");
  EXPECT_EQ(show_ratio(std::nextafter(1.0, 0.0)), "<1");
  EXPECT_EQ(show_ratio(INFINITY), "∞");
  EXPECT_EQ(show_ratio(NAN), "NaN");
  EXPECT_EQ(show_ratio(0), "0");
  EXPECT_EQ(show_ulp(0.312), "+0.312");
  EXPECT_EQ(show_ulp(-7.5), "−7.5");
  EXPECT_EQ(show_ulp(-0x1p20), "≤ −2^20");
  EXPECT_EQ(show_percent(0), "0 %");
  EXPECT_EQ(show_percent(1e-9), "< 0.01 %");
  EXPECT_EQ(show_percent(0.999), "100 %");
  EXPECT_EQ(show_count(1234567), "1,234,567");
  EXPECT_EQ(show_count(999), "999");
  EXPECT_EQ(show_hex(0x1.8p-7), "0x1.8p-7");
}

TEST(VerifyReport, WithoutGnuplotThePageHasItsTablesAndSaysSo) {
  const Scratch scratch;
  const results::Results results = sample::mixed();
  std::string html;
  {
    const OtherPath nothing(scratch.path);
    html = render_html(results);
  }
  EXPECT_EQ(markup_error(html), "");
  EXPECT_EQ(html.find("<svg"), std::string::npos);
  EXPECT_EQ(count(html, "There are no plots, because gnuplot"), 1u);
  EXPECT_NE(html.find("id=\"two_sweep/backward/bf16/nhwc/dx\""), std::string::npos);
}

TEST(VerifyReport, AGnuplotThatFailsOrTalksNonsenseIsAsGoodAsNone) {
  for (const char* body :
       {"#!/bin/sh\nexit 1\n", "#!/bin/sh\necho '<svg><script>alert(1)</script></svg>'\n",
        "#!/bin/sh\nkill -9 $$\n"}) {
    const Scratch scratch;
    const fs::path program = scratch.path / "gnuplot";
    std::ofstream(program) << body;
    chmod(program.c_str(), 0755);
    const OtherPath mine(scratch.path.string() + ":/bin:/usr/bin");
    const std::string html = render_html(sample::mixed());
    EXPECT_EQ(markup_error(html), "") << body;
    EXPECT_EQ(html.find("<svg"), std::string::npos) << body;
    EXPECT_EQ(count(html, "There are no plots"), 1u) << body;
  }
}

TEST(VerifyReport, EachVariantHasItsTwoFigures) {
  if (!have_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  const std::string html = render_html(sample::mixed());
  EXPECT_EQ(count(html, "<svg "), 4u);
  for (const char* label : {"Signed error in ulp of", "signed error in ulp of the output type",
                            "ratio = |error| / bound", "0 ± ½: correctly rounded",
                            "Ratio of error to bound of 64 checks of two_sweep"})
    EXPECT_NE(html.find(label), std::string::npos) << label;
  EXPECT_EQ(html.find("rgb(  1"), std::string::npos)
      << "a marker colour that did not become a variable of the page";
  EXPECT_EQ(html.find("color='rgb("), std::string::npos);

  results::Results few = sample::mixed();  // variants with few checks share a figure
  std::erase_if(few.records, [](const results::Record& record) { return record.check != "dx"; });
  EXPECT_EQ(count(render_html(few), "<svg "), 2u);
  results::Results none = sample::mixed();
  std::erase_if(none.records, [](const results::Record& record) {
    return record.kind != results::CheckKind::contract;
  });
  EXPECT_EQ(count(render_html(none), "<svg "), 0u);
}

TEST(VerifyReport, PlotsSurviveValuesWithoutAPlaceOnTheAxis) {
  if (!have_gnuplot()) GTEST_SKIP() << "gnuplot is not installed";
  results::Results results = sample::all_pass();
  std::size_t i = 0;
  for (results::Record& record : results.records) {
    const double extremes[] = {0, NAN, INFINITY, 1e300, 1e-300};
    record.tally.max_ratio = extremes[i++ % 5];
    if (i % 7 == 0) record.tally.sum_ulp = NAN;
    if (i % 3 == 0) record.tally.ulp_histogram = {};
    if (i % 11 == 0) record.tally.ulp_histogram.front() = record.tally.ulp_histogram.back() = 5;
  }
  const std::string html = render_html(results);
  EXPECT_EQ(markup_error(html), "");
  EXPECT_EQ(count(html, "<svg "), 4u);
  EXPECT_EQ(html.find("d='MNaN"), std::string::npos);
}

TEST(VerifyReport, MarkdownFitsIntoAComment) {
  EXPECT_NE(render_markdown(sample::all_pass()).find("| `two_sweep` | backward |"),
            std::string::npos);
  results::Results results = sample::mixed();
  for (results::Record& record : results.records) {
    record.verdict = results::Verdict::fail;
    record.reason = std::string(3000, 'x');
    if (!record.witnesses.empty()) record.witnesses.front().reproduce = std::string(3000, 'y');
  }
  const std::string markdown = render_markdown(results);
  EXPECT_LE(markdown.size(), markdown_limit);
  EXPECT_NE(markdown.find("more that failed"), std::string::npos);
  EXPECT_EQ(count(markdown, "\n```") % 2, 0u);

  results::Results many;  // nor do many variants or reasons break it
  for (int i = 0; i < 3000; ++i) {
    results::Record record = sample::record("variant_with_a_rather_long_name_" + std::to_string(i),
                                            "forward", "f32", "nchw", "z", true);
    record.verdict = results::Verdict::skip;
    record.reason = "reason " + std::to_string(i);
    many.records.push_back(record);
  }
  EXPECT_LE(render_markdown(many).size(), markdown_limit);
}

TEST(VerifyReport, ManyTensorFilesGetOneRowEachAndTheWorstOnesInMarkdown) {
  const results::Results results = sample::tensor_files();
  const std::string html = render_html(results), markdown = render_markdown(results);
  EXPECT_EQ(count(html, "<table class=\"overview files\">"), 1u);
  EXPECT_EQ(count(html, "<table class=\"overview\">"), 0u);
  EXPECT_NE(markdown.find("| `deep_late_bf16` | backward |"), std::string::npos);
  EXPECT_NE(markdown.find("36 more rows passed, with ratios up to "), std::string::npos);

  // rows that are left out are not said to have passed when they have not
  results::Results failed = results;
  for (results::Record& record : failed.records) record.verdict = results::Verdict::fail;
  EXPECT_NE(render_markdown(failed).find("36 more rows are in index.html, not all of them passed"),
            std::string::npos);
}

TEST(VerifyReport, CsvHasOneRowARecord) {
  const results::Results results = sample::mixed();
  const std::string csv = render_csv(results);
  EXPECT_EQ(count(csv, "\n"), results.records.size() + 1);
  EXPECT_NE(
      csv.find("two_sweep/backward/bf16/nhwc/dx,two_sweep,backward,bf16,nhwc,dx,numbers,fail,"),
      std::string::npos);

  // Read back by RFC 4180: every row has the columns of the header, and the hostile texts come out
  // as they went in.
  const results::Results bad = hostile();
  const std::string text = render_csv(bad);
  std::vector<std::vector<std::string>> rows{{""}};
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"')
        rows.back().back() += c;
      else if (text[i + 1] == '"')
        rows.back().back() += text[++i];
      else
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      rows.back().emplace_back();
    } else if (c == '\n') {
      rows.push_back({""});
    } else {
      rows.back().back() += c;
    }
  }
  rows.pop_back();
  ASSERT_EQ(rows.size(), bad.records.size() + 1);
  for (const auto& row : rows) ASSERT_EQ(row.size(), rows.front().size());
  for (std::size_t i = 0; i < bad.records.size(); ++i) {
    const std::string& name = bad.records[i].variant;
    const bool formula = name[0] == '=' || name[0] == '@';
    EXPECT_EQ(rows[i + 1][1], (formula ? "'" : "") + name);
  }
}

TEST(VerifyReport, WritesThreeFilesIntoADirectoryThatItMakes) {
  const Scratch scratch;
  const fs::path folder = scratch.path / "a" / "b";
  write_report(sample::mixed(), folder);
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"index.html", "report.csv", "report.md"}));
  std::ifstream file(folder / "index.html");
  std::stringstream content;
  content << file.rdbuf();
  EXPECT_EQ(content.str(), render_html(sample::mixed()));
}

TEST(VerifyReport, ADirectoryThatCannotBeIsAUsageError) {
  const Scratch scratch;
  std::ofstream(scratch.path / "file") << "x";
  for (const std::string& directory :
       {(scratch.path / "file").string(), (scratch.path / "file" / "below").string(),
        std::string("/proc/none/report"), std::string()}) {
    try {
      write_report(sample::all_pass(), directory);
      ADD_FAILURE() << directory;
    } catch (const problem::UsageError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("'" + directory + "'"), std::string::npos) << text;
      EXPECT_EQ(text.back(), '.');
    }
  }
}

/// A study in which nothing is a friendly name.
study::Study study_named(const std::string& name) {
  study::Study study{name, name, name, 1, {{name, name}}, {name}, {}, {}};
  study.tables = {{name,
                   name,
                   name,
                   {{name, ""}, {name + ", a", name}, {name + ", b", ""}},
                   {{name, 1.5, std::nan("")}, {name, INFINITY, name}},
                   false},
                  {name, name, "", {{name, ""}}, {{name}}, true}};
  study.grids = {{name,
                  name,
                  name,
                  name,
                  1,
                  {name, name, {0.1, 1, 10}},
                  {name, name, {1, 100}},
                  {0, 0.5, 1, 5, INFINITY, NAN},
                  {0, 0.5, 2, 0.5, 2, INFINITY}}};
  return study;
}

TEST(VerifyReport, StudiesHaveTheirSentencesMapsAndTables) {
  const std::vector<study::Study> studies{study_named("first of two"), study_named("second")};
  const std::string html = render_html(sample::mixed(), studies);
  EXPECT_EQ(markup_error(html), "");
  EXPECT_EQ(count(html, "<section class=\"study\">"), 2u);
  EXPECT_EQ(count(html, "<table class=\"claims study\">"), 4u);
  EXPECT_EQ(count(html, "<details class=\"more\">"), 2u);
  EXPECT_NE(html.find("<li>first of two</li>"), std::string::npos);
  if (have_gnuplot()) {
    EXPECT_EQ(count(html, "<svg "), 6u);  // two a variant, one a grid
    EXPECT_NE(html.find("var(--cost3)"), std::string::npos);
    // an axis with its unit
    EXPECT_NE(html.find(">first of two [first of two]<"), std::string::npos);
    EXPECT_EQ(html.find("rgb(  1"), std::string::npos);
  }
  EXPECT_EQ(render_html(sample::mixed()), render_html(sample::mixed(), {}));
  EXPECT_EQ(html, render_html(sample::mixed(), studies));
  const std::string markdown = render_markdown(sample::mixed(), studies);
  EXPECT_NE(markdown.find("- first of two\n"), std::string::npos);
  EXPECT_NE(
      markdown.find("| first of two | first of two, a \\[first of two\\] | first of two, b |"),
      std::string::npos);

  // Studies alone: no verdict on checks that did not run.
  const std::string alone = render_html({}, studies);
  EXPECT_EQ(markup_error(alone), "");
  EXPECT_EQ(alone.find("No check ran"), std::string::npos);
  EXPECT_NE(alone.find("<title>first of two – abn-verify</title>"), std::string::npos);
}

TEST(VerifyReport, TheMapIsColouredByWhatWasMeasuredAndItsLineIsWhatWasPredicted) {
  study::Grid grid{"g",
                   "g",
                   "cost",
                   "%",
                   1,
                   {"x", "1", {1, 10, 100}},
                   {"y", "1", {1, 10}},
                   {0.0001, 0.5, 50, 0.0001, 0.5, 1e9},
                   {0.5, 0.5, 2, 0.5, 0.5, 2}};
  const PlotScript script = heat_map(grid, "map");
  // Two rows of three cells in four classes, and one straight line between the second and the third
  // column.
  for (const char* block : {"$cells0", "$cells3", "$cells5", "$cells6"})
    EXPECT_NE(script.commands.find(block), std::string::npos) << block;
  for (const char* block : {"$cells1", "$cells2", "$cells4"})
    EXPECT_EQ(script.commands.find(block), std::string::npos) << block;
  EXPECT_NE(script.commands.find("$line << EOD\n1.5000 -0.5000\n1.5000 1.5000\n\nEOD"),
            std::string::npos)
      << script.commands;
  grid.predicted = {0, 0, 0, 0, 0, 0};  // safe everywhere: no line
  EXPECT_EQ(heat_map(grid, "map").commands.find("$line"), std::string::npos);
  if (have_gnuplot()) {
    EXPECT_EQ(draw(script).problem, "");
  }
}

TEST(VerifyReport, HostileStudiesStayText) {
  std::vector<study::Study> studies;
  for (const std::string& name : hostile_names()) studies.push_back(study_named(name));
  const fs::path here = fs::temp_directory_path() / "abn_report_hostile_study";
  fs::create_directories(here);
  const fs::path before = fs::current_path();
  fs::current_path(here);
  const std::string html = render_html({}, studies), markdown = render_markdown({}, studies);
  fs::current_path(before);
  EXPECT_FALSE(fs::exists(here / "pwned"));
  fs::remove_all(here);
  EXPECT_EQ(markup_error(html), "");
  EXPECT_EQ(count(html, "<script"), 0u);
  EXPECT_EQ(count(markdown, "<script"), 0u);
  EXPECT_LE(markdown.size(), markdown_limit);
  std::vector<study::Study> many(300, study_named(std::string(400, 'x')));
  EXPECT_LE(render_markdown(sample::mixed(), many).size(), markdown_limit);
}

/// What `grad reference` and properties leave behind: no type and layout, and comparisons without a
/// right value.
results::Results gradients_and_properties() {
  results::Results results = sample::all_pass();
  sample::Noise noise{5};
  for (const char* method : {"complex_step", "differences", "dual"})
    for (const char* scheme : {"standard", "in_place_1"}) {
      results::Record record = sample::record("reference", "gradient", method, scheme, "dx", true);
      record.tally = sample::tally(noise, 100, 0.4, 0.1, true);
      record.discriminating_cases = 1;
      results.records.push_back(record);
    }
  for (const char* check : {"linear", "permutation"}) {
    results::Record record = sample::record("two_sweep", "property", "f32", "nchw", check, true);
    record.kind = results::CheckKind::property;
    record.tally = sample::tally(noise, 100, 0.4, 0.1, true);
    record.tally.max_fit_ratio = 3;  // means nothing for a property
    record.discriminating_cases = 0;
    results.records.push_back(record);
  }
  results::Record broken = sample::record("two_sweep", "property", "f32", "nchw", "broken", false);
  broken.kind = results::CheckKind::property;
  broken.verdict = results::Verdict::fail;
  broken.failed_cases = 1;
  broken.reason = "the two results differ";
  results.records.push_back(broken);
  return results;
}

TEST(VerifyReport, GradientsAndPropertiesHaveTheirPlace) {
  const results::Results results = gradients_and_properties();
  const std::string html = render_html(results), markdown = render_markdown(results);
  std::set<std::string> ids;
  EXPECT_EQ(markup_error(html, ids), "");
  for (const results::Record& record : results.records) {
    EXPECT_EQ(ids.count(record.id), 1u) << record.id;
    EXPECT_GE(count(html, "href=\"#" + record.id + "\""),
              record.kind == results::CheckKind::contract ? 0u : 1u)
        << record.id;
  }
  // Methods and schemes are rows of a table of their own, not columns of the one with types and
  // layouts.
  EXPECT_EQ(count(html, "<table class=\"overview\">"), 1u);
  EXPECT_EQ(count(html, "<table class=\"overview files\">"), 1u);
  EXPECT_NE(html.find("reference <span class=\"note\">complex_step "), std::string::npos);
  EXPECT_NE(html.find("property <b>linear</b>"), std::string::npos);
  EXPECT_NE(html.find("the two results differ"), std::string::npos);
  for (const results::Record& record : results.records)
    EXPECT_FALSE(is_property(record) && results::is_unfit(record)) << record.id;
  EXPECT_NE(markdown.find("| `two_sweep` | property |"), std::string::npos);
  EXPECT_NE(
      render_csv(results).find(
          "two_sweep/property/f32/nchw/linear,two_sweep,property,f32,nchw,linear,property,pass,"),
      std::string::npos);
}

}  // namespace
}  // namespace abn::verify::report
