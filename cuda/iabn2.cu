// InPlace-ABN II in two sweeps: forward is that of two_sweep.cu, backward stays in y
// (device/scheme.cuh) with sums wide enough that dgamma loses nothing to them. It is there to be
// compared with I: same launches, same partition, same traffic.
#include "cuda/device/entry.cuh"
#include "cuda/device/register.cuh"
#include "cuda/device/sweep_launches.cuh"
#include "cuda/device/sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace iabn2 {

size_t workspace_bytes(const abn_problem* problem, int direction) {
  return known(*problem) && !empty(*problem)
             ? sweeps::workspace_bytes<SchemeTwo>(partition_of(*problem), *problem, direction)
             : 0;
}

// Wide sums are as good as sums of one term: what they lose is far below the rounding of their
// result.
int claims(const abn_problem* problem, abn_claims* out) {
  if (!known(*problem)) return ABN_ERROR_UNSUPPORTED;
  abn_claims claims = sweeps::claims_of(
      *problem, empty(*problem) ? 1 : sweeps::depth_of_statistics(partition_of(*problem)), 1);
  claims.scheme = ABN_IN_PLACE_2;
  claim_sweeps(claims, sweeps::sweeps_of(*problem), sweeps::sweeps_of(*problem));
  claims.coalesced = !empty(*problem) && sweeps::coalesced(partition_of(*problem));
  return hand_over(claims, out);
}

int run_forward(const abn_problem& problem, const abn_forward_args& args) {
  return sweeps::forward(partition_of(problem), problem, args);
}

int run_backward(const abn_problem& problem, const abn_backward_args& args) {
  const Partition partition = partition_of(problem);
  return with_kind(problem, partition.layout, [&](auto kind) {
    return sweeps::run_backward<decltype(kind),
                                SchemeTwo<Accumulate<typename decltype(kind)::Storage>>>(
        partition, problem, args);
  });
}

const abn_variant variant = variant_of<workspace_bytes, run_forward, run_backward>(
    "iabn2", "InPlace-ABN II: two sweeps, gradients written in y, with wide sums.", claims);
ABN_REGISTER_VARIANT(variant)

}  // namespace iabn2
}  // namespace ABN_BUILD
}  // namespace abn::device
