// Arrays of a storage type as arrays of the type that is computed in, and back.
//
// The formulas are those of device/scalar.cuh. Where the processor has instructions for f16 they
// take their place: both round to nearest even, and a NaN is stored alike.
#pragma once

#ifdef __F16C__
#include <immintrin.h>
#endif

#include "cuda/device/scalar.cuh"

// The iterations of a loop are independent: an output may be an input, element by element.
#if defined(__clang__)
#define ABN_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define ABN_INDEPENDENT _Pragma("GCC ivdep")
#endif

// Of a function with loops over elements: all that it calls becomes part of it. The formulas of
// device/ are functions that a compiler for a processor would rather call than repeat, and a loop
// that calls is not vectorised.
#define ABN_FLAT __attribute__((flatten))

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

template <class T>
constexpr bool is_computed_in = sizeof(T) == sizeof(Accumulate<T>);

template <class T>
ABN_FLAT inline void widen_all(const T* from, int64_t count, Accumulate<T>* to) {
  ABN_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) to[i] = widen(from[i]);
}
template <class T>
ABN_FLAT inline void narrow_all(const Accumulate<T>* from, int64_t count, T* to) {
  ABN_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) to[i] = narrow<T>(from[i]);
}

#ifdef __F16C__
// The one NaN that device/scalar.cuh makes of all of them.
inline __m256 with_one_nan(__m256 value) {
  const __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  return _mm256_blendv_ps(value, nan, _mm256_cmp_ps(value, value, _CMP_UNORD_Q));
}
template <>
inline void widen_all<__half>(const __half* from, int64_t count, float* to) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_ps(to + i, with_one_nan(_mm256_cvtph_ps(bits)));
  }
  for (; i < count; ++i) to[i] = widen(from[i]);
}
template <>
inline void narrow_all<__half>(const float* from, int64_t count, __half* to) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256 value = with_one_nan(_mm256_loadu_ps(from + i));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
  for (; i < count; ++i) to[i] = narrow<__half>(from[i]);
}
#endif

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
