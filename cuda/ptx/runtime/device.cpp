// Devices, their properties and attributes, errors and versions.
#include "cuda/ptx/runtime/device.hpp"

#include <cstring>

#include "cuda/emulator/occupancy.hpp"
#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/state.hpp"
#include "cuda/ptx/runtime/stream.hpp"
#include "cuda/ptx/runtime/toolkits/toolkit.hpp"

using namespace abn::ptx::runtime;

namespace abn::ptx::runtime {

std::uint64_t blocks_at_once(std::uint64_t threads, std::size_t shared_bytes) {
  return emulator::blocks_per_multiprocessor(threads, shared_bytes);
}
std::uint64_t clusters_at_once(std::uint64_t size, std::uint64_t threads,
                               std::size_t shared_bytes) {
  return emulator::most_active_clusters(static_cast<unsigned>(size), threads, shared_bytes);
}

namespace {

constexpr std::uint64_t memory_bytes = std::uint64_t{80} << 30;

/// Attributes by cudaDeviceAttr.
constexpr struct {
  int attribute, value;
} attributes[] = {
    {1, 1024},        {2, 1024},   {3, 1024},    {4, 64},       {5, 0x7fffffff},  {6, 65535},
    {7, 65535},       {8, 49152},  {9, 65536},   {10, 32},      {11, 0x7fffffff}, {12, 65536},
    {13, 1980000},    {15, 1},     {16, 132},    {17, 0},       {18, 0},          {19, 1},
    {20, 0},          {31, 1},     {32, 1},      {36, 2619000}, {37, 5120},       {38, 52428800},
    {39, 2048},       {40, 3},     {41, 1},      {75, 9},       {76, 0},          {78, 1},
    {79, 1},          {80, 1},     {81, 233472}, {82, 65536},   {83, 1},          {84, 0},
    {86, 0},          {87, 2},     {88, 0},      {89, 1},       {90, 1},          {95, 1},
    {97, 232448},     {99, 1},     {100, 0},     {101, 0},      {106, 32},        {108, 33030144},
    {109, 134213632}, {111, 1024}, {115, 1},     {120, 1}};

/// Properties by their place in cudaDeviceProp of toolkit 13, and of 12 and 11, which begin alike:
/// that of 11 is shorter.
struct Layout {
  std::size_t bytes;
  bool older;
};
constexpr Layout layout_of(int toolkit) {
  return toolkit >= 13 ? Layout{1008, false} : Layout{toolkit == 12 ? 1032U : 728U, true};
}
template <class T>
struct Property {
  std::size_t offset, older;
  T value;
};
constexpr std::size_t nowhere = ~std::size_t{0};
constexpr Property<std::uint64_t> large_properties[] = {
    {288, 288, memory_bytes},  // totalGlobalMem
    {296, 296, 49152},         // sharedMemPerBlock
    {312, 312, 0x7fffffff},    // memPitch
    {352, 352, 65536},         // totalConstMem
    {368, 368, 512},           // textureAlignment
    {376, 376, 32},            // texturePitchAlignment
    {552, 568, 512},           // surfaceAlignment
    {624, 640, 233472},        // sharedMemPerMultiprocessor
    {672, 696, 232448},        // sharedMemPerBlockOptin
    {696, 720, 1024},          // reservedSharedMemPerBlock
};
constexpr Property<int> small_properties[] = {
    {304, 304, 65536},        // regsPerBlock
    {308, 308, 32},           // warpSize
    {320, 320, 1024},         // maxThreadsPerBlock
    {324, 324, 1024},         // maxThreadsDim
    {328, 328, 1024},         //
    {332, 332, 64},           //
    {336, 336, 0x7fffffff},   // maxGridSize
    {340, 340, 65535},        //
    {344, 344, 65535},        //
    {nowhere, 348, 1980000},  // clockRate
    {360, 360, 9},            // major
    {364, 364, 0},            // minor
    {nowhere, 384, 1},        // deviceOverlap
    {384, 388, 132},          // multiProcessorCount
    {392, 400, 1},            // canMapHostMemory
    {560, 576, 1},            // concurrentKernels
    {564, 580, 1},            // ECCEnabled
    {584, 600, 3},            // asyncEngineCount
    {588, 604, 1},            // unifiedAddressing
    {nowhere, 608, 2619000},  // memoryClockRate
    {592, 612, 5120},         // memoryBusWidth
    {596, 616, 52428800},     // l2CacheSize
    {600, 620, 33030144},     // persistingL2CacheMaxSize
    {604, 624, 2048},         // maxThreadsPerMultiProcessor
    {608, 628, 1},            // streamPrioritiesSupported
    {612, 632, 1},            // globalL1CacheSupported
    {616, 636, 1},            // localL1CacheSupported
    {632, 648, 65536},        // regsPerMultiprocessor
    {636, 652, 1},            // managedMemory
    {nowhere, 668, 2},        // singleToDoublePrecisionPerfRatio
    {668, 688, 1},            // cooperativeLaunch
    {688, 712, 32},           // maxBlocksPerMultiProcessor
    {748, 772, 1},            // clusterLaunch
};

template <class T, std::size_t count>
void put(std::byte* to, const Layout& layout, const Property<T> (&rows)[count]) {
  for (const auto& row : rows) {
    const std::size_t at = layout.older ? row.older : row.offset;
    if (at != nowhere && at + sizeof row.value <= layout.bytes)
      std::memcpy(to + at, &row.value, sizeof row.value);
  }
}

}  // namespace
}  // namespace abn::ptx::runtime

