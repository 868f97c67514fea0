// How a problem is cut into units of work, from its shape alone: the same sums in the same order on
// every GPU, under every schedule and for every address.
//
// A unit is one slice of one tile and is done by one block. A tile is a set of channels, a slice a
// run of its items:
//
//   NCHW  a tile is one channel, an item a window of 16 bytes of that channel; the threads of a
//         block stand all side by side
//   NHWC  a tile is up to 32 windows of 16 bytes of channels, an item all channels of the tile at
//         one pixel; the threads of a block are columns (windows) x rows (pixels)
//
// A thread walks through every rows-th item of its slice. So it owns one channel (NCHW) or the
// channels of one window (NHWC) for the whole of a slice, and consecutive threads touch consecutive
// memory.
//
// Windows are counted from element 0 of the tensor, so they are aligned in memory wherever the
// tensor is. In NCHW a channel's run of s samples begins and ends anywhere in a window: the first
// and the last are ragged, and a run may need one window less than `windows`, which is then empty.
//
// Degenerate layouts are turned into the one that suits them: NCHW with s = 1 is NHWC, and one
// channel alone is one long NCHW run.
//
// Sizes. At most 512 terms a thread before the tree begins keep the sums short; at least `bundle`
// windows a thread keep enough loads in flight; between the two, slices are made until there are
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
// windows that a thread of a well filled slice has at the least
constexpr int bundle = 8;
// blocks that a processor can hold at once: bounds the registers of a sweep
constexpr int least_resident = 2;

template <class T>
constexpr int window_lanes = 16 / static_cast<int>(sizeof(T));

struct Cut {
  int layout;            // after degenerate ones were turned
  int64_t n, c, s;       // likewise
  int lanes;             // elements of a window
  int64_t tiles, items;  // items of a tile
  int64_t windows;       // NCHW: that a run of s samples may touch
  int64_t slices, slice_items;
  int columns, rows;  // threads of a block
  __host__ __device__ int64_t units() const { return tiles * slices; }
  int threads() const { return columns * rows; }
};

// Degenerate layouts turned; no slices yet.
inline Cut uncut(const abn_problem& problem) {
  Cut cut{};
  cut.layout = problem.layout;
  cut.n = problem.n, cut.c = problem.c, cut.s = problem.s;
  if (cut.c == 1) {
    cut.layout = ABN_NCHW;
    cut.s *= cut.n, cut.n = 1;
  } else if (cut.s == 1) {
    cut.layout = ABN_NHWC;
  }
  cut.lanes = problem.dtype == ABN_F64 ? 2 : problem.dtype == ABN_F32 ? 4 : 8;
  if (cut.layout == ABN_NCHW) {
    cut.windows =
        cut.s % cut.lanes == 0 ? cut.s / cut.lanes : ceil_div(cut.s + cut.lanes - 1, cut.lanes);
    cut.tiles = cut.c;
    cut.items = cut.n * cut.windows;
    cut.columns = 1;
  } else {
    cut.items = cut.n * cut.s;
  }
  return cut;
}

// NHWC: tiles of up to `most` columns.
inline void set_columns(Cut& cut, int most) {
  const int64_t windows_of_pixel = ceil_div(cut.c, cut.lanes);
  cut.columns = power_of_two_above(windows_of_pixel, most);
  cut.tiles = ceil_div(windows_of_pixel, cut.columns);
}

// Slices of that many items, and the threads for them.
inline void set_slice_items(Cut& cut, int64_t items) {
  const int most_rows = most_threads / cut.columns;
  cut.slice_items = items;
  cut.slices = ceil_div(cut.items, items);
  cut.rows = power_of_two_above(ceil_div(cut.slice_items, bundle), most_rows);
  if (cut.threads() < fewest_threads) cut.rows = fewest_threads / cut.columns;
}

// At least as many as the items need and, while the smallest sensible slices allow it, as many as
// the GPU wants.
inline int64_t slices_between(int64_t needed, int64_t wanted, int64_t possible) {
  return needed > wanted ? needed : wanted < possible ? wanted : possible;
}

inline Cut cut_of(const abn_problem& problem) {
  Cut cut = uncut(problem);
  if (cut.layout == ABN_NHWC) set_columns(cut, most_columns);
  const int most_rows = most_threads / cut.columns;
  const int64_t terms_of_item = cut.layout == ABN_NCHW ? cut.lanes : 1;
  const int64_t largest = most_rows * (most_terms / terms_of_item), smallest = most_rows * bundle;
  const int64_t slices =
      slices_between(ceil_div(cut.items, largest), ceil_div(enough_units, cut.tiles),
                     ceil_div(cut.items, smallest));
  set_slice_items(cut, ceil_div(cut.items, slices));
  return cut;
}

// The threads that merge slices: channels side by side, rows of them taking every rows-th slice.
// Four channels are 64 bytes of parts or more, so that more columns than that are worth less than
// more rows. A block of the cut has enough threads for the rows, since blocks that keep their slice
// on the chip merge in place.
struct MergeShape {
  int columns, rows;
  int threads() const { return columns * rows; }
};
inline MergeShape merge_shape(const Cut& cut) {
  constexpr int least_columns = 4;
  const int most_rows = most_threads / power_of_two_above(cut.c, least_columns),
            threads = cut.threads();
  MergeShape shape{1, 1};
  shape.rows =
      power_of_two_above(ceil_div(cut.slices, 2), most_rows < threads ? most_rows : threads);
  const int most = most_threads / shape.rows;
  shape.columns = power_of_two_above(cut.c, most < most_columns ? most : most_columns);
  return shape;
}

// The unit of a block; sweeps that follow another over the same data go backwards, to meet what is
// still in the cache.
struct Unit {
  int64_t tile, slice;
};
__device__ __forceinline__ Unit unit_at(const Cut& cut, int64_t index) {
  return {index % cut.tiles, index / cut.tiles};
}

__device__ __forceinline__ int column_of_thread(const Cut& cut) {
  return static_cast<int>(threadIdx.x) % cut.columns;
}
__device__ __forceinline__ int row_of_thread(const Cut& cut) {
  return static_cast<int>(threadIdx.x) / cut.columns;
}

// The first channel of the calling thread; at or behind cut.c for threads that have none.
template <int Layout>
__device__ __forceinline__ int64_t first_channel(const Cut& cut, int64_t tile) {
  return Layout == ABN_NCHW ? tile : (tile * cut.columns + column_of_thread(cut)) * cut.lanes;
}

}  // namespace ABN_BUILD
}  // namespace abn::device
