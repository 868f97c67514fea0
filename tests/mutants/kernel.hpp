// Host kernels behind the C ABI of cuda/kernel.h, one for every plan: every mode, activation,
// convention, layout, type and scheme.
//
// They are written from cuda/kernel.h alone. Sums are over 64 lanes and then a tree, or as the
// design says; f16, bf16 and f32 are computed in float, f64 in double; the claims say just that.
// With Bug::none the kernel is right.
#pragma once

#include <cstddef>

#include "tests/mutants/plan.hpp"

namespace abn::mutants {

int claims(const Plan& plan, const abn_problem& problem, abn_claims& out);
// forward.cpp
int forward(const Plan& plan, const abn_problem& problem, const abn_forward_args& args);
// backward.cpp
int backward(const Plan& plan, const abn_problem& problem, const abn_backward_args& args);

/// Room for one double a channel: backward keeps sum(dy) there.
inline std::size_t workspace_bytes(const abn_problem& problem) {
  return static_cast<std::size_t>(problem.c) * sizeof(double);
}

inline bool computes_in_double(const Plan& plan, const abn_problem& p) {
  return plan.design.accumulate < 0 ? p.dtype == ABN_F64 : plan.design.accumulate == ABN_F64;
}

/// The plan as something that the judge can be given.
template <Plan plan>
constexpr abn_variant variant_of(const char* name, const char* summary) {
  return {ABN_ABI_VERSION,
          sizeof(abn_variant),
          name,
          summary,
          ABN_MEMORY_HOST,
          0,
          [](const abn_problem* p, abn_claims* out) { return claims(plan, *p, *out); },
          [](const abn_problem* p, int) { return workspace_bytes(*p); },
          [](const abn_problem* p, const abn_forward_args* a) { return forward(plan, *p, *a); },
          [](const abn_problem* p, const abn_backward_args* a) { return backward(plan, *p, *a); }};
}

}  // namespace abn::mutants
