// Fuses each mul without .rn with the add or sub behind it that takes its product, as a compiler
// may: "mul/add sequences with no rounding modifiers may be optimized to use fused-multiply-add"
// (PTX ISA, add.f32). What ptxas makes of a kernel lies somewhere between none of these and all.
#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "cuda/ptx/run/pending.hpp"

namespace abn::ptx {

/// In basic blocks, which begin at `labels`. The mul stays for others that take its product. Where
/// both operands are products, the first is fused.
void fuse(std::vector<Pending>& code, const std::set<std::size_t>& labels);

}  // namespace abn::ptx
