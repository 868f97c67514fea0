// How often the banks of shared memory make a warp's access take another turn.
//
// Shared memory has 32 banks of 4 bytes, and a turn of it gives every bank one word of 4 bytes, to
// all lanes that want it. Accesses of 4 bytes or less are served for all 32 lanes at once, those of
// 8 bytes for half a warp and those of 16 for a quarter of it, so that a turn moves 128 bytes at
// most. Lanes that want different words of one bank in one turn need as many turns; what is beyond
// the first is a replay.
#pragma once

#include <cstdint>

namespace abn::ptx {

/// The replays of one load or store by the lanes of the mask, of so many bytes each.
std::uint64_t replays_of(const std::uint64_t* addresses, std::uint32_t mask, unsigned bytes);

}  // namespace abn::ptx
