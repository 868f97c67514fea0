// Writing the reports, and the CSV: one row a record, for spreadsheets and scripts.
#include "verify/report/report.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "verify/problem/error.hpp"
#include "verify/report/parts.hpp"

namespace abn::verify::report {
namespace {

/// A text field by RFC 4180; a leading = + - @ gets a quote in front, because spreadsheets would
/// run the field as a formula.
std::string field(std::string text) {
  if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos)
    text.insert(0, "'");
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string number(double value) { return fmt::format("{:.9g}", value); }

}  // namespace

std::string render_csv(const results::Results& results) {
  std::string out =
      "id,variant,op,dtype,layout,check,kind,verdict,reason,cases,failed_cases,skipped_cases,"
      "discriminating_cases,method_limited_cases,"
      "elements,failed_elements,"
      "nonfinite_expected,nonfinite_got,max_ratio,p99_ratio,mean_ratio,max_fit_ratio,largest_ulp,"
      "mean_ulp,end_to_end_ratio,end_to_end_cost,"
      "unsafe_cases,reproduce\n";
  for (const results::Record& record : results.records) {
    const compare::Tally& tally = record.tally;
    const double elements = static_cast<double>(tally.elements);
    for (const std::string& text :
         {record.id, record.variant, record.op, record.dtype, record.layout, record.check,
          std::string(results::kind_name(record.kind)),
          std::string(results::verdict_name(record.verdict)), record.reason})
      out += field(text) + ",";
    for (const std::uint64_t count :
         {record.cases, record.failed_cases, record.skipped_cases, record.discriminating_cases,
          record.method_limited_cases, tally.elements, tally.failed, tally.nonfinite_expected,
          tally.nonfinite_got})
      out += std::to_string(count) + ",";
    if (has_numbers(record)) {
      for (const double value : {tally.max_ratio, tally.p99_ratio(), tally.sum_ratio / elements,
                                 tally.max_fit_ratio, tally.max_abs_ulp, tally.sum_ulp / elements})
        out += number(value) + ",";
    } else {
      out += ",,,,,,";
    }
    if (record.has_end_to_end)
      out += fmt::format("{},{},{},", number(record.end_to_end.max_ratio),
                         number(record.end_to_end_cost), record.unsafe_cases);
    else
      out += ",,,";
    out += (record.witnesses.empty() ? "" : field(record.witnesses.front().reproduce)) + "\n";
  }
  return out;
}

ReportFiles render_report(const results::Results& results, std::span<const study::Study> studies) {
  return {render_html(results, studies), render_markdown(results, studies), render_csv(results)};
}

void write_report(const results::Results& results, const std::string& directory,
                  std::span<const study::Study> studies) {
  std::error_code problem;
  std::filesystem::create_directories(directory, problem);
  if (problem || !std::filesystem::is_directory(directory))
    throw problem::UsageError(fmt::format(
        "The report cannot be written to '{}' ({}); name a directory that can be made and written.",
        directory, problem ? problem.message() : "it is not a directory"));
  const ReportFiles files = render_report(results, studies);
  const std::filesystem::path folder(directory);
  results::write_file_atomically(folder / "report.md", files.markdown);
  results::write_file_atomically(folder / "report.csv", files.csv);
  // the last, so that a page means a whole report
  results::write_file_atomically(folder / "index.html", files.html);
}

}  // namespace abn::verify::report
