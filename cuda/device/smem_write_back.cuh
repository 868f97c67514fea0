// The way back: every vector of a tile becomes a vector of the result, with the parameters of each
// element's channel.
//
// `pick(slot)` fetches what is needed of a vector, `compute(picked, lane, channel)` makes an
// element of the result of it, not yet rounded. Channels come
// from a table in shared memory. Where a thread meets the same channels in every vector (a single
// channel, or NHWC whose pixels are whole vectors) it keeps their parameters in registers;
// elsewhere it changes them where one run ends and the next begins.
#pragma once

#include "cuda/device/smem_tile.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// offset / divisor of offsets in a tile by a multiplication: with magic = ceil(2^32/divisor) the
// upper half of offset*magic is the quotient as long as offset*divisor < 2^32, and tiles of several
// channels have fewer than 2^16 elements of channels of fewer than 2^12.
class FastDivisor {
 public:
  __device__ explicit FastDivisor(int divisor)
      : divisor_(divisor), magic_(0xffffffffu / static_cast<unsigned>(divisor) + 1) {}
  __device__ int quotient(int offset) const {
    return divisor_ == 1 ? offset
                         : static_cast<int>(uint64_t{static_cast<unsigned>(offset)} * magic_ >> 32);
  }
  __device__ int remainder(int offset) const { return offset - quotient(offset) * divisor_; }
  __device__ int value() const { return divisor_; }

 private:
  int divisor_;
  unsigned magic_;
};

// The channel of a vector's elements one after the other.
template <class Channel>
class ChannelCursor {
 public:
  // NCHW: runs of `run` samples. NHWC: runs of one sample, pixels of `channels`. `at` is where
  // the vector begins in its row: below 0 where the row begins inside of the vector.
  __device__ ChannelCursor(bool nchw, const FastDivisor& run, int channels, const Channel* table,
                           int64_t offset)
      : table_(table), channels_(channels), samples_(nchw ? run.value() : 1) {
    const int at = static_cast<int>(offset), inside = at > 0 ? at : 0;
    index_ = nchw ? run.quotient(inside) : run.remainder(inside);
    left_ = nchw ? (index_ + 1) * samples_ - at : 1 + (inside - at);
    channel_ = table_[index_];
  }
  __device__ const Channel& channel() const { return channel_; }
  __device__ void advance() {
    if (--left_ > 0) return;
    // behind the last there is nothing, or in a slice of one row the next pixel
    index_ = index_ + 1 < channels_ ? index_ + 1 : 0;
    left_ = samples_;
    channel_ = table_[index_];
  }

 private:
  const Channel* table_;
  int channels_, samples_, index_, left_;
  Channel channel_;
};

// Every vector of the tile that has elements: `make(slot, offset in the row, results)` fills the
// results before they are rounded, and says whether they are to be written.
template <class T, class Make>
__device__ __forceinline__ void write_vectors(const SmemTile& tile, const Tensor<T>& out, int first,
                                              int step, Make make) {
  auto iterator = iterator_of<T>(tile, first, step);
  for (int slot = first; iterator.more(); slot += step) {
    const int64_t run = iterator.run();
    const auto access = iterator.next();
    if (!any_present(access)) continue;  // its slot has not been filled
    Accumulate<T> results[vector_lanes<T>];
    if (!make(slot, static_cast<int>(access.begin - run), results)) continue;
    out.store(access, narrow_all<T>(results));
  }
}

// Vectors that are all of one channel, or of the same channels at the same places.
template <class T, class Make>
__device__ __forceinline__ void write_alike(const SmemTile& tile, const Tensor<T>& out, int first,
                                            int step, Make make) {
  if (!out.wide() || !whole_vectors<T>(tile)) return write_vectors<T>(tile, out, first, step, make);
  auto iterator = whole_iterator_of<T>(tile, first, step);
  for (int slot = first; iterator.more(); slot += step) {
    Accumulate<T> results[vector_lanes<T>];
    make(slot, 0, results);
    store16(out.at(iterator.next()), narrow_all<T>(results));
  }
}

