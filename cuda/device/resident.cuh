// The single sweep for a given tiling and scope: what resident.cu offers to other variants
// and to tests.
#pragma once

#include "cuda/device/group_reduction.cuh"
#include "cuda/device/smem_tiling.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace resident {

constexpr int64_t largest_cluster = 16;  // blocks

// Of a block.
size_t shared_bytes(const SmemTiling& tiling, const abn_problem& problem, int direction);

// The tiling fits, and the arguments have been checked against workspace_bytes. A scope that the
// GPU cannot hold gives way to the next: a cluster to a group, a group to the two sweeps of the
// same partition. Inference takes SyncScope::block however many slices there are. At most
// `most_groups` are in flight; blocks then take one after the other.
size_t workspace_bytes(const SmemTiling& tiling, const abn_problem& problem, int direction);
int forward(const SmemTiling& tiling, const abn_problem& problem, const abn_forward_args& args,
            SyncScope scope, int64_t most_groups = most_blocks);
int backward(const SmemTiling& tiling, const abn_problem& problem, const abn_backward_args& args,
             SyncScope scope, int64_t most_groups = most_blocks);

}  // namespace resident
}  // namespace ABN_BUILD
}  // namespace abn::device
