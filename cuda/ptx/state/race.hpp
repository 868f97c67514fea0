// Races: two accesses of one place, one of them a store, of which neither happens before the other.
#pragma once

#include <cstdint>

#include "cuda/ptx/state/access.hpp"
#include "cuda/ptx/state/block.hpp"

namespace abn::ptx {

/// Bytes `at` and on of the block's shared memory are accessed by this lane, which may be one of a
/// peer's, or by the copy that is under way. Reports races and goes on.
void look_for_races(Warp& warp, const Instruction& in, unsigned lane, Block& block,
                    std::uint64_t at, std::uint32_t bytes, Use use);

/// The same of a watched range of global memory.
void look_for_races(Warp& warp, const Instruction& in, unsigned lane, Range& range,
                    std::uint64_t address, std::uint32_t bytes, Use use);

/// A bulk copy is to read these bytes of the block's own shared memory: stops where a thread has
/// stored there and no proxy fence has made that known to copies.
void look_for_proxy_fence(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t at,
                          std::uint32_t bytes);

/// A lane is to touch the shared memory of a peer: stops where nothing has told it that the peer
/// has begun.
void look_whether_begun(Warp& warp, const Instruction& in, unsigned lane, const Block& peer);

/// A block of a cluster returns: stops where a peer has touched its shared memory and nothing has
/// told the block that this is over.
void look_whether_peers_are_done(Warp& warp, const Instruction& in, unsigned lane, Block& block);

}  // namespace abn::ptx
