// Claims looked at from the other side: which are more generous than the errors need, and which
// would have let a failed check pass.
//
// A claim is generous where it allows more than the recommended class would (a sum deeper than
// twice a tree over 256 lanes, an accumulate type below f32, one pass, the folded form,
// intermediates in the storage type, functions off by more than 4 ulp), and it was not needed where
// every output of every case stays within the bound of the narrower claim. That is said and fails
// nothing: a kernel may well sum one by one and be lucky with its data. A claim is too tight where
// the kernel is above its bound and would not be above that of the next wider one.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "verify/run/runner.hpp"

namespace abn::verify::run {

/// One sentence a variant, claim and set of types: "f16, f32: claims depth up to 4096 for
/// statistics; all 96 cases pass with at most 24". Empty for a variant that claims nothing
/// generous, or needs what it claims.
std::vector<std::string> unneeded_claims(const call::Subject& subject,
                                         std::span<const data::Case> cases,
                                         const check::RunOptions& options);

/// Adds to the reason of failed checks of numbers which claim their worst case would pass with,
/// where there is one.
void suggest_claims(std::vector<results::Record>& records, std::span<const call::Subject> subjects,
                    const check::RunOptions& options);

}  // namespace abn::verify::run
