// The launches of the two sweeps for one set of types; two_sweep.cu and iabn2.cu instantiate them.
#pragma once

#include "cuda/device/merge_ranks.cuh"
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
inline LaunchConfig merge_config(const Partition& partition, const MergeShape& shape,
                                 size_t shared_bytes, void* stream) {
  return config_of(ceil_div(partition.c, shape.columns), shape.threads(), shared_bytes, stream);
}

inline LaunchConfig channel_config(int64_t c, void* stream) {
  return config_of(ceil_div(c, most_threads), most_threads, 0, stream);
}

// Kind is one of device/entry.cuh. Each pass in its two parts: what condenses the tensors, and what
// makes the result.
template <class Kind>
int condense_forward(const Partition& partition, const abn_problem& problem,
                     const abn_forward_args& args,
                     const ForwardScratch<Accumulate<typename Kind::Storage>>& scratch) {
  using T = typename Kind::Storage;
  using P = typename Kind::Parameter;
  using A = Accumulate<T>;
  const LaunchConfig config =
      config_of(partition.units(), partition.threads(),
                sizeof(MomentsTree<A, owned<T, Kind::layout>, A>), args.stream);
  if (launch(config, sum_moments<T, P, Kind::layout>, partition, problem, args, scratch) != 0)
    return ABN_ERROR_LAUNCH;
  if (partition.slices == 1) return ABN_OK;
  const MergeShape shape = merge_shape(partition);
  const LaunchConfig merging =
      merge_config(partition, shape, sizeof(MomentsTree<A, 1, int64_t>), args.stream);
  return launch(merging, merge_moments<P, A>, partition, shape, problem, args, scratch) == 0
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}
template <class Kind>
int apply_forward(const Partition& partition, const abn_problem& problem,
                  const abn_forward_args& args,
                  const ForwardScratch<Accumulate<typename Kind::Storage>>& scratch) {
  const LaunchConfig config = config_of(partition.units(), partition.threads(), 0, args.stream);
  const auto kernel = normalise<typename Kind::Storage, typename Kind::Parameter, Kind::layout>;
  return launch(config, kernel, partition, problem, args, scratch) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}
template <class Kind>
int run_forward(const Partition& partition, const abn_problem& problem,
                const abn_forward_args& args) {
  using A = Accumulate<typename Kind::Storage>;
  const auto scratch = scratch_in<A, ForwardScratch<A>>(args.workspace, partition.c);
  if (problem.mode == ABN_TRAINING) {
    if (const int status = condense_forward<Kind>(partition, problem, args, scratch)) return status;
  }
  return apply_forward<Kind>(partition, problem, args, scratch);
}

template <class Kind, class Scheme>
int condense_backward(const Partition& partition, const abn_problem& problem,
                      const abn_backward_args& args, const ScratchOf<Scheme>& scratch) {
  using T = typename Kind::Storage;
  using P = typename Kind::Parameter;
  using Value = typename Scheme::Value;
  const LaunchConfig config =
      config_of(partition.units(), partition.threads(),
                sizeof(SumsTree<Value, owned<T, Kind::layout>>), args.stream);
  if (launch(config, sum_gradients<T, P, Kind::layout, Scheme>, partition, problem, args,
             scratch) != 0)
    return ABN_ERROR_LAUNCH;
  if (partition.slices == 1) return ABN_OK;
  const MergeShape shape = merge_shape(partition);
  const LaunchConfig merging =
      merge_config(partition, shape, sizeof(SumsTree<Value, 1>), args.stream);
  return launch(merging, merge_gradients<P, Scheme>, partition, shape, problem, args, scratch) == 0
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}
template <class Kind, class Scheme>
int apply_backward(const Partition& partition, const abn_problem& problem,
                   const abn_backward_args& args, const ScratchOf<Scheme>& scratch) {
  if (args.dx == nullptr) return ABN_OK;
  const LaunchConfig config = config_of(partition.units(), partition.threads(), 0, args.stream);
  const auto kernel =
      propagate<typename Kind::Storage, typename Kind::Parameter, Kind::layout, Scheme>;
  return launch(config, kernel, partition, problem, args, scratch) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}
