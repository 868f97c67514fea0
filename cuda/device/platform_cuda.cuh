// The helpers of platform.cuh on a GPU.
#pragma once

#include <cstring>
#include <utility>

namespace abn::device {
inline namespace ABN_BUILD {

extern __shared__ uint4 dynamic_arena[];  // uint4 for its alignment of 16 bytes

template <class T>
__device__ __forceinline__ T& dynamic_shared() {
  static_assert(alignof(T) <= alignof(uint4));
  return *reinterpret_cast<T*>(dynamic_arena);
}

// Through uint4, because nvcc splits the copy of a struct of small elements.
template <class T>
__device__ __forceinline__ Vec16<T> load16(const T* p) {
  const uint4 bits = *reinterpret_cast<const uint4*>(p);
  Vec16<T> value;
  memcpy(&value, &bits, sizeof bits);
  return value;
}

template <class T>
__device__ __forceinline__ void store16(T* p, const Vec16<T>& value) {
  uint4 bits;
  memcpy(&bits, &value, sizeof bits);
  __stwb(reinterpret_cast<uint4*>(p), bits);  // a plain store may be split into narrower ones
}

template <class... P, class... A>
int launch_with(bool cooperative, const LaunchConfig& config, void (*kernel)(P...), A&&... args) {
  constexpr std::size_t without_opt_in = 48 * 1024;
  if (config.shared_bytes > without_opt_in) {
    if (config.shared_bytes > 0x7fffffff) return cudaErrorInvalidValue;
    const cudaError_t error =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(config.shared_bytes));
    if (error != cudaSuccess) return cudaGetLastError(), error;
  }
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = cooperative ? 1 : 0;
  cudaLaunchConfig_t launch_config{};
  launch_config.gridDim = config.grid;
  launch_config.blockDim = config.block;
  launch_config.dynamicSmemBytes = config.shared_bytes;
  launch_config.stream = static_cast<cudaStream_t>(config.stream);
  launch_config.attrs = &attribute;
  launch_config.numAttrs = cooperative ? 1 : 0;
  const cudaError_t error = cudaLaunchKernelEx(&launch_config, kernel, std::forward<A>(args)...);
  cudaGetLastError();  // the error is returned here and must not turn up again at somebody else's check
  return error;
}

template <class... P, class... A>
int launch(const LaunchConfig& config, void (*kernel)(P...), A&&... args) {
  return launch_with(false, config, kernel, std::forward<A>(args)...);
}

template <class... P, class... A>
int launch_cooperative(const LaunchConfig& config, void (*kernel)(P...), A&&... args) {
  return launch_with(true, config, kernel, std::forward<A>(args)...);
}

}  // namespace ABN_BUILD
}  // namespace abn::device
