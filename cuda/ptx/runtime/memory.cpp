// Memory, copies and sets. All memory is the host's; what cudaMalloc gives is known by its bounds
// and begins as NaN.
#include <cstdlib>
#include <cstring>

#include "cuda/ptx/read/refused.hpp"
#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/state.hpp"
#include "cuda/ptx/runtime/stream.hpp"

using namespace abn::ptx;
using namespace abn::ptx::runtime;

namespace {

constexpr std::size_t boundary = 256, apart = 256;

int allocate(void** to, std::size_t bytes) {
  *to = nullptr;
  if (bytes == 0 || in_error()) return remember(success);
  if (const int error = outside_of_captures(); error != success) return remember(error);
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
  if (const int error = outside_of_captures(); error != success) return remember(error);
  const std::lock_guard lock(state().guard);
  if (state().memory.find(reinterpret_cast<std::uint64_t>(memory)) == nullptr)
    return remember(invalid_value);
  state().memory.remove(reinterpret_cast<std::uint64_t>(memory), 1);
  std::free(memory);
  return remember(success);
}

/// Allocations in the order of a stream, as long as that is not captured.
int in_order(void* stream, const char* name) {
  const std::lock_guard lock(state().guard);
  const Stream* const one = stream_of(stream);
  if (one == nullptr || one->capture == nullptr) return success;
  one->capture->invalid = true;
  return refuse_launch(name, "not known",
                       "allocations of graphs are not known here; allocate before the capture",
                       not_supported);
}

int copy(void* to, const void* from, std::size_t bytes, int kind, void* stream = nullptr) {
  Copy one;
  one.to = to, one.from = from, one.width = bytes, one.kind = kind;
  return enqueue(stream, one);
}

int fill(void* to, int value, std::size_t bytes, void* stream = nullptr) {
  Fill one;
  one.to = to, one.value = static_cast<unsigned>(value), one.width = bytes;
  return enqueue(stream, one);
}

/// Is this memory of the GPU, as far as that is known?
bool is_known(const void* at, std::size_t bytes) {
  GlobalMemory& memory = state().memory;
  const auto begin = reinterpret_cast<std::uint64_t>(at);
  if (memory.empty()) return true;
  const Range* const range = memory.find(begin);
  return range != nullptr && bytes <= range->end - begin;
}

/// The shadow of watched memory from there on, null of other memory.
std::uint8_t* shadow_of(const void* at) {
  const auto begin = reinterpret_cast<std::uint64_t>(at);
  Range* const range = state().memory.find(begin);
  return range == nullptr || !range->watched ? nullptr
                                             : range->shadow.data() + (begin - range->begin);
}

int copy_row(std::byte* to, const std::byte* from, std::size_t bytes, int kind) {
  constexpr int to_device = 1, from_device = 2, on_device = 3;
  if ((kind == to_device || kind == on_device) && !is_known(to, bytes)) return invalid_value;
  if ((kind == from_device || kind == on_device) && !is_known(from, bytes)) return invalid_value;
  std::memmove(to, from, bytes);
  if (std::uint8_t* const shadow = shadow_of(to); shadow != nullptr && is_known(to, bytes)) {
    const std::uint8_t* const source = shadow_of(from);
    if (source != nullptr && is_known(from, bytes))
      std::memmove(shadow, source, bytes);  // what was never written stays so
    else
      std::memset(shadow, byte_written, bytes);
  }
  return success;
}

int fill_row(std::byte* to, const Fill& fill) {
  const std::size_t bytes = fill.width * fill.element_bytes;
  if (!is_known(to, bytes)) return invalid_value;
  for (std::size_t i = 0; i < fill.width; ++i)
    std::memcpy(to + i * fill.element_bytes, &fill.value, fill.element_bytes);
  if (std::uint8_t* const shadow = shadow_of(to)) std::memset(shadow, byte_written, bytes);
  return success;
}

}  // namespace

int abn::ptx::runtime::perform(const Copy& copy) {
  if (copy.width == 0) return success;
  for (std::size_t z = 0; z < copy.depth; ++z)
    for (std::size_t y = 0; y < copy.height; ++y)
      if (const int error = copy_row(
              static_cast<std::byte*>(copy.to) + z * copy.to_slice + y * copy.to_pitch,
              static_cast<const std::byte*>(copy.from) + z * copy.from_slice + y * copy.from_pitch,
              copy.width, copy.kind);
          error != success)
        return error;
  return success;
}

