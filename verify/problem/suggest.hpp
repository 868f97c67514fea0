// The nearest of several names to one that was typed, for error messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace abn::verify::problem {

/// The candidate with the smallest edit distance to `typed`, the first of equals; empty where there
/// are none.
std::string nearest(std::string_view typed, const std::vector<std::string>& candidates);

}  // namespace abn::verify::problem
