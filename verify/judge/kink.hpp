// Which derivative at the kink a call took that declares none: either is right, as long as the
// whole call keeps to it.
//
// At y = 0 leaky ReLU, and ELU with alpha != 1, have two derivatives, and frameworks differ in
// which they take (abn_claims::kink). A stored z = +0 is such an element: y was 0, or was rounded
// to it. Real layers have many: constant channels with beta 0, channels whose gamma and beta are 0,
// and f16 activations that underflow.
#pragma once

#include <vector>

#include "verify/call/evaluator.hpp"
#include "verify/compare/expectation.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::judge {

/// `claims`, with a kink declared: theirs, or the one under which fewer elements of `gradients`
/// fail; `right` where both do as well, as when no element lies there. Pure.
abn_claims with_kink(const problem::Inputs& inputs, const problem::Saved& saved,
                     const abn_claims& claims, const std::vector<compare::Stored>& gradients);
abn_claims with_kink(const problem::Inputs& inputs, const problem::Saved& saved,
                     const abn_claims& claims, const call::BackwardNumbers& gradients);

}  // namespace abn::verify::judge
