// The oracle: reference/ evaluated on the exact inputs, with an error bound per element for what a
// variant declares.
//
// Values come from double, or long double, as long as the oracle's own rounding error stays below 1
// % of the bound it judges by, and else from 50 decimal digits (verify/expect/shared.hpp); they are
// returned unrounded. Every function is pure, and so is the work on each channel. An empty problem
// expects nothing. Tensors of another size than their problem's throw std::invalid_argument;
// running averages may be left out in training, and x where the scheme's backward does not read it.
#pragma once

#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::expect {

/// What is asked for: bounds, or also the share that each term has in them, which costs twice as
/// much.
enum class Detail { bounds, shares };

/// Forward: z, and in training mean, variance, running_mean, running_var (xhat too for
/// ABN_CHECKPOINT_XHAT).
std::vector<compare::Expectation> expect_forward(const problem::Inputs& inputs,
                                                 const abn_claims& claims,
                                                 Detail detail = Detail::bounds);

/// Backward on what the kernel stored, taken as exact: dx, dgamma, dbeta. Is the kernel right?
std::vector<compare::Expectation> expect_backward(const problem::Inputs& inputs,
                                                  const problem::Saved& saved,
                                                  const abn_claims& claims,
                                                  Detail detail = Detail::bounds);

/// Backward at the unrounded x: the true dx, dgamma, dbeta; the bound includes what storing z (and
/// the statistics) costs.
std::vector<compare::Expectation> expect_gradient(const problem::Inputs& inputs,
                                                  const abn_claims& claims,
                                                  Detail detail = Detail::bounds);

/// The shares of one element's bound, its channel evaluated once more: expect_backward's with
/// `saved`, else those of expect_forward or, for gradients, of expect_gradient.
compare::Shares shares_of(const problem::Inputs& inputs, const problem::Saved* saved,
                          const abn_claims& claims, compare::Output output, std::int64_t element);

}  // namespace abn::verify::expect
