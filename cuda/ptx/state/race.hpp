// Races: two accesses of one place by two threads, one of them a store, between which nothing lay
// that could order them.
#pragma once

#include <cstdint>

#include "cuda/ptx/state/block.hpp"

namespace abn::ptx {

/// Bytes `at` and on of the block's shared memory are accessed by this lane, which may be one of a
/// peer's. Reports races and goes on.
void look_for_races(Warp& warp, const Instruction& in, unsigned lane, Block& block,
                    std::uint64_t at, std::uint32_t bytes, bool store);

/// The same of a watched range of global memory.
void look_for_races(Warp& warp, const Instruction& in, unsigned lane, Range& range,
                    std::uint64_t address, std::uint32_t bytes, bool store);

/// Something that may order accesses of this block's threads with each other, and with those of
/// other blocks: it acquires, and what the block did before is released if `is_release`.
void order(Block& block, bool is_release);

}  // namespace abn::ptx
