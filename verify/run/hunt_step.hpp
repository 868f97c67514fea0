// Where a hunt goes: fresh cases, and steps away from one. Pure functions of their stream of random
// numbers.
#pragma once

#include "verify/data/cases.hpp"
#include "verify/data/random.hpp"

namespace abn::verify::run {

/// No case of a hunt has more, so that its numbers fit into a command line.
inline constexpr std::int64_t hunt_elements = 1024;

/// A small case of a storage type and layout, its data from one of the recipes.
data::Case fresh_case(int dtype, int layout, const data::Stream& draw);

/// The same numbers with one to three changes: to a channel as a whole (kappa, spread, gamma,
/// |beta|/|gamma|, size of dz and how it follows xhat, order), to single values (a bit, a spike, a
/// copy), or, unless `same_problem`, to the problem itself.
data::Case changed_case(const data::Case& from, bool same_problem, const data::Stream& draw);

/// The case with its numbers written out, as its reproduce line needs them.
data::Case given_case(const abn_problem& problem, problem::Inputs inputs, std::uint64_t seed);

}  // namespace abn::verify::run
