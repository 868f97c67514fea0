// Devices, their properties and attributes, errors and versions.
#include "cuda/ptx/runtime/device.hpp"

#include <cstring>

#include "cuda/emulator/occupancy.hpp"
#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/state.hpp"

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
constexpr int version = 13000;

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

/// Properties by their place in cudaDeviceProp of toolkit 13.
template <class T>
struct Property {
  std::size_t offset;
  T value;
};
constexpr std::size_t property_bytes = 1008;
constexpr Property<std::uint64_t> large_properties[] = {
    {288, memory_bytes}, {296, 49152}, {312, 0x7fffffff}, {352, 65536},  {368, 512},
    {376, 32},           {552, 512},   {624, 233472},     {672, 232448}, {696, 1024}};
constexpr Property<int> small_properties[] = {
    {304, 65536},      {308, 32},       {320, 1024},  {324, 1024}, {328, 1024}, {332, 64},
    {336, 0x7fffffff}, {340, 65535},    {344, 65535}, {360, 9},    {364, 0},    {384, 132},
    {392, 1},          {560, 1},        {564, 1},     {584, 3},    {588, 1},    {592, 5120},
    {596, 52428800},   {600, 33030144}, {604, 2048},  {608, 1},    {612, 1},    {616, 1},
    {632, 65536},      {636, 1},        {668, 1},     {688, 32},   {748, 1}};

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
ABN_RUNTIME int cudaGetDeviceProperties(void* to, int device) {
  if (device != 0) return remember(invalid_device);
  auto* const bytes = static_cast<std::byte*>(to);
  std::memset(bytes, 0, property_bytes);
  constexpr char name[] = "NVIDIA H100 (nominal), stood in for by abn-verify";
  std::memcpy(bytes, name, sizeof name);
  for (const auto& row : large_properties) std::memcpy(bytes + row.offset, &row.value, 8);
  for (const auto& row : small_properties) std::memcpy(bytes + row.offset, &row.value, 4);
  return remember(success);
}
ABN_RUNTIME int cudaDeviceSynchronize() { return remember(success); }
ABN_RUNTIME int cudaDeviceReset() {
  state().context_error = success;
  return success;
}
ABN_RUNTIME int cudaDeviceSetLimit(int, std::size_t) { return remember(success); }
ABN_RUNTIME int cudaDeviceSetCacheConfig(int) { return remember(success); }
ABN_RUNTIME int cudaDriverGetVersion(int* to) {
  *to = version;
  return remember(success);
}
ABN_RUNTIME int cudaRuntimeGetVersion(int* to) {
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
    {not_ready, "cudaErrorNotReady", "device not ready"},
    {illegal_address, "cudaErrorIllegalAddress", "an illegal memory access"},
    {launch_failure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cooperative_too_large, "cudaErrorCooperativeLaunchTooLarge",
     "too many blocks in cooperative launch"},
    {not_supported, "cudaErrorNotSupported", "operation not supported"}};

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