int abn::ptx::runtime::perform(const Fill& fill) {
  if (fill.width == 0) return success;
  for (std::size_t y = 0; y < fill.height; ++y)
    if (const int error = fill_row(static_cast<std::byte*>(fill.to) + y * fill.pitch, fill);
        error != success)
      return error;
  return success;
}

namespace {

void* symbol(const void* host) {
  const auto at = state().variables.find(host);
  if (at == state().variables.end()) return nullptr;
  try {
    return at->second.first->module().variable(at->second.second);
  } catch (const Refused&) {
    return nullptr;
  }
}

int copy_to_symbol(const void* host, const void* from, std::size_t bytes, std::size_t offset,
                   int kind, void* stream = nullptr) {
  void* const at = symbol(host);
  return at == nullptr ? remember(invalid_symbol)
                       : copy(static_cast<std::byte*>(at) + offset, from, bytes, kind, stream);
}
int copy_from_symbol(void* to, const void* host, std::size_t bytes, std::size_t offset, int kind,
                     void* stream = nullptr) {
  const void* const at = symbol(host);
  return at == nullptr ? remember(invalid_symbol)
                       : copy(to, static_cast<const std::byte*>(at) + offset, bytes, kind, stream);
}

}  // namespace

ABN_RUNTIME int cudaMalloc(void** to, std::size_t bytes) { return allocate(to, bytes); }
ABN_RUNTIME int cudaMallocAsync(void** to, std::size_t bytes, void* stream) {
  const int error = in_order(stream, "cudaMallocAsync");
  return error == success ? allocate(to, bytes) : remember(error);
}
ABN_RUNTIME int cudaMallocManaged(void** to, std::size_t bytes, unsigned) {
  return allocate(to, bytes);
}
ABN_RUNTIME int cudaMallocHost(void** to, std::size_t bytes) { return allocate(to, bytes); }
ABN_RUNTIME int cudaHostAlloc(void** to, std::size_t bytes, unsigned) {
  return allocate(to, bytes);
}
ABN_RUNTIME int cudaFree(void* memory) { return release(memory); }
ABN_RUNTIME int cudaFreeAsync(void* memory, void* stream) {
  const int error = in_order(stream, "cudaFreeAsync");
  return error == success ? release(memory) : remember(error);
}
ABN_RUNTIME int cudaFreeHost(void* memory) { return release(memory); }
ABN_RUNTIME int cudaMemcpy(void* to, const void* from, std::size_t bytes, int kind) {
  return copy(to, from, bytes, kind);
}
ABN_RUNTIME int cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, int kind,
                                void* stream) {
  return copy(to, from, bytes, kind, stream);
}
ABN_RUNTIME int cudaMemset(void* to, int value, std::size_t bytes) {
  return fill(to, value, bytes);
}
ABN_RUNTIME int cudaMemsetAsync(void* to, int value, std::size_t bytes, void* stream) {
  return fill(to, value, bytes, stream);
}
ABN_RUNTIME int cudaMemcpyToSymbol(const void* host, const void* from, std::size_t bytes,
                                   std::size_t offset, int kind) {
  return copy_to_symbol(host, from, bytes, offset, kind);
}
ABN_RUNTIME int cudaMemcpyToSymbolAsync(const void* host, const void* from, std::size_t bytes,
                                        std::size_t offset, int kind, void* stream) {
  return copy_to_symbol(host, from, bytes, offset, kind, stream);
}
ABN_RUNTIME int cudaMemcpyFromSymbol(void* to, const void* host, std::size_t bytes,
                                     std::size_t offset, int kind) {
  return copy_from_symbol(to, host, bytes, offset, kind);
}
ABN_RUNTIME int cudaMemcpyFromSymbolAsync(void* to, const void* host, std::size_t bytes,
                                          std::size_t offset, int kind, void* stream) {
  return copy_from_symbol(to, host, bytes, offset, kind, stream);
}
ABN_RUNTIME int cudaGetSymbolAddress(void** to, const void* host) {
  *to = symbol(host);
  return *to == nullptr ? remember(invalid_symbol) : remember(success);
}
ABN_RUNTIME int cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = std::size_t{80} << 30, *free = *total - (std::size_t{1} << 30);
  return remember(success);
}
