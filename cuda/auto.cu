// The variant to call when one does not want to choose: for every problem the kernel that the cost
// model (device/cost.cuh) predicts to be the fastest, one sweep by clusters, groups or single
// blocks, or two sweeps. The choice follows from the shape and a nominal GPU, so that the bits do
// not depend on the GPU at hand; cuda/plan.h prints it with its reasons.
#include "cuda/device/cost.cuh"
#include "cuda/device/entry.cuh"
#include "cuda/device/halves.cuh"
#include "cuda/device/register.cuh"
#include "cuda/device/resident.cuh"
#include "cuda/device/sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace automatic {

cost::Candidate choice_of(const abn_problem& problem, int direction) {
  return cost::candidates_of(problem, direction, Machine{}).chosen();
}

// The halves of a sharded pass are those of the two sweeps, with the partition that the whole pass
// would have.
Partition partition_for(const abn_problem& problem, int direction) {
  return choice_of(problem, direction).tiling.partition;
}
using Halves = sweeps::Halves<partition_for>;

SyncScope scope_of(cost::Way way) {
  return way == cost::Way::cluster ? SyncScope::cluster
         : way == cost::Way::grid  ? SyncScope::grid
                                   : SyncScope::block;
}

size_t workspace_bytes(const abn_problem* problem, int direction) {
  if (!known(*problem) || empty(*problem)) return 0;
  if (direction == ABN_BACKWARD && problem->mode == ABN_INFERENCE) return 0;
  const cost::Candidate choice = choice_of(*problem, direction);
  return choice.way == cost::Way::two_sweeps
             ? sweeps::workspace_bytes(choice.tiling.partition, *problem, direction)
             : resident::workspace_bytes(choice.tiling, *problem, direction);
}

int claims(const abn_problem* problem, abn_claims* out) {
  if (!known(*problem)) return ABN_ERROR_UNSUPPORTED;
  if (empty(*problem)) return hand_over(sweeps::claims_of(*problem, 1, 1), out);
  const cost::Candidate forward = choice_of(*problem, ABN_FORWARD),
                        backward = choice_of(*problem, ABN_BACKWARD);
  const auto sweeps_of = [&](const cost::Candidate& choice) {
    return choice.way == cost::Way::two_sweeps ? sweeps::sweeps_of(*problem) : 1;
  };
  abn_claims claims =
      sweeps::claims_of(*problem, sweeps::depth_of_statistics(forward.tiling.partition),
                        sweeps::depth_of_gradients(backward.tiling.partition));
  claim_sweeps(claims, sweeps_of(forward), sweeps_of(backward));
  return hand_over(claims, out);
}

int run_forward(const abn_problem& problem, const abn_forward_args& args) {
  const cost::Candidate choice = choice_of(problem, ABN_FORWARD);
  if (choice.way == cost::Way::two_sweeps)
    return sweeps::forward(choice.tiling.partition, problem, args);
  return resident::forward(choice.tiling, problem, args, scope_of(choice.way));
}

int run_backward(const abn_problem& problem, const abn_backward_args& args) {
  const cost::Candidate choice = choice_of(problem, ABN_BACKWARD);
  if (choice.way == cost::Way::two_sweeps)
    return sweeps::backward(choice.tiling.partition, problem, args);
  return resident::backward(choice.tiling, problem, args, scope_of(choice.way));
}

const abn_split_variant split =
    sweeps::with_halves<Halves>(variant_of<workspace_bytes, run_forward, run_backward>(
        "auto", "The kernel that the cost model predicts to be the fastest for the problem.",
        claims));
const abn_variant& variant = split.base;
ABN_REGISTER_VARIANT(variant)

}  // namespace automatic
}  // namespace ABN_BUILD
}  // namespace abn::device
