// What the headers with inline PTX share. Only files in device/ contain PTX, behind named functions
// that the emulator has as well.
#pragma once

#include "cuda/device/platform.cuh"

#ifdef __CUDACC__

// Instructions of compute capability 9.0. Code built for older devices compiles and traps: the host
// launches it only where has_clusters() says yes.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
#define ABN_PTX_90(...) __trap()
#else
#define ABN_PTX_90(...) asm volatile(__VA_ARGS__)
#endif

namespace abn::device {
inline namespace ABN_BUILD {

// An address of shared memory as PTX wants it.
__device__ __forceinline__ unsigned shared_address(const void* shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

// The same place in the shared memory of another block of the cluster.
__device__ __forceinline__ unsigned peer_shared_address(const void* shared, int rank) {
  unsigned address = 0;
  ABN_PTX_90("mapa.shared::cluster.u32 %0, %1, %2;"
             : "=r"(address)
             : "r"(shared_address(shared)), "r"(rank));
  return address;
}

}  // namespace ABN_BUILD
}  // namespace abn::device

#endif
