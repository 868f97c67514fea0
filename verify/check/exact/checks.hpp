// The checks exact/z, exact/dx, ...: outputs compared bit for bit, on data for which no sum is ever
// rounded (verify/data/exact.hpp).
//
// Backward starts from what an exact forward would have left, so an error of forward is not judged
// twice. What is not exact even for these data is judged by its bound: running_var, running_mean
// where momentum is no power of two, and, where the kernel finds the statistics by Welford's
// updates (which divide by every count), all that depends on them.
#pragma once

#include "verify/check/group.hpp"

namespace abn::verify::check::exact {

extern const CheckGroup exact_checks;

}  // namespace abn::verify::check::exact
