// What the ISA leaves open, and what is made of it here. Approximate instructions have documented
// error bounds and no documented bits: they run at the low end of the bound, at the high end, or
// somewhere between, as a hash of the operand says. A mul without .rn and the add or sub that takes
// its product may be fused into an fma. What a kernel computes has to be right under each choice.
#pragma once

#include <cstdint>

namespace abn::ptx {

/// `nearest` is the rounded true value and no fusing; `fused` differs from it by the fusing alone.
enum class Approximation : std::uint8_t { nearest, low, high, hashed, fused };

/// Of all launches of this process; kernels that were decoded before keep their fusing.
Approximation approximation();
void set_approximation(Approximation choice);

}  // namespace abn::ptx
