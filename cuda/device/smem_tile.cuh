// The tile on the chip: which part of a tensor a block keeps there, and the iterators that load it,
// reduce it and write it back.
//
// Element e of the tensor, in row i of the tile, lies at i*row_vectors*lanes + (e - origin(i)) -
// skip, where origin(i) is the beginning of row i, rounded down to a vector; skip is where the
// slice begins in row 0. Whole vectors of the tile belong to the block alone; at ragged ends it
// loads and stores its own elements only.
#pragma once

#include "cuda/device/aligned_iterator.cuh"
#include "cuda/device/async_copy.cuh"
#include "cuda/device/smem_tiling.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// One slice of one group.
struct SmemTile {
  Runs rows;      // of the group, from the slice's first one on
  int64_t first;  // item of those at which the slice begins, inside of row 0
  int items;
  int64_t channel;  // the group's first
  int channels;
};

__device__ __forceinline__ SmemTile smem_tile_of(const SmemTiling& tiling, int64_t group,
                                                 int64_t slice) {
  const Partition& partition = tiling.partition;
  SmemTile tile;
  tile.channel = group * tiling.pack;
  const int64_t left = partition.c - tile.channel;
  tile.channels = static_cast<int>(left < tiling.pack ? left : tiling.pack);
  const bool nchw = partition.layout == ABN_NCHW;
  const int64_t run = nchw ? partition.s : 1, rows = nchw ? partition.n : partition.items;
  tile.rows = {tile.channel * run, partition.c * run, tile.channels * run, tiling.vectors};
  tile.first = 0;
  if (tiling.slice_rows == 0) {
    const int64_t begin = slice * partition.slice_items, end = begin + partition.slice_items;
    tile.items = static_cast<int>((end < partition.items ? end : partition.items) - begin);
    tile.first = begin % tiling.vectors;
    tile.rows.begin += begin / tiling.vectors * tile.rows.stride;
    return tile;
  }
  const int64_t begin = slice * tiling.slice_rows;
  const int64_t count = rows - begin < tiling.slice_rows ? rows - begin : tiling.slice_rows;
  tile.rows.begin += begin * tile.rows.stride;
  if (tiling.row_vectors == 0) {  // one row
    tile.rows.length = count * tile.rows.stride;
    tile.items = static_cast<int>(tiling.vectors);
  } else {
    tile.items = static_cast<int>(count * tiling.vectors);
  }
  return tile;
}

// A thread's part of the tile's vectors.
template <class T>
__device__ __forceinline__ VectorIterator<T, ABN_NCHW> iterator_of(const SmemTile& tile, int first,
                                                                   int step) {
  return {tile.rows, tile.first + first, items_of_thread(first, tile.items, step), step};
}

// body(iterator) with the quickest iterator over that part.
template <class T, class Body>
__device__ __forceinline__ void with_vectors(const SmemTile& tile, int first, int step, Body body) {
  constexpr int lanes = vector_lanes<T>;
  const Runs& rows = tile.rows;
  if (rows.length == rows.vectors * lanes && rows.begin % lanes == 0 && rows.stride % lanes == 0) {
    const int64_t item = tile.first + first;
    return body(AlignedIterator<T, int64_t>(rows.begin, rows.stride, static_cast<int>(rows.vectors),
                                            item, items_of_thread(first, tile.items, step), step));
  }
  body(iterator_of<T>(tile, first, step));
}

// A thread's way through its channel (NCHW) or the channels of its vector (NHWC) in the order of
// the partition. The accesses that it gives begin at elements of the tile.
template <class T, int Layout>
class SmemIterator {
 public:
  static constexpr bool never_ragged = false;
  using Item = VectorAccess;
  // `channel` counts in the group. A thread of a channel that is not there has nothing to do.
  __device__ SmemIterator(const SmemTiling& tiling, const SmemTile& tile, int64_t slice,
                          int channel)
      : inner_(inner(tiling, tile, slice, channel)),
        origin_(tile.rows.begin),
        stride_(tiling.row_vectors == 0 ? 0 : tile.rows.stride),
        row_elements_(static_cast<int>(tiling.row_vectors) * vector_lanes<T>),
        skip_(static_cast<int>(tile.first) * vector_lanes<T>) {}
  __device__ bool more() const { return inner_.more(); }
  __device__ int left() const { return inner_.left(); }
  __device__ VectorAccess next() {
    const int row = static_cast<int>(inner_.row());
    VectorAccess access = inner_.next();
    const int64_t origin = (origin_ + row * stride_) & ~int64_t{vector_lanes<T> - 1};
    access.begin = row * row_elements_ + static_cast<int>(access.begin - origin) - skip_;
    return access;
  }

