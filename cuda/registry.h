/* The list of variants that were built with the project: each .cu file adds its own at start-up. */
#ifndef ABN_REGISTRY_H
#define ABN_REGISTRY_H

#include "cuda/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Variant `index` in order of name, emulated ones (ABN_MEMORY_HOST) before CUDA ones; NULL behind
 * the last. */
const abn_variant* abn_in_tree_variant(uint32_t index);

/* The instrumented build of the variant of that name, compiled for Session::sanitize of
 * cuda/emulator/report.h; NULL if there is none. */
const abn_variant* abn_instrumented_variant(const char* name);

/* Kernels that set the pace for all others (cuda/floors): a copy, and a scaling in place. `bytes`
 * is a multiple of 16 and not 0, pointers are aligned to 16 bytes; 0, or the runtime's error. */
typedef struct abn_floors {
  int32_t memory; /* ABN_MEMORY_HOST or ABN_MEMORY_CUDA */
  int (*copy)(void* to, const void* from, size_t bytes, void* stream);
  int (*scale)(void* data, size_t bytes, void* stream);
} abn_floors;

/* Those of a memory, or NULL where this build has none. */
const abn_floors* abn_in_tree_floors(int32_t memory);
int abn_register_floors(const abn_floors* floors);

/* Called before main by ABN_REGISTER_VARIANT; returns 0 so that it can initialise a variable. */
int abn_register_variant(const abn_variant* variant);
int abn_register_instrumented_variant(const abn_variant* variant);

#ifdef __cplusplus
}
#endif

#endif
