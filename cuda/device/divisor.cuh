// Division by a number that the shape of a problem says: the host finds a reciprocal, and threads
// multiply by it, since a GPU has no instruction that divides integers.
//
// With magic = ceil(2^31/d), 2n*magic/2^32 is n/d + e with 0 <= e < n/2^31. The next whole number
// above n/d is at least 1/d away, so that the whole part is the quotient as long as n*d < 2^31.
#pragma once

#include <cstdint>

#include "cuda/device/platform.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

struct Divisor {
  int value = 1;
  unsigned magic = 0x80000000u;
  Divisor() = default;
  // At least 1.
  __host__ __device__ explicit Divisor(int divisor)
      : value(divisor), magic(0x7fffffffu / static_cast<unsigned>(divisor) + 1) {}
  __device__ int quotient(int n) const {
    const unsigned twice = 2 * static_cast<unsigned>(n);
#ifdef __CUDACC__
    return static_cast<int>(__umulhi(twice, magic));
#else
    return static_cast<int>(uint64_t{twice} * magic >> 32);
#endif
  }
};

}  // namespace ABN_BUILD
}  // namespace abn::device
