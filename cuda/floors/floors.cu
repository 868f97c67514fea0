// The pace that no kernel of a tensor's size can beat: 16 bytes at a time from one place to
// another, and scaled where they lie. The second is what an in-place forward pass would be if its
// statistics cost nothing.
#include "cuda/registry.h"

#include "cuda/device/scalar.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace floors {

// 64 bytes of a thread, 32 KiB of a block, in flight at once
constexpr int threads = 512, bundle = 4;
constexpr float factor = -1;  // keeps the size of what is scaled over and over

constexpr int lanes = 4;

template <class Change>
__device__ __forceinline__ void each_window(const float* from, float* to, int64_t windows,
                                            Change change) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * (threads * bundle) + threadIdx.x;
  Vec16<float> values[bundle];
  ABN_UNROLL for (int u = 0; u < bundle; ++u) {
    if (first + u * threads < windows) values[u] = load16(from + (first + u * threads) * lanes);
  }
  ABN_UNROLL for (int u = 0; u < bundle; ++u) {
    if (first + u * threads < windows)
      store16(to + (first + u * threads) * lanes, change(values[u]));
  }
}

__global__ void __launch_bounds__(threads)
    copy_windows(const float* from, float* to, int64_t windows) {
  each_window(from, to, windows, [](const Vec16<float>& value) { return value; });
}
__global__ void __launch_bounds__(threads) scale_windows(float* data, int64_t windows) {
  each_window(data, data, windows, [](Vec16<float> value) {
    ABN_UNROLL for (int j = 0; j < lanes; ++j) value.lane[j] *= factor;
    return value;
  });
}

LaunchConfig config_of(int64_t windows, void* stream) {
  constexpr int64_t of_block = int64_t{threads} * bundle;
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>((windows + of_block - 1) / of_block));
  config.block = dim3(threads);
  config.stream = stream;
  return config;
}

int copy(void* to, const void* from, size_t bytes, void* stream) {
  const auto windows = static_cast<int64_t>(bytes / 16);
  return launch(config_of(windows, stream), copy_windows, static_cast<const float*>(from),
                static_cast<float*>(to), windows);
}
int scale(void* data, size_t bytes, void* stream) {
  const auto windows = static_cast<int64_t>(bytes / 16);
  return launch(config_of(windows, stream), scale_windows, static_cast<float*>(data), windows);
}

const abn_floors kernels = {ABN_VARIANT_MEMORY, copy, scale};
[[maybe_unused]] const int registered = abn_register_floors(&kernels);

}  // namespace floors
}  // namespace ABN_BUILD
}  // namespace abn::device
