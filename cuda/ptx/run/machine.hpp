// A launch from first to last: blocks are made, take turns and end.
#pragma once

#include <string>
#include <vector>

#include "cuda/ptx/state/block.hpp"

namespace abn::ptx {

struct Outcome {
  bool finished = false;  ///< false: the last finding ended it
  std::vector<emulator::Finding> findings{};
  std::uint64_t blocks = 0, threads = 0;
  std::uint64_t instructions = 0, lane_instructions = 0, splits = 0, replays = 0;
  std::vector<std::uint64_t> executed{};  ///< instructions of warps by that of the program
};

/// Sizes that a GPU would refuse are a finding. An exception leaves memory as it was by then.
Outcome run(const Program& program, Configuration configuration, GlobalMemory* memory);

/// Why a GPU would not launch this; empty if it would.
std::string why_not(const Program& program, const Configuration& configuration);

}  // namespace abn::ptx
