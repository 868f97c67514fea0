// The one header that a kernel source includes for its platform: under nvcc the toolkit, under a
// host compiler the emulator, and on both sides the same few helpers for what CUDA C++ says
// differently or not at all.
//
//   dynamic_shared<T>()           the block's dynamic shared memory as a struct T; there is no
//                                 static __shared__ here, since the emulator keeps several blocks
//                                 in flight
//   load16(p), store16(p, v)      one 16-byte access; p is aligned to 16 bytes, and Vec16<T> has T
//                                 lane[16 / sizeof(T)]. store16 is one to global memory and nothing
//                                 else; load16 reads shared memory, too
//   store16_anywhere(p, v)        16 bytes to either, in one store or several
//   launch(config, kernel, ...)   a launch on config.stream without any synchronisation; 0, or the
//                                 cudaError_t as an int. More than 48 KiB of shared memory are
//                                 opted in to. An empty grid is an error, as on any GPU.
//   ABN_VARIANT_MEMORY            where the pointers of a variant live that this build makes
//                                 (kernel.h)
//   launch_cooperative(...)       the same with all blocks resident:
//                                 cooperative_groups::this_grid().sync() may be used
// A config with a cluster launches clusters (compute capability 9.0; device/cluster.cuh).
#pragma once

#ifdef __CUDACC__
#ifndef ABN_BUILD
#define ABN_BUILD on_cuda
#endif
#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#else
#include "cuda/emulator/cooperative_groups.hpp"
#include "cuda/emulator/cuda.hpp"
#endif

#include <cstddef>

namespace abn::device {
inline namespace ABN_BUILD {

template <class T>
struct alignas(16) Vec16 {
  static_assert(16 % sizeof(T) == 0);
  T lane[16 / sizeof(T)];
};

struct LaunchConfig {
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  void* stream = nullptr;
  const char* name = nullptr;    // the kernel's, for the emulator's findings
  dim3 cluster = dim3(1, 1, 1);  // blocks of a cluster, at most 16; the grid is a multiple of it
};

}  // namespace ABN_BUILD
}  // namespace abn::device

#ifdef __CUDACC__
#define ABN_VARIANT_MEMORY ABN_MEMORY_CUDA
#include "cuda/device/platform_cuda.cuh"
#else
#define ABN_VARIANT_MEMORY ABN_MEMORY_HOST
#include "cuda/device/platform_emulator.cuh"
#endif
