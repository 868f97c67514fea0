// The halves that a variant offers for a batch sharded over several ranks (cuda/kernel.h,
// abn_split_variant): judged as the whole batch, whatever the shards.
#pragma once

#include "verify/check/group.hpp"

namespace abn::verify::check::sync {

/// sync/z, mean, variance, running_mean, running_var, dx, dgamma, dbeta against the oracle of the
/// whole batch; sync/guards, inputs, unwritten ... of the calls; sync/fused and sync/ranks: one
/// rank has the bits of the fused call, and every rank the same statistics.
extern const CheckGroup sync_checks;

}  // namespace abn::verify::check::sync
