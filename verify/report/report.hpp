// The reports that people read: one self-contained HTML page, a Markdown comment and a CSV table,
// each a function of Results and studies alone.
//
// The page needs no network and no script (a short one adds filtering and sorting where scripts
// run). Its plots are drawn by gnuplot; where gnuplot is missing or fails, the page has its tables
// and says so. The same Results give the same bytes.
#pragma once

#include <span>
#include <string>

#include "verify/results/results.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::report {

struct ReportFiles {
  std::string html;  ///< index.html
  /// report.md, at most markdown_limit bytes, so that it fits into a pull-request comment
  std::string markdown;
  std::string csv;  ///< report.csv, one row a record
};

/// GitHub refuses comments above 65,536 characters.
inline constexpr std::size_t markdown_limit = 60'000;

/// Without records, but with studies, the page and the comment are about the studies alone.
std::string render_html(const results::Results& results,
                        std::span<const study::Study> studies = {});
std::string render_markdown(const results::Results& results,
                            std::span<const study::Study> studies = {});
std::string render_csv(const results::Results& results);
ReportFiles render_report(const results::Results& results,
                          std::span<const study::Study> studies = {});

/// Writes index.html, report.md and report.csv into `directory`, which is made if need be; each
/// file appears whole or not at all. Throws UsageError where the directory cannot be made or
/// written.
void write_report(const results::Results& results, const std::string& directory,
                  std::span<const study::Study> studies = {});

}  // namespace abn::verify::report
