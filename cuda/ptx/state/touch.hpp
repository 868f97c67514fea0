// Who touched a place of memory last, where accesses are looked at.
#pragma once

#include <cstdint>

namespace abn::ptx {

struct Instruction;

/// By the number of a thread; `epoch` 0: nobody. Epochs are those of Block and Warp.
struct Touch {
  std::uint32_t thread = 0, epoch = 0, warp_epoch = 0;
  const Instruction* at = nullptr;
};

/// 4 bytes of shared memory.
struct Touches {
  Touch store, load;
  bool more_loads = false;  ///< of other threads than load.thread, in its epoch
};

/// 2 bytes of global memory, which other blocks of the launch touch, too.
struct GlobalTouch {
  Touch in_block;
  std::uint64_t block = 0;  ///< its number in the grid
  std::uint64_t tick = 0;   ///< of the launch
};
struct GlobalTouches {
  GlobalTouch store, load;
};

}  // namespace abn::ptx
