// The two sweeps for any cut of a problem: what two_sweep.cu offers to other variants, for problems
// or machines on which they cannot keep the data on the chip. Whoever uses the same cut gets the
// same bits, and the workspace begins alike.
#pragma once

#include "cuda/device/backward_sweeps.cuh"
#include "cuda/device/cut.cuh"
#include "cuda/device/entry.cuh"
#include "cuda/device/forward_sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace sweeps {

// In two_sweep.cu. The arguments have been checked and there is work to do.
int forward(const Cut& cut, const abn_problem& problem, const abn_forward_args& args);
int backward(const Cut& cut, const abn_problem& problem, const abn_backward_args& args);

// One shard of several (cuda/kernel.h, abn_split_variant); null for a shard without samples.
size_t partial_bytes(const abn_problem& problem, int direction);
int forward_local(const Cut* cut, const abn_problem& problem, const abn_forward_args& args,
                  void* partial);
int forward_apply(const Cut* cut, const abn_problem& problem, const abn_forward_args& args,
                  const void* partials, int ranks);
int backward_local(const Cut* cut, const abn_problem& problem, const abn_backward_args& args,
                   void* partial);
int backward_apply(const Cut* cut, const abn_problem& problem, const abn_backward_args& args,
                   const void* partials, int ranks);

// Channel-sized arrays first, then the parts, whose accesses want 16 bytes.
constexpr size_t part_alignment = 16;
template <class A>
size_t parts_offset(int64_t c) {
  return (sizeof(A) * 2 * static_cast<size_t>(c) + part_alignment - 1) / part_alignment *
         part_alignment;
}
template <class A, class Scratch>
Scratch scratch_in(void* workspace, int64_t c) {
  A* const values = static_cast<A*>(workspace);
  if (values == nullptr) return {};  // a single sweep needs none
  return {values,
          values + c,
          reinterpret_cast<decltype(Scratch::parts)>(static_cast<char*>(workspace) +
                                                     parts_offset<A>(c)),
          {}};
}
template <class A, class Part>
size_t scratch_bytes(const Cut& cut) {
  const int64_t parts = cut.slices > 1 ? cut.slices * cut.c : 0;
  return parts_offset<A>(cut.c) + sizeof(Part) * static_cast<size_t>(parts);
}
template <template <class> class Scheme = SchemeOne>
size_t workspace_bytes(const Cut& cut, const abn_problem& problem, int direction) {
  if (direction == ABN_FORWARD && problem.mode != ABN_TRAINING) return 0;
  return with_types(problem, [&](auto types) -> size_t {
    using A = Accumulate<typename decltype(types)::Storage>;
    return direction == ABN_FORWARD ? scratch_bytes<A, MomentsPart<A>>(cut)
                                    : scratch_bytes<A, Sums<typename Scheme<A>::Value>>(cut);
  });
}

// Longest path to a statistic: a local sum with its correction, the thread's merges, the tree, then
// the merges of the slices.
inline int64_t merge_depth(const Cut& cut) {
  if (cut.slices == 1) return 0;
  const int rows = merge_shape(cut).rows;
  return ceil_div(cut.slices, rows) + log2_of(rows);
}
inline int64_t depth_of_statistics(const Cut& cut) {
  const bool nchw = cut.layout == ABN_NCHW;
  const int64_t bundles = ceil_div(ceil_div(cut.slice_items, cut.rows), statistics_bundle);
  return log2_of(statistics_bundle * (nchw ? cut.lanes : 1)) + 1 + bundles + log2_of(cut.rows) +
         merge_depth(cut);
}
// Longest path to S0 and S1: the elements of a window (NCHW), a thread's windows, the tree, then
// the slices.
inline int64_t depth_of_gradients(const Cut& cut) {
  const int64_t windows = ceil_div(cut.slice_items, cut.rows);
  return (cut.layout == ABN_NCHW ? cut.lanes : 0) + windows + log2_of(cut.rows) + merge_depth(cut);
}

inline abn_claims claims_of(const abn_problem& problem, int64_t depth_statistics,
                            int64_t depth_backward) {
  const int64_t m = problem.n * problem.s, most = m < 1 ? 1 : m;
  abn_claims claims = in_place_claims(problem);
  claims.statistics = ABN_WELFORD;
  claims.depth_statistics = depth_statistics < most ? depth_statistics : most;
  claims.depth_backward = depth_backward < most ? depth_backward : most;
  return claims;
}

// How often the sweeps read what they are given: twice where sums have to be found first. Vectors
// of NHWC straddle sectors where a pixel's channels are no whole number of them.
inline int sweeps_of(const abn_problem& problem) { return problem.mode == ABN_TRAINING ? 2 : 1; }
inline bool coalesced(const Cut& cut) { return cut.layout == ABN_NCHW || cut.c % cut.lanes == 0; }

}  // namespace sweeps
}  // namespace ABN_BUILD
}  // namespace abn::device
