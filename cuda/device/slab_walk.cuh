// The slab on the chip: which part of a tensor a block keeps there, and the walks that load it,
// reduce it and write it back.
//
// Element e of the tensor, in row i of the chunk, lies at i*row_windows*lanes + (e - origin(i)) -
// skip, where origin(i) is the beginning of row i, rounded down to a window; skip is where the
// slice begins in row 0. Whole windows of the chunk belong to the block alone; at ragged ends it
// loads and stores its own elements only.
#pragma once

#include "cuda/device/async_copy.cuh"
#include "cuda/device/slab.cuh"
#include "cuda/device/whole_walk.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// One slice of one group.
struct Chunk {
  Runs rows;      // of the group, from the slice's first one on
  int64_t first;  // item of those at which the slice begins, inside of row 0
  int items;
  int64_t channel;  // the group's first
  int channels;
};

__device__ __forceinline__ Chunk chunk_of(const Slab& slab, int64_t group, int64_t slice) {
  const Cut& cut = slab.cut;
  Chunk chunk;
  chunk.channel = group * slab.pack;
  const int64_t left = cut.c - chunk.channel;
  chunk.channels = static_cast<int>(left < slab.pack ? left : slab.pack);
  const bool nchw = cut.layout == ABN_NCHW;
  const int64_t run = nchw ? cut.s : 1, rows = nchw ? cut.n : cut.items;
  chunk.rows = {chunk.channel * run, cut.c * run, chunk.channels * run, slab.windows};
  chunk.first = 0;
  if (slab.slice_rows == 0) {
    const int64_t begin = slice * cut.slice_items, end = begin + cut.slice_items;
    chunk.items = static_cast<int>((end < cut.items ? end : cut.items) - begin);
    chunk.first = begin % slab.windows;
    chunk.rows.begin += begin / slab.windows * chunk.rows.stride;
    return chunk;
  }
  const int64_t begin = slice * slab.slice_rows;
  const int64_t count = rows - begin < slab.slice_rows ? rows - begin : slab.slice_rows;
  chunk.rows.begin += begin * chunk.rows.stride;
  if (slab.row_windows == 0) {  // one row
    chunk.rows.length = count * chunk.rows.stride;
    chunk.items = static_cast<int>(slab.windows);
  } else {
    chunk.items = static_cast<int>(count * slab.windows);
  }
  return chunk;
}

// A thread's part of the chunk's windows.
template <class T>
__device__ __forceinline__ Walk<T, ABN_NCHW> walk_of(const Chunk& chunk, int first, int step) {
  return {chunk.rows, chunk.first + first, items_of_thread(first, chunk.items, step), step};
}

// body(walk) with the quickest walk over that part.
template <class T, class Body>
__device__ __forceinline__ void with_windows(const Chunk& chunk, int first, int step, Body body) {
  constexpr int lanes = window_lanes<T>;
  const Runs& rows = chunk.rows;
  if (rows.length == rows.windows * lanes && rows.begin % lanes == 0 && rows.stride % lanes == 0) {
    const int64_t item = chunk.first + first;
    return body(WholeWalk<T, int64_t>(rows.begin, rows.stride, static_cast<int>(rows.windows), item,
                                      items_of_thread(first, chunk.items, step), step));
  }
  body(walk_of<T>(chunk, first, step));
}

// A thread's walk through its channel (NCHW) or the channels of its window (NHWC) in the order of
// the cut. The windows that it gives begin at elements of the slab.
template <class T, int Layout>
class SlabWalk {
 public:
  static constexpr bool never_ragged = false;
  using Item = Window;
  // `channel` counts in the group. A thread of a channel that is not there has nothing to do.
  __device__ SlabWalk(const Slab& slab, const Chunk& chunk, int64_t slice, int channel)
      : walk_(inner(slab, chunk, slice, channel)),
        origin_(chunk.rows.begin),
        stride_(slab.row_windows == 0 ? 0 : chunk.rows.stride),
        row_elements_(static_cast<int>(slab.row_windows) * window_lanes<T>),
        skip_(static_cast<int>(chunk.first) * window_lanes<T>) {}
  __device__ bool more() const { return walk_.more(); }
  __device__ Window next() {
    const int row = static_cast<int>(walk_.row());
    Window window = walk_.next();
    const int64_t origin = (origin_ + row * stride_) & ~int64_t{window_lanes<T> - 1};
    window.begin = row * row_elements_ + static_cast<int>(window.begin - origin) - skip_;
    return window;
  }

