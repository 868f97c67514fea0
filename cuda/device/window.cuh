// A thread's walk through the windows of its slice, and loading and storing them 16 bytes at a time wherever that is possible.
//
// Whole windows of a tensor that lies on a 16-byte boundary go in one access. Everything else goes element by element: ragged
// windows, tensors that are offset, and in NHWC all windows if a pixel is not a whole number of them. Which of the two is used
// changes no result. Input and output may differ in this.
#pragma once

#include "cuda/device/cut.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// Elements begin + j of a tensor for the bits j of `present`: all, the end or the beginning of 16 bytes, or none.
struct Window {
  int64_t begin;
  unsigned present;
};
template <class T>
constexpr unsigned whole = ~(~0u << window_lanes<T>);

// Channels that a thread owns, each with accumulators and parameters of its own.
template <class T, int Layout>
constexpr int owned = Layout == ABN_NCHW ? 1 : window_lanes<T>;

template <class T, int Layout>
class Walk;

// Items of a slice that fall to a thread which begins at item `first` of the tile and takes every `step`-th. A slice has at most
// most_threads * most_terms items.
__device__ __forceinline__ int items_of_thread(const Cut& cut, const Unit& unit, int64_t first, int step) {
  const int64_t end = (unit.slice + 1) * cut.slice_items;
  const int left = static_cast<int>((end < cut.items ? end : cut.items) - first);
  return left > 0 ? (left + step - 1) / step : 0;
}

template <class T>
class Walk<T, ABN_NCHW> {
 public:
  __device__ Walk(const Cut& cut, const Unit& unit) {
    const int threads = static_cast<int>(blockDim.x);
    const int64_t item = unit.slice * cut.slice_items + threadIdx.x;
    left_ = items_of_thread(cut, unit, item, threads);
    windows_ = cut.windows;
    length_ = cut.s;
    stride_ = cut.c * cut.s;
    window_ = item % windows_;
    run_ = item / windows_ * stride_ + unit.tile * cut.s;
    step_windows_ = threads % windows_;
    step_runs_ = threads / windows_ * stride_;
  }
  __device__ bool more() const { return left_ > 0; }
  __device__ Window next() {
    constexpr int lanes = window_lanes<T>;
    Window window;
    window.begin = (run_ & ~int64_t{lanes - 1}) + window_ * lanes;
    const int64_t before = run_ - window.begin, behind = before + length_;
    window.present = whole<T>;
    if (before > 0) window.present &= ~0u << before;  // before < lanes
    if (behind < lanes) window.present &= behind > 0 ? (1u << behind) - 1 : 0u;
    if (left_ <= 0) window.present = 0;
    --left_;
    run_ += step_runs_;
    window_ += step_windows_;
    if (window_ >= windows_) {
      window_ -= windows_;
      run_ += stride_;
    }
    return window;
  }

 private:
  int64_t run_, length_, stride_;  // the current image's samples of the channel: where they begin, how many, how far to the next image's
  int64_t window_, windows_;       // counted in the run
  int64_t step_runs_, step_windows_;
  int left_;
};

template <class T>
class Walk<T, ABN_NHWC> {
 public:
  __device__ Walk(const Cut& cut, const Unit& unit) {
    const int64_t channel = first_channel<ABN_NHWC>(cut, unit.tile), channels = cut.c - channel;
    const int64_t pixel = unit.slice * cut.slice_items + row_of_thread(cut);
    left_ = items_of_thread(cut, unit, pixel, cut.rows);
    begin_ = pixel * cut.c + channel;
    stride_ = cut.rows * cut.c;
    channels_ = channels >= window_lanes<T> ? whole<T> : channels > 0 ? (1u << channels) - 1 : 0u;
  }
  __device__ bool more() const { return left_ > 0; }
  __device__ Window next() {
    const Window window{begin_, left_ > 0 ? channels_ : 0u};
    --left_;
    begin_ += stride_;
    return window;
  }

 private:
  int64_t begin_, stride_;
  unsigned channels_;
  int left_;
};

// A tensor of n*c*s elements. The pointer may be that of another tensor too (z = x, dx = dz): no __restrict__.
template <class T>
class Tensor {
 public:
  __device__ Tensor(const void* data, const Cut& cut)
      : data_(static_cast<T*>(const_cast<void*>(data))),
        wide_(reinterpret_cast<uintptr_t>(data) % 16 == 0 && (cut.layout == ABN_NCHW || cut.c % window_lanes<T> == 0)) {}

  // 0 where the window has no element.
  __device__ Vec16<T> load(const Window& window) const {
    if (wide_ && window.present == whole<T>) return load16(data_ + window.begin);
    Vec16<T> value;
    ABN_UNROLL for (int j = 0; j < window_lanes<T>; ++j) {
      value.lane[j] = (window.present >> j & 1) != 0 ? data_[window.begin + j] : narrow<T>(0);
    }
    return value;
  }
  __device__ void store(const Window& window, const Vec16<T>& value) const {
    if (wide_ && window.present == whole<T>) return store16(data_ + window.begin, value);
    ABN_UNROLL for (int j = 0; j < window_lanes<T>; ++j) {
      if ((window.present >> j & 1) != 0) data_[window.begin + j] = value.lane[j];
    }
  }

 private:
  T* data_;
  bool wide_;
};

}  // namespace ABN_BUILD
}  // namespace abn::device
