// What a block keeps for the order of accesses: the clocks of its threads, and what a barrier of
// any kind hands over. order.hpp is what changes them, in a sanitised launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/emulator/clock.hpp"

namespace abn::emulator {

// One phase of a barrier, or one place in memory: who releases into it hands over, who acquires
// from it comes to know. What was released is kept in the order of the releases, and worked out
// when somebody acquires: up to where it was when he came by.
class Sync {
 public:
  void clear() { *this = {}; }  // as new

 private:
  friend class Order;
  std::vector<Stamp> log_;
  Known base_;               // of the releases before the log
  std::size_t dropped_ = 0;  // how many they are
  Known merged_;             // base_ and log_[0..merged_end_)
  std::size_t merged_end_ = 0;
};

// What a thread's last fence made ready for its atomics to hand over, and what its atomics have met
// for its next fence to make known to it. PTX calls the two the release pattern and the acquire
// pattern.
struct Fences {
  // by __threadfence() and by a __threadfence_block() after it
  Stamp released, released_in_block;
  std::vector<std::uintptr_t> published;  // the atomics' addresses since then
  struct Seen {
    std::uintptr_t address;
    std::size_t upto;  // of the releases there
  };
  std::vector<Seen> seen;
};

// The clocks of a resident block.
struct BlockOrder {
  std::uint32_t actor = 0;
  // every thread knows all that the block did before this time: its last barrier
  std::uint32_t before = 0;
  std::uint32_t newest = 0;  // the latest time of a thread
  // likewise the lanes of a warp: the last __syncwarp() of all of them
  std::uint32_t warp_before[32] = {};
  std::vector<Epoch> now;  // by rank: the epoch of the thread's next access
  // by rank: what it knows beyond that; empty until somebody does
  std::vector<Known> known;
  // by rank; empty until somebody fences, or meets what another block fenced
  std::vector<Fences> fences;
  bool any_known = false;            // one of `known` is not null
  bool news = false;                 // `known` changed since the last barrier
  bool fenced = false, met = false;  // likewise what `fences` released, and has seen
  std::vector<std::uintptr_t> shared_atomics;
};

}  // namespace abn::emulator
