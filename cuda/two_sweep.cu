// The production kernel: one sweep over the data for the channel sums, one for the result. Forward reads x twice and writes z,
// backward reads z and dz twice and writes dx, inference and frozen backward need a single sweep; nothing else of the size of a tensor
// is ever written.
//
// Launches. Sums: each block reduces one slice of one tile (device/cut.cuh). If a channel has one slice, the block also finishes the
// channel (statistics, running averages, dgamma, dbeta); otherwise it leaves a partial result in the workspace, and a small kernel
// merges the slices of each channel and finishes it. Results: the same geometry in reverse order. There are no atomics, no memset
// and no synchronisation with the host; slices, trees and merges follow from the shape, so every bit does.
//
// The kernels and their formulas are in device/forward_sweeps.cuh and device/backward_sweeps.cuh; what happens at the numerical edges
// is said in device/activation.cuh, device/channel.cuh and device/inversion.cuh.
#include "cuda/device/backward_sweeps.cuh"
#include "cuda/device/cut.cuh"
#include "cuda/device/entry.cuh"
#include "cuda/device/forward_sweeps.cuh"
#include "cuda/device/register.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace two_sweep {

// Channel-sized arrays first, then the parts, whose alignment those keep: 2*c values of A are a multiple of A.
template <class A, class Scratch>
Scratch scratch_in(void* workspace, int64_t c) {
  A* const values = static_cast<A*>(workspace);
  if (values == nullptr) return {};  // a single sweep needs none
  return {values, values + c, reinterpret_cast<decltype(Scratch::parts)>(values + 2 * c)};
}
template <class A, class Part>
size_t scratch_bytes(const Cut& cut) {
  const int64_t parts = cut.slices > 1 ? cut.slices * cut.c : 0;
  return sizeof(A) * 2 * static_cast<size_t>(cut.c) + sizeof(Part) * static_cast<size_t>(parts);
}

size_t workspace_bytes(const abn_problem* problem, int direction) {
  if (!known(*problem) || empty(*problem) || (direction == ABN_FORWARD && problem->mode != ABN_TRAINING)) return 0;
  const Cut cut = cut_of(*problem);
  return with_types(*problem, [&](auto types) -> size_t {
    using A = Accumulate<typename decltype(types)::Storage>;
    return direction == ABN_FORWARD ? scratch_bytes<A, MomentsPart<A>>(cut) : scratch_bytes<A, Sums<A>>(cut);
  });
}

LaunchConfig config_of(int64_t blocks, int threads, size_t shared_bytes, void* stream) {
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks));
  config.block = dim3(static_cast<unsigned>(threads));
  config.shared_bytes = shared_bytes;
  config.stream = stream;
  return config;
}
LaunchConfig merge_config(const Cut& cut, const MergeShape& shape, size_t shared_bytes, void* stream) {
  return config_of(ceil_div(cut.c, shape.columns), shape.threads(), shared_bytes, stream);
}

// Longest path to a statistic: a local sum with its correction, the thread's merges, the tree, then the merges of the slices.
int64_t merge_depth(const Cut& cut) {
  if (cut.slices == 1) return 0;
  const int rows = merge_shape(cut).rows;
  return ceil_div(cut.slices, rows) + log2_of(rows);
}
int64_t depth_of_statistics(const Cut& cut) {
  const bool nchw = cut.layout == ABN_NCHW;
  const int64_t bundles = ceil_div(ceil_div(cut.slice_items, cut.rows), statistics_bundle);
  return log2_of(statistics_bundle * (nchw ? cut.lanes : 1)) + 1 + bundles + log2_of(cut.rows) + merge_depth(cut);
}
// Longest path to S0 and S1: the elements of a window (NCHW), a thread's windows, the tree, then the slices.
int64_t depth_of_gradients(const Cut& cut) {
  const int64_t windows = ceil_div(cut.slice_items, cut.rows);
  return (cut.layout == ABN_NCHW ? cut.lanes : 0) + windows + log2_of(cut.rows) + merge_depth(cut);
}

int claims(const abn_problem* problem, abn_claims* out) {
  if (!known(*problem)) return ABN_ERROR_UNSUPPORTED;
  abn_claims claims = in_place_claims(*problem);
  claims.statistics = ABN_WELFORD;
  claims.depth_statistics = claims.depth_backward = 1;
  if (!empty(*problem)) {
    const Cut cut = cut_of(*problem);
    const int64_t m = problem->n * problem->s;
    const auto at_most_m = [m](int64_t depth) { return depth < m ? depth : m; };
    claims.depth_statistics = at_most_m(depth_of_statistics(cut));
    claims.depth_backward = at_most_m(depth_of_gradients(cut));
    claims.coalesced = cut.layout == ABN_NCHW || cut.c % cut.lanes == 0;
  }
  const int sweeps = problem->mode == ABN_TRAINING ? 2 : 1;
  claim_sweeps(claims, sweeps, sweeps);
  return hand_over(claims, out);
}

