// What a variant claims for a problem, asked for and looked at before it is believed.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "cuda/kernel.h"
#include "verify/problem/word.hpp"

namespace abn::verify::problem {

struct Claimed {
  int status = ABN_OK;  ///< what claims() returned; ABN_ERROR_UNSUPPORTED: the case is skipped
  abn_claims claims{};
  /// one sentence if the claims contradict themselves or cuda/kernel.h, or if asking for them
  /// crashed; then nothing can be judged by them
  std::string nonsense;
};

/// Asks the variant. Depths above m = N*S are cut to m, which no order of summation exceeds.
Claimed claims_of(const abn_variant& variant, const abn_problem& problem);

/// Why a variant that returned ABN_ERROR_UNSUPPORTED does not do the problem, as far as its other
/// claims tell.
std::string unsupported_text(const abn_variant& variant, const abn_problem& problem);

/// Empty, or one sentence that says what is wrong with the claims.
std::string nonsense_in(const abn_claims& claims, const abn_problem& problem);

/// What is claimed for one operation that allows more than the recommended class: "accumulate bf16,
/// depth 4096". "nothing unusual" where there is nothing.
std::string beyond_recommended(const abn_claims& claims, const abn_problem& problem, bool backward);

/// True for the schemes that recover y from z.
bool is_in_place(const abn_claims& claims);

/// "x 2 times in, z once out" for what an operation claims to move; empty where it claims nothing.
std::string sweeps_text(const abn_claims& claims, bool backward);

/// Does the variant say how often this operation moves its tensors?
bool claims_traffic(const abn_claims& claims, bool backward);

/// A field of abn_claims: its name, what it says, and where it lies.
struct ClaimField {
  Word word;
  std::size_t offset, size;
};

/// All fields but struct_size and the reserved ones, in their order.
std::span<const ClaimField> claim_fields();

}  // namespace abn::verify::problem
