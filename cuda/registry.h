/* The list of variants that were built with the project: each .cu file adds its own at start-up. */
#ifndef ABN_REGISTRY_H
#define ABN_REGISTRY_H

#include "cuda/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Variant `index` in order of name, emulated ones (ABN_MEMORY_HOST) before CUDA ones; NULL behind the last. */
const abn_variant* abn_in_tree_variant(uint32_t index);

/* The same variant compiled for Session::sanitize of cuda/emulator/report.h: its twin by name, or NULL if there is none. */
const abn_variant* abn_instrumented_variant(const char* name);

/* Called before main by ABN_REGISTER_VARIANT; returns 0 so that it can initialise a variable. */
int abn_register_variant(const abn_variant* variant);
int abn_register_instrumented_variant(const abn_variant* variant);

#ifdef __cplusplus
}
#endif

#endif
