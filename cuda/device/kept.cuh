// A variant whose backward has x or xhat, from what it keeps: claims, checks, launches. The three
// files that include it (standard.cu, checkpoint_x.cu, checkpoint_xhat.cu) give it a name.
#pragma once

#include "cuda/device/kept_sweeps.cuh"
#include "cuda/device/register.cuh"
#include "cuda/device/sweep_launches.cuh"
#include "cuda/device/sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

template <Keeps keeps>
struct KeptVariant {
  static bool does(const abn_problem& problem) { return known(problem, last_curve); }

  static size_t workspace_bytes(const abn_problem* problem, int direction) {
    return does(*problem) && !empty(*problem)
               ? sweeps::workspace_bytes(partition_of(*problem), *problem, direction)
               : 0;
  }

  static int claims(const abn_problem* problem, abn_claims* out) {
    if (!does(*problem)) return ABN_ERROR_UNSUPPORTED;
    int64_t depth_statistics = 1, depth_backward = 1;
    bool coalesced = false;
    if (!empty(*problem)) {
      const Partition partition = partition_of(*problem);
      depth_statistics = sweeps::depth_of_statistics(partition);
      depth_backward = sweeps::depth_of_gradients(partition);
      coalesced = sweeps::coalesced(partition);
    }
    abn_claims claims = sweeps::claims_of(*problem, depth_statistics, depth_backward);
    claim_sweeps(claims, sweeps::sweeps_of(*problem), sweeps::sweeps_of(*problem));
    claims.coalesced = coalesced;
    claims.z_may_alias_x = keeps == Keeps::xhat;  // the others read x again
    if constexpr (keeps == Keeps::x_and_z) {
      claims.scheme = ABN_STANDARD;
      claims.saves = ABN_SAVES_X | ABN_SAVES_Z | ABN_SAVES_MEAN | ABN_SAVES_VAR;
    } else if constexpr (keeps == Keeps::x) {
      claims.scheme = ABN_CHECKPOINT_X;
      claims.saves = ABN_SAVES_X | ABN_SAVES_MEAN | ABN_SAVES_VAR;
    } else {
      claims.scheme = ABN_CHECKPOINT_XHAT;
      claims.saves = ABN_SAVES_XHAT | ABN_SAVES_VAR;
      claims.sweeps_xhat.stores = 1;
    }
    return hand_over(claims, out);
  }

  static int check(const abn_problem& problem, const abn_forward_args& args) {
    if (!does(problem)) return ABN_ERROR_UNSUPPORTED;
    if (args.x == nullptr || args.z == nullptr) return ABN_ERROR_ARGUMENT;
    if (problem.mode != ABN_TRAINING &&
        (args.running_mean == nullptr || args.running_var == nullptr))
      return ABN_ERROR_ARGUMENT;
    return check_workspace(problem, ABN_FORWARD, args.workspace, args.workspace_bytes);
  }
  static int check(const abn_problem& problem, const abn_backward_args& args) {
    if (!does(problem) || problem.mode == ABN_INFERENCE) return ABN_ERROR_UNSUPPORTED;
    const bool complete = keeps == Keeps::xhat ? args.xhat != nullptr
                                               : args.x != nullptr && args.mean != nullptr &&
                                                     (keeps == Keeps::x || args.z != nullptr);
    if (!complete || args.dz == nullptr || args.var == nullptr) return ABN_ERROR_ARGUMENT;
    return check_workspace(problem, ABN_BACKWARD, args.workspace, args.workspace_bytes);
  }
  static int check_workspace(const abn_problem& problem, int direction, const void* workspace,
                             size_t bytes) {
    const size_t needed = workspace_bytes(&problem, direction);
    return needed > 0 && (workspace == nullptr || bytes < needed) ? ABN_ERROR_WORKSPACE : ABN_OK;
  }

  static int forward(const abn_problem* problem, const abn_forward_args* args) {
    if (empty(*problem)) return ABN_OK;
    if (const int status = check(*problem, *args)) return status;
    const Partition partition = partition_of(*problem);
    return with_kind(*problem, partition.layout, [&](auto kind) {
      return run_forward<decltype(kind)>(partition, *problem, *args);
    });
  }
  static int backward(const abn_problem* problem, const abn_backward_args* args) {
    if (empty(*problem)) return ABN_OK;
    if (const int status = check(*problem, *args)) return status;
    const Partition partition = partition_of(*problem);
    return with_kind(*problem, partition.layout, [&](auto kind) {
      return run_backward<decltype(kind)>(partition, *problem, *args);
    });
  }

  template <class Kind>
  static int run_forward(const Partition& partition, const abn_problem& problem,
                         const abn_forward_args& args) {
    using T = typename Kind::Storage;
    using A = Accumulate<T>;
    const auto scratch = sweeps::scratch_in<A, ForwardScratch<A>>(args.workspace, partition.c);
    if (problem.mode == ABN_TRAINING) {
      if (const int status = sweeps::condense_forward<Kind>(partition, problem, args, scratch))
        return status;
    }
    const LaunchConfig config =
        sweeps::config_of(partition.units(), partition.threads(), 0, args.stream);
    const auto kernel = normalise_kept<T, typename Kind::Parameter, Kind::layout, keeps>;
    return launch(config, kernel, partition, problem, args, scratch) == 0 ? ABN_OK
                                                                          : ABN_ERROR_LAUNCH;
  }

  template <class Kind>
  static int run_backward(const Partition& partition, const abn_problem& problem,
                          const abn_backward_args& args) {
    using T = typename Kind::Storage;
    using P = typename Kind::Parameter;
    using A = Accumulate<T>;
    const auto scratch = sweeps::scratch_in<A, BackwardScratch<A>>(args.workspace, partition.c);
    const LaunchConfig summing =
        sweeps::config_of(partition.units(), partition.threads(),
                          sizeof(SumsTree<A, owned<T, Kind::layout>>), args.stream);
    if (launch(summing, sum_kept<T, P, Kind::layout, keeps>, partition, problem, args, scratch) !=
        0)
      return ABN_ERROR_LAUNCH;
    if (partition.slices > 1) {
      const MergeShape shape = merge_shape(partition);
      const LaunchConfig merging =
          sweeps::merge_config(partition, shape, sizeof(SumsTree<A, 1>), args.stream);
      if (launch(merging, merge_kept<P, A>, partition, shape, problem, args, scratch) != 0)
        return ABN_ERROR_LAUNCH;
    }
    if (problem.mode != ABN_TRAINING || args.dx == nullptr) return ABN_OK;
    const LaunchConfig config =
        sweeps::config_of(partition.units(), partition.threads(), 0, args.stream);
    return launch(config, propagate_kept<T, P, Kind::layout, keeps>, partition, problem, args,
                  scratch) == 0
               ? ABN_OK
               : ABN_ERROR_LAUNCH;
  }

  static constexpr abn_variant named(const char* name, const char* summary) {
    return {ABN_ABI_VERSION, sizeof(abn_variant), name,    summary, ABN_VARIANT_MEMORY, 0,
            claims,          workspace_bytes,     forward, backward};
  }
};

}  // namespace ABN_BUILD
}  // namespace abn::device
