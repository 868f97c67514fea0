// How a problem is cut so that every block can keep its slice in shared memory: the slab. Read
// once, reduced there, normalised there, written once: 2 tensor sizes forward and 3 backward
// instead of 3 and 5.
//
// A slab holds one slice of a group of channels as rows of contiguous memory, in windows of 16
// bytes that are aligned as they are in the tensor, so that it is loaded and stored 16 bytes at a
// time whatever the sizes:
//
//   NCHW, long runs      a group is one channel, a row its samples of an image, the rows of a slice
//                        windows of any images
//   NCHW, ragged runs    a group is channels whose runs together are whole windows (8 of 7x7 in 16
//                        bit), a row their samples of an image, the rows whole images
//   NHWC, many channels  a group is up to 8 windows of channels, a row those channels of a pixel,
//                        the rows pixels
//   NHWC, few channels   a group is all channels, the one row the whole slice
//
// The cut says in which order sums are formed (device/cut.cuh); the slab only says where the data
// waits for them. So the two sweeps with the same cut (device/sweeps.cuh) give the same bits, and
// what does not fit a smaller GPU can go there.
//
// Sizes. A slab of 96 KiB (forward one tensor, backward two; NHWC 84, as its trees are larger)
// leaves room for two blocks on a processor, one of which loads while the other stores. A channel
// of several slices needs a block for each, all at once: no more than the GPU holds. Everything
// follows from the shape and from a nominal GPU.
#pragma once

#include <algorithm>
#include <numeric>

#include "cuda/device/cut.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// windows of all tensors: 96 and 84 KiB
constexpr int64_t largest_slab = 6144, largest_nhwc_slab = 5376;
// windows of a tensor; below, more slices cost more than they bring
constexpr int64_t smallest_slab = 1024;
constexpr int64_t enough_slabs = 512;
// runs of more are not worth packing: they are ragged at their two ends only
constexpr int64_t ragged_windows = 128;
// NHWC: 128 contiguous bytes of a pixel; half of that where only that fits
constexpr int slab_columns = 8;
constexpr int nominal_processors = 132;  // of an H100
constexpr int resident_blocks = 2;       // on a processor at once
constexpr int64_t resident_capacity = nominal_processors * resident_blocks;

struct Slab {
  Cut cut;
  MergeShape merge;  // of a block
  int tensors;       // that are kept
  bool fits;         // false: cut is that of the two sweeps
  bool whole;        // no run of a channel (NCHW) or pixel (NHWC) is ragged
  int pack;          // channels of a group; the last may have fewer
  int64_t groups;
  int columns;          // NCHW: channels that are reduced side by side; NHWC: windows of a group
  int64_t slice_rows;   // images or pixels of a slice; 0 where slices end anywhere in a run
  int64_t windows;      // that a row may touch
  int64_t row_windows;  // between rows in the slab; 0 where the slice is one row
  int slots;            // windows of the slab of one tensor
  int64_t units() const { return groups * cut.slices; }
  int threads() const { return columns * cut.rows; }
  int64_t largest() const {
    return (cut.layout == ABN_NCHW ? largest_slab : largest_nhwc_slab) / tensors;
  }
};

// Windows that `length` elements may touch which begin at any multiple of `aligned` elements.
inline int64_t windows_of(int64_t length, int64_t aligned, int lanes) {
  return length % lanes == 0 && aligned % lanes == 0 ? length / lanes
                                                     : ceil_div(length + lanes - 1, lanes);
}

// As many more channels as keep a block's threads busy, while there are enough blocks.
inline void widen_group(Slab& slab) {
  const Cut& cut = slab.cut;
  const auto width = [&](int pack) { return windows_of(pack * cut.s, cut.c * cut.s, cut.lanes); };
  while (cut.slices == 1 && 2 * slab.pack * cut.rows <= most_threads &&
         2 * slab.pack <= most_columns && cut.n * width(2 * slab.pack) <= slab.largest() &&
         ceil_div(cut.c, 2 * slab.pack) >= enough_slabs)
    slab.pack *= 2;
}

