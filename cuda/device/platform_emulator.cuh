// The helpers of platform.cuh on the emulator.
#pragma once

#include <bit>
#include <cstring>
#include <type_traits>

namespace abn::device {
inline namespace ABN_BUILD {

using emulator::Where;

template <class T>
T& dynamic_shared(Where where = Where::current()) {
  static_assert(alignof(T) <= 16);
  if (sizeof(T) > emulator::shared_bytes_of_block()) emulator::shared_too_small(sizeof(T), where);
  return *reinterpret_cast<T*>(emulator::shared_of_block());
}

template <class T>
__forceinline__ Vec16<T> load16(const T* p, Where where = Where::current()) {
  emulator::check_alignment(p, 16, where);
#ifdef ABN_SANITIZED
  return std::bit_cast<Vec16<T>>(emulator::load16_bits(p, where));
#else
  Vec16<T> value;
  std::memcpy(&value, p, sizeof value);
  return value;
#endif
}

template <class T>
__forceinline__ void store16_anywhere(T* p, const Vec16<T>& value, Where where = Where::current()) {
  emulator::check_alignment(p, 16, where);
#ifdef ABN_SANITIZED
  emulator::store16_bits(p, std::bit_cast<emulator::Bits16>(value), where);
#else
  std::memcpy(p, &value, sizeof value);
#endif
}

template <class T>
__forceinline__ void store16(T* p, const Vec16<T>& value, Where where = Where::current()) {
  emulator::check_global(p, where);
  store16_anywhere(p, value, where);
}

// A launch and the place that made it, which names a kernel that has no exported name.
struct LaunchSite {
  LaunchConfig config;
  Where where;
  LaunchSite(const LaunchConfig& c, Where w = Where::current()) : config(c), where(w) {}
  LaunchSite(dim3 grid, dim3 block, std::size_t shared_bytes = 0, void* stream = nullptr,
             const char* name = nullptr, dim3 cluster = 1, Where w = Where::current())
      : config{grid, block, shared_bytes, stream, name, cluster}, where(w) {}
};

template <class... P>
int launch_with(bool cooperative, const LaunchSite& site, void (*kernel)(P...),
                const std::type_identity_t<P>&... args) {
  // by value: every thread has parameters of its own
  const auto body = [kernel, args...] { kernel(args...); };
  const LaunchConfig& config = site.config;
  return emulator::launch(
      {.grid = config.grid,
       .block = config.block,
       .shared_bytes = config.shared_bytes,
       .cluster = config.cluster,
       .cooperative = cooperative,
       .name = config.name,
       .kernel = reinterpret_cast<const void*>(kernel),
       .body = [](const void* closure) { (*static_cast<decltype(body)*>(closure))(); },
       .closure = &body,
       .closure_bytes = sizeof body,
       .instrumented = emulator::instrumented,
       .where = site.where});
}

template <class... P>
int launch(const LaunchSite& site, void (*kernel)(P...), const std::type_identity_t<P>&... args) {
  return launch_with(false, site, kernel, args...);
}

template <class... P>
int launch_cooperative(const LaunchSite& site, void (*kernel)(P...),
                       const std::type_identity_t<P>&... args) {
  return launch_with(true, site, kernel, args...);
}

}  // namespace ABN_BUILD
}  // namespace abn::device
