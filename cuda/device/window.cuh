// A thread's walk through the windows of its slice, and loading and storing them 16 bytes at a time
// wherever that is possible.
//
// Whole windows of a tensor that lies on a 16-byte boundary go in one access. Everything else goes
// element by element: ragged windows, tensors that are offset, and in NHWC all windows if a pixel
// is not a whole number of them. Which of the two is used changes no result. Input and output may
// differ in this.
#pragma once

#include "cuda/device/cut.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// Elements begin + j of a tensor for the bits j of `present`: all, the end or the beginning of 16
// bytes, or none.
struct Window {
  int64_t begin;
  unsigned present;
};
template <class T>
constexpr unsigned whole = ~(~0u << window_lanes<T>);
__device__ __forceinline__ bool any_present(const Window& window) { return window.present != 0; }
template <class T>
__device__ __forceinline__ unsigned lanes_present(const Window& window) {
  return window.present;
}

// All elements of the window that begins at `begin`, or none: what walks without ragged windows
// give (device/whole_walk.cuh).
template <class Index>
struct WholeWindow {
  Index begin;
  bool present;
};
template <class Index>
__device__ __forceinline__ bool any_present(const WholeWindow<Index>& window) {
  return window.present;
}
template <class T, class Index>
__device__ __forceinline__ unsigned lanes_present(const WholeWindow<Index>& window) {
  return window.present ? whole<T> : 0u;
}

// Channels that a thread owns, each with accumulators and parameters of its own.
template <class T, int Layout>
constexpr int owned = Layout == ABN_NCHW ? 1 : window_lanes<T>;

template <class T, int Layout>
class Walk;

// Of the items [first, end), those that fall to a thread which begins at `first` and takes every
// `step`-th: fewer than 2^31.
__device__ __forceinline__ int items_of_thread(int64_t first, int64_t end, int step) {
  const int left = static_cast<int>(end - first);
  return left > 0 ? (left + step - 1) / step : 0;
}
__device__ __forceinline__ int items_of_thread(const Cut& cut, const Unit& unit, int64_t first,
                                               int step) {
  const int64_t end = (unit.slice + 1) * cut.slice_items;
  return items_of_thread(first, end < cut.items ? end : cut.items, step);
}

// Contiguous elements at regular distances: run i is [begin + i*stride, begin + i*stride + length)
// and touches at most `windows` windows. Item i*windows + w is window w of run i.
struct Runs {
  int64_t begin, stride, length, windows;
};

template <class T>
class Walk<T, ABN_NCHW> {
 public:
  static constexpr bool never_ragged = false;
  using Item = Window;
  __device__ Walk(const Runs& runs, int64_t item, int items, int step)
      : length_(runs.length), stride_(runs.stride), windows_(runs.windows), left_(items) {
    window_ = item % windows_;
    row_ = item / windows_;
    run_ = runs.begin + item / windows_ * stride_;
    step_windows_ = step % windows_;
    step_rows_ = step / windows_;
    step_runs_ = step / windows_ * stride_;
  }
  __device__ Walk(const Cut& cut, const Unit& unit)
      : Walk({unit.tile * cut.s, cut.c * cut.s, cut.s, cut.windows},
             unit.slice * cut.slice_items + threadIdx.x,
             items_of_thread(cut, unit, unit.slice * cut.slice_items + threadIdx.x,
                             static_cast<int>(blockDim.x)),
             static_cast<int>(blockDim.x)) {}
  __device__ bool more() const { return left_ > 0; }
  __device__ int64_t row() const { return row_; }  // the run of the next window
  __device__ int64_t run() const { return run_; }  // where that begins
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
    row_ += step_rows_;
    window_ += step_windows_;
    if (window_ >= windows_) {
      window_ -= windows_;
      run_ += stride_;
      ++row_;
    }
    return window;
  }

 private:
  int64_t run_, length_, stride_, window_, windows_;
  int64_t step_runs_, step_windows_, row_, step_rows_;
  int left_;
};

template <class T>
class Walk<T, ABN_NHWC> {
 public:
  static constexpr bool never_ragged = false;
  using Item = Window;
  __device__ Walk(const Cut& cut, const Unit& unit) {
    const int64_t channel = first_channel<ABN_NHWC>(cut, unit.tile), channels = cut.c - channel;
    const int64_t pixel = unit.slice * cut.slice_items + row_of_thread(cut);
    left_ = items_of_thread(cut, unit, pixel, cut.rows);
    begin_ = pixel * cut.c + channel;
    stride_ = cut.rows * cut.c;
    row_ = row_of_thread(cut);
    rows_ = cut.rows;
    channels_ = channels >= window_lanes<T> ? whole<T> : channels > 0 ? (1u << channels) - 1 : 0u;
  }
  __device__ bool more() const { return left_ > 0; }
  __device__ int row() const { return row_; }  // the pixel of the next window, counted in the slice
  __device__ Window next() {
    const Window window{begin_, left_ > 0 ? channels_ : 0u};
    --left_;
    begin_ += stride_;
    row_ += rows_;
    return window;
  }

 private:
  int64_t begin_, stride_;
  unsigned channels_;
  int row_, rows_, left_;
};

// A tensor of n*c*s elements. The pointer may be that of another tensor too (z = x, dx = dz): no
// __restrict__.
template <class T>
class Tensor {
 public:
  __device__ Tensor(const void* data, const Cut& cut)
      : data_(static_cast<T*>(const_cast<void*>(data))),
        wide_(reinterpret_cast<uintptr_t>(data) % 16 == 0 &&
              (cut.layout == ABN_NCHW || cut.c % window_lanes<T> == 0)) {}

  template <class Index>
  __device__ bool wide(const WholeWindow<Index>& window) const {
    return wide_ && window.present;
  }
  template <class Index>
  __device__ T* at(const WholeWindow<Index>& window) const {
    return data_ + window.begin;
  }
  template <class Index>
  __device__ Vec16<T> load(const WholeWindow<Index>& window) const {
    return load(Window{window.begin, window.present ? whole<T> : 0u});
  }
  template <class Index>
  __device__ void store(const WholeWindow<Index>& window, const Vec16<T>& value) const {
    store(Window{window.begin, window.present ? whole<T> : 0u}, value);
  }
  // The window is one 16-byte access, at that address.
  __device__ bool wide(const Window& window) const { return wide_ && window.present == whole<T>; }
  __device__ T* at(const Window& window) const { return data_ + window.begin; }

  // 0 where the window has no element.
  __device__ Vec16<T> load(const Window& window) const {
    if (wide(window)) return load16(at(window));
    Vec16<T> value;
    ABN_UNROLL for (int j = 0; j < window_lanes<T>; ++j) {
      value.lane[j] = (window.present >> j & 1) != 0 ? data_[window.begin + j] : narrow<T>(0);
    }
    return value;
  }
  __device__ void store(const Window& window, const Vec16<T>& value) const {
    if (wide(window)) return store16(at(window), value);
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
