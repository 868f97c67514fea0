// What is due for exact data, element by element, and what a kernel with another root may have
// instead.
//
// The root. 1/sqrt(4^K) is 2^-K in IEEE arithmetic, but a hardware reciprocal root is only within 2
// ulp (verify/bound/bound.hpp), also at powers of four, and no contract forbids it. So where a
// channel's outputs are not those of r = 2^-K, they may be those of one of its neighbours r (1 +
// theta), theta in {-4u, -3u, -2u, -u, 2u, 4u}:
//   - of the same one in all channels with this K, for the same v + eps has the same root;
//   - with the same result for the same numbers, in all of a channel (most samples have their like;
//     verify/data/exact.hpp), so that a wrong bit here and there has no excuse;
//   - each result within the few roundings that are then no longer exact, gamma(n) of its terms:
//       xhat     d r                                                  n = 2
//       z        g (d r) + beta; folded: g r x - g r mu + beta        n = 4
//       dx       g r (dy - S0/m - xhat S1/m)                          n = 6, and the sum's, where r
//                is in xhat
//       dgamma   sum(dy xhat), where xhat is found from x             n = depth + 4
// An output that r does not enter (mean, variance, dbeta, and in place dgamma) has no such freedom.
// Where storing rounds so much that no neighbour shows (16-bit types), nothing is left of it but
// the results that lie as near to the middle between two values.
#pragma once

#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/data/exact.hpp"

namespace abn::verify::check::exact {

/// What forward leaves for backward in a kernel that has made no error.
problem::Saved exact_saved(const data::ExactPlan& plan, const abn_claims& claims);

/// The points of one output: what is due to the last bit, with a bound of 0; in a channel where
/// `got` shows another root, that root's. Channels that the claims say nothing exact of (one-pass
/// statistics with a large mean) expect anything.
compare::Expectation exact_expectation(const data::ExactPlan& plan, const abn_claims& claims,
                                       compare::Output output, const std::vector<double>& got);

/// Does the kernel find the batch's statistics in this direction itself?
bool finds_statistics(const abn_problem& problem, const abn_claims& claims, int direction);

}  // namespace abn::verify::check::exact