template <class T, class Channel, class Pick, class Compute>
__device__ __forceinline__ void write_channel(const SmemTile& tile, const Channel channel,
                                              const Tensor<T>& out, Pick pick, Compute compute) {
  const auto make = [&](int slot, int, Accumulate<T>(&results)[vector_lanes<T>]) {
    const auto picked = pick(slot);
    ABN_UNROLL for (int l = 0; l < vector_lanes<T>; ++l) results[l] = compute(picked, l, channel);
    return true;
  };
  write_alike<T>(tile, out, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x), make);
}

// A thread's share of the vectors of one kind of a row (device/row_pattern.cuh): body(index) for
// each that it has, with the vector's way down the rows of the tile.
template <class T>
class WayDown {
 public:
  __device__ WayDown(const Shares& shares, const SmemTile& tile) : shares_(shares), tile_(tile) {
    const int thread = static_cast<int>(threadIdx.x);
    row_ = shares.width.quotient(thread);
    first_ = thread - row_ * shares.width.value;
    if (row_ >= shares.rows) first_ = shares.count;  // a thread without a share
  }
  template <class Body>
  __device__ __forceinline__ void each(Body body) const {
    for (int index = first_; index < shares_.count; index += shares_.width.value) body(index);
  }
  // make(slot, results) for the vector of every row that is the thread's.
  template <class Make>
  __device__ __forceinline__ void write(int vector, const Tensor<T>& out, Make make) const {
    constexpr int lanes = vector_lanes<T>;
    const int vectors = static_cast<int>(tile_.rows.vectors), step = shares_.rows * vectors;
    T* at = out.data() + tile_.rows.begin + row_ * tile_.rows.stride + vector * lanes;
    const int64_t down = shares_.rows * tile_.rows.stride;
    const int end = tile_.row_count * vectors;
    for (int slot = row_ * vectors + vector; slot < end; slot += step, at += down) {
      Accumulate<T> results[lanes];
      make(slot, results);
      store16(at, narrow_all<T>(results));
    }
  }

 private:
  const Shares& shares_;
  const SmemTile& tile_;
  int row_, first_;
};

// Rows of several channels that are whole vectors.
template <class T, class Channel, class Pick, class Compute>
__device__ __forceinline__ void write_pattern(const RowPattern& pattern, const SmemTile& tile,
                                              const Channel* table, const Tensor<T>& out, Pick pick,
                                              Compute compute) {
  constexpr int lanes = vector_lanes<T>;
  const WayDown<T> inner(pattern.inner, tile), seams(pattern.seams, tile);
  inner.each([&](int index) {
    const PlacedVector place = inner_vector<T>(pattern, index);
    const Channel channel = table[place.channel];
    inner.write(place.vector, out, [&](int slot, Accumulate<T>(&results)[lanes]) {
      const auto picked = pick(slot);
      ABN_UNROLL for (int l = 0; l < lanes; ++l) results[l] = compute(picked, l, channel);
    });
  });
  seams.each([&](int index) {
    const PlacedVector place = seam_vector<T>(pattern, index);
    const Channel* const channels = table + place.channel;
    seams.write(place.vector, out, [&](int slot, Accumulate<T>(&results)[lanes]) {
      const auto picked = pick(slot);
      ABN_UNROLL for (int l = 0; l < lanes; ++l) results[l] =
          compute(picked, l, channels[l < place.seam ? 0 : 1]);
    });
  });
}

// The same of any rows, of channels of at least as many samples as a vector has lanes. Nearly all
// vectors lie inside of one channel: those first, and what each warp would wait for, a vector of
// two channels, by threads that have nothing else, with `make`.
template <class T, class Channel, class Pick, class Compute, class Make>
__device__ __forceinline__ void write_apart(const SmemTile& tile, const Channel* table,
                                            const Tensor<T>& out, const FastDivisor& run, Pick pick,
                                            Compute compute, Make make) {
  constexpr int lanes = vector_lanes<T>;
  const int samples = run.value(), first = static_cast<int>(threadIdx.x),
            step = static_cast<int>(blockDim.x);
  write_vectors<T>(tile, out, first, step, [&](int slot, int at, Accumulate<T>(&results)[lanes]) {
    const int index = run.quotient(at > 0 ? at : 0);
    if ((index + 1) * samples - at < lanes && index + 1 < tile.channels) return false;
    const auto picked = pick(slot);
    const Channel channel = table[index];
    ABN_UNROLL for (int l = 0; l < lanes; ++l) results[l] = compute(picked, l, channel);
    return true;
  });
  const int inner = tile.channels - 1, vectors = static_cast<int>(tile.rows.vectors);
  for (int i = first; i < tile.row_count * inner; i += step) {
    const int row = i / inner, end = (i % inner + 1) * samples;  // of a channel in its row
    const int64_t begin = tile.rows.begin + row * tile.rows.stride;
    const int before = static_cast<int>(begin % lanes), vector = (before + end) / lanes;
    if ((before + end) % lanes == 0) continue;
    Accumulate<T> results[lanes];
    make(row * vectors + vector, vector * lanes - before, results);
    out.store(vector_of_run<T>(begin, tile.rows.length, vector), narrow_all<T>(results));
  }
}

