// A reduction across blocks: how those that hold the slices of one group of channels come to the
// same result. Everyone publishes what its slice says, all wait for each other, and the parts are
// merged in the order of the slices, as the two sweeps merge them. The scope says who that is:
//
//   block       a single slice: nothing to exchange
//   cluster     parts stay in shared memory, where the peers read them
//   grid        parts go to the workspace; the blocks of a cooperative launch that hold a group
//               wait at a barrier in global memory
//
// Few parts are merged by every block for itself. Many would be read too often: then every block
// merges its share of the channels, leaves the results in the workspace, and all wait once more.
#pragma once

#include "cuda/device/acquire_release.cuh"
#include "cuda/device/cluster.cuh"
#include "cuda/device/smem_tile.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

enum class SyncScope { block, cluster, grid };

// that every block merges for itself: 8 KiB of float moments
constexpr int64_t most_parts_of_all = 512;

// Of a launch.
struct GroupSync {
  SyncScope scope;
  int64_t groups;      // in flight at once
  unsigned* counters;  // one a group in flight; undefined before the launch
};

// One reduction after the other by the same blocks.
template <class Part>
class GroupReduction {
 public:
  __device__ GroupReduction(const GroupSync& sync, const SmemTiling& tiling, Part* own, Part* all)
      : scope_(sync.scope), tiling_(tiling), own_(own), all_(all) {
    if (scope_ != SyncScope::grid) return;
    counter_ = sync.counters + blockIdx.x / tiling.partition.slices;
    leads_ = blockIdx.x % tiling.partition.slices == 0;
    if (leads_ && threadIdx.x == 0) store_release(counter_, 0);
    cooperative_groups::this_grid().sync();
  }

  // Where the calling thread puts the part of channel j of the group.
  __device__ Part& slot(const SmemTile& tile, int64_t slice, int j) const {
    return scope_ == SyncScope::cluster ? own_[j]
                                        : all_[slice * tiling_.partition.c + tile.channel + j];
  }

  // By all threads of a block. `merge(live, part)` is merge_slices with the caller's tree.
  // `finish_channel(j, result, kept, published)` gets the result of channel j in one thread: `kept`
  // says to remember it for this block, `published` that no other block writes it out. `reload(j)`
  // fetches what another block published.
  template <class Merge, class FinishChannel, class Reload>
  __device__ __forceinline__ void reduce(const SmemTile& tile, int64_t slice, Merge merge,
                                         FinishChannel finish_channel, Reload reload) {
    const MergeShape& shape = tiling_.merge;
    const int slices = static_cast<int>(tiling_.partition.slices), own = static_cast<int>(slice);
    const int column = static_cast<int>(threadIdx.x) % shape.columns,
              row = static_cast<int>(threadIdx.x) / shape.columns;
    const bool shared_out = static_cast<int64_t>(tile.channels) * slices > most_parts_of_all;
    wait();
    const int share = !shared_out           ? tile.channels
                      : tile.channels > own ? (tile.channels - own + slices - 1) / slices
                                            : 0;
    for (int first = 0; first < share; first += shape.columns) {
      const int index = first + column, j = shared_out ? index * slices + own : index;
      const bool live = index < share;
      const auto result = merge(live, [&](int64_t from) { return fetch(tile, from, j); });
      if (live && row == 0) finish_channel(j, result, !shared_out, shared_out || own == 0);
      __syncthreads();  // the tree is free again
    }
    if (shared_out) {
      wait();
      for (int j = static_cast<int>(threadIdx.x); j < tile.channels;
           j += static_cast<int>(blockDim.x))
        reload(j);
    }
    if (scope_ == SyncScope::cluster) this_cluster().barrier_arrive();
    __syncthreads();
  }

  // After the last use of what was exchanged, and before the next reduction or the end.
  __device__ void release() const {
    if (scope_ == SyncScope::cluster) this_cluster().barrier_wait();
  }

 private:
  __device__ void wait() {
    if (scope_ == SyncScope::cluster)
      this_cluster().sync();
    else
      group_barrier(counter_, static_cast<unsigned>(tiling_.partition.slices), leads_);
  }
  __device__ Part fetch(const SmemTile& tile, int64_t slice, int j) const {
    if (scope_ == SyncScope::cluster)
      return *this_cluster().map_shared_rank(own_ + j, static_cast<int>(slice));
    return all_[slice * tiling_.partition.c + tile.channel + j];
  }

  const SyncScope scope_;
  const SmemTiling& tiling_;
  Part *const own_, *const all_;
  unsigned* counter_ = nullptr;
  bool leads_ = false;
};

}  // namespace ABN_BUILD
}  // namespace abn::device
