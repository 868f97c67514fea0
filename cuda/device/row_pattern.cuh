// The vectors of a row of several channels (device/smem_tiling.cuh), told apart by what is in them:
// inner vectors, whose elements are of one channel, and seams, which hold the end of one channel
// and the beginning of the next. Threads that have vectors of one kind go through the same code.
//
// Runs of s samples, at least a vector's `lanes`, begin at multiples of s in a row that begins with
// a vector. Seam j of a period of channels, j = 1, 2, ..., is vector floor(j*s/lanes), behind
// floor(j*s/lanes) - (j - 1) inner ones. So inner vector k of a period is behind seam j when
//   floor(j*s/lanes) - (j - 1) <= k   that is   j*(s - lanes) < lanes*k,
// and it is of channel q = floor((lanes*k - 1)/(s - lanes)), or 0 for k = 0, and vector k + q.
#pragma once

#include <numeric>

#include "cuda/device/divisor.cuh"
#include "cuda/device/partition.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// How the threads of a block share out `count` vectors of every row: each takes every width-th
// vector of every rows-th row.
struct Shares {
  int count = 0, rows = 1;
  Divisor width;
};
// Those with the fewest turns of warps for `rows` rows.
inline Shares shares_of(int count, int rows, int threads) {
  constexpr int warp = 32, most_turns = 4;
  Shares best;
  int64_t least = 0;
  for (int turns = 1; turns <= most_turns + count / threads; ++turns) {
    const int width = static_cast<int>(ceil_div(count, turns));
    if (width == 0 || width > threads) continue;
    const int at_once = threads / width;
    const int64_t cost = turns * ceil_div(rows, at_once) * ceil_div(width * at_once, warp);
    if (least != 0 && cost >= least) continue;
    least = cost;
    best.count = count, best.rows = at_once, best.width = Divisor(width);
  }
  return best;
}

struct RowPattern {
  int period = 0;       // channels until a run begins with a vector again; 0: no such pattern
  int vectors = 0;      // of a period
  Shares inner, seams;  // of a row
  Divisor inner_vectors, seam_vectors;  // of a period
  Divisor beyond;                       // s - lanes
};

// Of rows of `pack` channels, which are whole periods. A block of `threads` has `rows` of them.
inline RowPattern row_pattern_of(const Partition& partition, int pack, int rows, int threads) {
  RowPattern pattern;
  const int lanes = partition.lanes, s = static_cast<int>(partition.s),
            period = lanes / std::gcd(s, lanes);
  if (s < lanes || pack % period != 0) return pattern;
  pattern.period = period;
  pattern.vectors = s * period / lanes;
  const int seams = period - 1, inner = pattern.vectors - seams;
  pattern.inner_vectors = Divisor(inner);
  pattern.seam_vectors = Divisor(std::max(seams, 1));
  pattern.beyond = Divisor(std::max(s - lanes, 1));
  pattern.inner = shares_of(pack / period * inner, rows, threads);
  pattern.seams = shares_of(pack / period * seams, rows, threads);
  return pattern;
}

// A vector of a row; its elements before `seam` are the channel's, the others those of the next.
struct PlacedVector {
  int vector, channel, seam;
};
template <class T>
__device__ __forceinline__ PlacedVector inner_vector(const RowPattern& pattern, int index) {
  constexpr int lanes = vector_lanes<T>;
  const int q = pattern.inner_vectors.quotient(index), k = index - q * pattern.inner_vectors.value,
            channel = k == 0 ? 0 : pattern.beyond.quotient(k * lanes - 1);
  return {q * pattern.vectors + k + channel, q * pattern.period + channel, lanes};
}
template <class T>
__device__ __forceinline__ PlacedVector seam_vector(const RowPattern& pattern, int index) {
  constexpr int lanes = vector_lanes<T>;
  const int q = pattern.seam_vectors.quotient(index), j = index - q * pattern.seam_vectors.value,
            end = (j + 1) * (pattern.beyond.value + lanes);  // of its first channel
  return {q * pattern.vectors + end / lanes, q * pattern.period + j, end % lanes};
}

}  // namespace ABN_BUILD
}  // namespace abn::device
