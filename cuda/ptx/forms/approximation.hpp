// Approximate instructions have documented error bounds and no documented bits. They run at the low
// end of the bound, at the high end, or somewhere between, as a hash of the operand says; what a
// kernel computes has to be right under each.
#pragma once

#include <cstdint>

namespace abn::ptx {

enum class Approximation : std::uint8_t { nearest, low, high, hashed };

/// Of all launches of this process. `nearest` is the rounded true value.
Approximation approximation();
void set_approximation(Approximation choice);

}  // namespace abn::ptx
