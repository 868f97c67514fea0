// Acquire and release: plain loads and stores on this machine, and edges of the sanitiser's order.
#include <cstring>

#include "cuda/emulator/engine_acquire_release.hpp"
#include "cuda/emulator/sanitizer.hpp"

namespace abn::emulator {
namespace {

Thread& self() { return *static_cast<Thread*>(current); }
std::uintptr_t number(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }
bool in_shared(const void* address) { return self().home().owns(address); }

}  // namespace

void release_at(const void* address) {
  if (watching) watching->order.release_at(self(), number(address), in_shared(address));
}

std::uint32_t load_and_acquire(const void* address, Where where) {
  if (Sanitizer* sanitizer = watching) {
    sanitizer->access_by_call<AccessKind::volatile_read>(address, 2, where);
    sanitizer->order.acquire_at(self(), number(address));
  }
  std::uint32_t value;
  std::memcpy(&value, address, sizeof value);
  return value;
}

bool store_and_release(void* address, std::uint32_t value, Where where) {
  if (watching) watching->access_by_call<AccessKind::volatile_write>(address, 2, where);
  release_at(address);
  const bool changed = std::memcmp(address, &value, sizeof value) != 0;
  std::memcpy(address, &value, sizeof value);
  return changed;
}

}  // namespace abn::emulator
