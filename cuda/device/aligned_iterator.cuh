// The iterators of device/vector_access.cuh and device/smem_tile.cuh where no vector is ragged:
// runs of whole vectors at distances of whole vectors.
//
// Most layers are like this. A kernel that moves 3 TB/s on a GPU with 132 processors has some 300
// instructions of a thread for 16 bytes that it reads and writes, in all of its phases; finding out
// where a vector begins and which of its elements are there takes 30 of them each time, and here no
// more than six. Which iterator is used changes no result.
#pragma once

#include "cuda/device/vector_access.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

template <class T, class Index>
class AlignedIterator {
 public:
  static constexpr bool never_ragged = true;
  using Item = AlignedAccess<Index>;

  // Item i*vectors + v is vector v of run i, which begins at begin + i*stride; the thread takes
  // `items` of them, every step-th.
  __device__ AlignedIterator(Index begin, Index stride, int vectors, int64_t item, int items,
                             int step)
      : vectors_(vectors), left_(items) {
    constexpr int lanes = vector_lanes<T>;
    vector_ = static_cast<int>(item % vectors);
    at_ = begin + static_cast<Index>(item / vectors) * stride + vector_ * lanes;
    step_vectors_ = step % vectors;
    step_ = static_cast<Index>(step / vectors) * stride + step_vectors_ * lanes;
    wrap_ = stride - vectors * lanes;
  }
  __device__ bool more() const { return left_ > 0; }
  __device__ int left() const { return left_; }
  // where the run of the next vector begins
  __device__ Index run() const { return at_ - vector_ * vector_lanes<T>; }
  __device__ Item next() {
    const Item item{at_, left_ > 0};
    --left_;
    at_ += step_;
    vector_ += step_vectors_;
    if (vector_ >= vectors_) {
      vector_ -= vectors_;
      at_ += wrap_;
    }
    return item;
  }

 private:
  Index at_, step_, wrap_;
  int vector_, step_vectors_, vectors_, left_;
};

constexpr int64_t most_whole_vectors = int64_t{1} << 30;  // of a run: they are counted in an int

// body(iterator) with the quickest iterator of a thread through its slice of the partition.
template <class T, int Layout, class Body>
__device__ __forceinline__ void with_iterator(const Partition& partition, const Unit& unit,
                                              Body body) {
  constexpr int lanes = vector_lanes<T>;
  if constexpr (Layout == ABN_NHWC) {
    if (partition.c % lanes == 0) {
      const int64_t channel = first_channel<ABN_NHWC>(partition, unit.panel),
                    pixel = unit.slice * partition.slice_items + row_of_thread(partition);
      const int items =
          channel < partition.c ? items_of_thread(partition, unit, pixel, partition.rows) : 0;
      return body(
          AlignedIterator<T, int64_t>(channel, partition.c, 1, pixel, items, partition.rows));
    }
  } else {
    if (partition.s % lanes == 0 && partition.vectors < most_whole_vectors) {
      const int64_t item = unit.slice * partition.slice_items + threadIdx.x;
      const int step = static_cast<int>(blockDim.x);
      return body(AlignedIterator<T, int64_t>(unit.panel * partition.s, partition.c * partition.s,
                                              static_cast<int>(partition.vectors), item,
                                              items_of_thread(partition, unit, item, step), step));
    }
  }
  body(VectorIterator<T, Layout>(partition, unit));
}

}  // namespace ABN_BUILD
}  // namespace abn::device
