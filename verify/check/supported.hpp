// Problems that a variant supports, found by asking its claims() about all kinds of them: a kernel
// may do one convention, one eps or few sizes alone.
#pragma once

#include <vector>

#include "verify/call/subject.hpp"

namespace abn::verify::check {

/// Problems of a type and layout that a variant supports, several of each mode; where there are
/// none, those in whose claims it contradicts itself or crashes. Empty where none was found.
std::vector<abn_problem> supported_problems(const call::Subject& subject, int dtype, int layout);

/// Is it a problem that a kernel may be asked?
bool is_valid(const abn_problem& problem);

/// Rounds eps, momentum and the activation's parameter as they arrive at a kernel.
void round_numbers(abn_problem& problem);

}  // namespace abn::verify::check