template <class T, int Layout, class Channel, class Pick, class Compute>
__device__ __forceinline__ void write_runs(const SmemTiling& tiling, const SmemTile& tile,
                                           const Channel* table, const Tensor<T>& out, Pick pick,
                                           Compute compute) {
  constexpr int lanes = vector_lanes<T>;
  constexpr bool nchw = Layout == ABN_NCHW;
  if constexpr (nchw) {
    if (tiling.pattern.period != 0 && tile.channels == tiling.pack && out.wide() &&
        whole_vectors<T>(tile))
      return write_pattern<T>(tiling.pattern, tile, table, out, pick, compute);
  }
  const int samples = static_cast<int>(tiling.partition.s), first = static_cast<int>(threadIdx.x),
            step = static_cast<int>(blockDim.x);
  const FastDivisor run(nchw ? samples : tile.channels);
  const auto make = [&](int slot, int offset, Accumulate<T>(&results)[lanes]) {
    const auto picked = pick(slot);
    ChannelCursor<Channel> cursor(nchw, run, tile.channels, table, offset);
    ABN_UNROLL for (int l = 0; l < lanes; ++l) {
      results[l] = compute(picked, l, cursor.channel());
      cursor.advance();
    }
    return true;
  };
  if (!nchw || samples < lanes) return write_vectors<T>(tile, out, first, step, make);
  if constexpr (nchw) write_apart<T>(tile, table, out, run, pick, compute, make);
}

template <class T, class Channel, class Pick, class Compute>
__device__ __forceinline__ void write_columns(const SmemTiling& tiling, const SmemTile& tile,
                                              const Channel* table, const Tensor<T>& out, Pick pick,
                                              Compute compute) {
  constexpr int lanes = vector_lanes<T>;
  // Vectors of a pixel: a thread meets the same one every time. The last group has the distances of
  // the others and fewer vectors.
  const int columns =
      tiling.row_vectors == 0 ? tile.channels / lanes : static_cast<int>(tiling.row_vectors);
  const int step = static_cast<int>(blockDim.x) / columns * columns,
            slot_of_thread = static_cast<int>(threadIdx.x);
  const int first = slot_of_thread % columns * lanes;
  if (slot_of_thread >= step || first >= tile.channels) return;
  Channel channels[lanes];
  ABN_UNROLL for (int l = 0; l < lanes; ++l) channels[l] = table[first + l];
  const auto make = [&](int slot, int, Accumulate<T>(&results)[lanes]) {
    const auto picked = pick(slot);
    ABN_UNROLL for (int l = 0; l < lanes; ++l) results[l] = compute(picked, l, channels[l]);
    return true;
  };
  write_alike<T>(tile, out, slot_of_thread, step, make);
}

template <class T, int Layout, class Channel, class Pick, class Compute>
__device__ __forceinline__ void write_back(const SmemTiling& tiling, const SmemTile& tile,
                                           const Channel* table, const Tensor<T>& out, Pick pick,
                                           Compute compute) {
  if constexpr (Layout == ABN_NHWC) {
    if (tiling.partition.c % vector_lanes<T> == 0)
      return write_columns<T>(tiling, tile, table, out, pick, compute);
  }
  if (tile.channels == 1) return write_channel<T>(tile, table[0], out, pick, compute);
  write_runs<T, Layout>(tiling, tile, table, out, pick, compute);
}

}  // namespace ABN_BUILD
}  // namespace abn::device
