// The way back: every window of a slab becomes a window of the result, with the parameters of each element's channel.
//
// `pick(slot)` fetches what is needed of a window, `compute(picked, lane, channel)` makes an element of the result of it. Channels come
// from a table in shared memory. Where a thread meets the same channels in every window (NHWC whose pixels are whole windows) it keeps
// their parameters in registers; elsewhere it changes them where one run ends and the next begins.
#pragma once

#include "cuda/device/slab_walk.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// The channel of a window's elements one after the other.
template <class Channel>
class ChannelCursor {
 public:
  // `offset` is where the window begins in its row: below 0 where the row begins inside of the window.
  __device__ ChannelCursor(const Slab& slab, const Chunk& chunk, const Channel* table, int64_t offset)
      : table_(table), channels_(chunk.channels), samples_(0x7fffffff), index_(0), left_(0x7fffffff) {
    if (channels_ > 1) {
      const int at = static_cast<int>(offset), inside = at > 0 ? at : 0;
      const bool nchw = slab.cut.layout == ABN_NCHW;
      samples_ = nchw ? static_cast<int>(slab.cut.s) : 1;
      index_ = nchw ? inside / samples_ : inside % channels_;
      left_ = nchw ? (index_ + 1) * samples_ - at : 1 + (inside - at);
    }
    channel_ = table_[index_];
  }
  __device__ const Channel& channel() const { return channel_; }
  __device__ void advance() {
    if (--left_ > 0) return;
    index_ = index_ + 1 < channels_ ? index_ + 1 : 0;  // behind the last there is nothing, or in a slice of one row the next pixel
    left_ = samples_;
    channel_ = table_[index_];
  }

 private:
  const Channel* table_;
  int channels_, samples_, index_, left_;
  Channel channel_;
};

template <class T, class Channel, class Pick, class Compute>
__device__ __forceinline__ void write_runs(const Slab& slab, const Chunk& chunk, const Channel* table, const Tensor<T>& out, Pick pick,
                                           Compute compute) {
  const int step = static_cast<int>(blockDim.x);
  int slot = static_cast<int>(threadIdx.x);
  for (Walk<T, ABN_NCHW> walk = walk_of<T>(chunk, slot, step); walk.more(); slot += step) {
    const int64_t run = walk.run();
    const Window window = walk.next();
    if (window.present == 0) continue;  // its slot has not been filled
    const auto picked = pick(slot);
    ChannelCursor<Channel> cursor(slab, chunk, table, window.begin - run);
    Vec16<T> value;
    ABN_UNROLL for (int l = 0; l < window_lanes<T>; ++l) {
      value.lane[l] = compute(picked, l, cursor.channel());
      cursor.advance();
    }
    out.store(window, value);
  }
}

template <class T, class Channel, class Pick, class Compute>
__device__ __forceinline__ void write_columns(const Slab& slab, const Chunk& chunk, const Channel* table, const Tensor<T>& out, Pick pick,
                                              Compute compute) {
  constexpr int lanes = window_lanes<T>;
  // Windows of a pixel: a thread meets the same one every time. The last group has the distances of the others and fewer windows.
  const int columns = slab.row_windows == 0 ? chunk.channels / lanes : static_cast<int>(slab.row_windows);
  const int step = static_cast<int>(blockDim.x) / columns * columns;
  int slot = static_cast<int>(threadIdx.x);
  const int first = slot % columns * lanes;
  if (slot >= step || first >= chunk.channels) return;
  Channel channels[lanes];
  ABN_UNROLL for (int l = 0; l < lanes; ++l) channels[l] = table[first + l];
  for (Walk<T, ABN_NCHW> walk = walk_of<T>(chunk, slot, step); walk.more(); slot += step) {
    const Window window = walk.next();
    if (window.present == 0) continue;  // its slot has not been filled
    const auto picked = pick(slot);
    Vec16<T> value;
    ABN_UNROLL for (int l = 0; l < lanes; ++l) value.lane[l] = compute(picked, l, channels[l]);
    out.store(window, value);
  }
}

template <class T, int Layout, class Channel, class Pick, class Compute>
__device__ __forceinline__ void write_back(const Slab& slab, const Chunk& chunk, const Channel* table, const Tensor<T>& out, Pick pick,
                                           Compute compute) {
  if constexpr (Layout == ABN_NHWC) {
    if (slab.cut.c % window_lanes<T> == 0) return write_columns<T>(slab, chunk, table, out, pick, compute);
  }
  write_runs<T>(slab, chunk, table, out, pick, compute);
}

}  // namespace ABN_BUILD
}  // namespace abn::device
