// A study as a value: what was swept, the tables and heat maps that came out, and what follows from
// them in sentences.
//
// It holds no time, no machine and no version, so the same seed gives the same bytes; `report`
// draws it and the command line prints it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace abn::verify::study {

inline constexpr const char* study_schema = "abn-verify-study/1";

/// A number or a word; a NaN is a value that does not exist ("never", "nowhere") and is shown as a
/// dash.
using Cell = std::variant<double, std::string>;

/// Columns side by side whose names are "A, b" and "A, c" share a head A above b and c.
struct Column {
  std::string name;
  std::string unit;  ///< empty for words and for numbers without one
};

struct Table {
  std::string name;   ///< unique within the study
  std::string title;  ///< for people
  std::string note;   ///< how to read it
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
  bool detail = false;  ///< evidence rather than answer: folded on a page, left out of Markdown
};

/// One axis of a heat map; the values rise.
struct Axis {
  std::string name, unit;
  std::vector<double> values;  ///< a value 0 on a logarithmic axis stands before all others
};

/// A quantity over two logarithmic axes, measured and predicted.
struct Grid {
  std::string name, title;
  std::string quantity, unit;
  double threshold = 0;  ///< the contour that matters, in the quantity's unit
  Axis x, y;
  std::vector<double> measured, predicted;  ///< [y][x]
  std::string predictor = "the bound";      ///< what the prediction comes from
};

struct Study {
  std::string name;  ///< "inversion", or "conventions two_sweep"
  std::string title;
  std::string summary;  ///< what was done
  std::uint64_t seed = 1;
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<std::string> conclusions;  ///< sentences
  std::vector<Table> tables;
  std::vector<Grid> grids;
};

/// Stable key order and bytes; numbers have 6 significant digits, which is more than a study can
/// mean.
std::string study_to_json(const Study& study);
/// Throws UsageError on another schema or malformed text.
Study study_from_json(const std::string& text);
/// True for what is a study rather than results, by its schema alone; text that is no JSON is none.
bool is_study(const std::string& text);

/// A cell as people read it: 4 significant digits, a dash for what does not exist.
std::string show_cell(const Cell& cell);
/// A column's head: the shared part, empty where there is none, and its own, with the unit.
struct Head {
  std::string group, own;
};
Head head_of(const Column& column);

/// The table in columns of characters, with its title and note.
std::string table_text(const Table& table);
/// All of the study for a terminal; only the conclusions where `quiet`.
std::string study_text(const Study& study, bool quiet);

/// `value` rounded to the 6 digits that a study is written with.
double six_digits(double value);

/// The table of that name. Throws std::out_of_range.
const Table& table_of(const Study& study, std::string_view name);

}  // namespace abn::verify::study