inline void cut_nchw_slab(Slab& slab) {
  Cut& cut = slab.cut;
  const auto slices = [&](int64_t items, int64_t largest, int64_t smallest) {
    return slices_between(ceil_div(items, largest),
                          ceil_div(enough_slabs, ceil_div(cut.c, slab.pack)),
                          ceil_div(items, smallest));
  };
  // channels that make some
  const int whole_windows =
      cut.lanes / static_cast<int>(std::gcd(cut.s, static_cast<int64_t>(cut.lanes)));
  slab.pack = cut.windows <= ragged_windows ? whole_windows : 1;
  if (slab.pack == 1) {
    set_slice_items(cut, ceil_div(cut.items, slices(cut.items, slab.largest(), smallest_slab)));
    slab.slice_rows = cut.slices == 1 ? cut.n : 0;
  } else {
    const int64_t width = windows_of(slab.pack * cut.s, cut.c * cut.s, cut.lanes);
    slab.slice_rows =
        ceil_div(cut.n, slices(cut.n, slab.largest() / width, ceil_div(smallest_slab, width)));
    set_slice_items(cut, slab.slice_rows * cut.windows);
  }
  widen_group(slab);
  slab.groups = ceil_div(cut.c, slab.pack);
  slab.windows = slab.row_windows =
      slab.pack == 1 ? cut.windows : windows_of(slab.pack * cut.s, cut.c * cut.s, cut.lanes);
  slab.slots =
      static_cast<int>(slab.slice_rows == 0 ? cut.slice_items : slab.slice_rows * slab.windows);
  // a block that takes part in merges has all of them
  const int side_by_side = most_threads / cut.rows;
  slab.columns = cut.slices > 1 ? side_by_side : power_of_two_above(slab.pack, side_by_side);
}

inline void cut_nhwc_slab(Slab& slab) {
  Cut& cut = slab.cut;
  for (int columns = slab_columns; columns >= slab_columns / 2; columns /= 2) {
    set_columns(cut, columns);
    slab.pack = cut.columns * cut.lanes;
    slab.groups = cut.tiles;
    const bool one_row = cut.tiles == 1;
    slab.windows = windows_of(slab.pack, cut.c, cut.lanes);
    const int64_t largest =
        one_row ? (slab.largest() - 1) * cut.lanes / cut.c : slab.largest() / slab.windows;
    const int64_t smallest = one_row ? ceil_div(smallest_slab * cut.lanes, cut.c)
                                     : ceil_div(smallest_slab, slab.windows);
    const int64_t slices =
        slices_between(ceil_div(cut.items, largest), ceil_div(enough_slabs, cut.tiles),
                       ceil_div(cut.items, smallest));
    set_slice_items(cut, ceil_div(cut.items, slices));
    slab.slice_rows = cut.slice_items;
    if (one_row) slab.windows = windows_of(cut.slice_items * cut.c, cut.c, cut.lanes);
    slab.row_windows = one_row ? 0 : slab.windows;
    slab.slots = static_cast<int>(one_row ? slab.windows : slab.slice_rows * slab.windows);
    slab.columns = cut.columns;
    // so that one group loads while another stores
    if (one_row || cut.slices <= resident_capacity / 2) return;
  }
}

// The slab of a direction: backward keeps two tensors in it.
inline Slab slab_of(const abn_problem& problem, int direction) {
  Slab slab{};
  slab.tensors = direction == ABN_FORWARD ? 1 : 2;
  slab.cut = uncut(problem);
  if (slab.cut.layout == ABN_NCHW)
    cut_nchw_slab(slab);
  else
    cut_nhwc_slab(slab);
  slab.fits = slab.cut.slices <= resident_capacity;
  if (!slab.fits) slab.cut = cut_of(problem);
  slab.whole = (slab.cut.layout == ABN_NCHW ? slab.cut.s : slab.cut.c) % slab.cut.lanes == 0;
  slab.merge = merge_shape(slab.cut);
  if (slab.fits)
    slab.merge.columns = std::min(slab.merge.columns, slab.threads() / slab.merge.rows);
  return slab;
}

}  // namespace ABN_BUILD
}  // namespace abn::device
