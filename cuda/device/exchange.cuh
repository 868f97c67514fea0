// How the blocks that hold the slices of one group of channels come to the same result: everyone
// publishes what its slice says, all wait for each other, and the parts are merged in the order of
// the slices, as the two sweeps merge them.
//
//   alone       a single slice: nothing to exchange
//   cluster     parts stay in shared memory, where the peers read them
//   group       parts go to the workspace; blocks of a cooperative launch wait at a barrier in
//               global memory
//
// Few parts are merged by every block for itself. Many would be read too often: then every block
// merges its share of the channels, leaves the results in the workspace, and all wait once more.
#pragma once

#include "cuda/device/acquire_release.cuh"
#include "cuda/device/cluster.cuh"
#include "cuda/device/slab_walk.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

enum class Meeting { alone, cluster, group };

// that every block merges for itself: 8 KiB of float moments
constexpr int64_t most_parts_of_all = 512;

struct Exchange {
  Meeting meeting;
  int64_t groups;      // in flight at once
  unsigned* counters;  // one a group in flight; undefined before the launch
};

// One exchange after the other by the same blocks.
template <class Part>
class Exchanger {
 public:
  __device__ Exchanger(const Exchange& exchange, const Slab& slab, Part* own, Part* all)
      : meeting_(exchange.meeting), slab_(slab), own_(own), all_(all) {
    if (meeting_ != Meeting::group) return;
    counter_ = exchange.counters + blockIdx.x / slab.cut.slices;
    leads_ = blockIdx.x % slab.cut.slices == 0;
    if (leads_ && threadIdx.x == 0) store_release(counter_, 0);
    cooperative_groups::this_grid().sync();
  }

  // Where the calling thread puts the part of channel j of the group.
  __device__ Part& place(const Chunk& chunk, int64_t slice, int j) const {
    return meeting_ == Meeting::cluster ? own_[j] : all_[slice * slab_.cut.c + chunk.channel + j];
  }

  // By all threads of a block. `merge(live, part)` is merge_slices with the caller's tree.
  // `settle(j, result, kept, published)` gets the result of channel j in one thread: `kept` says to
  // remember it for this block, `published` that no other block writes it out. `recall(j)` fetches
  // what another block published.
  template <class Merge, class Settle, class Recall>
  __device__ __forceinline__ void run(const Chunk& chunk, int64_t slice, Merge merge, Settle settle,
                                      Recall recall) {
    const MergeShape& shape = slab_.merge;
    const int slices = static_cast<int>(slab_.cut.slices), own = static_cast<int>(slice);
    const int column = static_cast<int>(threadIdx.x) % shape.columns,
              row = static_cast<int>(threadIdx.x) / shape.columns;
    const bool shared_out = static_cast<int64_t>(chunk.channels) * slices > most_parts_of_all;
    wait();
    const int share = !shared_out            ? chunk.channels
                      : chunk.channels > own ? (chunk.channels - own + slices - 1) / slices
                                             : 0;
    for (int first = 0; first < share; first += shape.columns) {
      const int index = first + column, j = shared_out ? index * slices + own : index;
      const bool live = index < share;
      const auto result = merge(live, [&](int64_t from) { return fetch(chunk, from, j); });
      if (live && row == 0) settle(j, result, !shared_out, shared_out || own == 0);
      __syncthreads();  // the tree is free again
    }
    if (shared_out) {
      wait();
      for (int j = static_cast<int>(threadIdx.x); j < chunk.channels;
           j += static_cast<int>(blockDim.x))
        recall(j);
    }
    if (meeting_ == Meeting::cluster) this_cluster().barrier_arrive();
    __syncthreads();
  }

  // After the last use of what was exchanged, and before the next exchange or the end.
  __device__ void part() const {
    if (meeting_ == Meeting::cluster) this_cluster().barrier_wait();
  }

 private:
  __device__ void wait() {
    if (meeting_ == Meeting::cluster)
      this_cluster().sync();
    else
      group_barrier(counter_, static_cast<unsigned>(slab_.cut.slices), leads_);
  }
  __device__ Part fetch(const Chunk& chunk, int64_t slice, int j) const {
    if (meeting_ == Meeting::cluster)
      return *this_cluster().map_shared_rank(own_ + j, static_cast<int>(slice));
    return all_[slice * slab_.cut.c + chunk.channel + j];
  }

  const Meeting meeting_;
  const Slab& slab_;
  Part *const own_, *const all_;
  unsigned* counter_ = nullptr;
  bool leads_ = false;
};

}  // namespace ABN_BUILD
}  // namespace abn::device
