// What the strangers share: how a kernel is launched, and the table of a plug-in. Under nvcc a
// launch is <<<>>>. A host compiler sees the host code alone; it takes the kernels from PTX text,
// the file PTX_FILE, that nvcc made of the same source, so that machines without nvcc judge them.
// PLANTED chooses one of the bugs that a stranger lists; 0 is none.
#pragma once

#include <cstdint>

#include "cuda/kernel.h"

#ifndef PLANTED
#define PLANTED 0
#endif

#ifdef __CUDACC__

#define STRANGER_LAUNCH(kernel, grid, block, stream, ...)                      \
  (kernel<<<grid, block, 0, static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__), \
   cudaGetLastError() == cudaSuccess)
#define STRANGER_CLEAR(data, bytes, stream) \
  (cudaMemsetAsync(data, 0, bytes, static_cast<cudaStream_t>(stream)) == cudaSuccess)

#else

#include <cstdio>
#include <type_traits>

#include "cuda/ptx/ptx.h"

#define __global__

struct dim3 {
  unsigned x, y = 1, z = 1;
};

// There only where abn-verify runs with --device ptx.
extern "C" {
[[gnu::weak]] abn_ptx_module* abn_ptx_load(const char*, size_t, char*, size_t);
[[gnu::weak]] int abn_ptx_launch(abn_ptx_module*, const char*, const uint32_t*, const uint32_t*,
                                 const uint32_t*, uint32_t, void**);
[[gnu::weak]] int cudaMemsetAsync(void*, int, size_t, void*);
extern const char text_begin[], text_end[];
}
asm(".section .rodata\n.globl text_begin\n.hidden text_begin\ntext_begin:\n.incbin \"" PTX_FILE
    "\"\n.globl text_end\n.hidden text_end\ntext_end:\n.previous\n");

inline abn_ptx_module* module_of_text() {
  static abn_ptx_module* const loaded = [] {
    char why[512] = "";
    abn_ptx_module* const read =
        abn_ptx_load(text_begin, static_cast<size_t>(text_end - text_begin), why, sizeof why);
    if (read == nullptr) std::fprintf(stderr, "%s\n", why);
    return read;
  }();
  return loaded;
}

/// The arguments take the types of the kernel's parameters, as in a call.
template <class... P>
bool launch_text(void (*)(P...), const char* name, dim3 grid, dim3 block,
                 std::type_identity_t<P>... arguments) {
  void* pointers[] = {&arguments...};
  const uint32_t blocks[] = {grid.x, grid.y, grid.z}, threads[] = {block.x, block.y, block.z};
  return module_of_text() != nullptr &&
         abn_ptx_launch(module_of_text(), name, blocks, threads, nullptr, 0, pointers) == 0;
}

#define STRANGER_LAUNCH(kernel, grid, block, stream, ...) \
  launch_text(static_cast<decltype(&kernel)>(nullptr), #kernel, grid, block, __VA_ARGS__)
#define STRANGER_CLEAR(data, bytes, stream) (cudaMemsetAsync(data, 0, bytes, stream) == 0)

#endif

/// A problem with f32 parameters, leaky ReLU or identity and the plain scale, of this type and
/// layout.
inline bool stranger_knows(const abn_problem* p, int32_t dtype, int32_t layout) {
#ifndef __CUDACC__
  if (abn_ptx_load == nullptr) return false;
#endif
  return p->dtype == dtype && p->param_dtype == ABN_F32 && p->layout == layout &&
         p->scale == ABN_SCALE_SIGNED &&
         (p->activation == ABN_LEAKY_RELU || p->activation == ABN_IDENTITY);
}
inline float slope_of(const abn_problem* p) {
  return p->activation == ABN_IDENTITY ? 1 : static_cast<float>(p->activation_parameter);
}

#if PLANTED == 0
#define STRANGER_NAME(name) name
#else
#define STRANGER_TEXT(number) #number
#define STRANGER_NUMBER(number) STRANGER_TEXT(number)
#define STRANGER_NAME(name) name "_planted_" STRANGER_NUMBER(PLANTED)
#endif

/// The one variant of a plug-in, of the functions claims, workspace_bytes, forward and backward.
#define STRANGER_PLUGIN(name, summary)                                                            \
  static const abn_variant stranger = {ABN_ABI_VERSION, sizeof(abn_variant), STRANGER_NAME(name), \
                                       summary,         STRANGER_MEMORY,     0,                   \
                                       claims,          workspace_bytes,     forward,             \
                                       backward};                                                 \
  extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t i) {   \
    return i == 0 ? &stranger : nullptr;                                                          \
  }
#ifdef __CUDACC__
#define STRANGER_MEMORY ABN_MEMORY_CUDA
#else
#define STRANGER_MEMORY ABN_MEMORY_HOST
#endif
