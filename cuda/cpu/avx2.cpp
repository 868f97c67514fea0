// The passes for AVX2 and F16C. The build compiles this file for them where the architecture has
// them; whether the processor does is asked before anything in it runs.
#define ABN_BUILD on_cpu_avx2
#ifdef __AVX2__
#include <cpuid.h>

#include "cuda/cpu/passes_of_build.hpp"
#else
#include "cuda/cpu/passes.hpp"
#endif

namespace abn::cpu {
#ifdef __AVX2__
namespace {

bool has_f16c() {  // clang's __builtin_cpu_supports knows it by no name
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace
#endif

const Passes* avx2_passes() {
#ifdef __AVX2__
  static constexpr Passes passes = device::on_cpu_avx2::cpu::passes_named("avx2");
  static const bool has_both = __builtin_cpu_supports("avx2") && has_f16c();
  return has_both ? &passes : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace abn::cpu
