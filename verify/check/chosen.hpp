// The cases that one variant runs of those that a tier has: moved to where it does them, and of
// these all, or the few of the quick tier.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "verify/check/group.hpp"

namespace abn::verify::check {

struct ChosenCases {
  std::vector<data::Case> cases;  ///< in the order in which they are to run
  std::size_t left_out = 0;       ///< of the tier, because there was a choice
};

/// By `options.moves_cases` and `options.choice`. Cases with inputs of their own are never left
/// out. The quick tier takes small cases; of a type and layout for which the variant has none its
/// smallest.
ChosenCases chosen_cases(const CheckGroup& group, const call::Subject& subject,
                         std::span<const data::Case> cases, const RunOptions& options);

}  // namespace abn::verify::check
