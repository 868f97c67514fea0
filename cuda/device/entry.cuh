// What the entry points of every variant share on the host: which problems exist, argument checks,
// and the step from the type codes of a problem to C++ types.
#pragma once

#include <type_traits>

#include <cstring>
#include <limits>

#include "cuda/device/activation.cuh"
#include "cuda/device/scalar.cuh"
#include "cuda/kernel.h"

namespace abn::device {
inline namespace ABN_BUILD {

template <class T, class P>
struct Types {
  using Storage = T;
  using Parameter = P;
};

// Calls `call` with the Types of the problem, which must be a known one.
template <class Call>
auto with_types(const abn_problem& problem, Call call) {
  if (problem.dtype == ABN_F64)
    return problem.param_dtype == ABN_F64 ? call(Types<double, double>{})
                                          : call(Types<double, float>{});
  if (problem.dtype == ABN_F32) return call(Types<float, float>{});
  if (problem.dtype == ABN_BF16) return call(Types<__nv_bfloat16, float>{});
  return call(Types<__half, float>{});
}

// The same with the layout that a kernel is built for.
template <class T, class P, int Layout>
struct Kind : Types<T, P> {
  static constexpr int layout = Layout;
};
template <class Call>
auto with_kind(const abn_problem& problem, int layout, Call call) {
  return with_types(problem, [&](auto types) {
    using T = typename decltype(types)::Storage;
    using P = typename decltype(types)::Parameter;
    return layout == ABN_NCHW ? call(Kind<T, P, ABN_NCHW>{}) : call(Kind<T, P, ABN_NHWC>{});
  });
}

inline bool empty(const abn_problem& problem) {
  return problem.n == 0 || problem.c == 0 || problem.s == 0;
}

// The problems that the in-place variants of this project support: all that the ABI knows with an
// activation that has an inverse, unless 1/slope or 1/alpha overflows; and those that variants do
// which find y again from x or xhat, with any activation up to `last_known`.
inline bool known(const abn_problem& problem, int last_known = last_activation) {
  const auto within = [](int32_t value, int32_t last) { return value >= 0 && value <= last; };
  if (problem.struct_size < sizeof(abn_problem) || problem.out_type != 0) return false;
  if (!within(problem.layout, ABN_NHWC) || !within(problem.dtype, ABN_F64) ||
      !within(problem.activation, last_known))
    return false;
  if (!within(problem.scale, ABN_SCALE_ABS_EPS) || !within(problem.mode, ABN_FROZEN)) return false;
  if (problem.param_dtype != ABN_F32 &&
      !(problem.param_dtype == ABN_F64 && problem.dtype == ABN_F64))
    return false;
  if (problem.n < 0 || problem.c < 0 || problem.s < 0 || !(problem.eps >= 0)) return false;
  const double largest = problem.dtype == ABN_F64 ? std::numeric_limits<double>::max()
                                                  : std::numeric_limits<float>::max();
  return problem.activation == ABN_IDENTITY || problem.activation > last_activation ||
         (problem.activation_parameter > 0 && 1 / problem.activation_parameter <= largest);
}

// The claims that hold for every in-place variant here; the algorithm's own fields are the
// caller's.
inline abn_claims in_place_claims(const abn_problem& problem) {
  abn_claims claims{};
  claims.struct_size = sizeof claims;
  claims.scheme = ABN_IN_PLACE_1;
  claims.normalise = ABN_DIRECT;
  claims.accumulate = problem.dtype == ABN_F64 ? ABN_F64 : ABN_F32;
  claims.saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  claims.z_may_alias_x = 1;
  claims.dx_may_alias_dz = 1;
  claims.deterministic = 1;
  claims.function_ulp = function_ulp;
  claims.kink = ABN_KINK_RIGHT;
  claims.affine_apart = 1;
  return claims;
}

// What an in-place variant claims of its traffic: forward loads x so many times and stores z once,
// backward loads dz and z so many times and stores dx once.
inline void claim_sweeps(abn_claims& claims, int forward_loads, int backward_loads) {
  claims.sweeps_x.loads = static_cast<int16_t>(forward_loads);
  claims.sweeps_dz.loads = claims.sweeps_kept.loads = static_cast<int16_t>(backward_loads);
  claims.sweeps_z.stores = claims.sweeps_dx.stores = 1;
}

// Writes no field behind those that the caller's header knows.
inline int hand_over(abn_claims claims, abn_claims* out) {
  const uint32_t size =
      out->struct_size < sizeof claims ? out->struct_size : static_cast<uint32_t>(sizeof claims);
  claims.struct_size = out->struct_size;
  std::memcpy(out, &claims, size);
  return ABN_OK;
}

// ABN_OK, or what is wrong with a call that has work to do.
inline int check(const abn_problem& problem, const abn_forward_args& args, size_t workspace_bytes) {
  if (!known(problem)) return ABN_ERROR_UNSUPPORTED;
  if (args.x == nullptr || args.z == nullptr) return ABN_ERROR_ARGUMENT;
  if (problem.mode != ABN_TRAINING && (args.running_mean == nullptr || args.running_var == nullptr))
    return ABN_ERROR_ARGUMENT;
  if (workspace_bytes > 0 && (args.workspace == nullptr || args.workspace_bytes < workspace_bytes))
    return ABN_ERROR_WORKSPACE;
  return ABN_OK;
}
inline int check(const abn_problem& problem, const abn_backward_args& args,
                 size_t workspace_bytes) {
  if (!known(problem) || problem.mode == ABN_INFERENCE) return ABN_ERROR_UNSUPPORTED;
  if (args.dz == nullptr || args.z == nullptr || args.var == nullptr) return ABN_ERROR_ARGUMENT;
  if (workspace_bytes > 0 && (args.workspace == nullptr || args.workspace_bytes < workspace_bytes))
    return ABN_ERROR_WORKSPACE;
  return ABN_OK;
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int log2_of(int64_t power_of_two) {
  return power_of_two <= 1 ? 0 : 1 + log2_of(power_of_two / 2);
}
// The smallest power of two that is not below v, at most `most`.
inline int power_of_two_above(int64_t v, int most) {
  int power = 1;
  while (power < v && power < most) power *= 2;
  return power;
}

// An entry of a variant: nothing to do where there are no elements, arguments looked at, then
// Run(problem, args).
template <size_t (*WorkspaceBytes)(const abn_problem*, int), auto Run, class Args>
int checked(const abn_problem* problem, const Args* args) {
  constexpr int direction = std::is_same_v<Args, abn_forward_args> ? ABN_FORWARD : ABN_BACKWARD;
  if (empty(*problem)) return ABN_OK;
  if (const int status = check(*problem, *args, WorkspaceBytes(problem, direction))) return status;
  return Run(*problem, *args);
}

// The variant with such entries.
template <size_t (*WorkspaceBytes)(const abn_problem*, int), auto Forward, auto Backward>
constexpr abn_variant variant_of(const char* name, const char* summary,
                                 int (*claims)(const abn_problem*, abn_claims*)) {
  return {ABN_ABI_VERSION,
          sizeof(abn_variant),
          name,
          summary,
          ABN_VARIANT_MEMORY,
          0,
          claims,
          WorkspaceBytes,
          checked<WorkspaceBytes, Forward, abn_forward_args>,
          checked<WorkspaceBytes, Backward, abn_backward_args>};
}

}  // namespace ABN_BUILD
}  // namespace abn::device
