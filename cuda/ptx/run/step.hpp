// One warp, until its turn is over: lanes that stand at one instruction form a group, the group
// with the lowest instruction goes first, and groups that meet become one.
#pragma once

#include "cuda/ptx/state/block.hpp"

namespace abn::ptx {

/// Runs up to about `budget` instructions; how many there were. 0: nothing of it can go on.
std::uint64_t run_warp(Warp& warp, std::uint64_t budget);

/// Lets everybody go on who waits at this barrier of the block.
void release_barrier(Block& block, std::uint32_t number);

/// Ends a phase of the cluster's barrier if all threads that are left have arrived.
void settle_cluster_barrier(Cluster& cluster);

}  // namespace abn::ptx
