// The variant `cpu`: InPlace-ABN I as plain C++ on the threads of the processor, for PyTorch on the
// CPU. It is host code: no emulator runs it, whatever else is built around it.
//
// The formulas are those of the kernels for GPUs (cuda/device). What differs is how the work is cut
// (cut.hpp): into leaves that stay in the first-level cache, and sums in which a vector is one
// column beside the other, so that compilers vectorise them without changing their order.
#define ABN_BUILD on_cpu
#include "cuda/cpu/passes.hpp"
#include "cuda/cpu/sums.hpp"
#include "cuda/cpu/threads.hpp"
#include "cuda/device/partials.cuh"
#include "cuda/host_code.h"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

size_t workspace_bytes(const abn_problem* problem, int direction) {
  if (!known(*problem) || empty(*problem)) return 0;
  if (direction == ABN_FORWARD && problem->mode != ABN_TRAINING) return 0;
  const size_t values =
      workspace_values(cut_of(*problem), direction == ABN_FORWARD ? LeafMoments<float, 1>::values
                                                                  : LeafSums<float, 1>::values);
  return values * (problem->dtype == ABN_F64 ? sizeof(double) : sizeof(float));
}

int claims(const abn_problem* problem, abn_claims* out) {
  if (!known(*problem)) return ABN_ERROR_UNSUPPORTED;
  abn_claims claims = in_place_claims(*problem);
  claims.statistics = ABN_WELFORD;
  claims.depth_statistics = claims.depth_backward = 1;
  if (!empty(*problem)) {
    const Cut cut = cut_of(*problem);
    const auto at_most_all = [&](int64_t depth) {
      return depth < cut.samples ? depth : cut.samples;
    };
    claims.depth_backward = at_most_all(depth_of_sums(cut));
    claims.depth_statistics = at_most_all(depth_of_sums(cut) + 1);  // the residual's correction
  }
  return hand_over(claims, out);
}

int run_forward(const abn_problem& problem, const abn_forward_args& args) {
  return abn::cpu::best_passes().forward(problem, args, abn::cpu::thread_limit());
}
int run_backward(const abn_problem& problem, const abn_backward_args& args) {
  return abn::cpu::best_passes().backward(problem, args, abn::cpu::thread_limit());
}

// ---- the halves

size_t partial_bytes(const abn_problem* shard, int direction) {
  if (!known(*shard) || shard->c <= 0) return 0;
  return with_types(*shard, [&](auto types) {
    using A = Accumulate<typename decltype(types)::Storage>;
    return direction == ABN_FORWARD ? MomentsPartial<A>::bytes(shard->c)
                                    : SumsPartial<A>::bytes(shard->c);
  });
}

// Calls half(), if the arguments are right and there is work.
template <class Args, class Half>
int checked_half(const abn_problem& shard, const Args& args, const void* partials, int ranks,
                 int direction, Half half) {
  if (!known(shard) || shard.mode != ABN_TRAINING) return ABN_ERROR_UNSUPPORTED;
  if (shard.c == 0 || shard.s == 0) return ABN_OK;  // on all ranks
  if (partials == nullptr || ranks < 1) return ABN_ERROR_ARGUMENT;
  if (shard.n > 0)
    if (const int status = check(shard, args, workspace_bytes(&shard, direction))) return status;
  return half(abn::cpu::best_passes(), abn::cpu::thread_limit());
}

int forward_local(const abn_problem* shard, const abn_forward_args* args, void* partial) {
  return checked_half(*shard, *args, partial, 1, ABN_FORWARD, [&](const auto& passes, int threads) {
    return passes.forward_local(*shard, *args, partial, threads);
  });
}
int forward_apply(const abn_problem* shard, const abn_forward_args* args, const void* partials,
                  int32_t ranks) {
  return checked_half(*shard, *args, partials, ranks, ABN_FORWARD,
                      [&](const auto& passes, int threads) {
                        return passes.forward_apply(*shard, *args, partials, ranks, threads);
                      });
}
int backward_local(const abn_problem* shard, const abn_backward_args* args, void* partial) {
  return checked_half(*shard, *args, partial, 1, ABN_BACKWARD,
                      [&](const auto& passes, int threads) {
                        return passes.backward_local(*shard, *args, partial, threads);
                      });
}
int backward_apply(const abn_problem* shard, const abn_backward_args* args, const void* partials,
                   int32_t ranks) {
  return checked_half(*shard, *args, partials, ranks, ABN_BACKWARD,
                      [&](const auto& passes, int threads) {
                        return passes.backward_apply(*shard, *args, partials, ranks, threads);
                      });
}

const abn_split_variant variant = [] {
  abn_split_variant split{};
  split.base = variant_of<workspace_bytes, run_forward, run_backward>(
      "cpu", "Plain C++ on the threads of the processor, each channel while it is in the cache.",
      claims);
  split.base.struct_size = sizeof split;
  split.partial_bytes = partial_bytes;
  split.forward_local = forward_local, split.forward_apply = forward_apply;
  split.backward_local = backward_local, split.backward_apply = backward_apply;
  return split;
}();

[[maybe_unused]] const int registered = abn_register_host_code(&variant.base);

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
