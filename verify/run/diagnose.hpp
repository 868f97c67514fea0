// A second look at what failed: a few cases of each failed check again, this time asking what would
// explain it.
//
// Explaining costs some hundred evaluations of a case, so it is done for failures only, on small
// cases, and on few of them: the tier's, in an order that meets every mode, activation and recipe
// early, until enough have failed. The order is the same for any number of threads.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "verify/check/group.hpp"

namespace abn::verify::run {

/// Steps of so many, around the end and on, meet each of `count` things once, and after few of them
/// have been everywhere: a tier's cases of one mode or type stand side by side.
std::size_t mixing_stride(std::size_t count);

/// Every case once: small ones in an order that meets every mode, activation and recipe early, then
/// the larger ones by size.
std::vector<data::Case> in_order_of_trial(std::span<const data::Case> cases);

/// Gives the failed records of a group their diagnosis.
void diagnose_failures(std::vector<results::Record>& records, const check::CheckGroup& group,
                       std::span<const call::Subject> subjects, std::span<const data::Case> cases,
                       const check::RunOptions& options);

}  // namespace abn::verify::run
