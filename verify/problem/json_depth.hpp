// How deep a JSON text is nested, looked at before a parser recurses into it: 100 kB of brackets
// would otherwise overflow the stack.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace abn::verify::problem {

/// No file of this project nests deeper than ten.
inline constexpr std::size_t deepest_json = 64;

/// The largest number of brackets and braces that are open at once.
inline std::size_t json_depth(std::string_view text) {
  std::size_t open = 0, deepest = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (quoted) {
      if (letter == '\\') ++i;
      if (letter == '"') quoted = false;
    } else if (letter == '"') {
      quoted = true;
    } else if (letter == '[' || letter == '{') {
      deepest = std::max(deepest, ++open);
    } else if ((letter == ']' || letter == '}') && open > 0) {
      --open;
    }
  }
  return deepest;
}

}  // namespace abn::verify::problem
