// Cases that only a variant with certain claims has: gamma or beta alone, and z and dz of another
// type than x.
#pragma once

#include <span>
#include <vector>

#include "verify/call/subject.hpp"
#include "verify/data/cases.hpp"

namespace abn::verify::check {

/// Small cases of the tier, turned into such ones: for every type, layout and mode that the variant
/// does, each part of the affine map that may be left out under both scale conventions
/// (abn_claims::affine_apart), and each type that z and dz may have (abn_claims::other_out_types).
/// Empty where it claims neither.
std::vector<data::Case> cases_of_claims(const call::Subject& subject,
                                        std::span<const data::Case> cases);

}  // namespace abn::verify::check
