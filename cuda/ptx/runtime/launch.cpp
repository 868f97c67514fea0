// Launches and what is asked about kernels.
#include <algorithm>
#include <cstring>
#include <vector>

#include "cuda/ptx/read/refused.hpp"
#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/device.hpp"
#include "cuda/ptx/runtime/state.hpp"
#include "cuda/ptx/runtime/stream.hpp"
#include "cuda/ptx/runtime/toolkits/toolkit.hpp"

using namespace abn::ptx;
using namespace abn::ptx::runtime;

namespace {

/// The configurations of <<<>>> that were pushed and not yet popped, by this thread.
struct Pushed {
  Dim3 grid, block;
  std::size_t shared;
  void* stream;
};
thread_local std::vector<Pushed> pushed;

Function* function_of(const void* stub) {
  const auto at = state().functions.find(stub);
  return at == state().functions.end() ? nullptr : &at->second;
}

Size3 size_of(const Dim3& size) { return {size.x, size.y, size.z}; }

int launch_function(const void* stub, const Dim3& grid, const Dim3& block, const Dim3& cluster,
                    std::size_t shared, bool cooperative, void** arguments, void* stream) {
  const std::lock_guard lock(state().guard);
  if (in_error()) return remember(success);
  KernelLaunch one;
  const int error = make_launch(stub, grid, block, cluster, shared, cooperative, arguments, one);
  return error == success ? enqueue(stream, std::move(one)) : remember(error);
}

}  // namespace

int abn::ptx::runtime::make_launch(const void* stub, const Dim3& grid, const Dim3& block,
                                   const Dim3& cluster, std::size_t shared, bool cooperative,
                                   void** arguments, KernelLaunch& to) {
  const Function* const function = function_of(stub);
  if (function == nullptr) return invalid_device_function;
  to.function = *function;
  Configuration& how = to.how;
  how.grid = size_of(grid), how.block = size_of(block), how.cluster = size_of(cluster);
  how.cooperative = cooperative;
  how.dynamic_shared = static_cast<std::uint32_t>(std::min<std::size_t>(shared, 1U << 30));
  const auto refuse = [&](const std::string& why, int error) {
    return refuse_launch(function->name, abn::emulator::launch_configuration, why, error);
  };
  if (shared > static_cast<std::size_t>(function->most_dynamic_shared))
    return refuse(std::to_string(shared) +
                      " bytes of dynamic shared memory without cudaFuncSetAttribute of "
                      "cudaFuncAttributeMaxDynamicSharedMemorySize; opt in to them",
                  invalid_value);
  if (how.cluster.count() > 8 && !function->non_portable_cluster)
    return refuse(
        "a cluster of more than 8 blocks without "
        "cudaFuncAttributeNonPortableClusterSizeAllowed; opt in to it",
        invalid_value);
  if (cooperative &&
      how.grid.count() > nominal_multiprocessors * blocks_at_once(how.block.count(), shared))
    return refuse("more blocks than an H100 holds at once, of a cooperative launch; use fewer",
                  cooperative_too_large);
  try {
    how.parameters = parameters_of(function->image->module(), function->name, arguments);
    return success;
  } catch (const Refused& why) {
    return refuse_launch(function->name, "not known", why.what(), invalid_kernel_image);
  }
}

ABN_RUNTIME unsigned __cudaPushCallConfiguration(Dim3 grid, Dim3 block, std::size_t shared,
                                                 void* stream) {
  pushed.push_back({grid, block, shared, stream});
  return 0;
}

ABN_RUNTIME int __cudaPopCallConfiguration(Dim3* grid, Dim3* block, std::size_t* shared,
                                           void* stream) {
  if (pushed.empty()) return remember(invalid_configuration);
  *grid = pushed.back().grid, *block = pushed.back().block, *shared = pushed.back().shared;
  *static_cast<void**>(stream) = pushed.back().stream;
  pushed.pop_back();
  return success;
}

ABN_RUNTIME int __cudaGetKernel(const void** kernel, const void* stub) {
  *kernel = stub;
  return success;
}

