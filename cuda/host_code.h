/* Which in-tree variants are plain code for the processor (cuda/cpu), and no kernels that the
 * emulator runs although their memory is ABN_MEMORY_HOST, too. */
#ifndef ABN_HOST_CODE_H
#define ABN_HOST_CODE_H

#include "cuda/registry.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1 for such a variant, else 0. It has no instrumented build and none for GPUs. */
int abn_is_host_code(const abn_variant* variant);

/* Called before main in the place of abn_register_variant; returns 0. */
int abn_register_host_code(const abn_variant* variant);

#ifdef __cplusplus
}
#endif

#endif
