// Studies as text: tables in columns, conclusions as a list.
#include "verify/study/study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

namespace abn::verify::study {
namespace {

/// Characters that a terminal shows: UTF-8 continuation bytes take no room.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string room(width - std::min(width, width_of(text)), ' ');
  return right ? room + text : text + room;
}

}  // namespace

double six_digits(double value) {
  return std::isfinite(value) ? std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr) : value;
}

std::string show_cell(const Cell& cell) {
  if (const std::string* const word = std::get_if<std::string>(&cell)) return *word;
  const double value = std::get<double>(cell);
  if (std::isnan(value)) return "–";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return fmt::format("{:.4g}", value);
}

Head head_of(const Column& column) {
  const std::size_t comma = column.name.rfind(", ");
  const std::string unit = column.unit.empty() ? "" : fmt::format(" [{}]", column.unit);
  if (comma == std::string::npos) return {"", column.name + unit};
  return {column.name.substr(0, comma), column.name.substr(comma + 2) + unit};
}

std::string table_text(const Table& table) {
  std::vector<std::size_t> widths;
  std::vector<bool> numbers(table.columns.size(), true);
  std::vector<Head> heads;
  for (const Column& column : table.columns)
    heads.push_back(head_of(column)), widths.push_back(width_of(heads.back().own));
  for (const auto& row : table.rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(show_cell(row[i])));
      if (std::holds_alternative<std::string>(row[i])) numbers[i] = false;
    }
  std::string groups;  // the line above the heads
  for (std::size_t i = 0; i < heads.size();) {
    std::size_t end = i + 1, room = widths[i];
    while (end < heads.size() && !heads[i].group.empty() && heads[end].group == heads[i].group)
      room += 2 + widths[end++];
    const std::size_t needed = width_of(heads[i].group);
    if (needed > room) widths[i] += needed - room, room = needed;
    groups += "  " + padded(heads[i].group, room, false);
    i = end;
  }
  groups.erase(groups.find_last_not_of(' ') + 1);
  std::string out = table.title + "\n" + (groups.empty() ? "" : groups + "\n");
  const auto line = [&](auto&& text_of) {
    std::string text;
    for (std::size_t i = 0; i < table.columns.size(); ++i)
      text += "  " + padded(text_of(i), widths[i], numbers[i]);
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line([&](std::size_t i) { return heads[i].own; });
  for (const auto& row : table.rows) line([&](std::size_t i) { return show_cell(row[i]); });
  if (!table.note.empty()) out += "  " + table.note + "\n";
  return out;
}

std::string study_text(const Study& study, bool quiet) {
  std::string out;
  if (!quiet) {
    out += study.title + "\n" + study.summary + "\n\n";
    for (const Table& table : study.tables) out += table_text(table) + "\n";
  }
  for (const std::string& sentence : study.conclusions) out += sentence + "\n";
  return out;
}

const Table& table_of(const Study& study, std::string_view name) {
  const auto at = std::find_if(study.tables.begin(), study.tables.end(),
                               [&](const Table& table) { return table.name == name; });
  if (at == study.tables.end())
    throw std::out_of_range(fmt::format("the study {} has no table {}", study.name, name));
  return *at;
}

}  // namespace abn::verify::study
