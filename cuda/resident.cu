// One sweep: every slice of the data is read once and stays in shared memory until it is written
// back, 2 tensor sizes forward and 3 backward. Inference and frozen statistics need one sweep
// anyhow.
//
// A channel whose tile fits one block needs nobody else. One of several slices is held by as many
// blocks at once: a cluster that exchanges through distributed shared memory, or blocks of a
// cooperative launch with a barrier in global memory. What fits neither the nominal GPU
// (device/smem_tiling.cuh) nor the one that it runs on goes to the two sweeps. Partition, trees and
// merges follow from the shape alone: neither the GPU nor the sync scope changes a bit of the
// result.
#include "cuda/device/entry.cuh"
#include "cuda/device/halves.cuh"
#include "cuda/device/register.cuh"
#include "cuda/device/resident.cuh"
#include "cuda/device/resident_backward.cuh"
#include "cuda/device/resident_forward.cuh"
#include "cuda/device/sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace resident {

// Counters of the groups' barriers lie behind what the sweeps keep in the workspace.
constexpr size_t counter_alignment = 16;
size_t counters_offset(const SmemTiling& tiling, const abn_problem& problem, int direction) {
  const size_t bytes = sweeps::workspace_bytes(tiling.partition, problem, direction);
  return (bytes + counter_alignment - 1) / counter_alignment * counter_alignment;
}

size_t workspace_bytes(const SmemTiling& tiling, const abn_problem& problem, int direction) {
  const bool crosses_blocks = tiling.fits && tiling.partition.slices > 1 &&
                              (direction == ABN_BACKWARD || problem.mode == ABN_TRAINING);
  if (!crosses_blocks) return sweeps::workspace_bytes(tiling.partition, problem, direction);
  return counters_offset(tiling, problem, direction) +
         sizeof(unsigned) * static_cast<size_t>(tiling.groups);
}

size_t shared_bytes(const SmemTiling& tiling, const abn_problem& problem, int direction) {
  return with_kind(problem, tiling.partition.layout, [&](auto kind) -> size_t {
    using T = typename decltype(kind)::Storage;
    constexpr int layout = decltype(kind)::layout;
    const size_t fixed = direction == ABN_FORWARD ? sizeof(ForwardShared<T, layout>)
                                                  : sizeof(BackwardShared<T, layout>);
    return fixed + sizeof(Vec16<T>) * static_cast<size_t>(tiling.tensors * tiling.slots);
  });
}

// The launch of `kernel` for a scope: false where the GPU does not hold the blocks that
// have to meet.
template <class... P>
bool plan_launch(const SmemTiling& tiling, SyncScope scope, int64_t most_groups,
                 size_t shared_bytes, void* stream, void (*kernel)(P...), LaunchConfig& config,
                 GroupSync& sync) {
  const int64_t slices = tiling.partition.slices;
  config = LaunchConfig{};
  config.block = dim3(static_cast<unsigned>(tiling.threads()));
  config.shared_bytes = shared_bytes;
  config.stream = stream;
  sync.scope = scope;
  int64_t groups = most_blocks / slices;
  if (scope == SyncScope::cluster) {
    config.cluster = dim3(static_cast<unsigned>(slices));
    config.grid = config.cluster;
    int clusters = 0;
    if (max_active_clusters(config, kernel, clusters) != 0 || clusters == 0) return false;
  } else if (scope == SyncScope::grid) {
    config.grid = dim3(static_cast<unsigned>(slices));
    int blocks = 0;
    if (max_resident_blocks(config, kernel, blocks) != 0) return false;
    groups = blocks / slices;
  }
  if (groups == 0) return false;
  sync.groups = std::min({groups, tiling.groups, most_groups});
  config.grid = dim3(static_cast<unsigned>(sync.groups * slices));
  return true;
}

// The scope that was asked for, or the next one that the GPU can hold; the sweeps where it can
// hold none, or not even one tile.
template <class Kernel, class Args, class Scratch, class Sweeps>
int run(const SmemTiling& tiling, const abn_problem& problem, const Args& args,
        const Scratch& scratch, SyncScope scope, int64_t most_groups, int direction, Kernel kernel,
        Sweeps by_two_sweeps) {
  GroupSync sync{};
  LaunchConfig config;
  const size_t bytes = shared_bytes(tiling, problem, direction);
  if (scope == SyncScope::cluster &&
      !plan_launch(tiling, scope, most_groups, bytes, args.stream, kernel, config, sync))
    scope = SyncScope::grid;
  if (scope != SyncScope::cluster &&
      !plan_launch(tiling, scope, most_groups, bytes, args.stream, kernel, config, sync))
    return by_two_sweeps();
  if (scope != SyncScope::grid)
    return launch(config, kernel, tiling, problem, args, scratch, sync) == 0 ? ABN_OK
                                                                             : by_two_sweeps();
  sync.counters = reinterpret_cast<unsigned*>(static_cast<char*>(args.workspace) +
                                              counters_offset(tiling, problem, direction));
  return launch_cooperative(config, kernel, tiling, problem, args, scratch, sync) == 0
             ? ABN_OK
             : by_two_sweeps();
}

