// What a kernel at the memory limit tells the second-level cache: which lines it needs again and
// which it does not. Hints change no result; the emulator takes them for plain accesses.
//
//   evict_first(), evict_last()      policies: lines that go first, lines that stay
//   evict_last(fraction)             the same for that share of the lines, spread evenly, and
//                                    evict_first for the rest: where a tensor does not fit, a part
//                                    of it that does is better kept whole than all of it for a
//                                    while
//   load16(p, policy)                16 bytes, as load16 and store16 of platform.cuh
//   store16(p, value, policy)
//   load16_streaming(p)              touched once: evicted first, without a register for a policy
//   store16_streaming(p, value)
#pragma once

#include "cuda/device/platform.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

#ifdef __CUDACC__

struct CachePolicy {
  unsigned long long bits;
};

__device__ __forceinline__ CachePolicy evict_first() {
  CachePolicy policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy.bits));
  return policy;
}
__device__ __forceinline__ CachePolicy evict_last() {
  CachePolicy policy;
  asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy.bits));
  return policy;
}
__device__ __forceinline__ CachePolicy evict_last(float fraction) {
  CachePolicy policy;
  asm("createpolicy.fractional.L2::evict_last.L2::evict_first.b64 %0, %1;"
      : "=l"(policy.bits)
      : "f"(fraction));
  return policy;
}

// Volatile, with a clobber: in place, the same address is stored to afterwards.
template <class T>
__device__ __forceinline__ Vec16<T> load16(const T* p, CachePolicy policy) {
  uint4 bits;
  asm volatile("ld.global.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
               : "=r"(bits.x), "=r"(bits.y), "=r"(bits.z), "=r"(bits.w)
               : "l"(__cvta_generic_to_global(p)), "l"(policy.bits)
               : "memory");
  Vec16<T> value;
  memcpy(&value, &bits, sizeof bits);
  return value;
}
template <class T>
__device__ __forceinline__ void store16(T* p, const Vec16<T>& value, CachePolicy policy) {
  uint4 bits;
  memcpy(&bits, &value, sizeof bits);
  asm volatile("st.global.L2::cache_hint.v4.u32 [%0], {%1, %2, %3, %4}, %5;" ::"l"(
                   __cvta_generic_to_global(p)),
               "r"(bits.x), "r"(bits.y), "r"(bits.z), "r"(bits.w), "l"(policy.bits)
               : "memory");
}

template <class T>
__device__ __forceinline__ Vec16<T> load16_streaming(const T* p) {
  const uint4 bits = __ldcs(reinterpret_cast<const uint4*>(p));
  Vec16<T> value;
  memcpy(&value, &bits, sizeof bits);
  return value;
}
template <class T>
__device__ __forceinline__ void store16_streaming(T* p, const Vec16<T>& value) {
  uint4 bits;
  memcpy(&bits, &value, sizeof bits);
  __stcs(reinterpret_cast<uint4*>(p), bits);
}

#else

struct CachePolicy {};
inline CachePolicy evict_first() { return {}; }
inline CachePolicy evict_last() { return {}; }
inline CachePolicy evict_last(float) { return {}; }

template <class T>
__forceinline__ Vec16<T> load16(const T* p, CachePolicy, Where where = Where::current()) {
  emulator::check_global(p, where);
  return load16(p, where);
}
template <class T>
__forceinline__ void store16(T* p, const Vec16<T>& value, CachePolicy,
                             Where where = Where::current()) {
  store16(p, value, where);
}
template <class T>
__forceinline__ Vec16<T> load16_streaming(const T* p, Where where = Where::current()) {
  emulator::check_global(p, where);
  return load16(p, where);
}
template <class T>
__forceinline__ void store16_streaming(T* p, const Vec16<T>& value,
                                       Where where = Where::current()) {
  store16(p, value, where);
}

#endif

}  // namespace ABN_BUILD
}  // namespace abn::device
