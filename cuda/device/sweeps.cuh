// The two sweeps for any partition of a problem: what two_sweep.cu offers to other variants, for
// problems or machines on which they cannot keep the data on the chip. Whoever uses the same
// partition gets the same bits, and the workspace begins alike.
#pragma once

#include "cuda/device/backward_sweeps.cuh"
#include "cuda/device/entry.cuh"
#include "cuda/device/forward_sweeps.cuh"
#include "cuda/device/partition.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace sweeps {

// In two_sweep.cu. The arguments have been checked and there is work to do.
int forward(const Partition& partition, const abn_problem& problem, const abn_forward_args& args);
int backward(const Partition& partition, const abn_problem& problem, const abn_backward_args& args);

// One shard of several (cuda/kernel.h, abn_split_variant); null for a shard without samples.
size_t partial_bytes(const abn_problem& problem, int direction);
int forward_local(const Partition* partition, const abn_problem& problem,
                  const abn_forward_args& args, void* partial);
int forward_apply(const Partition* partition, const abn_problem& problem,
                  const abn_forward_args& args, const void* partials, int ranks);
int backward_local(const Partition* partition, const abn_problem& problem,
                   const abn_backward_args& args, void* partial);
int backward_apply(const Partition* partition, const abn_problem& problem,
                   const abn_backward_args& args, const void* partials, int ranks);

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
size_t scratch_bytes(const Partition& partition) {
  const int64_t parts = partition.slices > 1 ? partition.slices * partition.c : 0;
  return parts_offset<A>(partition.c) + sizeof(Part) * static_cast<size_t>(parts);
}
template <template <class> class Scheme = SchemeOne>
size_t workspace_bytes(const Partition& partition, const abn_problem& problem, int direction) {
  if (direction == ABN_FORWARD && problem.mode != ABN_TRAINING) return 0;
  return with_types(problem, [&](auto types) -> size_t {
    using A = Accumulate<typename decltype(types)::Storage>;
    return direction == ABN_FORWARD ? scratch_bytes<A, MomentsPart<A>>(partition)
                                    : scratch_bytes<A, Sums<typename Scheme<A>::Value>>(partition);
  });
}

// Longest path to a statistic: a local sum with its correction, the thread's merges, the tree, then
// the merges of the slices.
inline int64_t merge_depth(const Partition& partition) {
  if (partition.slices == 1) return 0;
  const int rows = merge_shape(partition).rows;
  return ceil_div(partition.slices, rows) + log2_of(rows);
}
inline int64_t depth_of_statistics(const Partition& partition) {
  const bool nchw = partition.layout == ABN_NCHW;
  const int64_t bundles =
      ceil_div(ceil_div(partition.slice_items, partition.rows), statistics_bundle);
  return log2_of(statistics_bundle * (nchw ? partition.lanes : 1)) + 1 + bundles +
         log2_of(partition.rows) + merge_depth(partition);
}
// Longest path to S0 and S1: the elements of a vector (NCHW), a thread's vectors, the tree, then
// the slices.
inline int64_t depth_of_gradients(const Partition& partition) {
  const int64_t vectors = ceil_div(partition.slice_items, partition.rows);
  return (partition.layout == ABN_NCHW ? partition.lanes : 0) + vectors + log2_of(partition.rows) +
         merge_depth(partition);
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
inline bool coalesced(const Partition& partition) {
  return partition.layout == ABN_NCHW || partition.c % partition.lanes == 0;
}

}  // namespace sweeps
}  // namespace ABN_BUILD
}  // namespace abn::device
