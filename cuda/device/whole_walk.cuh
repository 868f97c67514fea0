// The walks of device/window.cuh and device/slab_walk.cuh where no window is ragged: runs of whole
// windows at distances of whole windows.
//
// Most layers are like this. A kernel that moves 3 TB/s on a GPU with 132 processors has some 300
// instructions of a thread for 16 bytes that it reads and writes, in all of its phases; finding out
// where a window begins and which of its elements are there takes 30 of them each time, and here no
// more than six. Which walk is used changes no result.
#pragma once

#include "cuda/device/window.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

template <class T, class Index>
class WholeWalk {
 public:
  static constexpr bool never_ragged = true;
  using Item = WholeWindow<Index>;

  // Item i*windows + w is window w of run i, which begins at begin + i*stride; the thread takes
  // `items` of them, every step-th.
  __device__ WholeWalk(Index begin, Index stride, int windows, int64_t item, int items, int step)
      : windows_(windows), left_(items) {
    constexpr int lanes = window_lanes<T>;
    window_ = static_cast<int>(item % windows);
    at_ = begin + static_cast<Index>(item / windows) * stride + window_ * lanes;
    step_windows_ = step % windows;
    step_ = static_cast<Index>(step / windows) * stride + step_windows_ * lanes;
    wrap_ = stride - windows * lanes;
  }
  __device__ bool more() const { return left_ > 0; }
  __device__ int left() const { return left_; }
  // where the run of the next window begins
  __device__ Index run() const { return at_ - window_ * window_lanes<T>; }
  __device__ Item next() {
    const Item item{at_, left_ > 0};
    --left_;
    at_ += step_;
    window_ += step_windows_;
    if (window_ >= windows_) {
      window_ -= windows_;
      at_ += wrap_;
    }
    return item;
  }

 private:
  Index at_, step_, wrap_;
  int window_, step_windows_, windows_, left_;
};

constexpr int64_t most_whole_windows = int64_t{1} << 30;  // of a run: they are counted in an int

// body(walk) with the quickest walk of a thread through its slice of the cut.
template <class T, int Layout, class Body>
__device__ __forceinline__ void with_walk(const Cut& cut, const Unit& unit, Body body) {
  constexpr int lanes = window_lanes<T>;
  if constexpr (Layout == ABN_NHWC) {
    if (cut.c % lanes == 0) {
      const int64_t channel = first_channel<ABN_NHWC>(cut, unit.tile),
                    pixel = unit.slice * cut.slice_items + row_of_thread(cut);
      const int items = channel < cut.c ? items_of_thread(cut, unit, pixel, cut.rows) : 0;
      return body(WholeWalk<T, int64_t>(channel, cut.c, 1, pixel, items, cut.rows));
    }
  } else {
    if (cut.s % lanes == 0 && cut.windows < most_whole_windows) {
      const int64_t item = unit.slice * cut.slice_items + threadIdx.x;
      const int step = static_cast<int>(blockDim.x);
      return body(WholeWalk<T, int64_t>(unit.tile * cut.s, cut.c * cut.s,
                                        static_cast<int>(cut.windows), item,
                                        items_of_thread(cut, unit, item, step), step));
    }
  }
  body(Walk<T, Layout>(cut, unit));
}

}  // namespace ABN_BUILD
}  // namespace abn::device
