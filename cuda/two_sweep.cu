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
#include "cuda/device/sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace two_sweep {

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

template <class T, class P, int Layout>
int run_forward(const Cut& cut, const abn_problem& problem, const abn_forward_args& args) {
  using A = Accumulate<T>;
  const auto scratch = sweeps::scratch_in<A, ForwardScratch<A>>(args.workspace, cut.c);
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
  const auto scratch = sweeps::scratch_in<A, BackwardScratch<A>>(args.workspace, cut.c);
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

}  // namespace two_sweep

namespace sweeps {

int forward(const Cut& cut, const abn_problem& problem, const abn_forward_args& args) {
  return with_types(problem, [&](auto types) -> int {
    using T = typename decltype(types)::Storage;
    using P = typename decltype(types)::Parameter;
    return cut.layout == ABN_NCHW ? two_sweep::run_forward<T, P, ABN_NCHW>(cut, problem, args)
                                  : two_sweep::run_forward<T, P, ABN_NHWC>(cut, problem, args);
  });
}
int backward(const Cut& cut, const abn_problem& problem, const abn_backward_args& args) {
  return with_types(problem, [&](auto types) -> int {
    using T = typename decltype(types)::Storage;
    using P = typename decltype(types)::Parameter;
    return cut.layout == ABN_NCHW ? two_sweep::run_backward<T, P, ABN_NCHW>(cut, problem, args)
                                  : two_sweep::run_backward<T, P, ABN_NHWC>(cut, problem, args);
  });
}

}  // namespace sweeps

namespace two_sweep {

size_t workspace_bytes(const abn_problem* problem, int direction) {
  return known(*problem) && !empty(*problem) ? sweeps::workspace_bytes(cut_of(*problem), *problem, direction) : 0;
}

int claims(const abn_problem* problem, abn_claims* out) {
  if (!known(*problem)) return ABN_ERROR_UNSUPPORTED;
  if (empty(*problem)) return hand_over(sweeps::claims_of(*problem, 1, 1), out);
  const Cut cut = cut_of(*problem);
  return hand_over(sweeps::claims_of(*problem, sweeps::depth_of_statistics(cut), sweeps::depth_of_gradients(cut)), out);
}

int forward(const abn_problem* problem, const abn_forward_args* args) {
  if (empty(*problem)) return ABN_OK;
  if (const int status = check(*problem, *args, workspace_bytes(problem, ABN_FORWARD))) return status;
  return sweeps::forward(cut_of(*problem), *problem, *args);
}

int backward(const abn_problem* problem, const abn_backward_args* args) {
  if (empty(*problem)) return ABN_OK;
  if (const int status = check(*problem, *args, workspace_bytes(problem, ABN_BACKWARD))) return status;
  return sweeps::backward(cut_of(*problem), *problem, *args);
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
