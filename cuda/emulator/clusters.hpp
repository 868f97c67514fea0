// Thread block clusters: blocks that are in flight together, meet at a barrier of their own and
// reach each other's shared memory.
//
// The barrier comes in two halves, as on the hardware: a thread arrives, does something else, and
// waits. A thread cannot arrive for the next phase before it has waited for this one, so two bits a
// thread hold all that there is to know: it has arrived in the phase that is under way, or in the
// one before, which is complete.
#pragma once

#include <array>
#include <span>

#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/order.hpp"

namespace abn::emulator {

// above 8 a launch opts in, which launch() does by itself
inline constexpr unsigned largest_cluster = 16;

// ---- what kernels call

[[nodiscard]] Arrival cluster_arrive(Where where);
[[nodiscard]] Arrival cluster_wait(Where where);
[[nodiscard]] Arrival cluster_sync(Where where);  // both at once
[[gnu::const]] uint3 cluster_shape();
[[gnu::const]] unsigned cluster_rank();
// Where a byte of the caller's shared memory lies in that of another block of the cluster, and the
// rank of the block that owns a byte.
void* peer_address(const void* shared, unsigned rank, Where where);
unsigned peer_rank(const void* shared, Where where);

// ---- what the machine keeps

struct Block;

// Of a warp.
struct ClusterLanes {
  std::uint32_t arrived = 0;  // in the phase under way, waiting or not
  std::uint32_t passed = 0;   // in the phase before, and have not waited for it yet
  std::uint32_t waiting = 0;
  std::uint32_t at_once = 0;  // of `arrived`, those that arrived and wait at once
};

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

}  // namespace abn::emulator
