// Every bit pattern of a storage type through a variant's activation, inverse and derivative.
//
// Frozen statistics rm = 0, rv = 1 - eps and gamma = 1 (1 - eps under abs_eps), beta = 0 make xhat
// = y = x exactly where eps is a power of two; with one sample a channel, channel c holds pattern
// first + c:
//   activation   z = phi(x)                             x is every pattern
//   derivative   dx = dbeta = phi'(z) for dz = 1        the stored z is every pattern, whether
//                                                       forward can write it or not
//   inverse      dgamma = phi'(z) xhat, xhat = phi^-1(z)
// Schemes that do not start from z get every pattern as x, and have no inverse to look at.
//
// 16-bit types are done whole in the smoke tier. The 2^32 patterns of f32 are cut into cases of
// 2^18, which run side by side in the exhaustive tier; --patterns FIRST-LAST picks some of them, so
// that a run can be continued or shared out.
#pragma once

#include "verify/check/group.hpp"
#include "verify/data/patterns.hpp"

namespace abn::verify::check {

/// patterns/activation, patterns/derivative and, in place, patterns/inverse.
extern const CheckGroup pattern_checks;

/// Removes the pattern cases that lie outside of the range.
void keep_range(std::vector<data::Case>& cases, const data::PatternRange& range);

}  // namespace abn::verify::check