 private:
  __device__ static VectorIterator<T, Layout> inner(const SmemTiling& tiling, const SmemTile& tile,
                                                    int64_t slice, int channel) {
    const Partition& partition = tiling.partition;
    const int thread = static_cast<int>(threadIdx.x);
    if constexpr (Layout == ABN_NHWC) {
      return {partition, {tile.channel / tiling.pack, slice}};
    } else {
      const int row = thread / tiling.columns;
      const Runs runs{tile.rows.begin + channel * partition.s, tile.rows.stride, partition.s,
                      partition.vectors};
      const int64_t begin = slice * partition.slice_items, end = begin + partition.slice_items;
      const int items = static_cast<int>((end < partition.items ? end : partition.items) - begin);
      return {runs, tile.first + row,
              channel < tile.channels ? items_of_thread(row, items, partition.rows) : 0,
              partition.rows};
    }
  }

  VectorIterator<T, Layout> inner_;
  int64_t origin_, stride_;
  int row_elements_, skip_;
};

// Elements begin + j of a tile, for the bits j of `present`; `begin` is a multiple of the lanes.
struct SmemAccess {
  int begin;
  unsigned present;
};
__device__ __forceinline__ bool any_present(const SmemAccess& access) {
  return access.present != 0;
}
template <class T>
__device__ __forceinline__ unsigned lanes_present(const SmemAccess& access) {
  return access.present;
}

// The same way through a channel (NCHW) of a tile whose rows are all aligned alike. Which elements
// of a vector are the channel's then follows from its place in the run, and 32 bits are enough.
template <class T>
class AlikeIterator {
 public:
  static constexpr bool never_ragged = false;
  using Item = SmemAccess;
  // Vector v of row i begins at begin + i*stride + v*lanes. The run's elements are those from
  // `before` to `behind` of the row, counted from its first vector.
  __device__ AlikeIterator(int begin, int stride, int before, int behind, int vectors, int item,
                           int items, int step)
      : vectors_(vectors), left_(items) {
    constexpr int lanes = vector_lanes<T>;
    first_ = whole<T> << before;
    last_vector_ = (behind - 1) / lanes;
    last_ = whole<T> >> ((last_vector_ + 1) * lanes - behind);
    vector_ = item % vectors;
    at_ = begin + item / vectors * stride + vector_ * lanes;
    step_vectors_ = step % vectors;
    step_ = step / vectors * stride + step_vectors_ * lanes;
    wrap_ = stride - vectors * lanes;
  }
  __device__ bool more() const { return left_ > 0; }
  __device__ int left() const { return left_; }
  __device__ SmemAccess next() {
    SmemAccess access{at_, left_ > 0 && vector_ <= last_vector_ ? whole<T> : 0u};
    if (vector_ == 0) access.present &= first_;
    if (vector_ == last_vector_) access.present &= last_;
    --left_;
    at_ += step_;
    vector_ += step_vectors_;
    if (vector_ >= vectors_) {
      vector_ -= vectors_;
      at_ += wrap_;
    }
    return access;
  }

 private:
  unsigned first_, last_;  // lanes of the run in its first and in its last vector
  int last_vector_, vectors_, left_;
  int at_, step_, wrap_, vector_, step_vectors_;
};

