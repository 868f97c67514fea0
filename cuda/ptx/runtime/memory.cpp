// Memory, copies and sets. All memory is the host's; what cudaMalloc gives is known by its bounds
// and begins as NaN.
#include <cstdlib>
#include <cstring>

#include "cuda/ptx/read/refused.hpp"
#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/state.hpp"

using namespace abn::ptx;
using namespace abn::ptx::runtime;

namespace {

constexpr std::size_t boundary = 256, apart = 256;

int allocate(void** to, std::size_t bytes) {
  *to = nullptr;
  if (bytes == 0 || in_error()) return remember(success);
  // Room between buffers, so that an overrun of one is not an access of the next.
  void* const memory =
      std::aligned_alloc(boundary, (bytes + apart + boundary - 1) / boundary * boundary);
  if (memory == nullptr) return remember(memory_allocation);
  std::memset(memory, 0xff, bytes);
  Range range;
  range.begin = reinterpret_cast<std::uint64_t>(memory), range.end = range.begin + bytes;
  range.name = "cudaMalloc of " + std::to_string(bytes) + " bytes";
  const std::lock_guard lock(state().guard);
  state().memory.add(range);
  *to = memory;
  return remember(success);
}

int release(void* memory) {
  if (memory == nullptr || in_error()) return remember(success);
  const std::lock_guard lock(state().guard);
  if (state().memory.find(reinterpret_cast<std::uint64_t>(memory)) == nullptr)
    return remember(invalid_value);
  state().memory.remove(reinterpret_cast<std::uint64_t>(memory), 1);
  std::free(memory);
  return remember(success);
}

int copy(void* to, const void* from, std::size_t bytes) {
  const std::lock_guard lock(state().guard);
  if (bytes > 0 && !in_error()) std::memmove(to, from, bytes);
  return remember(success);
}

int set(void* to, int value, std::size_t bytes) {
  const std::lock_guard lock(state().guard);
  if (bytes == 0 || in_error()) return remember(success);
  std::memset(to, value, bytes);
  const auto begin = reinterpret_cast<std::uint64_t>(to);
  if (Range* const range = state().memory.find(begin); range != nullptr && range->watched) {
    if (bytes > range->end - begin) return remember(invalid_value);
    std::memset(range->shadow.data() + (begin - range->begin), byte_written, bytes);
  }
  return remember(success);
}

void* symbol(const void* host) {
  const auto at = state().variables.find(host);
  if (at == state().variables.end()) return nullptr;
  try {
    return at->second.first->module().variable(at->second.second);
  } catch (const Refused&) {
    return nullptr;
  }
}

int copy_to_symbol(const void* host, const void* from, std::size_t bytes, std::size_t offset) {
  void* const at = symbol(host);
  return at == nullptr ? remember(invalid_symbol)
                       : copy(static_cast<std::byte*>(at) + offset, from, bytes);
}
int copy_from_symbol(void* to, const void* host, std::size_t bytes, std::size_t offset) {
  const void* const at = symbol(host);
  return at == nullptr ? remember(invalid_symbol)
                       : copy(to, static_cast<const std::byte*>(at) + offset, bytes);
}

}  // namespace

ABN_RUNTIME int cudaMalloc(void** to, std::size_t bytes) { return allocate(to, bytes); }
ABN_RUNTIME int cudaMallocAsync(void** to, std::size_t bytes, void*) { return allocate(to, bytes); }
ABN_RUNTIME int cudaMallocManaged(void** to, std::size_t bytes, unsigned) {
  return allocate(to, bytes);
}
ABN_RUNTIME int cudaMallocHost(void** to, std::size_t bytes) { return allocate(to, bytes); }
ABN_RUNTIME int cudaHostAlloc(void** to, std::size_t bytes, unsigned) {
  return allocate(to, bytes);
}
ABN_RUNTIME int cudaFree(void* memory) { return release(memory); }
ABN_RUNTIME int cudaFreeAsync(void* memory, void*) { return release(memory); }
ABN_RUNTIME int cudaFreeHost(void* memory) { return release(memory); }
ABN_RUNTIME int cudaMemcpy(void* to, const void* from, std::size_t bytes, int) {
  return copy(to, from, bytes);
}
ABN_RUNTIME int cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, int, void*) {
  return copy(to, from, bytes);
}
ABN_RUNTIME int cudaMemset(void* to, int value, std::size_t bytes) { return set(to, value, bytes); }
ABN_RUNTIME int cudaMemsetAsync(void* to, int value, std::size_t bytes, void*) {
  return set(to, value, bytes);
}
ABN_RUNTIME int cudaMemcpyToSymbol(const void* host, const void* from, std::size_t bytes,
                                   std::size_t offset, int) {
  return copy_to_symbol(host, from, bytes, offset);
}
ABN_RUNTIME int cudaMemcpyToSymbolAsync(const void* host, const void* from, std::size_t bytes,
                                        std::size_t offset, int, void*) {
  return copy_to_symbol(host, from, bytes, offset);
}
ABN_RUNTIME int cudaMemcpyFromSymbol(void* to, const void* host, std::size_t bytes,
                                     std::size_t offset, int) {
  return copy_from_symbol(to, host, bytes, offset);
}
ABN_RUNTIME int cudaMemcpyFromSymbolAsync(void* to, const void* host, std::size_t bytes,
                                          std::size_t offset, int, void*) {
  return copy_from_symbol(to, host, bytes, offset);
}
ABN_RUNTIME int cudaGetSymbolAddress(void** to, const void* host) {
  *to = symbol(host);
  return *to == nullptr ? remember(invalid_symbol) : remember(success);
}
ABN_RUNTIME int cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = std::size_t{80} << 30, *free = *total - (std::size_t{1} << 30);
  return remember(success);
}
