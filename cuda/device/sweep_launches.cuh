// The launches of the two sweeps for one set of types; two_sweep.cu and iabn2.cu instantiate them.
#pragma once

#include "cuda/device/sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace sweeps {

inline LaunchConfig config_of(int64_t blocks, int threads, size_t shared_bytes, void* stream) {
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks));
  config.block = dim3(static_cast<unsigned>(threads));
  config.shared_bytes = shared_bytes;
  config.stream = stream;
  return config;
}
inline LaunchConfig merge_config(const Cut& cut, const MergeShape& shape, size_t shared_bytes, void* stream) {
  return config_of(ceil_div(cut.c, shape.columns), shape.threads(), shared_bytes, stream);
}

// Kind is one of device/entry.cuh.
template <class Kind>
int run_forward(const Cut& cut, const abn_problem& problem, const abn_forward_args& args) {
  using T = typename Kind::Storage;
  using P = typename Kind::Parameter;
  constexpr int Layout = Kind::layout;
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

template <class Kind, class Scheme>
int run_backward(const Cut& cut, const abn_problem& problem, const abn_backward_args& args) {
  using T = typename Kind::Storage;
  using P = typename Kind::Parameter;
  constexpr int Layout = Kind::layout;
  using Value = typename Scheme::Value;
  const auto scratch = scratch_in<Accumulate<T>, ScratchOf<Scheme>>(args.workspace, cut.c);
  const LaunchConfig config = config_of(cut.units(), cut.threads(), sizeof(SumsTree<Value, owned<T, Layout>>), args.stream);
  if (launch(config, sum_gradients<T, P, Layout, Scheme>, cut, problem, args, scratch) != 0) return ABN_ERROR_LAUNCH;
  if (cut.slices > 1) {
    const MergeShape shape = merge_shape(cut);
    const LaunchConfig merging = merge_config(cut, shape, sizeof(SumsTree<Value, 1>), args.stream);
    if (launch(merging, merge_gradients<P, Scheme>, cut, shape, problem, args, scratch) != 0) return ABN_ERROR_LAUNCH;
  }
  if (problem.mode != ABN_TRAINING || args.dx == nullptr) return ABN_OK;
  const LaunchConfig applying = config_of(cut.units(), cut.threads(), 0, args.stream);
  return launch(applying, propagate<T, P, Layout, Scheme>, cut, problem, args, scratch) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}

}  // namespace sweeps
}  // namespace ABN_BUILD
}  // namespace abn::device
