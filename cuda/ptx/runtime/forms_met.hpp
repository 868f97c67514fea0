// Which forms a run meets: their names, a line each, in the file that the environment names by
// ABN_PTX_FORMS. Several processes may write to it, so that a name may stand there more than once.
#pragma once

#include "cuda/ptx/run/machine.hpp"

namespace abn::ptx::runtime {

bool are_forms_asked_for();
/// Adds those of all instructions that were executed, once a process.
void note_forms(const Program& program, const Outcome& outcome);

}  // namespace abn::ptx::runtime
