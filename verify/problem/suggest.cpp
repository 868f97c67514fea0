// Edit distance (Levenshtein) by one row of the usual table.
#include "verify/problem/suggest.hpp"

#include <algorithm>
#include <numeric>

namespace abn::verify::problem {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest(std::string_view typed, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t least = 0;
  for (const auto& candidate : candidates)
    if (const std::size_t distance = edit_distance(typed, candidate);
        best.empty() || distance < least)
      best = candidate, least = distance;
  return best;
}

}  // namespace abn::verify::problem
