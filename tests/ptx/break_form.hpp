// Forms broken on purpose, one at a time, in programs that are loaded: a test that does not notice
// looks at less than it says.
#pragma once

#include "cuda/ptx/state/program.hpp"

namespace abn::ptx::test {

/// Has the form anything here that a break could take away? A prefetch, for example, has not.
bool has_effect(const Form& form);

/// Breaks every instruction of this form in the program. One with a result computes that with one
/// bit turned over, of a vector in its first part; any other, as a store, a branch or a barrier, is
/// passed by as if it were not there.
void break_form(Program& program, const Form& form, unsigned bit = 0);

}  // namespace abn::ptx::test
