// What a program that executes PTX sees of the executor: its sessions, and kernels handed over as
// text. The functions are those of libabn_ptx, the library that stands in for the CUDA runtime; a
// plug-in whose PTX does not come from nvcc (Triton, NVRTC, clang) may call abn_ptx_load() and
// abn_ptx_launch() by itself. Plain C, but for the report.
#ifndef ABN_PTX_H
#define ABN_PTX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where in their documented bounds approximate instructions end; ABN_PTX_FUSED: at the rounded true
 * value, and each mul and add without .rn that may become an fma is one. */
enum {
  ABN_PTX_NEAREST = 0,
  ABN_PTX_LOW = 1,
  ABN_PTX_HIGH = 2,
  ABN_PTX_HASHED = 3,
  ABN_PTX_FUSED = 4
};

typedef struct abn_ptx_module abn_ptx_module;

/* Reads PTX text. NULL where something is not known; `why` then has one sentence. */
abn_ptx_module* abn_ptx_load(const char* text, size_t bytes, char* why, size_t why_bytes);
void abn_ptx_unload(abn_ptx_module* module);

/* Runs a kernel to its end: 0, or a cudaError_t. arguments[i] points to parameter i. Sizes are x,
 * y, z; `cluster` may be NULL. */
int abn_ptx_launch(abn_ptx_module* module, const char* entry, const uint32_t* grid,
                   const uint32_t* block, const uint32_t* cluster, uint32_t shared_bytes,
                   void** arguments);

/* The cudaError_t of a kernel that has faulted, or 0. As on a GPU, nothing more can be launched in
 * this process then. */
int abn_ptx_context_error(void);

/* The text of the last finding of any launch; "" where there was none. */
const char* abn_ptx_last_finding(void);

/* Memory that launches may touch. As soon as there is some, all other addresses are findings. */
void abn_ptx_allow(const void* data, size_t bytes);
void abn_ptx_forbid(const void* data, size_t bytes);

/* Before kernels are loaded: those that are keep their fusing. */
void abn_ptx_set_approximation(int choice);

/* A session: launches follow its settings, and findings and counts go into its report. */
void abn_ptx_begin(uint64_t seed, int sanitize);
void abn_ptx_watch(const char* name, const void* data, size_t bytes, unsigned element_bytes,
                   int written, int writable);
/* `report` is an abn::emulator::Report of the same build. */
void abn_ptx_end(void* report);

/* Kernels that plug-ins have registered so far. */
size_t abn_ptx_kernels(void);

/* Counts of all launches since the last call: warp instructions, lane instructions, branches that
 * took two ways. */
void abn_ptx_take_counts(uint64_t counts[3]);

#ifdef __cplusplus
}
#endif

#endif
