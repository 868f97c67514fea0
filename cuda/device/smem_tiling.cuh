// How a problem is partitioned so that every block can keep its slice in shared memory, as a tile.
// Read once, reduced there, normalised there, written once: 2 tensor sizes forward and 3 backward
// instead of 3 and 5.
//
// A tile holds one slice of a group of channels as rows of contiguous memory, in vectors of 16
// bytes that are aligned as they are in the tensor, so that it is loaded and stored 16 bytes at a
// time whatever the sizes:
//
//   NCHW, long runs      a group is one channel, a row its samples of an image, the rows of a slice
//                        vectors of any images
//   NCHW, ragged runs    a group is channels whose runs together are whole vectors (8 of 7x7 in 16
//                        bit), a row their samples of an image, the rows whole images
//   NHWC, many channels  a group is up to 8 vectors of channels, a row those channels of a pixel,
//                        the rows pixels
//   NHWC, few channels   a group is all channels, the one row the whole slice
//
// The partition says in which order sums are formed (device/partition.cuh); the tiling only says
// where the data waits for them. So the two sweeps with the same partition (device/sweeps.cuh) give
// the same bits, and what does not fit a smaller GPU can go there.
//
// Sizes. A tile of 96 KiB (forward one tensor, backward two; NHWC 84, as its trees are larger)
// leaves room for two blocks on a processor, one of which loads while the other stores. A channel
// of several slices needs a block for each, all at once: no more than the GPU holds. Everything
// follows from the shape and from a nominal GPU.
#pragma once

#include <algorithm>
#include <numeric>

#include "cuda/device/partition.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// vectors of a tile of all tensors: 96 and 84 KiB
constexpr int64_t largest_smem_tile = 6144, largest_nhwc_smem_tile = 5376;
// vectors of a tensor; below, more slices cost more than they bring
constexpr int64_t smallest_smem_tile = 1024;
constexpr int64_t enough_smem_tiles = 512;
// runs of more are not worth packing: they are ragged at their two ends only
constexpr int64_t ragged_vectors = 128;
// NHWC: 128 contiguous bytes of a pixel; half of that where only that fits
constexpr int smem_columns = 8;
constexpr int nominal_processors = 132;  // of an H100
constexpr int resident_blocks = 2;       // on a processor at once
constexpr int64_t resident_capacity = nominal_processors * resident_blocks;

struct SmemTiling {
  Partition partition;
  MergeShape merge;  // of a block
  int tensors;       // that are kept
  bool fits;         // false: partition is that of the two sweeps
  bool whole;        // no run of a channel (NCHW) or pixel (NHWC) is ragged
  int pack;          // channels of a group; the last may have fewer
  int64_t groups;
  int columns;          // NCHW: channels that are reduced side by side; NHWC: vectors of a group
  int64_t slice_rows;   // images or pixels of a slice; 0 where slices end anywhere in a run
  int64_t vectors;      // that a row may touch
  int64_t row_vectors;  // between rows in the tile; 0 where the slice is one row
  int slots;            // vectors of the tile of one tensor
  int64_t units() const { return groups * partition.slices; }
  int threads() const { return columns * partition.rows; }
  int64_t largest() const {
    return (partition.layout == ABN_NCHW ? largest_smem_tile : largest_nhwc_smem_tile) / tensors;
  }
};

// Vectors that `length` elements may touch which begin at any multiple of `aligned` elements.
inline int64_t vectors_of(int64_t length, int64_t aligned, int lanes) {
  return length % lanes == 0 && aligned % lanes == 0 ? length / lanes
                                                     : ceil_div(length + lanes - 1, lanes);
}

// As many more channels as keep a block's threads busy, while there are enough blocks.
inline void widen_group(SmemTiling& tiling) {
  const Partition& partition = tiling.partition;
  const auto width = [&](int pack) {
    return vectors_of(pack * partition.s, partition.c * partition.s, partition.lanes);
  };
  while (partition.slices == 1 && 2 * tiling.pack * partition.rows <= most_threads &&
         2 * tiling.pack <= most_columns &&
         partition.n * width(2 * tiling.pack) <= tiling.largest() &&
         ceil_div(partition.c, 2 * tiling.pack) >= enough_smem_tiles)
    tiling.pack *= 2;
}

