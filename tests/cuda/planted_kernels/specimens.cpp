// The kernels of specimens.hpp.
#include "tests/cuda/planted_kernels/specimens.hpp"

#include <cstring>

#include "cuda/device/platform.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace {

constexpr unsigned threads = 64;
__device__ unsigned index() { return blockIdx.x * blockDim.x + threadIdx.x; }
unsigned blocks_for(unsigned items) { return (items + threads - 1) / threads; }

__global__ void copy_kernel(const float* from, float* to, unsigned count) {
  if (index() < count) to[index()] = from[index()];
}
__global__ void copy_wide_kernel(const float* from, float* to, unsigned count) {
  const unsigned i = index() * 4;
  if (i < count) store16(to + i, load16(from + i));
}
__global__ void copy_strided_kernel(const float* from, float* to, unsigned count) {
  const unsigned i = threadIdx.x * gridDim.x + blockIdx.x;
  if (i < count) to[i] = from[i];
}
struct Triple {
  float value[3];
};
__global__ void copy_structs_kernel(const Triple* from, Triple* to, unsigned count) {
  if (index() < count) to[index()] = from[index()];
}
__global__ void copy_bytes_kernel(const float* from, float* to, unsigned bytes) {
  memcpy(to, from, bytes);
}
__global__ void clear_kernel(float* to, unsigned bytes) { memset(to, 0, bytes); }
__global__ void count_kernel(unsigned* counter) { atomicAdd(counter, 1u); }
__global__ void uneven_kernel(const float* from, float* to) {
  for (unsigned i = 0; i < threadIdx.x % 4 + 1; ++i)
    to[threadIdx.x * 4 + i] = from[threadIdx.x * 4 + i];
}
__global__ void taking_turns_kernel(const float* from, float* to) {
  for (unsigned turn = 0; turn < 2; ++turn) {
    if (threadIdx.x % 2 == turn) to[threadIdx.x] = from[threadIdx.x];
    __syncwarp();
  }
}
__global__ void wide_read_of_one_write_kernel(float* to) {
  if (blockIdx.x == 0)
    to[6] = 1;
  else
    to[0] = load16(to + 4).lane[0];
}
__global__ void everyone_writes_kernel(float* to) { *to = static_cast<float>(blockIdx.x); }
__global__ void store_at_kernel(float* to, long long element) { to[element] = 1; }

const bool registered = [] {
  tests::specimens(ABN_PLANTED_BY) = {
      .copy =
          [](const float* from, float* to, unsigned count) {
            return launch({blocks_for(count), threads}, copy_kernel, from, to, count);
          },
      .copy_wide =
          [](const float* from, float* to, unsigned count) {
            return launch({blocks_for(count / 4), threads}, copy_wide_kernel, from, to, count);
          },
      .copy_strided =
          [](const float* from, float* to, unsigned count) {
            return launch({blocks_for(count), threads}, copy_strided_kernel, from, to, count);
          },
      .copy_structs =
          [](const float* from, float* to, unsigned count) {
            return launch({blocks_for(count / 3), threads}, copy_structs_kernel,
                          reinterpret_cast<const Triple*>(from), reinterpret_cast<Triple*>(to),
                          count / 3);
          },
      .copy_bytes =
          [](const float* from, float* to, unsigned count) {
            return launch({1, 1}, copy_bytes_kernel, from, to, count * 4);
          },
      .clear =
          [](float* to, unsigned count) {
            return launch({1, 1}, clear_kernel, to, count * 4);
          },
      .count_all =
          [](unsigned* counter, unsigned blocks, unsigned size) {
            return launch({blocks, size}, count_kernel, counter);
          },
      .uneven =
          [](const float* from, float* to) {
            return launch({1, 32}, uneven_kernel, from, to);
          },
      .taking_turns =
          [](const float* from, float* to) {
            return launch({1, 32}, taking_turns_kernel, from, to);
          },
      .everyone_writes =
          [](float* to) {
            return launch({2, 1}, everyone_writes_kernel, to);
          },
      .wide_read_of_one_write =
          [](float* to) {
            return launch({2, 1}, wide_read_of_one_write_kernel, to);
          },
      .store_at =
          [](float* to, long long element) {
            return launch({1, 1}, store_at_kernel, to, element);
          },
  };
  return true;
}();

}  // namespace
}  // namespace ABN_BUILD
}  // namespace abn::device