 private:
  __device__ static Walk<T, Layout> inner(const Slab& slab, const Chunk& chunk, int64_t slice,
                                          int channel) {
    const Cut& cut = slab.cut;
    const int thread = static_cast<int>(threadIdx.x);
    if constexpr (Layout == ABN_NHWC) {
      return {cut, {chunk.channel / slab.pack, slice}};
    } else {
      const int row = thread / slab.columns;
      const Runs runs{chunk.rows.begin + channel * cut.s, chunk.rows.stride, cut.s, cut.windows};
      const int64_t begin = slice * cut.slice_items, end = begin + cut.slice_items;
      const int items = static_cast<int>((end < cut.items ? end : cut.items) - begin);
      return {runs, chunk.first + row,
              channel < chunk.channels ? items_of_thread(row, items, cut.rows) : 0, cut.rows};
    }
  }

  Walk<T, Layout> walk_;
  int64_t origin_, stride_;
  int row_elements_, skip_;
};

// body(walk) with the quickest walk of that kind. Where runs are whole windows, so are their places
// in the slab.
template <class T, int Layout, class Body>
__device__ __forceinline__ void with_slab_walk(const Slab& slab, const Chunk& chunk, int64_t slice,
                                               int channel, Body body) {
  if (!slab.whole) return body(SlabWalk<T, Layout>(slab, chunk, slice, channel));
  constexpr int lanes = window_lanes<T>;
  const Cut& cut = slab.cut;
  const int row_elements = static_cast<int>(slab.row_windows) * lanes;
  if constexpr (Layout == ABN_NHWC) {
    const int row = row_of_thread(cut), column = column_of_thread(cut) * lanes;
    const int items =
        column < chunk.channels
            ? items_of_thread(cut, {0, slice}, slice * cut.slice_items + row, cut.rows)
            : 0;
    body(WholeWalk<T, int>(column, row_elements > 0 ? row_elements : static_cast<int>(cut.c), 1,
                           row, items, cut.rows));
  } else {
    const int row = static_cast<int>(threadIdx.x) / slab.columns;
    const int64_t begin = slice * cut.slice_items, left = cut.items - begin;
    const int items = static_cast<int>(left < cut.slice_items ? left : cut.slice_items);
    body(WholeWalk<T, int>(static_cast<int>(channel * cut.s - chunk.first * lanes), row_elements,
                           static_cast<int>(cut.windows), chunk.first + row,
                           channel < chunk.channels ? items_of_thread(row, items, cut.rows) : 0,
                           cut.rows));
  }
}

// A tensor's slab in shared memory.
template <class T>
class SlabTensor {
 public:
  __device__ explicit SlabTensor(void* shared) : data_(static_cast<T*>(shared)) {}

  // 0 where the window has no element.
  __device__ Vec16<T> load(const Window& window) const {
    constexpr int lanes = window_lanes<T>;
    const int at = static_cast<int>(window.begin);
    Vec16<T> value;
    if (at % lanes == 0 && window.present != 0) {
      value = load16(data_ + at);
      if (window.present == whole<T>) return value;
      ABN_UNROLL for (int j = 0; j < lanes; ++j) {
        if ((window.present >> j & 1) == 0) value.lane[j] = narrow<T>(0);
      }
      return value;
    }
    ABN_UNROLL for (int j = 0; j < lanes; ++j) value.lane[j] =
        (window.present >> j & 1) != 0 ? data_[at + j] : narrow<T>(0);
    return value;
  }
  __device__ Vec16<T> load(const WholeWindow<int>& window) const {
    if (window.present) return load16(data_ + window.begin);
    return load(Window{0, 0});
  }
  __device__ Vec16<T> slot(int index) const { return load16(data_ + index * window_lanes<T>); }

  // Starts to load the chunk of a tensor, by all threads of the block; it is there for all after
  // copy_async_wait and a barrier.
  __device__ void fill(const Tensor<T>& from, const Chunk& chunk) const {
    const int step = static_cast<int>(blockDim.x), first = static_cast<int>(threadIdx.x);
    with_windows<T>(chunk, first, step, [&](auto walk) {
      for (int slot = first; walk.more(); slot += step) {
        const auto window = walk.next();
        T* const to = data_ + slot * window_lanes<T>;
        if (from.wide(window))
          copy_async<16>(to, from.at(window));
        else if (any_present(window))
          store16_anywhere(to, from.load(window));
      }
    });
    copy_async_commit();
  }

 private:
  T* data_;
};

}  // namespace ABN_BUILD
}  // namespace abn::device
