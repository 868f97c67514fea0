// How a problem is cut into leaves, slices and tasks.
//
//   leaf     samples that are summed at once, in the first-level cache: `leaf_rows` rows of
//            `leaf_columns` columns. Along (NCHW) they are consecutive samples of one channel,
//            whatever images they lie in; across (NHWC) a column is a channel, so that a leaf has
//            leaf_rows samples of each
//   slice    2^k consecutive leaves of a channel
//   block    channels that one task sums side by side, across
//
// The sums of leaves are put together by a tree that splits n leaves behind the largest power of
// two below n. A slice is therefore a whole subtree: whether a channel is summed in one go or slice
// by slice, and by which threads, changes no bit.
//
// Degenerate layouts are turned into the one that suits them: NCHW with s = 1 goes across, and one
// channel alone is one long run.
#pragma once

#include "cuda/device/entry.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

constexpr int leaf_rows = 32, leaf_columns = 32;
constexpr int block_channels = 128;  // 256 contiguous bytes of a row, or more
constexpr int64_t enough_tasks = 512;
constexpr int64_t elements_of_a_thread = 65'536;  // fewer are done before a thread has begun

struct Cut {
  bool across;
  int64_t channels, samples;  // of a channel
  int64_t run;                // along: consecutive samples of an image
  int64_t leaf_samples, leaves, slice_leaves, slices;
  int64_t slice_samples() const { return slice_leaves * leaf_samples; }
  int64_t samples_of(int64_t slice) const {
    const int64_t left = samples - slice * slice_samples();
    return left < slice_samples() ? left : slice_samples();
  }
  int64_t blocks() const { return ceil_div(channels, block_channels); }
};

// The problem is not empty.
inline Cut cut_of(const abn_problem& problem) {
  Cut cut{};
  const bool single = problem.c == 1;
  cut.across = !single && (problem.layout == ABN_NHWC || problem.s == 1);
  cut.channels = problem.c;
  cut.samples = problem.n * problem.s;
  cut.run = single ? cut.samples : problem.s;
  cut.leaf_samples = cut.across ? leaf_rows : leaf_rows * leaf_columns;
  cut.leaves = ceil_div(cut.samples, cut.leaf_samples);
  const int64_t side_by_side = cut.across ? cut.blocks() : cut.channels;
  cut.slice_leaves = 16;
  while (cut.slice_leaves < cut.leaves &&
         ceil_div(cut.leaves, cut.slice_leaves) * side_by_side > enough_tasks)
    cut.slice_leaves *= 2;
  cut.slices = ceil_div(cut.leaves, cut.slice_leaves);
  return cut;
}

// Roundings on the longest way from a sample to a sum. Rows are added by fours, each four as a tree
// of two roundings. Longest is the way of one in the first of seven fours (to 0, which is exact,
// and six more), three rows that are left and, along, one that is not whole. Along, the columns
// follow as a tree, then the leaves.
inline int64_t depth_of_sums(const Cut& cut) {
  constexpr int64_t fours = leaf_rows / 4 - 1, of_rows = 2 + (fours - 1) + 3;
  int64_t of_leaves = 0;
  while ((int64_t{1} << of_leaves) < cut.leaves) ++of_leaves;
  return of_rows + (cut.across ? 0 : 1 + log2_of(leaf_columns)) + of_leaves;
}

// Values in the workspace: two for each channel, then `sums` for each channel and slice.
inline size_t workspace_values(const Cut& cut, int64_t sums) {
  return static_cast<size_t>(cut.channels * (2 + (cut.slices > 1 ? sums * cut.slices : 0)));
}

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
