// Studies as JSON, both ways.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "verify/problem/foreign_json.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::study {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) {
  if (std::isfinite(value)) return six_digits(value);
  return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
}

double special(const std::string& text) {
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  throw problem::UsageError(
      fmt::format("This study holds \"{}\" where a number is expected; write it again with "
                  "abn-verify study --out",
                  text));
}

double number_from(const Json& json) {
  return json.is_string() ? special(json.get<std::string>()) : json.get<double>();
}

Json numbers(const std::vector<double>& values) {
  Json json = Json::array();
  for (const double value : values) json.push_back(number(value));
  return json;
}

std::vector<double> numbers_from(const Json& json) {
  std::vector<double> values;
  for (const Json& one : json) values.push_back(number_from(one));
  return values;
}

/// Numbers stand in an array of one, so that a word such as "nan" stays a word.
Json cell_json(const Cell& cell) {
  if (const double* const value = std::get_if<double>(&cell)) return Json::array({number(*value)});
  return std::get<std::string>(cell);
}

Cell cell_from(const Json& json) {
  if (json.is_array() && json.size() == 1) return number_from(json.at(0));
  return json.get<std::string>();
}

Json table_json(const Table& table) {
  Json json{
      {"name", table.name}, {"title", table.title}, {"note", table.note}, {"detail", table.detail}};
  json["columns"] = Json::array();
  for (const Column& column : table.columns)
    json["columns"].push_back({{"name", column.name}, {"unit", column.unit}});
  json["rows"] = Json::array();
  for (const auto& row : table.rows) {
    Json cells = Json::array();
    for (const Cell& cell : row) cells.push_back(cell_json(cell));
    json["rows"].push_back(std::move(cells));
  }
  return json;
}

Table table_from(const Json& json) {
  Table table{json.at("name"), json.at("title"), json.at("note"), {}, {}, json.at("detail")};
  for (const Json& one : json.at("columns"))
    table.columns.push_back({one.at("name"), one.at("unit")});
  for (const Json& row : json.at("rows")) {
    std::vector<Cell> cells;
    for (const Json& one : row) cells.push_back(cell_from(one));
    if (cells.size() != table.columns.size())
      throw problem::UsageError(
          fmt::format("A row of the table {} has {} cells for {} columns; write the study again "
                      "with abn-verify study --out",
                      table.name, cells.size(), table.columns.size()));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

Json axis_json(const Axis& axis) {
  return {{"name", axis.name}, {"unit", axis.unit}, {"values", numbers(axis.values)}};
}
Axis axis_from(const Json& json) {
  return {json.at("name"), json.at("unit"), numbers_from(json.at("values"))};
}

Json grid_json(const Grid& grid) {
  return {{"name", grid.name},
          {"title", grid.title},
          {"quantity", grid.quantity},
          {"unit", grid.unit},
          {"threshold", grid.threshold},
          {"x", axis_json(grid.x)},
          {"y", axis_json(grid.y)},
          {"measured", numbers(grid.measured)},
          {"predicted", numbers(grid.predicted)},
          {"predictor", grid.predictor}};
}

Grid grid_from(const Json& json) {
  Grid grid{json.at("name"),
            json.at("title"),
            json.at("quantity"),
            json.at("unit"),
            json.at("threshold"),
            axis_from(json.at("x")),
            axis_from(json.at("y")),
            numbers_from(json.at("measured")),
            numbers_from(json.at("predicted")),
            json.at("predictor")};
  const std::size_t cells = grid.x.values.size() * grid.y.values.size();
  if (cells == 0 || grid.measured.size() != cells || grid.predicted.size() != cells)
    throw problem::UsageError(
        fmt::format("The grid {} does not have a number a cell; write the study again with "
                    "abn-verify study --out",
                    grid.name));
  return grid;
}

}  // namespace

std::string study_to_json(const Study& study) {
  Json json{{"schema", study_schema},
            {"name", study.name},
            {"title", study.title},
            {"summary", study.summary},
            {"seed", study.seed}};
  json["settings"] = Json::object();
  for (const auto& [name, value] : study.settings) json["settings"][name] = value;
  json["conclusions"] = study.conclusions;
  json["tables"] = Json::array();
  for (const Table& table : study.tables) json["tables"].push_back(table_json(table));
  json["grids"] = Json::array();
  for (const Grid& grid : study.grids) json["grids"].push_back(grid_json(grid));
  // One line a row of a table: wide enough to read, and a diff shows what changed.
  std::string out = "{";
  bool first = true;
  for (const auto& [key, value] : json.items()) {
    out += fmt::format("{}\n \"{}\": ", first ? "" : ",", key);
    first = false;
    if (key != "tables" && key != "grids") {
      out += value.dump(-1, ' ', false, Json::error_handler_t::replace);
      continue;
    }
    out += "[";
    for (std::size_t i = 0; i < value.size(); ++i) {
      out += i == 0 ? "\n  {" : ",\n  {";
      bool first_member = true;
      for (const auto& [name, member] : value[i].items()) {
        out += fmt::format("{}\n   \"{}\": ", first_member ? "" : ",", name);
        first_member = false;
        if (name != "rows") {
          out += member.dump(-1, ' ', false, Json::error_handler_t::replace);
          continue;
        }
        out += "[";
        for (std::size_t row = 0; row < member.size(); ++row)
          out += (row == 0 ? "\n    " : ",\n    ") +
                 member[row].dump(-1, ' ', false, Json::error_handler_t::replace);
        out += "]";
      }
      out += "}";
    }
    out += "]";
  }
  return out + "\n}\n";
}

namespace {

std::uint64_t seed_from(const Json& json) {
  const auto seed = problem::whole_number<std::uint64_t>(json);
  if (!seed)
    throw problem::UsageError(
        "This study cannot be read (its seed is no whole number); write it again with abn-verify "
        "study --out");
  return *seed;
}

}  // namespace

Study study_from_json(const std::string& text) {
  try {
    const Json json = problem::parse_foreign_json(text);
    if (!json.is_object() || json.value("schema", "") != study_schema)
      throw problem::UsageError(fmt::format(
          "This is not a study of schema {}; write one with abn-verify study --out", study_schema));
    Study study{json.at("name"),
                json.at("title"),
                json.at("summary"),
                seed_from(json.at("seed")),
                {},
                {},
                {},
                {}};
    for (const auto& [name, value] : json.at("settings").items())
      study.settings.emplace_back(problem::printable(name), value.get<std::string>());
    for (const Json& one : json.at("conclusions"))
      study.conclusions.push_back(one.get<std::string>());
    for (const Json& one : json.at("tables")) study.tables.push_back(table_from(one));
    for (const Json& one : json.at("grids")) study.grids.push_back(grid_from(one));
    return study;
  } catch (const Json::exception& wrong) {
    throw problem::UsageError(
        fmt::format("This study cannot be read ({}); write it again with abn-verify study --out",
                    problem::complaint(wrong)));
  }
}

bool is_study(const std::string& text) {
  if (problem::json_depth(text) > problem::deepest_json) return false;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return false;
  const auto schema = json.find("schema");
  return schema != json.end() && schema->is_string() &&
         schema->get<std::string>().rfind("abn-verify-study/", 0) == 0;
}

}  // namespace abn::verify::study