template <class T, class P, int Layout>
int run_forward(const Cut& cut, const abn_problem& problem, const abn_forward_args& args) {
  using A = Accumulate<T>;
  const auto scratch = scratch_in<A, ForwardScratch<A>>(args.workspace, cut.c);
  if (problem.mode == ABN_TRAINING) {
    const LaunchConfig config = config_of(cut.units(), cut.threads(), sizeof(MomentsTree<A, owned<T, Layout>, A>), args.stream);
    if (launch(config, sum_moments<T, P, Layout>, cut, problem, args, scratch) != 0) return ABN_ERROR_LAUNCH;
    if (cut.slices > 1) {
      const MergeShape shape = merge_shape(cut);
      const LaunchConfig merging = merge_config(cut, shape, sizeof(MomentsTree<A, 1, int64_t>), args.stream);
      if (launch(merging, merge_moments<P, A>, cut, shape, problem, args, scratch) != 0) return ABN_ERROR_LAUNCH;
    }
  }
  const LaunchConfig config = config_of(cut.units(), cut.threads(), 0, args.stream);
  return launch(config, normalise<T, P, Layout>, cut, problem, args, scratch) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}

template <class T, class P, int Layout>
int run_backward(const Cut& cut, const abn_problem& problem, const abn_backward_args& args) {
  using A = Accumulate<T>;
  const auto scratch = scratch_in<A, BackwardScratch<A>>(args.workspace, cut.c);
  const LaunchConfig config = config_of(cut.units(), cut.threads(), sizeof(SumsTree<A, owned<T, Layout>>), args.stream);
  if (launch(config, sum_gradients<T, P, Layout>, cut, problem, args, scratch) != 0) return ABN_ERROR_LAUNCH;
  if (cut.slices > 1) {
    const MergeShape shape = merge_shape(cut);
    const LaunchConfig merging = merge_config(cut, shape, sizeof(SumsTree<A, 1>), args.stream);
    if (launch(merging, merge_gradients<P, A>, cut, shape, problem, args, scratch) != 0) return ABN_ERROR_LAUNCH;
  }
  if (problem.mode != ABN_TRAINING || args.dx == nullptr) return ABN_OK;
  const LaunchConfig applying = config_of(cut.units(), cut.threads(), 0, args.stream);
  return launch(applying, propagate<T, P, Layout>, cut, problem, args, scratch) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}

int forward(const abn_problem* problem, const abn_forward_args* args) {
  if (empty(*problem)) return ABN_OK;
  if (const int status = check(*problem, *args, workspace_bytes(problem, ABN_FORWARD))) return status;
  const Cut cut = cut_of(*problem);
  return with_types(*problem, [&](auto types) -> int {
    using T = typename decltype(types)::Storage;
    using P = typename decltype(types)::Parameter;
    return cut.layout == ABN_NCHW ? run_forward<T, P, ABN_NCHW>(cut, *problem, *args) : run_forward<T, P, ABN_NHWC>(cut, *problem, *args);
  });
}

int backward(const abn_problem* problem, const abn_backward_args* args) {
  if (empty(*problem)) return ABN_OK;
  if (const int status = check(*problem, *args, workspace_bytes(problem, ABN_BACKWARD))) return status;
  const Cut cut = cut_of(*problem);
  return with_types(*problem, [&](auto types) -> int {
    using T = typename decltype(types)::Storage;
    using P = typename decltype(types)::Parameter;
    return cut.layout == ABN_NCHW ? run_backward<T, P, ABN_NCHW>(cut, *problem, *args) : run_backward<T, P, ABN_NHWC>(cut, *problem, *args);
  });
}

const abn_variant variant = {ABN_ABI_VERSION,
                             sizeof(abn_variant),
                             "two_sweep",
                             "The production kernel: one sweep for the sums, one for the result, 16 bytes at a time.",
                             ABN_VARIANT_MEMORY,
                             0,
                             claims,
                             workspace_bytes,
                             forward,
                             backward};
ABN_REGISTER_VARIANT(variant)

}  // namespace two_sweep
}  // namespace ABN_BUILD
}  // namespace abn::device
