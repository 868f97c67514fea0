// The CUDA kernel of cuda/examples, built by another project and under a name of its own.
#define abn_plugin example_plugin
#include "../../cuda/examples/cuda_kernel.cu"
#undef abn_plugin

extern "C" const abn_variant* abn_plugin(uint32_t index) {
  static const abn_variant outside = [] {
    abn_variant copy = *example_plugin(0);
    copy.name = "outside";
    return copy;
  }();
  return index == 0 ? &outside : nullptr;
}
