// Parameters and values at the ends of their ranges, as a table: what goes wrong in a kernel goes
// wrong where a number is clamped, floored, flushed, narrowed, or taken for a default.
//
// A case of the recipe `extremes` has one channel for each row of the first table, and numbers of
// its problem from the second. Every row of both is met in every storage type, layout and mode.
// Cases and tables come from the same rows, which `abn-verify explain ranges` prints.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "verify/data/case.hpp"
#include "verify/data/channel_plan.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::data {

/// What one channel holds.
struct ExtremeChannel {
  const char* what;
  /// Makes the plan of a usual channel one of these.
  void (*change)(ChannelPlan& plan, const abn_problem& problem, const Stream& draw);
  bool (*has)(const problem::Inputs& inputs, std::int64_t channel);
};
std::span<const ExtremeChannel> extreme_channels();

/// Which row a channel of the recipe has.
std::size_t extreme_row(std::int64_t channel, std::uint64_t seed);

/// What a whole problem has.
struct ExtremeProblem {
  const char* what;
  bool (*has)(const abn_problem& problem);
  bool training_only;
};
std::span<const ExtremeProblem> extreme_problems();

/// The cases of both tables; `round` tells apart the repetitions of a tier.
void append_extremes(std::vector<Case>& cases, std::uint64_t seed, std::uint64_t round);

/// Both tables, for people.
std::string extremes_text();

}  // namespace abn::verify::data
