// claims() of a variant, asked so that a fault in it does not end the process that asks.
#pragma once

#include "cuda/kernel.h"

namespace abn::verify::problem {

/// What came of one call of claims().
struct Answer {
  int status = ABN_OK;  ///< what it returned
  int signal = 0;       ///< not 0: it did not return but raised this signal
};

/// Calls variant.claims(). A division by zero, a bad address, an illegal instruction or abort() in
/// it comes back as its signal; what it held then stays held. exit() and endless loops are not
/// caught.
Answer ask_claims(const abn_variant& variant, const abn_problem& problem, abn_claims& out);

}  // namespace abn::verify::problem
