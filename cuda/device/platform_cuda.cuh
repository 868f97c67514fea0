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
__device__ __forceinline__ void store16_anywhere(T* p, const Vec16<T>& value) {
  uint4 bits;
  memcpy(&bits, &value, sizeof bits);
  *reinterpret_cast<uint4*>(p) = bits;
}

template <class T>
__device__ __forceinline__ void store16(T* p, const Vec16<T>& value) {
  uint4 bits;
  memcpy(&bits, &value, sizeof bits);
  // st.global; a plain store may be split into narrower ones
  __stwb(reinterpret_cast<uint4*>(p), bits);
}

// A launch in the form that the runtime wants it, with what the kernel has to opt in to.
struct RuntimeLaunch {
  cudaLaunchConfig_t config{};
  cudaLaunchAttribute attributes[2]{};

  template <class... P>
  cudaError_t prepare(bool cooperative, const LaunchConfig& wanted, void (*kernel)(P...)) {
    constexpr std::size_t without_opt_in = 48 * 1024;
    constexpr unsigned portable_cluster = 8;
    const unsigned cluster = wanted.cluster.x * wanted.cluster.y * wanted.cluster.z;
    cudaError_t error = cudaSuccess;
    if (wanted.shared_bytes > 0x7fffffff) return cudaErrorInvalidValue;
    if (wanted.shared_bytes > without_opt_in)
      error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(wanted.shared_bytes));
    if (error == cudaSuccess && cluster > portable_cluster)
      error = cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
    config.gridDim = wanted.grid;
    config.blockDim = wanted.block;
    config.dynamicSmemBytes = wanted.shared_bytes;
    config.stream = static_cast<cudaStream_t>(wanted.stream);
    config.attrs = attributes;
    if (cooperative) {
      cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
      attribute.id = cudaLaunchAttributeCooperative;
      attribute.val.cooperative = 1;
    }
    if (cluster != 1) {
      cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
      attribute.id = cudaLaunchAttributeClusterDimension;
      attribute.val.clusterDim = {wanted.cluster.x, wanted.cluster.y, wanted.cluster.z};
    }
    return error;
  }
};

template <class... P, class... A>
int launch_with(bool cooperative, const LaunchConfig& config, void (*kernel)(P...), A&&... args) {
  RuntimeLaunch runtime;
  cudaError_t error = runtime.prepare(cooperative, config, kernel);
  if (error == cudaSuccess)
    error = cudaLaunchKernelEx(&runtime.config, kernel, std::forward<A>(args)...);
  // the error is returned here and must not turn up again at somebody else's check
  cudaGetLastError();
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
