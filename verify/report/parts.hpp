// What the report's pages share: escaping, numbers as people read them, the order of rows, and the
// sections of the HTML page.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "verify/results/results.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::report {

/// Text for HTML, in content and in quoted attributes alike: markup characters become entities,
/// control characters and bytes that are not UTF-8 become U+FFFD, for names come from users and
/// their files.
std::string escape(std::string_view text);

/// The HTML id of a check: the check id itself where it has letters, digits and _./:- only; any
/// other byte becomes ~XX, so that different ids have different anchors.
std::string anchor(std::string_view id);

/// 2 or 3 digits; never "1" for what is not 1; infinity as a sign
std::string show_ratio(double ratio);
/// 2 or 3 digits with sign; saturated values as such
std::string show_ulp(double ulp);
/// 0.0123 -> "1.2 %"; in text that is not escaped yet
std::string show_percent(double fraction);
std::string show_count(std::uint64_t count);                          ///< 1234567 -> "1,234,567"
std::string show_plural(std::uint64_t count, std::string_view noun);  ///< "1 case", "2 cases"
std::string show_decimal(double value);                               ///< 17 digits
std::string show_hex(double value);                                   ///< 0x1.8p-7

/// a sign beside the colour, so that colour never stands alone
const char* glyph(results::Verdict verdict);
bool needs_attention(results::Verdict verdict);  ///< fail, error or inconclusive

bool is_contract(const results::Record& record);
/// two results of a kernel, compared with each other: no recommended class, no ulp of a right value
bool is_property(const results::Record& record);
/// the id's third and fourth part are type and layout; of the reference's gradients they are method
/// and scheme
bool has_types(const results::Record& record);
bool has_numbers(
    const results::Record& record);  ///< compared with a bound, and on at least one element
/// the largest ratio for sorting: a NaN counts as infinity
double ranking_ratio(const results::Record& record);

/// passed, but no case could tell right from nothing, because of the in-place method itself
bool is_method_limited(const results::Record& record);

/// Records in reading order: by variant, op, output in the order of the computation, type from
/// narrow to wide, layout; contract checks last.
std::vector<const results::Record*> reading_order(const results::Results& results);

/// Those that need attention: errors, failures, inconclusive ones, each by falling ratio.
std::vector<const results::Record*> attention_order(const results::Results& results);

/// Consecutive records for which `same` holds, as ranges of `records`.
template <class Same>
std::vector<std::vector<const results::Record*>> split(
    const std::vector<const results::Record*>& records, Same same) {
  std::vector<std::vector<const results::Record*>> groups;
  for (const results::Record* record : records) {
    if (groups.empty() || !same(*groups.back().back(), *record)) groups.emplace_back();
    groups.back().push_back(record);
  }
  return groups;
}

/// What an operation moved in one mode, over its types and layouts, in units of one tensor.
struct MovedRow {
  std::string variant, op, mode, loaded, stored, sweeps, floor, by_sectors, problem;
};
std::vector<MovedRow> moved_rows(const results::Results& results);

// The sections of the page.
std::string style_sheet();
std::string script();
std::string masthead(const results::Results& results);  ///< the headline and the tiles
/// what failed, links; what was skipped, by reason
std::string attention(const results::Results& results);
std::string overview(
    const results::Results& results);  ///< every check in one table, coloured by ratio
std::string plots(const results::Results& results);  ///< two figures a variant
/// what the sanitiser saw, and what the calls moved
std::string accesses(const results::Results& results);
std::string check_table(
    const results::Results& results);  ///< one row a check, which opens to its detail
std::string legend();                  ///< how to read the page
std::string variant_table(const results::Results& results);
std::string studies(std::span<const study::Study> all);  ///< heat maps, tables and sentences
std::string provenance(const results::Results& results);

}  // namespace abn::verify::report