template <class Kind, class Scheme>
int run_backward(const Partition& partition, const abn_problem& problem,
                 const abn_backward_args& args) {
  const auto scratch = scratch_in<Accumulate<typename Kind::Storage>, ScratchOf<Scheme>>(
      args.workspace, partition.c);
  if (const int status = condense_backward<Kind, Scheme>(partition, problem, args, scratch))
    return status;
  return problem.mode == ABN_TRAINING
             ? apply_backward<Kind, Scheme>(partition, problem, args, scratch)
             : ABN_OK;
}

// ---- one shard of several. `partition` is null for a shard without samples.

template <class Kind>
int forward_local(const Partition* partition, const abn_problem& problem,
                  const abn_forward_args& args, void* partial) {
  using A = Accumulate<typename Kind::Storage>;
  const MomentsPartial<A> own(partial, problem.c);
  if (partition == nullptr)
    return launch(channel_config(problem.c, args.stream), no_moments<A>, problem, own) == 0
               ? ABN_OK
               : ABN_ERROR_LAUNCH;
  auto scratch = scratch_in<A, ForwardScratch<A>>(args.workspace, problem.c);
  scratch.partial = own;
  return condense_forward<Kind>(*partition, problem, args, scratch);
}
template <class Kind>
int forward_apply(const Partition* partition, const abn_problem& problem,
                  const abn_forward_args& args, const void* partials, int ranks) {
  using P = typename Kind::Parameter;
  using A = Accumulate<typename Kind::Storage>;
  const auto scratch =
      scratch_in<A, ForwardScratch<A>>(partition == nullptr ? nullptr : args.workspace, problem.c);
  const size_t bytes = MomentsPartial<A>::bytes(problem.c);
  const LaunchConfig config = channel_config(problem.c, args.stream);
  if (launch(config, merge_rank_moments<P, A>, problem, args, scratch, partials, bytes, ranks) != 0)
    return ABN_ERROR_LAUNCH;
  return partition == nullptr ? ABN_OK : apply_forward<Kind>(*partition, problem, args, scratch);
}

template <class Kind, class Scheme>
int backward_local(const Partition* partition, const abn_problem& problem,
                   const abn_backward_args& args, void* partial) {
  using P = typename Kind::Parameter;
  const SumsPartial<typename Scheme::Value> own(partial, problem.c);
  if (partition == nullptr)
    return launch(channel_config(problem.c, args.stream), no_sums<P, Scheme>, problem, args, own) ==
                   0
               ? ABN_OK
               : ABN_ERROR_LAUNCH;
  auto scratch =
      scratch_in<Accumulate<typename Kind::Storage>, ScratchOf<Scheme>>(args.workspace, problem.c);
  scratch.partial = own;
  return condense_backward<Kind, Scheme>(*partition, problem, args, scratch);
}
template <class Kind, class Scheme>
int backward_apply(const Partition* partition, const abn_problem& problem,
                   const abn_backward_args& args, const void* partials, int ranks) {
  using P = typename Kind::Parameter;
  if (partition == nullptr || args.dx == nullptr) return ABN_OK;
  const auto scratch =
      scratch_in<Accumulate<typename Kind::Storage>, ScratchOf<Scheme>>(args.workspace, problem.c);
  const size_t bytes = SumsPartial<typename Scheme::Value>::bytes(problem.c);
  const LaunchConfig config = channel_config(problem.c, args.stream);
  if (launch(config, merge_rank_sums<P, Scheme>, problem, args, scratch, partials, bytes, ranks) !=
      0)
    return ABN_ERROR_LAUNCH;
  return apply_backward<Kind, Scheme>(*partition, problem, args, scratch);
}

}  // namespace sweeps
}  // namespace ABN_BUILD
}  // namespace abn::device
