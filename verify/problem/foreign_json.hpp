// JSON of strangers: not too deep to be parsed, no control characters in its texts, and numbers
// that are cast only where they fit.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "verify/problem/error.hpp"
#include "verify/problem/json_depth.hpp"
#include "verify/problem/printable.hpp"

namespace abn::verify::problem {

/// Makes every text in it printable; names of members stay as they are.
inline void make_printable(nlohmann::ordered_json& json) {
  if (json.is_structured())
    for (auto& one : json) make_printable(one);
  else if (json.is_string())
    json = printable(json.get_ref<const std::string&>());
}

/// What the parser complains of, without the name of its class in front.
inline std::string complaint(const nlohmann::json::exception& wrong) {
  const std::string text = wrong.what();
  const std::size_t end = text.find("] ");
  return printable(end == text.npos ? text : text.substr(end + 2));
}

/// Throws UsageError where it is nested too deep, and what nlohmann::json throws where it is none.
inline nlohmann::ordered_json parse_foreign_json(const std::string& text) {
  if (json_depth(text) > deepest_json)
    throw UsageError("This is nested too deep for a file of abn-verify; write it again with --out");
  auto json = nlohmann::ordered_json::parse(text);
  make_printable(json);
  return json;
}

/// A whole number that the type holds; nothing for any other, 1e308 and 1.5 among them.
template <class Integer>
std::optional<Integer> whole_number(const nlohmann::ordered_json& json) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<std::uint64_t>();
    if (std::in_range<Integer>(value)) return static_cast<Integer>(value);
  } else if (json.is_number_integer()) {
    const auto value = json.get<std::int64_t>();
    if (std::in_range<Integer>(value)) return static_cast<Integer>(value);
  }
  return std::nullopt;
}

}  // namespace abn::verify::problem