ABN_RUNTIME int cudaGetDevice(int* device) {
  *device = 0;
  return remember(success);
}
ABN_RUNTIME int cudaSetDevice(int device) {
  return device == 0 ? remember(success) : remember(invalid_device);
}
ABN_RUNTIME int cudaGetDeviceCount(int* count) {
  *count = 1;
  return remember(success);
}
ABN_RUNTIME int cudaDeviceGetAttribute(int* value, int attribute, int device) {
  if (device != 0) return remember(invalid_device);
  for (const auto& row : attributes)
    if (row.attribute == attribute) {
      *value = row.value;
      return remember(success);
    }
  return remember(invalid_value);
}
int abn_ptx_device_properties(void* to, int device, int toolkit) {
  if (device != 0) return remember(invalid_device);
  const Layout layout = layout_of(toolkit);
  auto* const bytes = static_cast<std::byte*>(to);
  std::memset(bytes, 0, layout.bytes);
  constexpr char name[] = "NVIDIA H100 (nominal), stood in for by abn-verify";
  std::memcpy(bytes, name, sizeof name);
  put(bytes, layout, large_properties), put(bytes, layout, small_properties);
  return remember(success);
}
ABN_RUNTIME int cudaDeviceSynchronize() { return wait_for_all(); }
ABN_RUNTIME int cudaDeviceReset() {
  state().context_error = success;
  return success;
}
ABN_RUNTIME int cudaDeviceSetLimit(int, std::size_t) { return remember(success); }
ABN_RUNTIME int cudaDeviceSetCacheConfig(int) { return remember(success); }
int abn_ptx_version(int* to, int version) {
  *to = version;
  return remember(success);
}
ABN_RUNTIME int cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0, *greatest = -5;
  return remember(success);
}

ABN_RUNTIME int cudaGetLastError() {
  const int error = remember(last_error());
  last_error() = success;
  return error;
}
ABN_RUNTIME int cudaPeekAtLastError() { return remember(last_error()); }

namespace {

constexpr struct {
  int error;
  const char *name, *text;
} errors[] = {
    {success, "cudaSuccess", "no error"},
    {invalid_value, "cudaErrorInvalidValue", "invalid argument"},
    {memory_allocation, "cudaErrorMemoryAllocation", "out of memory"},
    {invalid_configuration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {invalid_symbol, "cudaErrorInvalidSymbol", "invalid device symbol"},
    {invalid_device_function, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {invalid_device, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {invalid_kernel_image, "cudaErrorInvalidKernelImage", "device kernel image is invalid"},
    {invalid_handle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {illegal_state, "cudaErrorIllegalState", "the operation cannot be performed in this state"},
    {not_ready, "cudaErrorNotReady", "device not ready"},
    {illegal_address, "cudaErrorIllegalAddress", "an illegal memory access"},
    {launch_failure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cooperative_too_large, "cudaErrorCooperativeLaunchTooLarge",
     "too many blocks in cooperative launch"},
    {not_supported, "cudaErrorNotSupported", "operation not supported"},
    {capture_unsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {capture_invalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {capture_merge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {capture_unmatched, "cudaErrorStreamCaptureUnmatched", "capture was not ended in this stream"},
    {capture_unjoined, "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
    {capture_isolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {capture_implicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {captured_event, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {capture_wrong_thread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
    {graph_update_failure, "cudaErrorGraphExecUpdateFailure",
     "the graph update was not performed because it included changes which violated constraints"}};

}  // namespace

ABN_RUNTIME const char* cudaGetErrorName(int error) {
  for (const auto& row : errors)
    if (row.error == error) return row.name;
  return "unrecognized error code";
}
ABN_RUNTIME const char* cudaGetErrorString(int error) {
  for (const auto& row : errors)
    if (row.error == error) return row.text;
  return "unrecognized error code";
}
