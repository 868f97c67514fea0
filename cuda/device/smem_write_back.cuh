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
  // NCHW: runs of `run` samples. NHWC: runs of one sample, pixels of `channels`. `offset` is where
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
  with_vectors<T>(tile, first, step, [&](auto iterator) {
    for (int slot = first; iterator.more(); slot += step) {
      const int64_t run = iterator.run();
      const auto access = iterator.next();
      if (!any_present(access)) continue;  // its slot has not been filled
      Accumulate<T> results[vector_lanes<T>];
      if (!make(slot, access.begin - run, results)) continue;
      out.store(access, narrow_all<T>(results));
    }
  });
}

template <class T, class Channel, class Pick, class Compute>
__device__ __forceinline__ void write_channel(const SmemTile& tile, const Channel channel,
                                              const Tensor<T>& out, Pick pick, Compute compute) {
  const auto make = [&](int slot, int64_t, Accumulate<T>(&results)[vector_lanes<T>]) {
    const auto picked = pick(slot);
    ABN_UNROLL for (int l = 0; l < vector_lanes<T>; ++l) results[l] = compute(picked, l, channel);
    return true;
  };
  write_vectors<T>(tile, out, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x), make);
}

// The same of channels of at least as many samples as a vector has lanes. Nearly all vectors lie
// inside of one channel: those first, and what each warp would wait for, a vector of two channels,
// by threads that have nothing else, with `make`.
template <class T, class Channel, class Pick, class Compute, class Make>
__device__ __forceinline__ void write_apart(const SmemTile& tile, const Channel* table,
                                            const Tensor<T>& out, const FastDivisor& run, Pick pick,
                                            Compute compute, Make make) {
  constexpr int lanes = vector_lanes<T>;
  const int samples = run.value(), first = static_cast<int>(threadIdx.x),
            step = static_cast<int>(blockDim.x);
  write_vectors<T>(
      tile, out, first, step, [&](int slot, int64_t offset, Accumulate<T>(&results)[lanes]) {
        const int at = static_cast<int>(offset), index = run.quotient(at > 0 ? at : 0);
        if ((index + 1) * samples - at < lanes && index + 1 < tile.channels) return false;
        const auto picked = pick(slot);
        const Channel channel = table[index];
        ABN_UNROLL for (int l = 0; l < lanes; ++l) results[l] = compute(picked, l, channel);
        return true;
      });
  const int inner = tile.channels - 1, vectors = static_cast<int>(tile.rows.vectors),
            rows = tile.items / vectors;
  for (int i = first; i < rows * inner; i += step) {
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
  const int samples = static_cast<int>(tiling.partition.s), first = static_cast<int>(threadIdx.x),
            step = static_cast<int>(blockDim.x);
  const FastDivisor run(nchw ? samples : tile.channels);
  const auto make = [&](int slot, int64_t offset, Accumulate<T>(&results)[lanes]) {
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
  const auto make = [&](int slot, int64_t, Accumulate<T>(&results)[lanes]) {
    const auto picked = pick(slot);
    ABN_UNROLL for (int l = 0; l < lanes; ++l) results[l] = compute(picked, l, channels[l]);
    return true;
  };
  write_vectors<T>(tile, out, slot_of_thread, step, make);
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
