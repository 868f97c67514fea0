// Threads, warps, blocks and clusters in flight: what the parts of the emulator pass around. Sets
// of threads are 32-bit lane masks, one a warp.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cuda/emulator/block_copies.hpp"
#include "cuda/emulator/block_order.hpp"
#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/engine_clusters.hpp"
#include "cuda/emulator/shadow.hpp"
#include "cuda/emulator/stacks.hpp"
#include "cuda/emulator/traffic.hpp"

namespace abn::emulator {

struct Block;
struct Cluster;
struct Warp;

struct alignas(64) Thread : ThreadView {
  boost::context::detail::fcontext_t context = nullptr;
  Stack* stack = nullptr;  // null: has not begun or has returned
  Warp* warp = nullptr;
  Where where;  // of its last barrier, warp operation, atomic or fence
  unsigned lane() const { return rank % 32; }
  std::uint32_t bit() const { return 1u << lane(); }
  Block& home() const;
};
static_assert(sizeof(Thread) == 64, "one cache line a thread");

inline bool is_shuffle(WarpOp op) { return op <= WarpOp::shfl_xor; }

// The lanes that have called one warp operation and wait for the rest of its mask.
struct WarpGroup {
  std::uint64_t key;  // mask, operation and size of the value: what its lanes agree on
  std::uint32_t arrived;
  std::uint32_t mask() const { return static_cast<std::uint32_t>(key); }
  WarpOp op() const { return static_cast<WarpOp>(key >> 32 & 0xff); }
  static std::uint64_t make_key(WarpOp op, unsigned size, std::uint32_t mask) {
    return static_cast<std::uint64_t>(static_cast<unsigned>(op) | size << 8) << 32 | mask;
  }
};

// The lanes of a warp at the cluster's barrier. Its two halves are as on the hardware: a thread
// arrives, does something else, and waits. A thread cannot arrive for the next phase before it has
// waited for this one, so two bits a thread hold all that there is to know: it has arrived in the
// phase that is under way, or in the one before, which is complete.
struct ClusterLanes {
  std::uint32_t arrived = 0;  // in the phase under way, waiting or not
  std::uint32_t passed = 0;   // in the phase before, and have not waited for it yet
  std::uint32_t waiting = 0;
  std::uint32_t at_once = 0;  // of `arrived`, those that arrived and wait at once
};

struct Warp {
  Block* block = nullptr;
  Thread* threads = nullptr;     // of its first lane
  std::uint32_t ready = 0;       // lanes that could run now
  std::uint32_t alive = 0;       // lanes that have not returned
  std::uint32_t exists = 0;      // lanes that the block has
  std::uint32_t at_barrier = 0;  // lanes in __syncthreads
  std::uint32_t at_grid = 0;     // lanes in the grid's barrier
  std::uint32_t position = 0;    // in Scheduler::ready_, while `ready` is not zero
  std::uint32_t order = 0;       // for the ascending order
  std::uint32_t turn = 0;        // the lane to begin with, in the ascending order
  ClusterLanes in_cluster;       // lanes in and before the cluster's barrier
  std::uint32_t at_mbarrier = 0;
  std::uint32_t group_count = 0;
  std::array<WarpGroup, 32> groups;
  std::array<std::uint64_t, 32> given;  // what each lane brings to a warp operation
  std::array<std::uint8_t, 32> source;  // the lane that each lane reads
};

struct Block : BlockView {
  // bytes around the shared memory
  static constexpr std::size_t front_guard = 256, back_guard = 2048;
  std::array<Warp, 32> warps;
  std::vector<Thread> threads;
  std::vector<unsigned char> arena;
  Cluster* home_cluster = nullptr;
  std::vector<MBarrierState> mbarriers;
  BlockCopies async;
  std::uint64_t number = 0;           // in the grid
  unsigned size = 0, warp_count = 0;  // threads and warps of a block of this launch
  // threads that have not returned; that wait in __syncthreads
  unsigned alive = 0, waiting = 0;
  bool mixed = false;                          // they wait in different ones
  Where barrier;                               // the one that the first of them waits in
  void lay_out(const LaunchRequest& request);  // once a launch
  void poison();                               // the shared memory, before every block
  // the byte outside of the shared memory that was written, null if none
  const unsigned char* spoilt() const;
  // the byte inside of it that was written since poison(), null if none
  const unsigned char* unpoisoned() const;
  bool owns(const void* address) const {
    return address >= shared && address < shared + shared_bytes;
  }
  // The shared memory as bulk copies see it: where a byte of it is, and its renewal after a proxy
  // fence.
  unsigned char* in_view(const unsigned char* address);
  void refresh_view();
  // In a sanitised launch:
  BlockOrder order;
  Region watched;                       // the shared memory
  std::array<WarpTraffic, 32> traffic;  // by warp
};

// Blocks that are in flight together, meet at a barrier of their own and reach each other's shared
// memory.
struct Cluster {
  std::array<Block*, largest_cluster> members{};  // by rank
  unsigned size = 0;
  unsigned in_flight = 0;  // blocks that have not returned
  unsigned threads = 0;    // of all blocks
  unsigned arrived = 0;    // threads that have arrived in the phase under way
  unsigned gone = 0;       // threads that returned and have not arrived in it
  unsigned phase = 0;
  Sync phases[2];  // what they hand over, in a sanitised launch
  std::span<Block* const> blocks() const { return {members.data(), size}; }
};

inline Block& Thread::home() const { return *warp->block; }

}  // namespace abn::emulator
