// How a problem is partitioned into units of work, from its shape alone: the same sums in the same
// order on every GPU, under every schedule and for every address.
//
//               channels ->                            NHWC             NCHW
//               panel 0   panel 1   panel 2      item  one pixel        one vector of a channel
//             +---------+---------+---------+    panel up to 32         one channel
//   items  |  |  unit   |  unit   |  unit   |          vectors of
//          |  | slice 0 | slice 0 | slice 0 |          channels
//          v  +---------+---------+---------+    block columns x rows:  all threads side by side
//             |  unit   |  unit   |  unit   |          a column is a
//             | slice 1 | slice 1 | slice 1 |          vector, a row
//             +---------+---------+---------+          every rows-th pixel
//
// Words of this folder:
//   vector      16 bytes of a tensor, counted from element 0, so that it is aligned in memory
//               wherever the tensor is; `lanes` are its elements. vector_access.cuh has the access
//               to one, aligned_iterator.cuh the quick way from one to the next
//   run         contiguous elements of one channel: s samples of an image. It begins and ends
//               anywhere in a vector; the vectors at its ends are then ragged
//   panel       a set of channels whose sums one block forms side by side
//   slice       a contiguous part of a panel's items; slices are summed apart and then merged
//   unit        one slice of one panel: the work of a block
//   bundle      vectors that a thread has in flight
//   group       panels that a block holds in shared memory at once (smem_tiling.cuh)
//   tile        one slice of one group in shared memory (smem_tile.cuh)
//   part        what a slice says of a channel: moments, or sums
//   sync scope  who has to meet before a channel is finished: a block, a cluster, blocks of the
//               grid (group_reduction.cuh)
//
// A thread goes through every rows-th item of its slice. So it owns one channel (NCHW) or the
// channels of one vector (NHWC) for the whole of a slice, and consecutive threads touch consecutive
// memory. In NCHW a run may need one vector less than `vectors`, which is then empty.
//
// Degenerate layouts are turned into the one that suits them: NCHW with s = 1 is NHWC, and one
// channel alone is one long NCHW run.
//
// Sizes. At most 512 terms a thread before the tree begins keep the sums short; at least `bundle`
// vectors a thread keep enough loads in flight; between the two, slices are made until there are
// enough blocks for any GPU.
#pragma once

#include "cuda/device/entry.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

constexpr int most_threads = 256;
constexpr int most_columns = 32;  // 512 contiguous bytes a row
constexpr int fewest_threads = 32;
constexpr int64_t most_terms = 512;     // of a sum in one thread
constexpr int64_t enough_units = 1024;  // several for each of the processors of the largest GPUs
constexpr int64_t most_blocks = 65536;  // of a launch; beyond, a block does several units
// vectors that a thread of a well filled slice has at the least
constexpr int bundle = 8;
// blocks that a processor can hold at once: bounds the registers of a sweep
constexpr int least_resident = 2;

template <class T>
constexpr int vector_lanes = 16 / static_cast<int>(sizeof(T));

struct Partition {
  int layout;             // after degenerate ones were turned
  int64_t n, c, s;        // likewise
  int lanes;              // elements of a vector
  int64_t panels, items;  // items of a panel
  int64_t vectors;        // NCHW: that a run of s samples may touch
  int64_t slices, slice_items;
  int columns, rows;  // threads of a block
  __host__ __device__ int64_t units() const { return panels * slices; }
  int threads() const { return columns * rows; }
};

// Degenerate layouts turned; no slices yet.
inline Partition unsliced(const abn_problem& problem) {
  Partition partition{};
  partition.layout = problem.layout;
  partition.n = problem.n, partition.c = problem.c, partition.s = problem.s;
  if (partition.c == 1) {
    partition.layout = ABN_NCHW;
    partition.s *= partition.n, partition.n = 1;
  } else if (partition.s == 1) {
    partition.layout = ABN_NHWC;
  }
  partition.lanes = problem.dtype == ABN_F64 ? 2 : problem.dtype == ABN_F32 ? 4 : 8;
  if (partition.layout == ABN_NCHW) {
    partition.vectors = partition.s % partition.lanes == 0
                            ? partition.s / partition.lanes
                            : ceil_div(partition.s + partition.lanes - 1, partition.lanes);
    partition.panels = partition.c;
    partition.items = partition.n * partition.vectors;
    partition.columns = 1;
  } else {
    partition.items = partition.n * partition.s;
  }
  return partition;
}

