// Copies that threads have begun and that have not landed.
#pragma once

#include "cuda/ptx/state/block.hpp"

namespace abn::ptx {

void land(Warp& warp, unsigned lane, const LateCopy& copy);

/// All of this thread, committed or not.
void land_all(Warp& warp, unsigned lane);

bool any_copies(const Warp& warp, unsigned lane);

/// The oldest bulk copy that counts at this mbarrier lands, if there is one.
bool land_bulk(Warp& warp, Block& block, std::uint32_t mbarrier);

/// Bytes have arrived for the mbarrier at this address in the shared window.
void count_at_mbarrier(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t address,
                       std::uint32_t bytes);

}  // namespace abn::ptx
