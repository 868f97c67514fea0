// Whether a plug-in's kernels for GPUs run on the executor of compiled kernels, and where in their
// bounds its approximate instructions then end.
#pragma once

#include <cstdint>

namespace abn::verify::worker {

enum class Execution : std::uint8_t { none, nearest, low, high, hashed };

}  // namespace abn::verify::worker