// NHWC: panels of up to `most` columns.
inline void set_columns(Partition& partition, int most) {
  const int64_t vectors_of_pixel = ceil_div(partition.c, partition.lanes);
  partition.columns = power_of_two_above(vectors_of_pixel, most);
  partition.panels = ceil_div(vectors_of_pixel, partition.columns);
}

// Slices of that many items, and the threads for them.
inline void set_slice_items(Partition& partition, int64_t items) {
  const int most_rows = most_threads / partition.columns;
  partition.slice_items = items;
  partition.slices = ceil_div(partition.items, items);
  partition.rows = power_of_two_above(ceil_div(partition.slice_items, bundle), most_rows);
  if (partition.threads() < fewest_threads) partition.rows = fewest_threads / partition.columns;
}

// At least as many as the items need and, while the smallest sensible slices allow it, as many as
// the GPU wants.
inline int64_t slices_between(int64_t needed, int64_t wanted, int64_t possible) {
  return needed > wanted ? needed : wanted < possible ? wanted : possible;
}

inline Partition partition_of(const abn_problem& problem) {
  Partition partition = unsliced(problem);
  if (partition.layout == ABN_NHWC) set_columns(partition, most_columns);
  const int most_rows = most_threads / partition.columns;
  const int64_t terms_of_item = partition.layout == ABN_NCHW ? partition.lanes : 1;
  const int64_t largest = most_rows * (most_terms / terms_of_item), smallest = most_rows * bundle;
  const int64_t slices =
      slices_between(ceil_div(partition.items, largest), ceil_div(enough_units, partition.panels),
                     ceil_div(partition.items, smallest));
  set_slice_items(partition, ceil_div(partition.items, slices));
  return partition;
}

// The threads that merge slices: channels side by side, rows of them taking every rows-th slice.
// Four channels are 64 bytes of parts or more, so that more columns than that are worth less than
// more rows. A block of the partition has enough threads for the rows, since blocks that keep their
// slice on the chip merge in place.
struct MergeShape {
  int columns, rows;
  int threads() const { return columns * rows; }
};
inline MergeShape merge_shape(const Partition& partition) {
  constexpr int least_columns = 4;
  const int most_rows = most_threads / power_of_two_above(partition.c, least_columns),
            threads = partition.threads();
  MergeShape shape{1, 1};
  shape.rows =
      power_of_two_above(ceil_div(partition.slices, 2), most_rows < threads ? most_rows : threads);
  const int most = most_threads / shape.rows;
  shape.columns = power_of_two_above(partition.c, most < most_columns ? most : most_columns);
  return shape;
}

// The unit of a block; sweeps that follow another over the same data go backwards, to meet what is
// still in the cache.
struct Unit {
  int64_t panel, slice;
};
__device__ __forceinline__ Unit unit_at(const Partition& partition, int64_t index) {
  return {index % partition.panels, index / partition.panels};
}

__device__ __forceinline__ int column_of_thread(const Partition& partition) {
  return static_cast<int>(threadIdx.x) % partition.columns;
}
__device__ __forceinline__ int row_of_thread(const Partition& partition) {
  return static_cast<int>(threadIdx.x) / partition.columns;
}

// The first channel of the calling thread; at or behind partition.c for threads that have none.
template <int Layout>
__device__ __forceinline__ int64_t first_channel(const Partition& partition, int64_t panel) {
  return Layout == ABN_NCHW
             ? panel
             : (panel * partition.columns + column_of_thread(partition)) * partition.lanes;
}

}  // namespace ABN_BUILD
}  // namespace abn::device
