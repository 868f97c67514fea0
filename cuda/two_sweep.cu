// The production kernel: one sweep over the data for the channel sums, one for the result. Forward
// reads x twice and writes z, backward reads z and dz twice and writes dx, inference and frozen
// backward need a single sweep; nothing else of the size of a tensor is ever written.
//
// Launches. Sums: each block reduces one slice of one panel (device/partition.cuh). If a channel
// has one slice, the block also finishes the channel (statistics, running averages, dgamma, dbeta);
// otherwise it leaves a partial result in the workspace, and a small kernel merges the slices of
// each channel and finishes it. Results: the same geometry in reverse order. There are no atomics,
// no memset and no synchronisation with the host; slices, trees and merges follow from the shape,
// so every bit does.
//
// The kernels and their formulas are in device/forward_sweeps.cuh and device/backward_sweeps.cuh;
// what happens at the numerical edges is said in device/activation.cuh, device/channel.cuh and
// device/inversion.cuh.
#include "cuda/device/backward_sweeps.cuh"
#include "cuda/device/entry.cuh"
#include "cuda/device/forward_sweeps.cuh"
#include "cuda/device/halves.cuh"
#include "cuda/device/partition.cuh"
#include "cuda/device/register.cuh"
#include "cuda/device/sweep_launches.cuh"
#include "cuda/device/sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace sweeps {

int layout_of(const Partition* partition) {
  return partition == nullptr ? int{ABN_NCHW} : partition->layout;
}

int forward(const Partition& partition, const abn_problem& problem, const abn_forward_args& args) {
  return with_kind(problem, partition.layout, [&](auto kind) {
    return run_forward<decltype(kind)>(partition, problem, args);
  });
}
int backward(const Partition& partition, const abn_problem& problem,
             const abn_backward_args& args) {
  return with_kind(problem, partition.layout, [&](auto kind) {
    return run_backward<decltype(kind), SchemeOne<Accumulate<typename decltype(kind)::Storage>>>(
        partition, problem, args);
  });
}

size_t partial_bytes(const abn_problem& problem, int direction) {
  return with_types(problem, [&](auto types) {
    using A = Accumulate<typename decltype(types)::Storage>;
    return direction == ABN_FORWARD ? MomentsPartial<A>::bytes(problem.c)
                                    : SumsPartial<typename SchemeOne<A>::Value>::bytes(problem.c);
  });
}
int forward_local(const Partition* partition, const abn_problem& problem,
                  const abn_forward_args& args, void* partial) {
  return with_kind(problem, layout_of(partition), [&](auto kind) {
    return forward_local<decltype(kind)>(partition, problem, args, partial);
  });
}
int forward_apply(const Partition* partition, const abn_problem& problem,
                  const abn_forward_args& args, const void* partials, int ranks) {
  return with_kind(problem, layout_of(partition), [&](auto kind) {
    return forward_apply<decltype(kind)>(partition, problem, args, partials, ranks);
  });
}
int backward_local(const Partition* partition, const abn_problem& problem,
                   const abn_backward_args& args, void* partial) {
  return with_kind(problem, layout_of(partition), [&](auto kind) {
    return backward_local<decltype(kind), SchemeOne<Accumulate<typename decltype(kind)::Storage>>>(
        partition, problem, args, partial);
  });
}
int backward_apply(const Partition* partition, const abn_problem& problem,
                   const abn_backward_args& args, const void* partials, int ranks) {
  return with_kind(problem, layout_of(partition), [&](auto kind) {
    return backward_apply<decltype(kind), SchemeOne<Accumulate<typename decltype(kind)::Storage>>>(
        partition, problem, args, partials, ranks);
  });
}

}  // namespace sweeps

namespace two_sweep {

Partition partition_for(const abn_problem& problem, int) { return partition_of(problem); }
using Halves = sweeps::Halves<partition_for>;

size_t workspace_bytes(const abn_problem* problem, int direction) {
  return known(*problem) && !empty(*problem)
             ? sweeps::workspace_bytes(partition_of(*problem), *problem, direction)
             : 0;
}

int claims(const abn_problem* problem, abn_claims* out) {
  if (!known(*problem)) return ABN_ERROR_UNSUPPORTED;
  if (empty(*problem)) return hand_over(sweeps::claims_of(*problem, 1, 1), out);
  const Partition partition = partition_of(*problem);
  abn_claims claims = sweeps::claims_of(*problem, sweeps::depth_of_statistics(partition),
                                        sweeps::depth_of_gradients(partition));
  claim_sweeps(claims, sweeps::sweeps_of(*problem), sweeps::sweeps_of(*problem));
  claims.coalesced = sweeps::coalesced(partition);
  return hand_over(claims, out);
}

int run_forward(const abn_problem& problem, const abn_forward_args& args) {
  return sweeps::forward(partition_of(problem), problem, args);
}

int run_backward(const abn_problem& problem, const abn_backward_args& args) {
  return sweeps::backward(partition_of(problem), problem, args);
}

const abn_split_variant split =
    sweeps::with_halves<Halves>(variant_of<workspace_bytes, run_forward, run_backward>(
        "two_sweep",
        "The production kernel: one sweep for the sums, one for the result, 16 bytes at a time.",
        claims));
const abn_variant& variant = split.base;
ABN_REGISTER_VARIANT(variant)

}  // namespace two_sweep
}  // namespace ABN_BUILD
}  // namespace abn::device
