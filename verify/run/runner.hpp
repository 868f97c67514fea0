// Runs variants over cases: guarded and poisoned buffers, the calls, the contract checks, the
// comparison with the oracle.
//
// A case is run at least twice, with different poison and (on the emulator) different schedules,
// out of place and where the variant claims it in place; the numbers of the first run are judged
// and the bits of the others must equal them.
#pragma once

#include <span>
#include <vector>

#include "verify/check/group.hpp"
#include "verify/run/budget.hpp"
#include "verify/run/keeper.hpp"

namespace abn::verify::run {

/// What a variant says of itself, for list and report; claims are those for n16c64s64 in f32 (or
/// the first type that it supports).
results::VariantInfo describe(const call::Subject& subject);

/// Runs every case of every subject that has a check of this group matching the pattern; none is
/// no error. The records are concluded, ordered by id and the same for any number of threads, and
/// whatever part of them a keeper has of an earlier run. Cases that a budget has no time for leave
/// no records; it counts them. Throws worker::Interrupted where a signal ends the run; what had
/// been found is kept then.
std::vector<results::Record> run(const check::CheckGroup& group,
                                 std::span<const call::Subject> subjects,
                                 std::span<const data::Case> cases,
                                 const check::RunOptions& options, Keeper* keeper = nullptr,
                                 Budget* budget = nullptr);

}  // namespace abn::verify::run