inline void tile_nchw(SmemTiling& tiling) {
  Partition& partition = tiling.partition;
  const auto slices = [&](int64_t items, int64_t largest, int64_t smallest) {
    return slices_between(ceil_div(items, largest),
                          ceil_div(enough_smem_tiles, ceil_div(partition.c, tiling.pack)),
                          ceil_div(items, smallest));
  };
  // channels that make some
  const int whole_vectors =
      partition.lanes /
      static_cast<int>(std::gcd(partition.s, static_cast<int64_t>(partition.lanes)));
  tiling.pack = partition.vectors <= ragged_vectors ? whole_vectors : 1;
  if (tiling.pack == 1) {
    set_slice_items(partition, ceil_div(partition.items, slices(partition.items, tiling.largest(),
                                                                smallest_smem_tile)));
    tiling.slice_rows = partition.slices == 1 ? partition.n : 0;
  } else {
    const int64_t width =
        vectors_of(tiling.pack * partition.s, partition.c * partition.s, partition.lanes);
    tiling.slice_rows = ceil_div(partition.n, slices(partition.n, tiling.largest() / width,
                                                     ceil_div(smallest_smem_tile, width)));
    set_slice_items(partition, tiling.slice_rows * partition.vectors);
  }
  widen_group(tiling);
  tiling.groups = ceil_div(partition.c, tiling.pack);
  tiling.vectors = tiling.row_vectors =
      tiling.pack == 1
          ? partition.vectors
          : vectors_of(tiling.pack * partition.s, partition.c * partition.s, partition.lanes);
  tiling.slots = static_cast<int>(tiling.slice_rows == 0 ? partition.slice_items
                                                         : tiling.slice_rows * tiling.vectors);
  // no more than there are channels: threads without one would share their warps with others
  tiling.columns = power_of_two_above(tiling.pack, most_threads / partition.rows);
}

inline void tile_nhwc(SmemTiling& tiling) {
  Partition& partition = tiling.partition;
  for (int columns = smem_columns; columns >= smem_columns / 2; columns /= 2) {
    set_columns(partition, columns);
    tiling.pack = partition.columns * partition.lanes;
    tiling.groups = partition.panels;
    const bool one_row = partition.panels == 1;
    tiling.vectors = vectors_of(tiling.pack, partition.c, partition.lanes);
    const int64_t largest = one_row ? (tiling.largest() - 1) * partition.lanes / partition.c
                                    : tiling.largest() / tiling.vectors;
    const int64_t smallest = one_row ? ceil_div(smallest_smem_tile * partition.lanes, partition.c)
                                     : ceil_div(smallest_smem_tile, tiling.vectors);
    const int64_t slices = slices_between(ceil_div(partition.items, largest),
                                          ceil_div(enough_smem_tiles, partition.panels),
                                          ceil_div(partition.items, smallest));
    set_slice_items(partition, ceil_div(partition.items, slices));
    tiling.slice_rows = partition.slice_items;
    if (one_row)
      tiling.vectors =
          vectors_of(partition.slice_items * partition.c, partition.c, partition.lanes);
    tiling.row_vectors = one_row ? 0 : tiling.vectors;
    tiling.slots = static_cast<int>(one_row ? tiling.vectors : tiling.slice_rows * tiling.vectors);
    tiling.columns = partition.columns;
    // so that one group loads while another stores
    if (one_row || partition.slices <= resident_capacity / 2) return;
  }
}

// The tiling of a direction: backward keeps two tensors in it.
inline SmemTiling smem_tiling_of(const abn_problem& problem, int direction) {
  SmemTiling tiling{};
  tiling.tensors = direction == ABN_FORWARD ? 1 : 2;
  tiling.partition = unsliced(problem);
  if (tiling.partition.layout == ABN_NCHW)
    tile_nchw(tiling);
  else
    tile_nhwc(tiling);
  tiling.fits = tiling.partition.slices <= resident_capacity;
  if (!tiling.fits) tiling.partition = partition_of(problem);
  tiling.whole = (tiling.partition.layout == ABN_NCHW ? tiling.partition.s : tiling.partition.c) %
                     tiling.partition.lanes ==
                 0;
  tiling.merge = merge_shape(tiling.partition);
  if (tiling.fits)
    tiling.merge.columns = std::min(tiling.merge.columns, tiling.threads() / tiling.merge.rows);
  return tiling;
}

}  // namespace ABN_BUILD
}  // namespace abn::device
