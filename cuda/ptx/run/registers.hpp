// Gives registers places in a warp's memory: two that are never alive at once may share one.
#pragma once

#include <cstdint>
#include <vector>

namespace abn::ptx {

/// What one instruction does with registers, by their numbers.
struct Uses {
  std::vector<std::uint32_t> read{}, written{};
  bool conditional = false;  ///< under a guard: what it writes may keep its old value
  std::int64_t target = -1;  ///< a branch's instruction
  bool falls_through = true;
};

/// For every register its offset in bytes. `widths` are 4 or 8 bytes a lane. `total` becomes the
/// size of all of them.
std::vector<std::uint32_t> place_registers(const std::vector<Uses>& code,
                                           const std::vector<std::uint8_t>& widths,
                                           std::uint32_t& total);

}  // namespace abn::ptx
