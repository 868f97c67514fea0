// What an instrumented kernel calls at every memory access: the functions that g++ and clang++
// insert under -fsanitize=thread, and what cuda.hpp and platform_emulator.cuh call in their place.
// The race detector that usually has these names is not linked.
//
// Nobody looks outside of a sanitised launch. In one, what lies between the hook's own frame and
// the end of a stack is a local variable.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cuda/emulator/sanitizer.hpp"

namespace abn::emulator {
namespace {

[[gnu::always_inline]] inline bool local(std::uintptr_t address) {
  return address - reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) < Stack::usable;
}

template <AccessKind Kind, int Exponent>
[[gnu::always_inline]] inline void at(const volatile void* pointer, std::uintptr_t return_address) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  Sanitizer* const sanitizer = watching;
  if (sanitizer == nullptr || local(address)) return;
  constexpr unsigned bytes = 1u << Exponent;
  if (address % bytes != 0) sanitizer->misaligned(address, bytes, return_address);
  sanitizer->access<Kind>(address, Exponent, return_address);
  if constexpr (Kind == AccessKind::volatile_read || Kind == AccessKind::volatile_write)
    sanitizer->order_volatile(address, Kind == AccessKind::volatile_write);
}

[[gnu::always_inline]] inline void range(const void* pointer, std::size_t bytes, bool write,
                                         std::uintptr_t return_address) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  Sanitizer* const sanitizer = watching;
  if (sanitizer == nullptr || local(address)) return;
  sanitizer->copy_access(address, bytes, write, return_address);
}

}  // namespace

// ---- what cuda.hpp calls

uint3 thread_index() { return current->index; }
uint3 block_index() { return current->block->index; }
uint3 block_dim() { return current->block->dim; }
uint3 grid_dim() { return current->block->grid; }
unsigned thread_rank() { return current->rank; }
std::uint64_t received() { return current->received; }
std::size_t shared_memory_bytes() { return current->block->shared_bytes; }
unsigned char* shared_memory() { return current->block->shared; }
void arrived(Arrival arrival) { arrive(arrival); }

Bits16 load16_bits(const void* pointer, Where where) {
  if (Sanitizer* const sanitizer = watching;
      sanitizer && !local(reinterpret_cast<std::uintptr_t>(pointer)))
    sanitizer->access<AccessKind::read>(
        reinterpret_cast<std::uintptr_t>(pointer), 4,
        reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)), &where);
  Bits16 bits;
  std::memcpy(&bits, pointer, sizeof bits);
  return bits;
}
void store16_bits(void* pointer, Bits16 bits, Where where) {
  if (Sanitizer* const sanitizer = watching;
      sanitizer && !local(reinterpret_cast<std::uintptr_t>(pointer)))
    sanitizer->access<AccessKind::write>(
        reinterpret_cast<std::uintptr_t>(pointer), 4,
        reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)), &where);
  std::memcpy(pointer, &bits, sizeof bits);
}

std::uint64_t atomic_load(const void* pointer, std::size_t size, Where where) {
  if (Sanitizer* const sanitizer = watching)
    sanitizer->atomic(reinterpret_cast<std::uintptr_t>(pointer), size == 8 ? 3 : 2,
                      reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)), where);
  std::uint64_t bits = 0;
  std::memcpy(&bits, pointer, size);
  return bits;
}
void atomic_store(void* pointer, std::size_t size, std::uint64_t bits) {
  std::memcpy(pointer, &bits, size);
}

}  // namespace abn::emulator

// ---- what the compilers insert

using abn::emulator::AccessKind;

#define ABN_RETURN_ADDRESS reinterpret_cast<std::uintptr_t>(__builtin_return_address(0))
#define ABN_HOOK(name, kind, exponent)                                          \
  void __tsan_##name(void* pointer) {                                           \
    abn::emulator::at<AccessKind::kind, exponent>(pointer, ABN_RETURN_ADDRESS); \
  }
#define ABN_HOOKS(bytes, exponent)                        \
  ABN_HOOK(read##bytes, read, exponent)                   \
  ABN_HOOK(write##bytes, write, exponent)                 \
  ABN_HOOK(volatile_read##bytes, volatile_read, exponent) \
  ABN_HOOK(volatile_write##bytes, volatile_write, exponent)
#define ABN_RANGE_HOOKS(bytes)                                       \
  void __tsan_unaligned_read##bytes(void* pointer) {                 \
    abn::emulator::range(pointer, bytes, false, ABN_RETURN_ADDRESS); \
  }                                                                  \
  void __tsan_unaligned_write##bytes(void* pointer) {                \
    abn::emulator::range(pointer, bytes, true, ABN_RETURN_ADDRESS);  \
  }                                                                  \
  void __tsan_unaligned_volatile_read##bytes(void* pointer) {        \
    abn::emulator::range(pointer, bytes, false, ABN_RETURN_ADDRESS); \
  }                                                                  \
  void __tsan_unaligned_volatile_write##bytes(void* pointer) {       \
    abn::emulator::range(pointer, bytes, true, ABN_RETURN_ADDRESS);  \
  }

extern "C" {

ABN_HOOKS(1, 0)
ABN_HOOKS(2, 1)
ABN_HOOKS(4, 2)
ABN_HOOKS(8, 3)
ABN_HOOKS(16, 4)
ABN_RANGE_HOOKS(2)
ABN_RANGE_HOOKS(4)
ABN_RANGE_HOOKS(8)
ABN_RANGE_HOOKS(16)

void __tsan_read_range(void* pointer, std::size_t bytes) {
  abn::emulator::range(pointer, bytes, false, ABN_RETURN_ADDRESS);
}
void __tsan_write_range(void* pointer, std::size_t bytes) {
  abn::emulator::range(pointer, bytes, true, ABN_RETURN_ADDRESS);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}
std::uint8_t __tsan_atomic8_load(const volatile std::uint8_t* pointer, int) {
  return __atomic_load_n(pointer, __ATOMIC_SEQ_CST);
}

// memcpy and its kin of instrumented files; cuda.hpp gives them these names there.
void* abn_sanitized_memcpy(void* to, const void* from, std::size_t bytes) {
  abn::emulator::range(from, bytes, false, ABN_RETURN_ADDRESS);
  abn::emulator::range(to, bytes, true, ABN_RETURN_ADDRESS);
  return std::memcpy(to, from, bytes);
}
void* abn_sanitized_memmove(void* to, const void* from, std::size_t bytes) {
  abn::emulator::range(from, bytes, false, ABN_RETURN_ADDRESS);
  abn::emulator::range(to, bytes, true, ABN_RETURN_ADDRESS);
  return std::memmove(to, from, bytes);
}
void* abn_sanitized_memset(void* to, int value, std::size_t bytes) {
  abn::emulator::range(to, bytes, true, ABN_RETURN_ADDRESS);
  return std::memset(to, value, bytes);
}

}  // extern "C"
