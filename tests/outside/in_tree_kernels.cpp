// Names the in-tree kernels as a program sees them that links abn-verify::kernels, by the C ABI
// alone.
#include <cstdio>

#include "cuda/registry.h"

int main() {
  uint32_t count = 0;
  for (const abn_variant* variant; (variant = abn_in_tree_variant(count)) != nullptr; ++count)
    std::printf("%s (%s)\n", variant->name,
                variant->memory == ABN_MEMORY_HOST ? "host memory" : "CUDA memory");
  return count > 0 ? 0 : 1;
}
