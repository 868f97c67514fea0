// The two ways through a tensor: along the samples of one channel, and across the channels of a
// row. Either hands out arrays of the type that is computed in, and takes such arrays back; where
// the tensor is such an array itself, it hands out the tensor.
#pragma once

#include <cstring>

#include "cuda/cpu/convert.hpp"
#include "cuda/cpu/cut.hpp"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

constexpr int leaf_elements = leaf_rows * leaf_columns;
constexpr int64_t long_run = 512;  // from here on runs are gone through one by one

// Room of a task for a piece of one tensor.
template <class T>
struct Room {
  alignas(64) T stored[leaf_elements];
  alignas(64) Accumulate<T> computed[leaf_elements];
};

// Null where the caller does not want the tensor.
template <class T>
inline T* tensor_at(const void* tensor, int64_t element) {
  return tensor == nullptr ? nullptr : static_cast<T*>(const_cast<void*>(tensor)) + element;
}

// The samples of a channel in NCHW.
template <class T>
struct Along {
  using A = Accumulate<T>;
  T* data;
  int64_t run, step;  // sample i is data[i / run * step + i % run]

  Along(const void* tensor, const Cut& cut, int64_t channel)
      : data(tensor_at<T>(tensor, channel * cut.run)), run(cut.run), step(cut.run * cut.channels) {}

  // Calls piece(place, done, length) for the contiguous pieces of the samples from `first` on.
  template <class Piece>
  void pieces(int64_t first, int64_t count, Piece piece) const {
    T* place = data + first / run * step;
    for (int64_t done = 0, at = first % run; done < count; place += step, at = 0) {
      const int64_t length = run - at < count - done ? run - at : count - done;
      piece(place + at, done, length);
      done += length;
    }
  }
  bool contiguous(int64_t first, int64_t count) const { return first % run + count <= run; }
  T* at(int64_t first) const { return data + first / run * step + first % run; }

  // How many samples from `first` on are best done at once, at most a leaf and none from `last` on.
  int64_t stretch(int64_t first, int64_t last) const {
    int64_t count = last - first < leaf_elements ? last - first : leaf_elements;
    if (run >= long_run && run - first % run < count) count = run - first % run;
    return count;
  }

  const A* read(int64_t first, int64_t count, Room<T>& room) const {
    const T* from = room.stored;
    if (contiguous(first, count))
      from = at(first);
    else
      pieces(first, count, [&](const T* piece, int64_t done, int64_t length) {
        std::memcpy(room.stored + done, piece, static_cast<size_t>(length) * sizeof(T));
      });
    if constexpr (is_computed_in<T>) return from;
    widen_all<T>(from, count, room.computed);
    return room.computed;
  }

  // compute(out) fills an array, NaNs as narrow() leaves them where T is computed in.
  template <class Compute>
  void write(int64_t first, int64_t count, Room<T>& room, Compute compute) const {
    const bool direct = contiguous(first, count);
    T* const to = direct ? at(first) : room.stored;
    if constexpr (is_computed_in<T>) {
      compute(to);
    } else {
      compute(room.computed);
      narrow_all<T>(room.computed, count, to);
    }
    if (direct) return;
    pieces(first, count, [&](T* piece, int64_t done, int64_t length) {
      std::memcpy(piece, room.stored + done, static_cast<size_t>(length) * sizeof(T));
    });
  }
};

// Rows of some channels in NHWC.
template <class T>
struct Rows {
  using A = Accumulate<T>;
  T* data;
  int64_t step;   // from a row to the next
  int64_t width;  // channels, at most block_channels

  Rows(const void* tensor, const Cut& cut, int64_t first_channel, int64_t channels)
      : data(tensor_at<T>(tensor, first_channel)), step(cut.channels), width(channels) {}

  // Rows that begin `step` elements apart.
  struct Read {
    const A* data;
    int64_t step;
  };
  struct Room {
    alignas(64) A computed[leaf_rows * block_channels];
  };
  Read read(int64_t first, int64_t rows, Room& room) const {
    const T* const from = data + first * step;
    if constexpr (is_computed_in<T>) return {from, step};
    for (int64_t row = 0; row < rows; ++row)
      widen_all<T>(from + row * step, width, room.computed + row * block_channels);
    return {room.computed, block_channels};
  }
  // compute(row, out) for each row.
  template <class Compute>
  void write(int64_t first, int64_t rows, Compute compute) const {
    for (int64_t row = 0; row < rows; ++row) {
      T* const to = data + (first + row) * step;
      if constexpr (is_computed_in<T>) {
        compute(row, to);
      } else {
        alignas(64) A computed[block_channels];
        compute(row, computed);
        narrow_all<T>(computed, width, to);
      }
    }
  }
};

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
