// Thread block clusters (compute capability 9.0): blocks that run together and reach each other's
// shared memory.
//
//   this_cluster()                          cooperative_groups' cluster: sync(), barrier_arrive()
//                                           and barrier_wait(), block_rank(), num_blocks(),
//                                           map_shared_rank(pointer, rank); in an ordinary launch a
//                                           block is its own cluster. A peer's shared memory may be
//                                           used after one barrier of the cluster, before which the
//                                           peer need not have begun, and up to another, after
//                                           which it may return.
//   has_clusters()                          whether the device has them, and mbarriers and bulk
//                                           copies with them
//   max_active_clusters(config, kernel, n)  how many clusters of such a launch run at once; 0, or
//                                           the cudaError_t as an int
//   max_resident_blocks(config, kernel, n)  how many blocks a cooperative launch may have, of
//                                           clusters or not
//
// Built for older devices a block is its own cluster always; the runtime refuses to launch larger
// ones there.
#pragma once

#include "cuda/device/platform.cuh"

#ifndef __CUDACC__
#include "cuda/emulator/occupancy.hpp"
#endif

namespace abn::device {
inline namespace ABN_BUILD {

#ifdef __CUDACC__

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
__device__ __forceinline__ cooperative_groups::cluster_group this_cluster() {
  return cooperative_groups::this_cluster();
}
#else
struct ClusterOfOne {
  __device__ static void sync() { __syncthreads(); }
  __device__ static void barrier_arrive() {}
  __device__ static void barrier_wait() { __syncthreads(); }
  __device__ static unsigned block_rank() { return 0; }
  __device__ static unsigned num_blocks() { return 1; }
  template <class T>
  __device__ static T* map_shared_rank(T* address, int) {
    return address;
  }
};
__device__ __forceinline__ ClusterOfOne this_cluster() { return {}; }
#endif

inline bool has_clusters() {
  int device = 0, has = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&has, cudaDevAttrClusterLaunch, device) != cudaSuccess)
    has = 0;
  cudaGetLastError();
  return has != 0;
}

template <class... P>
int max_active_clusters(const LaunchConfig& config, void (*kernel)(P...), int& clusters) {
  RuntimeLaunch runtime;
  clusters = 0;
  cudaError_t error = runtime.prepare(false, config, kernel);
  if (error == cudaSuccess)
    error = cudaOccupancyMaxActiveClusters(&clusters, kernel, &runtime.config);
  cudaGetLastError();
  return error;
}

template <class... P>
int max_single_blocks(const LaunchConfig& config, void (*kernel)(P...), int& blocks) {
  RuntimeLaunch runtime;
  int device = 0, multiprocessors = 0, of_each = 0;
  cudaError_t error = runtime.prepare(true, config, kernel);
  if (error == cudaSuccess) error = cudaGetDevice(&device);
  if (error == cudaSuccess)
    error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  const int threads = static_cast<int>(config.block.x * config.block.y * config.block.z);
  if (error == cudaSuccess)
    error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&of_each, kernel, threads,
                                                          config.shared_bytes);
  cudaGetLastError();
  blocks = multiprocessors * of_each;
  return error;
}

#else

__forceinline__ cooperative_groups::cluster_group this_cluster() { return {}; }
inline bool has_clusters() { return true; }

// Every size that launch() would refuse has room for none.
template <class... P>
int max_active_clusters(const LaunchConfig& config, void (*)(P...), int& clusters) {
  clusters = static_cast<int>(emulator::most_active_clusters(
      config.cluster.x * config.cluster.y * config.cluster.z,
      config.block.x * config.block.y * config.block.z, config.shared_bytes));
  return clusters > 0 ? emulator::success : emulator::invalid_cluster_size;
}

template <class... P>
int max_single_blocks(const LaunchConfig& config, void (*)(P...), int& blocks) {
  blocks = static_cast<int>(emulator::most_resident_blocks(
      config.block.x * config.block.y * config.block.z, config.shared_bytes));
  return blocks > 0 ? emulator::success : emulator::invalid_value;
}

#endif

template <class... P>
int max_resident_blocks(const LaunchConfig& config, void (*kernel)(P...), int& blocks) {
  const auto cluster = static_cast<int>(config.cluster.x * config.cluster.y * config.cluster.z);
  if (cluster == 1) return max_single_blocks(config, kernel, blocks);
  const int error = max_active_clusters(config, kernel, blocks);
  blocks *= cluster;
  return error;
}

}  // namespace ABN_BUILD
}  // namespace abn::device
