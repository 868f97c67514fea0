// What a launch of a compiled kernel took beside the bytes that it moved.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/emulator/report.h"

namespace abn::verify::check::sanitize {

struct LaunchCounts {
  std::string kernel;
  std::uint64_t instructions = 0;  ///< of warps
  std::uint64_t divergences = 0;   ///< branches at which a warp parted
  std::uint64_t replays = 0;       ///< turns of shared memory beyond the first of an access
  std::vector<emulator::LineCount> lines{};  ///< of the kernel, those with most of them first
};

}  // namespace abn::verify::check::sanitize
