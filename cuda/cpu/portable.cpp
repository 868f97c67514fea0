// The passes for every processor of the architecture.
#define ABN_BUILD on_cpu_portable
#include "cuda/cpu/passes_of_build.hpp"

namespace abn::cpu {

const Passes portable_passes = device::on_cpu_portable::cpu::passes_named("portable");

const Passes& best_passes() {
  static const Passes* const avx2 = avx2_passes();
  return avx2 != nullptr ? *avx2 : portable_passes;
}

}  // namespace abn::cpu
