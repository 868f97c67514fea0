// A plug-in that looks as one with a CUDA runtime linked in: it has a section of kernels for GPUs
// and registers none of them with the runtime of the program.
#include "cuda/kernel.h"

[[gnu::section(".nv_fatbin"), gnu::used]] static const char image[16] = "kernels";

extern "C" [[gnu::visibility("default")]] const abn_variant* abn_plugin(uint32_t) {
  return nullptr;
}
