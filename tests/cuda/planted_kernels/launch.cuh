// How the planted kernels are launched: on whichever machine the scene is. The emulator calls them
// where they are; the executor of compiled kernels runs what nvcc made of the same source, and
// knows it by the kernel's symbol, which is the same (planted.hpp).
#pragma once

#include <type_traits>

#include "cuda/device/platform.cuh"
#include "tests/cuda/planted_kernels/planted.hpp"

namespace abn::device {
inline namespace ABN_BUILD {

template <class... P>
void launch_in(tests::Scene& scene, const LaunchConfig& config, bool cooperative,
               void (*kernel)(P...), const std::type_identity_t<P>&... args) {
  const void* const arguments[] = {&args..., nullptr};
  const auto three = [](const dim3& size) { return tests::Launched::Size{size.x, size.y, size.z}; };
  scene.launch({three(config.grid), three(config.block), three(config.cluster), config.shared_bytes,
                cooperative, reinterpret_cast<const void*>(kernel), arguments},
               [&] {
                 if (cooperative)
                   static_cast<void>(launch_cooperative(config, kernel, args...));
                 else
                   static_cast<void>(launch(config, kernel, args...));
               });
}
template <class... P>
void launch_in(tests::Scene& scene, const LaunchConfig& config, void (*kernel)(P...),
               const std::type_identity_t<P>&... args) {
  launch_in(scene, config, false, kernel, args...);
}
template <class... P>
void launch_together_in(tests::Scene& scene, const LaunchConfig& config, void (*kernel)(P...),
                        const std::type_identity_t<P>&... args) {
  launch_in(scene, config, true, kernel, args...);
}

}  // namespace ABN_BUILD
}  // namespace abn::device