int forward(const SmemTiling& tiling, const abn_problem& problem, const abn_forward_args& args,
            SyncScope scope, int64_t most_groups) {
  return with_kind(problem, tiling.partition.layout, [&](auto kind) {
    using T = typename decltype(kind)::Storage;
    using P = typename decltype(kind)::Parameter;
    using A = Accumulate<T>;
    constexpr int layout = decltype(kind)::layout;
    return run(tiling, problem, args,
               sweeps::scratch_in<A, ForwardScratch<A>>(args.workspace, tiling.partition.c), scope,
               most_groups, ABN_FORWARD, resident_forward<T, P, layout>,
               [&] { return sweeps::forward(tiling.partition, problem, args); });
  });
}
int backward(const SmemTiling& tiling, const abn_problem& problem, const abn_backward_args& args,
             SyncScope scope, int64_t most_groups) {
  return with_kind(problem, tiling.partition.layout, [&](auto kind) {
    using T = typename decltype(kind)::Storage;
    using P = typename decltype(kind)::Parameter;
    using A = Accumulate<T>;
    constexpr int layout = decltype(kind)::layout;
    return run(tiling, problem, args,
               sweeps::scratch_in<A, BackwardScratch<A>>(args.workspace, tiling.partition.c), scope,
               most_groups, ABN_BACKWARD, resident_backward<T, P, layout>,
               [&] { return sweeps::backward(tiling.partition, problem, args); });
  });
}

// A shard cannot wait on the chip for the others: its halves are those of the two sweeps, with the
// tiling's partition.
Partition partition_for(const abn_problem& problem, int direction) {
  return smem_tiling_of(problem, direction).partition;
}
using Halves = sweeps::Halves<partition_for>;

// ---- the variant

size_t workspace_bytes(const abn_problem* problem, int direction) {
  return known(*problem) && !empty(*problem)
             ? workspace_bytes(smem_tiling_of(*problem, direction), *problem, direction)
             : 0;
}

int claims(const abn_problem* problem, abn_claims* out) {
  if (!known(*problem)) return ABN_ERROR_UNSUPPORTED;
  if (empty(*problem)) return hand_over(sweeps::claims_of(*problem, 1, 1), out);
  const SmemTiling forward = smem_tiling_of(*problem, ABN_FORWARD),
                   backward = smem_tiling_of(*problem, ABN_BACKWARD);
  abn_claims claims = sweeps::claims_of(*problem, sweeps::depth_of_statistics(forward.partition),
                                        sweeps::depth_of_gradients(backward.partition));
  claim_sweeps(claims, forward.fits ? 1 : sweeps::sweeps_of(*problem),
               backward.fits ? 1 : sweeps::sweeps_of(*problem));
  return hand_over(claims, out);
}

// Nothing has to wait for statistics that are given. The sweeps then need no shared memory, but
// take ragged runs element by element.
bool by_two_sweeps(const SmemTiling& tiling, const abn_problem& problem) {
  const Partition& partition = tiling.partition;
  const bool ragged =
      (partition.layout == ABN_NCHW ? partition.s : partition.c) % partition.lanes != 0;
  return !tiling.fits || (problem.mode != ABN_TRAINING && !ragged);
}

SyncScope usual_scope(const SmemTiling& tiling) {
  return tiling.partition.slices == 1                 ? SyncScope::block
         : tiling.partition.slices <= largest_cluster ? SyncScope::cluster
                                                      : SyncScope::grid;
}

int run_forward(const abn_problem& problem, const abn_forward_args& args) {
  const SmemTiling tiling = smem_tiling_of(problem, ABN_FORWARD);
  if (by_two_sweeps(tiling, problem)) return sweeps::forward(tiling.partition, problem, args);
  return forward(tiling, problem, args,
                 problem.mode == ABN_TRAINING ? usual_scope(tiling) : SyncScope::block);
}

int run_backward(const abn_problem& problem, const abn_backward_args& args) {
  const SmemTiling tiling = smem_tiling_of(problem, ABN_BACKWARD);
  if (by_two_sweeps(tiling, problem)) return sweeps::backward(tiling.partition, problem, args);
  return backward(tiling, problem, args, usual_scope(tiling));
}

const abn_split_variant split =
    sweeps::with_halves<Halves>(variant_of<workspace_bytes, run_forward, run_backward>(
        "resident",
        "One sweep: the data stays in shared memory between the statistics and the result.",
        claims));
const abn_variant& variant = split.base;
ABN_REGISTER_VARIANT(variant)

}  // namespace resident
}  // namespace ABN_BUILD
}  // namespace abn::device