ABN_RUNTIME int cudaLaunchKernel(const void* stub, Dim3 grid, Dim3 block, void** arguments,
                                 std::size_t shared, void* stream) {
  return launch_function(stub, grid, block, {1, 1, 1}, shared, false, arguments, stream);
}

ABN_RUNTIME int __cudaLaunchKernel(const void* kernel, Dim3 grid, Dim3 block, void** arguments,
                                   std::size_t shared, void* stream) {
  return launch_function(kernel, grid, block, {1, 1, 1}, shared, false, arguments, stream);
}

ABN_RUNTIME int cudaLaunchCooperativeKernel(const void* stub, Dim3 grid, Dim3 block,
                                            void** arguments, std::size_t shared, void* stream) {
  return launch_function(stub, grid, block, {1, 1, 1}, shared, true, arguments, stream);
}

ABN_RUNTIME int cudaLaunchKernelExC(const LaunchConfig* config, const void* stub,
                                    void** arguments) {
  Dim3 cluster{1, 1, 1};
  bool cooperative = false;
  for (unsigned i = 0; i < config->count; ++i) {
    const LaunchAttribute& one = config->attributes[i];
    if (one.id == attribute_cooperative) cooperative = one.value.cooperative != 0;
    if (one.id == attribute_cluster) cluster = one.value.cluster;
  }
  return launch_function(stub, config->grid, config->block, cluster, config->dynamic_shared,
                         cooperative, arguments, config->stream);
}

ABN_RUNTIME int cudaFuncSetAttribute(const void* stub, int attribute, int value) {
  constexpr int dynamic_shared = 8, carveout = 9, non_portable = 14;
  const std::lock_guard lock(state().guard);
  Function* const function = function_of(stub);
  if (function == nullptr) return remember(invalid_device_function);
  if (attribute == dynamic_shared) {
    if (value < 0 || value > static_cast<int>(nominal_shared_per_block))
      return remember(invalid_value);
    function->most_dynamic_shared = value;
  } else if (attribute == non_portable) {
    function->non_portable_cluster = value != 0;
  } else if (attribute != carveout) {
    return remember(invalid_value);
  }
  return remember(success);
}

ABN_RUNTIME int cudaFuncSetCacheConfig(const void*, int) { return remember(success); }

int abn_ptx_function_attributes(void* to, std::size_t bytes, const void* stub) {
  const std::lock_guard lock(state().guard);
  Function* const function = function_of(stub);
  if (function == nullptr) return remember(invalid_device_function);
  try {
    const Program& program = function->image->module().program(function->name);
    FunctionAttributes found = {};
    found.shared_bytes = program.static_shared, found.local_bytes = program.local_bytes;
    found.most_threads =
        program.kernel->most_threads != 0 ? static_cast<int>(program.kernel->most_threads) : 1024;
    found.registers = 32, found.ptx_version = found.binary_version = 90;
    found.most_dynamic_shared = function->most_dynamic_shared;
    std::memcpy(to, &found, std::min(bytes, sizeof found));
    return remember(success);
  } catch (const Refused&) {
    return remember(invalid_device_function);
  }
}

ABN_RUNTIME int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*,
                                                                       int threads,
                                                                       std::size_t shared,
                                                                       unsigned) {
  *blocks = static_cast<int>(blocks_at_once(static_cast<std::uint64_t>(threads), shared));
  return remember(success);
}

ABN_RUNTIME int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* stub,
                                                              int threads, std::size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, stub, threads, shared, 0);
}

ABN_RUNTIME int cudaOccupancyMaxActiveClusters(int* clusters, const void*,
                                               const LaunchConfig* config) {
  std::uint64_t size = 1;
  for (unsigned i = 0; i < config->count; ++i)
    if (config->attributes[i].id == attribute_cluster)
      size = size_of(config->attributes[i].value.cluster).count();
  *clusters = static_cast<int>(
      clusters_at_once(size, size_of(config->block).count(), config->dynamic_shared));
  return remember(success);
}