// body(iterator) with the quickest iterator of that kind. Where runs are whole vectors, so are
// their places in the tile.
template <class T, int Layout, class Body>
__device__ __forceinline__ void with_smem_iterator(const SmemTiling& tiling, const SmemTile& tile,
                                                   int64_t slice, int channel, Body body) {
  constexpr int lanes = vector_lanes<T>;
  const Partition& partition = tiling.partition;
  const int row_elements = static_cast<int>(tiling.row_vectors) * lanes;
  if (!tiling.whole) {
    if constexpr (Layout == ABN_NCHW) {
      if (tile.rows.stride % lanes == 0 && tile.first == 0) {
        const int row = static_cast<int>(threadIdx.x) / tiling.columns,
                  run = static_cast<int>(tile.rows.begin % lanes) +
                        channel * static_cast<int>(partition.s),
                  before = run % lanes;
        const int64_t begin = slice * partition.slice_items, left = partition.items - begin;
        const int items =
            static_cast<int>(left < partition.slice_items ? left : partition.slice_items);
        return body(AlikeIterator<T>(
            run - before, row_elements, before, before + static_cast<int>(partition.s),
            static_cast<int>(partition.vectors), row,
            channel < tile.channels ? items_of_thread(row, items, partition.rows) : 0,
            partition.rows));
      }
    }
    return body(SmemIterator<T, Layout>(tiling, tile, slice, channel));
  }
  if constexpr (Layout == ABN_NHWC) {
    const int row = row_of_thread(partition), column = column_of_thread(partition) * lanes;
    const int items = column < tile.channels
                          ? items_of_thread(partition, {0, slice},
                                            slice * partition.slice_items + row, partition.rows)
                          : 0;
    body(AlignedIterator<T, int>(column,
                                 row_elements > 0 ? row_elements : static_cast<int>(partition.c), 1,
                                 row, items, partition.rows));
  } else {
    const int row = static_cast<int>(threadIdx.x) / tiling.columns;
    const int64_t begin = slice * partition.slice_items, left = partition.items - begin;
    const int items = static_cast<int>(left < partition.slice_items ? left : partition.slice_items);
    body(AlignedIterator<T, int>(
        static_cast<int>(channel * partition.s - tile.first * lanes), row_elements,
        static_cast<int>(partition.vectors), tile.first + row,
        channel < tile.channels ? items_of_thread(row, items, partition.rows) : 0, partition.rows));
  }
}

// A tensor's tile in shared memory.
template <class T>
class SmemTensor {
 public:
  __device__ explicit SmemTensor(void* shared) : data_(static_cast<T*>(shared)) {}

  // 0 where there is no element.
  __device__ Vec16<T> load(const VectorAccess& access) const {
    constexpr int lanes = vector_lanes<T>;
    const int at = static_cast<int>(access.begin);
    Vec16<T> value;
    if (at % lanes == 0 && access.present != 0) {
      value = load16(data_ + at);
      if (access.present == whole<T>) return value;
      ABN_UNROLL for (int j = 0; j < lanes; ++j) {
        if ((access.present >> j & 1) == 0) value.lane[j] = T{};
      }
      return value;
    }
    ABN_UNROLL for (int j = 0; j < lanes; ++j) value.lane[j] =
        (access.present >> j & 1) != 0 ? data_[at + j] : T{};
    return value;
  }
  __device__ Vec16<T> load(const AlignedAccess<int>& access) const {
    if (access.present) return load16(data_ + access.begin);
    return load(VectorAccess{0, 0});
  }
  // Lanes that are not present are anything.
  __device__ Vec16<T> load(const SmemAccess& access) const {
    return load16(data_ + (access.present != 0 ? access.begin : 0));
  }
  __device__ Vec16<T> slot(int index) const { return load16(data_ + index * vector_lanes<T>); }

  // Starts to load the tile of a tensor, by all threads of the block; it is there for all after
  // copy_async_wait and a barrier.
  __device__ void fill(const Tensor<T>& from, const SmemTile& tile) const {
    const int step = static_cast<int>(blockDim.x), first = static_cast<int>(threadIdx.x);
    with_vectors<T>(tile, first, step, [&](auto iterator) {
      for (int slot = first; iterator.more(); slot += step) {
        const auto access = iterator.next();
        T* const to = data_ + slot * vector_lanes<T>;
        if (from.wide(access))
          copy_async<16>(to, from.at(access));
        else if (any_present(access))
          store16_anywhere(to, from.load(access));
      }
    });
    copy_async_commit();
  }

 private:
  T* data_;
};

}  // namespace ABN_BUILD
}  // namespace abn::device
