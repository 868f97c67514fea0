// From an address of a kernel to the byte of the host behind it, with all checks that an access
// has to pass: its space, its alignment, its bounds, and whether it reads what somebody wrote.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/ptx/state/block.hpp"

namespace abn::ptx {

enum class Use : std::uint8_t {
  read,
  write,
  atomic,
  object,  ///< an mbarrier by its own instructions
};

/// Never null: what may not be touched stops the launch.
std::byte* reach(Warp& warp, const Instruction& in, unsigned lane, Space space,
                 std::uint64_t address, std::uint32_t bytes, Use use);

/// One instruction's accesses to watched global memory make requests of 32-byte sectors.
void count_traffic(Warp& warp, const std::uint64_t* addresses, std::uint32_t mask,
                   std::uint32_t bytes, Use use);

/// The block of the caller's cluster whose shared memory the address (an offset in the shared
/// window) is in; `address` becomes the offset in it.
Block& block_at(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t& address,
                bool peers);

}  // namespace abn::ptx
