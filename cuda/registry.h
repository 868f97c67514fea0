/* The list of variants that were built with the project: each .cu file adds its own at start-up. */
#ifndef ABN_REGISTRY_H
#define ABN_REGISTRY_H

#include "cuda/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Variant `index` in order of name, emulated ones (ABN_MEMORY_HOST) before CUDA ones; NULL behind the last. */
const abn_variant* abn_in_tree_variant(uint32_t index);

/* Called before main by ABN_REGISTER_VARIANT; returns 0 so that it can initialise a variable. */
int abn_register_variant(const abn_variant* variant);

#ifdef __cplusplus
}
#endif

#endif
