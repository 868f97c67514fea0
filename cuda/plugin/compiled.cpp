// What turns the in-tree variants, compiled for GPUs, into a plug-in: all that were registered.
#include "cuda/registry.h"

extern "C" const abn_variant* abn_plugin(uint32_t index) { return abn_in_tree_variant(index); }
