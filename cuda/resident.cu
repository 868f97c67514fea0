// One sweep: every slice of the data is read once and stays in shared memory until it is written
// back, 2 tensor sizes forward and 3 backward. Inference and frozen statistics need one sweep
// anyhow.
//
// A channel whose slab fits one block needs nobody else. One of several slices is held by as many
// blocks at once: a cluster that exchanges through distributed shared memory, or blocks of a
// cooperative launch with a barrier in global memory. What fits neither the nominal GPU
// (device/slab.cuh) nor the one that it runs on goes to the two sweeps. Cut, trees and merges
// follow from the shape alone: neither the GPU nor the way of meeting changes a bit of the result.
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
size_t counters_offset(const Slab& slab, const abn_problem& problem, int direction) {
  const size_t bytes = sweeps::workspace_bytes(slab.cut, problem, direction);
  return (bytes + counter_alignment - 1) / counter_alignment * counter_alignment;
}

size_t workspace_bytes(const Slab& slab, const abn_problem& problem, int direction) {
  const bool meets = slab.fits && slab.cut.slices > 1 &&
                     (direction == ABN_BACKWARD || problem.mode == ABN_TRAINING);
  if (!meets) return sweeps::workspace_bytes(slab.cut, problem, direction);
  return counters_offset(slab, problem, direction) +
         sizeof(unsigned) * static_cast<size_t>(slab.groups);
}

size_t shared_bytes(const Slab& slab, const abn_problem& problem, int direction) {
  return with_kind(problem, slab.cut.layout, [&](auto kind) -> size_t {
    using T = typename decltype(kind)::Storage;
    constexpr int layout = decltype(kind)::layout;
    const size_t fixed = direction == ABN_FORWARD ? sizeof(ForwardShared<T, layout>)
                                                  : sizeof(BackwardShared<T, layout>);
    return fixed + sizeof(Vec16<T>) * static_cast<size_t>(slab.tensors * slab.slots);
  });
}

// The launch of `kernel` for a way of meeting: false where the GPU does not hold the blocks that
// have to meet.
template <class... P>
bool plan_launch(const Slab& slab, Meeting meeting, int64_t most_groups, size_t shared_bytes,
                 void* stream, void (*kernel)(P...), LaunchConfig& config, Exchange& exchange) {
  const int64_t slices = slab.cut.slices;
  config = LaunchConfig{};
  config.block = dim3(static_cast<unsigned>(slab.threads()));
  config.shared_bytes = shared_bytes;
  config.stream = stream;
  exchange.meeting = meeting;
  int64_t groups = most_blocks / slices;
  if (meeting == Meeting::cluster) {
    config.cluster = dim3(static_cast<unsigned>(slices));
    config.grid = config.cluster;
    int clusters = 0;
    if (max_active_clusters(config, kernel, clusters) != 0 || clusters == 0) return false;
  } else if (meeting == Meeting::group) {
    config.grid = dim3(static_cast<unsigned>(slices));
    int blocks = 0;
    if (max_resident_blocks(config, kernel, blocks) != 0) return false;
    groups = blocks / slices;
  }
  if (groups == 0) return false;
  exchange.groups = std::min({groups, slab.groups, most_groups});
  config.grid = dim3(static_cast<unsigned>(exchange.groups * slices));
  return true;
}

// The meeting that was asked for, or the next one that the GPU can hold; the sweeps where it can
// hold none, or not even one slab.
template <class Kernel, class Args, class Scratch, class Sweeps>
int run(const Slab& slab, const abn_problem& problem, const Args& args, const Scratch& scratch,
        Meeting meeting, int64_t most_groups, int direction, Kernel kernel, Sweeps by_sweeps) {
  Exchange exchange{};
  LaunchConfig config;
  const size_t bytes = shared_bytes(slab, problem, direction);
  if (meeting == Meeting::cluster &&
      !plan_launch(slab, meeting, most_groups, bytes, args.stream, kernel, config, exchange))
    meeting = Meeting::group;
  if (meeting != Meeting::cluster &&
      !plan_launch(slab, meeting, most_groups, bytes, args.stream, kernel, config, exchange))
    return by_sweeps();
  if (meeting != Meeting::group)
    return launch(config, kernel, slab, problem, args, scratch, exchange) == 0 ? ABN_OK
                                                                               : by_sweeps();
  exchange.counters = reinterpret_cast<unsigned*>(static_cast<char*>(args.workspace) +
                                                  counters_offset(slab, problem, direction));
  return launch_cooperative(config, kernel, slab, problem, args, scratch, exchange) == 0
             ? ABN_OK
             : by_sweeps();
}

