// A thread's way through the vectors of its slice, and loading and storing them 16 bytes at a time
// wherever that is possible.
//
// Whole vectors of a tensor that lies on a 16-byte boundary go in one access. Everything else goes
// element by element: ragged vectors, tensors that are offset, and in NHWC all vectors if a pixel
// is not a whole number of them. Which of the two is used changes no result. Input and output may
// differ in this.
#pragma once

#include "cuda/device/partition.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// Elements begin + j of a tensor for the bits j of `present`: all, the end or the beginning of 16
// bytes, or none.
struct VectorAccess {
  int64_t begin;
  unsigned present;
};
template <class T>
constexpr unsigned whole = ~(~0u << vector_lanes<T>);
__device__ __forceinline__ bool any_present(const VectorAccess& access) {
  return access.present != 0;
}
template <class T>
__device__ __forceinline__ unsigned lanes_present(const VectorAccess& access) {
  return access.present;
}

// All elements of the vector that begins at `begin`, or none: what iterators without ragged vectors
// give (device/aligned_iterator.cuh).
template <class Index>
struct AlignedAccess {
  Index begin;
  bool present;
};
template <class Index>
__device__ __forceinline__ bool any_present(const AlignedAccess<Index>& access) {
  return access.present;
}
template <class T, class Index>
__device__ __forceinline__ unsigned lanes_present(const AlignedAccess<Index>& access) {
  return access.present ? whole<T> : 0u;
}

// Channels that a thread owns, each with accumulators and parameters of its own.
template <class T, int Layout>
constexpr int owned = Layout == ABN_NCHW ? 1 : vector_lanes<T>;

template <class T, int Layout>
class VectorIterator;

// Of the items [first, end), those that fall to a thread which begins at `first` and takes every
// `step`-th: fewer than 2^31.
__device__ __forceinline__ int items_of_thread(int64_t first, int64_t end, int step) {
  const int left = static_cast<int>(end - first);
  return left > 0 ? (left + step - 1) / step : 0;
}
__device__ __forceinline__ int items_of_thread(const Partition& partition, const Unit& unit,
                                               int64_t first, int step) {
  const int64_t end = (unit.slice + 1) * partition.slice_items;
  return items_of_thread(first, end < partition.items ? end : partition.items, step);
}

// Contiguous elements at regular distances: run i is [begin + i*stride, begin + i*stride + length)
// and touches at most `vectors` vectors. Item i*vectors + v is vector v of run i.
struct Runs {
  int64_t begin, stride, length, vectors;
};

// Vector `vector` of the run of `length` elements that begins at `run`.
template <class T>
__device__ __forceinline__ VectorAccess vector_of_run(int64_t run, int64_t length, int64_t vector) {
  constexpr int lanes = vector_lanes<T>;
  VectorAccess access;
  access.begin = (run & ~int64_t{lanes - 1}) + vector * lanes;
  const int64_t before = run - access.begin, behind = before + length;
  access.present = whole<T>;
  if (before > 0) access.present &= ~0u << before;  // before < lanes
  if (behind < lanes) access.present &= behind > 0 ? (1u << behind) - 1 : 0u;
  return access;
}

template <class T>
class VectorIterator<T, ABN_NCHW> {
 public:
  static constexpr bool never_ragged = false;
  using Item = VectorAccess;
  __device__ VectorIterator(const Runs& runs, int64_t item, int items, int step)
      : length_(runs.length), stride_(runs.stride), vectors_(runs.vectors), left_(items) {
    vector_ = item % vectors_;
    row_ = item / vectors_;
    run_ = runs.begin + item / vectors_ * stride_;
    step_vectors_ = step % vectors_;
    step_rows_ = step / vectors_;
    step_runs_ = step / vectors_ * stride_;
  }
  __device__ VectorIterator(const Partition& partition, const Unit& unit)
      : VectorIterator(
            {unit.panel * partition.s, partition.c * partition.s, partition.s, partition.vectors},
            unit.slice * partition.slice_items + threadIdx.x,
            items_of_thread(partition, unit, unit.slice * partition.slice_items + threadIdx.x,
                            static_cast<int>(blockDim.x)),
            static_cast<int>(blockDim.x)) {}
  __device__ bool more() const { return left_ > 0; }
  __device__ int left() const { return left_; }
  __device__ int64_t row() const { return row_; }  // the run of the next vector
  __device__ int64_t run() const { return run_; }  // where that begins
  __device__ VectorAccess next() {
    VectorAccess access = vector_of_run<T>(run_, length_, vector_);
    if (left_ <= 0) access.present = 0;
    --left_;
    run_ += step_runs_;
    row_ += step_rows_;
    vector_ += step_vectors_;
    if (vector_ >= vectors_) {
      vector_ -= vectors_;
      run_ += stride_;
      ++row_;
    }
    return access;
  }

