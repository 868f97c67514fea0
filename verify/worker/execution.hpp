// Whether a plug-in's kernels for GPUs run on the executor of compiled kernels, and where in their
// bounds its approximate instructions then end. `fused`: each mul and add that may become an fma
// is one.
#pragma once

#include <cstdint>

namespace abn::verify::worker {

enum class Execution : std::uint8_t { none, nearest, low, high, hashed, fused };

}  // namespace abn::verify::worker