int forward(const Slab& slab, const abn_problem& problem, const abn_forward_args& args,
            Meeting meeting, int64_t most_groups) {
  return with_kind(problem, slab.cut.layout, [&](auto kind) {
    using T = typename decltype(kind)::Storage;
    using P = typename decltype(kind)::Parameter;
    using A = Accumulate<T>;
    constexpr int layout = decltype(kind)::layout;
    return run(slab, problem, args,
               sweeps::scratch_in<A, ForwardScratch<A>>(args.workspace, slab.cut.c), meeting,
               most_groups, ABN_FORWARD, resident_forward<T, P, layout>,
               [&] { return sweeps::forward(slab.cut, problem, args); });
  });
}
int backward(const Slab& slab, const abn_problem& problem, const abn_backward_args& args,
             Meeting meeting, int64_t most_groups) {
  return with_kind(problem, slab.cut.layout, [&](auto kind) {
    using T = typename decltype(kind)::Storage;
    using P = typename decltype(kind)::Parameter;
    using A = Accumulate<T>;
    constexpr int layout = decltype(kind)::layout;
    return run(slab, problem, args,
               sweeps::scratch_in<A, BackwardScratch<A>>(args.workspace, slab.cut.c), meeting,
               most_groups, ABN_BACKWARD, resident_backward<T, P, layout>,
               [&] { return sweeps::backward(slab.cut, problem, args); });
  });
}

// A shard cannot wait on the chip for the others: its halves are those of the two sweeps, with the
// slab's cut.
Cut cut_for(const abn_problem& problem, int direction) { return slab_of(problem, direction).cut; }
using Halves = sweeps::Halves<cut_for>;

// ---- the variant
// -------------------------------------------------------------------------------------------------

size_t workspace_bytes(const abn_problem* problem, int direction) {
  return known(*problem) && !empty(*problem)
             ? workspace_bytes(slab_of(*problem, direction), *problem, direction)
             : 0;
}

int claims(const abn_problem* problem, abn_claims* out) {
  if (!known(*problem)) return ABN_ERROR_UNSUPPORTED;
  if (empty(*problem)) return hand_over(sweeps::claims_of(*problem, 1, 1), out);
  const Slab forward = slab_of(*problem, ABN_FORWARD), backward = slab_of(*problem, ABN_BACKWARD);
  abn_claims claims = sweeps::claims_of(*problem, sweeps::depth_of_statistics(forward.cut),
                                        sweeps::depth_of_gradients(backward.cut));
  claim_sweeps(claims, forward.fits ? 1 : sweeps::sweeps_of(*problem),
               backward.fits ? 1 : sweeps::sweeps_of(*problem));
  return hand_over(claims, out);
}

// Nothing has to wait for statistics that are given. The sweeps then need no shared memory, but
// take ragged runs element by element.
bool by_sweeps(const Slab& slab, const abn_problem& problem) {
  const Cut& cut = slab.cut;
  const bool ragged = (cut.layout == ABN_NCHW ? cut.s : cut.c) % cut.lanes != 0;
  return !slab.fits || (problem.mode != ABN_TRAINING && !ragged);
}

Meeting usual_meeting(const Slab& slab) {
  return slab.cut.slices == 1                 ? Meeting::alone
         : slab.cut.slices <= largest_cluster ? Meeting::cluster
                                              : Meeting::group;
}

int run_forward(const abn_problem& problem, const abn_forward_args& args) {
  const Slab slab = slab_of(problem, ABN_FORWARD);
  if (by_sweeps(slab, problem)) return sweeps::forward(slab.cut, problem, args);
  return forward(slab, problem, args,
                 problem.mode == ABN_TRAINING ? usual_meeting(slab) : Meeting::alone);
}

int run_backward(const abn_problem& problem, const abn_backward_args& args) {
  const Slab slab = slab_of(problem, ABN_BACKWARD);
  if (by_sweeps(slab, problem)) return sweeps::backward(slab.cut, problem, args);
  return backward(slab, problem, args, usual_meeting(slab));
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