 private:
  int64_t run_, length_, stride_, vector_, vectors_;
  int64_t step_runs_, step_vectors_, row_, step_rows_;
  int left_;
};

template <class T>
class VectorIterator<T, ABN_NHWC> {
 public:
  static constexpr bool never_ragged = false;
  using Item = VectorAccess;
  __device__ VectorIterator(const Partition& partition, const Unit& unit) {
    const int64_t channel = first_channel<ABN_NHWC>(partition, unit.panel),
                  channels = partition.c - channel;
    const int64_t pixel = unit.slice * partition.slice_items + row_of_thread(partition);
    left_ = items_of_thread(partition, unit, pixel, partition.rows);
    begin_ = pixel * partition.c + channel;
    stride_ = partition.rows * partition.c;
    row_ = row_of_thread(partition);
    rows_ = partition.rows;
    channels_ = channels >= vector_lanes<T> ? whole<T> : channels > 0 ? (1u << channels) - 1 : 0u;
  }
  __device__ bool more() const { return left_ > 0; }
  __device__ int left() const { return left_; }
  __device__ int row() const { return row_; }  // the pixel of the next vector, counted in the slice
  __device__ VectorAccess next() {
    const VectorAccess access{begin_, left_ > 0 ? channels_ : 0u};
    --left_;
    begin_ += stride_;
    row_ += rows_;
    return access;
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
  __device__ Tensor(const void* data, const Partition& partition)
      : data_(static_cast<T*>(const_cast<void*>(data))),
        wide_(reinterpret_cast<uintptr_t>(data) % 16 == 0 &&
              (partition.layout == ABN_NCHW || partition.c % vector_lanes<T> == 0)) {}

  template <class Index>
  __device__ bool wide(const AlignedAccess<Index>& access) const {
    return wide_ && access.present;
  }
  template <class Index>
  __device__ T* at(const AlignedAccess<Index>& access) const {
    return data_ + access.begin;
  }
  template <class Index>
  __device__ Vec16<T> load(const AlignedAccess<Index>& access) const {
    return load(VectorAccess{access.begin, access.present ? whole<T> : 0u});
  }
  template <class Index>
  __device__ void store(const AlignedAccess<Index>& access, const Vec16<T>& value) const {
    store(VectorAccess{access.begin, access.present ? whole<T> : 0u}, value);
  }
  // All 16 bytes are accessed at once, at that address.
  __device__ bool wide(const VectorAccess& access) const {
    return wide_ && access.present == whole<T>;
  }
  __device__ T* at(const VectorAccess& access) const { return data_ + access.begin; }

  // 0 where there is no element.
  __device__ Vec16<T> load(const VectorAccess& access) const {
    if (wide(access)) return load16(at(access));
    Vec16<T> value;
    ABN_UNROLL for (int j = 0; j < vector_lanes<T>; ++j) {
      value.lane[j] = (access.present >> j & 1) != 0 ? data_[access.begin + j] : T{};
    }
    return value;
  }
  __device__ void store(const VectorAccess& access, const Vec16<T>& value) const {
    if (wide(access)) return store16(at(access), value);
    ABN_UNROLL for (int j = 0; j < vector_lanes<T>; ++j) {
      if ((access.present >> j & 1) != 0) data_[access.begin + j] = value.lane[j];
    }
  }

 private:
  T* data_;
  bool wide_;
};

}  // namespace ABN_BUILD
}  // namespace abn::device
