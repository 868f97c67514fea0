// `abn-verify grad reference`: the hand-derived gradients of the reference against three ways to
// differentiate its forward pass.
//
// Ids are reference/gradient/METHOD/SCHEME/OUTPUT, with
//   METHOD   central100  central differences in 100 digits; the bar must be at most 1e-50 of the
//                        gradient's size
//            complex     complex steps in double
//            dual50      dual numbers in 50 digits
//            real50      no derivative: the scheme's gradients beside those of the standard scheme,
//                        OUTPUT "agreement"
//   SCHEME   standard, checkpoint_x, checkpoint_xhat, in_place_1, in_place_2, sync
//   OUTPUT   dx, dgamma, dbeta
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "verify/problem/word.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::check::gradient {

std::vector<std::string> reference_gradient_ids();

/// The third parts of those ids.
std::span<const problem::Word> gradient_method_words();

/// One concluded record for each id that matches the shell pattern, in the order above; none where
/// none matches. The same records for any number of threads (0: one a core).
std::vector<results::Record> check_reference_gradients(const std::string& pattern,
                                                       std::uint64_t seed, int threads);

}  // namespace abn::verify::check::gradient
