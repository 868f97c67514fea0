// One call of a plug-in's function, with the arguments that a question names.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/kernel.h"
#include "verify/worker/protocol.hpp"

namespace abn::verify::worker {

/// The status that the function returned. `memory`: where question.bytes from question.begin on
/// lie. What the call left changed is added to `marks`. Throws NoMessage for arguments outside of
/// that memory, and Escaped for an exception of the function.
int invoke(const CallQuestion& question, const abn_variant& variant, abn_problem& problem,
           std::byte* memory, void* stream, std::uint32_t& marks);

}  // namespace abn::verify::worker
