// The runtime's structs as the stand-in lays them out, held against the toolkit's public headers.
// Only where there is a toolkit.
#include <gtest/gtest.h>

#include <cstddef>

#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/work.hpp"

#if __has_include(<driver_types.h>)
#include <driver_types.h>

extern "C" int cudaGetDeviceProperties(void*, int);

namespace {

namespace runtime = abn::ptx::runtime;

TEST(PtxRuntimeLayout, StructsAreTheToolkits) {
  EXPECT_EQ(sizeof(runtime::LaunchConfig), sizeof(cudaLaunchConfig_t));
  EXPECT_EQ(offsetof(runtime::LaunchConfig, attributes), offsetof(cudaLaunchConfig_t, attrs));
  EXPECT_EQ(offsetof(runtime::LaunchConfig, count), offsetof(cudaLaunchConfig_t, numAttrs));
  EXPECT_EQ(sizeof(runtime::LaunchAttribute), sizeof(cudaLaunchAttribute));
  EXPECT_EQ(offsetof(runtime::LaunchAttribute, value), offsetof(cudaLaunchAttribute, val));
  EXPECT_EQ(int{runtime::attribute_cluster}, int{cudaLaunchAttributeClusterDimension});
  EXPECT_EQ(int{runtime::attribute_cooperative}, int{cudaLaunchAttributeCooperative});
  EXPECT_EQ(sizeof(runtime::KernelNodeParams), sizeof(cudaKernelNodeParams));
  EXPECT_EQ(offsetof(runtime::KernelNodeParams, shared),
            offsetof(cudaKernelNodeParams, sharedMemBytes));
  EXPECT_EQ(offsetof(runtime::KernelNodeParams, arguments),
            offsetof(cudaKernelNodeParams, kernelParams));
  EXPECT_EQ(sizeof(runtime::MemsetParams), sizeof(cudaMemsetParams));
  EXPECT_EQ(offsetof(runtime::MemsetParams, element_bytes),
            offsetof(cudaMemsetParams, elementSize));
  EXPECT_EQ(sizeof(runtime::Memcpy3dParams), sizeof(cudaMemcpy3DParms));
  EXPECT_EQ(offsetof(runtime::Memcpy3dParams, to), offsetof(cudaMemcpy3DParms, dstPtr));
  EXPECT_EQ(offsetof(runtime::Memcpy3dParams, kind), offsetof(cudaMemcpy3DParms, kind));
  EXPECT_EQ(sizeof(runtime::GraphUpdateResult), sizeof(cudaGraphExecUpdateResultInfo));
  EXPECT_EQ(sizeof(runtime::HostCall), sizeof(cudaHostNodeParams));
  EXPECT_EQ(int{runtime::capture_implicit}, int{cudaErrorStreamCaptureImplicit});
  EXPECT_EQ(int{runtime::capture_wrong_thread}, int{cudaErrorStreamCaptureWrongThread});
  EXPECT_EQ(int{runtime::graph_update_failure}, int{cudaErrorGraphExecUpdateFailure});
  EXPECT_EQ(int{runtime::illegal_state}, int{cudaErrorIllegalState});
  EXPECT_EQ(sizeof(runtime::FunctionAttributes), sizeof(cudaFuncAttributes));
  EXPECT_EQ(offsetof(runtime::FunctionAttributes, most_dynamic_shared),
            offsetof(cudaFuncAttributes, maxDynamicSharedSizeBytes));
}

TEST(PtxRuntimeLayout, PropertiesLieWhereTheToolkitReadsThem) {
  cudaDeviceProp p;
  ASSERT_EQ(cudaGetDeviceProperties(&p, 0), 0);
  EXPECT_EQ(p.warpSize, 32);
  EXPECT_EQ(p.multiProcessorCount, 132);
  EXPECT_EQ(p.major * 10 + p.minor, 90);
  EXPECT_EQ(p.maxThreadsPerBlock, 1024);
  EXPECT_EQ(p.maxThreadsDim[2], 64);
  EXPECT_EQ(p.maxGridSize[1], 65535);
  EXPECT_EQ(p.maxThreadsPerMultiProcessor, 2048);
  EXPECT_EQ(p.sharedMemPerBlock, 49152U);
  EXPECT_EQ(p.sharedMemPerBlockOptin, 232448U);
  EXPECT_EQ(p.sharedMemPerMultiprocessor, 233472U);
  EXPECT_EQ(p.reservedSharedMemPerBlock, 1024U);
  EXPECT_EQ(p.regsPerBlock, 65536);
  EXPECT_EQ(p.regsPerMultiprocessor, 65536);
  EXPECT_EQ(p.maxBlocksPerMultiProcessor, 32);
  EXPECT_EQ(p.l2CacheSize, 52428800);
  EXPECT_EQ(p.cooperativeLaunch, 1);
  EXPECT_EQ(p.clusterLaunch, 1);
  EXPECT_EQ(p.concurrentKernels, 1);
  EXPECT_EQ(p.managedMemory, 1);
  EXPECT_EQ(p.asyncEngineCount, 3);
}

}  // namespace

#else

TEST(PtxRuntimeLayout, StructsAreTheToolkits) {
  GTEST_SKIP() << "there is no CUDA toolkit to hold them against; build where nvcc is on PATH";
}

#endif
