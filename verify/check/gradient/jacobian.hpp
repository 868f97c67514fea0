// The full Jacobian of a kernel's own forward, every input element, gamma and beta, against its own
// backward; f64 storage.
//
// Colouring. Channels are independent, so element i of every channel is perturbed at once, and
// backward is given a 1 at sample j of every channel at once: 2m + 4 forwards and m backwards
// instead of 2mC + 4C and mC (A. R. Curtis, M. J. D. Powell and J. K. Reid, "On the Estimation of
// Sparse Jacobian Matrices", 1974). The error bars are those of
// verify/check/gradient/channel_differences.hpp.
//
// Samples that a step would carry over the kink are moved away from it first. Outputs that stay too
// near are left out; they are counted, and at more than 1 % of the outputs of a case it is not
// judged.
#pragma once

#include <string>
#include <vector>

#include "verify/call/evaluator.hpp"
#include "verify/check/group.hpp"

namespace abn::verify::check::gradient {

/// Largest m for a Jacobian, and entries m m C: it has as many as that, and takes as many numbers
/// of memory.
inline constexpr std::int64_t most_jacobian_samples = 1024,
                              most_jacobian_entries = std::int64_t{1} << 24;

/// True for the names jacobian_dx, jacobian_dgamma, jacobian_dbeta.
bool is_jacobian(const CheckName& name);

/// The wanted records of these names. The worst entry of each is the witness, with the counts of
/// evaluations beside it.
std::vector<results::Record> jacobian_records(const Work& work, const call::Evaluator& evaluator,
                                              problem::Inputs inputs);

}  // namespace abn::verify::check::gradient
