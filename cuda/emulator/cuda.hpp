// CUDA's names for a host compiler: what a kernel source finds here instead of the toolkit's
// headers. README.md lists the subset.
//
// Functions sit in an inline namespace named by the build, so that kernels compiled in two ways
// (plain, instrumented) can be linked together, and all names come into the global namespace by
// using-declarations: they share no symbol with the toolkit's own.
#pragma once

#ifndef ABN_BUILD
#define ABN_BUILD on_emulator
#endif

#include <math.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/half.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

#ifdef ABN_SANITIZED
#define threadIdx (::abn::emulator::thread_index())
#define blockIdx (::abn::emulator::block_index())
#define blockDim (::dim3(::abn::emulator::block_dim()))
#define gridDim (::dim3(::abn::emulator::grid_dim()))
// Compilers copy structs and fill arrays with these functions; here they are the ones of hooks.cpp,
// for this file alone.
__asm__("memcpy = abn_sanitized_memcpy");
__asm__("memmove = abn_sanitized_memmove");
__asm__("memset = abn_sanitized_memset");
#else
#define threadIdx (::abn::emulator::current->index)
#define blockIdx (::abn::emulator::current->block->index)
#define blockDim (::dim3(::abn::emulator::current->block->dim))
#define gridDim (::dim3(::abn::emulator::current->block->grid))
#endif

namespace abn::emulator {
inline namespace ABN_BUILD {

// How this build asks for the emulator's own state.
#ifdef ABN_SANITIZED
__forceinline__ void resume(Arrival arrival) { arrived(arrival); }
__forceinline__ std::uint64_t result() { return received(); }
__forceinline__ unsigned rank_in_block() { return thread_rank(); }
__forceinline__ unsigned char* shared_of_block() { return shared_memory(); }
__forceinline__ std::size_t shared_bytes_of_block() { return shared_memory_bytes(); }
inline constexpr bool instrumented = true;
#else
__forceinline__ void resume(Arrival arrival) { arrive(arrival); }
__forceinline__ std::uint64_t result() { return current->received; }
__forceinline__ unsigned rank_in_block() { return current->rank; }
__forceinline__ unsigned char* shared_of_block() { return current->block->shared; }
__forceinline__ std::size_t shared_bytes_of_block() { return current->block->shared_bytes; }
inline constexpr bool instrumented = false;
#endif

// Operations that a GPU has for global memory alone, whatever address they are given.
__forceinline__ void check_global(const void* address, Where where) {
  const auto offset = reinterpret_cast<std::uintptr_t>(address) -
                      reinterpret_cast<std::uintptr_t>(shared_of_block());
  if (offset < shared_bytes_of_block()) not_global(address, where);
}

inline constexpr int warpSize = 32;

// ---- types

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr dim3(uint3 size) : x(size.x), y(size.y), z(size.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};

// clang-format off
struct alignas(8) int2 { int x, y; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) double2 { double x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) float4 { float x, y, z, w; };
// clang-format on
inline int2 make_int2(int x, int y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

using cudaStream_t = struct CUstream_st*;
enum cudaError_t : int { cudaSuccess = success };

// ---- 16-bit floating point: storage and conversions, no arithmetic

struct __half {
  std::uint16_t bits;
};
struct __nv_bfloat16 {
  std::uint16_t bits;
};

inline __half __ushort_as_half(unsigned short bits) { return {bits}; }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }
inline __half __float2half_rn(float value) { return {f16_from_float(value)}; }
inline __half __float2half(float value) { return {f16_from_float(value)}; }
inline __half __double2half(double value) { return {f16_from_double(value)}; }
inline float __half2float(__half value) { return float_from_f16(value.bits); }

inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits) { return {bits}; }
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 value) { return value.bits; }
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return {bf16_from_float(value)}; }
inline __nv_bfloat16 __float2bfloat16(float value) { return {bf16_from_float(value)}; }
inline __nv_bfloat16 __double2bfloat16(double value) { return {bf16_from_double(value)}; }
inline float __bfloat162float(__nv_bfloat16 value) { return float_from_bf16(value.bits); }

// ---- bits

inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline long long __double_as_longlong(double value) { return std::bit_cast<long long>(value); }
inline double __longlong_as_double(long long bits) { return std::bit_cast<double>(bits); }
inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) { return std::countl_zero(static_cast<unsigned>(bits)); }

// ---- barriers and fences

__forceinline__ void __syncthreads(Where where = Where::current()) { resume(block_barrier(where)); }
__forceinline__ void __syncwarp(unsigned mask = ~0u, Where where = Where::current()) {
  resume(vote(WarpOp::sync, mask, false, where));
}
__forceinline__ void __threadfence(Where where = Where::current()) { resume(fence(false, where)); }
__forceinline__ void __threadfence_block(Where where = Where::current()) {
  resume(fence(true, where));
}
__forceinline__ void __nanosleep(unsigned, Where where = Where::current()) { resume(pause(where)); }

// ---- warp operations

template <class T, class... Allowed>
concept OneOf = (std::is_same_v<T, Allowed> || ...);
template <class T>
concept Shuffled =
    OneOf<T, int, unsigned, long, unsigned long, long long, unsigned long long, float, double>;

template <Shuffled T>
__forceinline__ T shuffled(WarpOp op, unsigned mask, T value, unsigned operand, int width,
                           Where where) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const unsigned source =
      source_lane(op, rank_in_block() % 32, operand, static_cast<unsigned>(width));
  resume(shuffle(op, sizeof(T), mask, std::bit_cast<Bits>(value), source, where));
  return std::bit_cast<T>(static_cast<Bits>(result()));
}

template <Shuffled T>
__forceinline__ T __shfl_sync(unsigned mask, T value, int lane, int width = 32,
                              Where where = Where::current()) {
  return shuffled(WarpOp::shfl, mask, value, static_cast<unsigned>(lane), width, where);
}
template <Shuffled T>
__forceinline__ T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                 Where where = Where::current()) {
  return shuffled(WarpOp::shfl_up, mask, value, delta, width, where);
}
template <Shuffled T>
__forceinline__ T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                                   Where where = Where::current()) {
  return shuffled(WarpOp::shfl_down, mask, value, delta, width, where);
}
template <Shuffled T>
__forceinline__ T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                                  Where where = Where::current()) {
  return shuffled(WarpOp::shfl_xor, mask, value, static_cast<unsigned>(lane_mask), width, where);
}

struct Votes {
  unsigned yes, voters;  // lanes
};
__forceinline__ Votes votes(WarpOp op, unsigned mask, int predicate, Where where) {
  resume(vote(op, mask, predicate != 0, where));
  const std::uint64_t lanes = result();
  return {static_cast<unsigned>(lanes), static_cast<unsigned>(lanes >> 32)};
}
__forceinline__ unsigned __ballot_sync(unsigned mask, int predicate,
                                       Where where = Where::current()) {
  return votes(WarpOp::ballot, mask, predicate, where).yes;
}
__forceinline__ int __any_sync(unsigned mask, int predicate, Where where = Where::current()) {
  return votes(WarpOp::any, mask, predicate, where).yes != 0;
}
__forceinline__ int __all_sync(unsigned mask, int predicate, Where where = Where::current()) {
  const Votes result = votes(WarpOp::all, mask, predicate, where);
  return result.yes == result.voters;
}
// Here lanes do not run in step, so this is every lane that has not returned, in a branch that not
// all of them take too.
inline unsigned __activemask() { return active_lanes(); }

// ---- atomics: each returns what was there before

template <class T>
concept Atomic = OneOf<T, int, unsigned, unsigned long long, float, double>;
template <class T>
concept AtomicInteger = OneOf<T, int, unsigned, unsigned long long>;

template <class T, class Change>
__forceinline__ T atomically(T* address, Where where, Change change) {
  resume(atomic_begin(address, sizeof(T), where));
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
#ifdef ABN_SANITIZED
  const T before = std::bit_cast<T>(static_cast<Bits>(atomic_load(address, sizeof(T), where))),
          after = change(before);
  atomic_store(address, sizeof(T), std::bit_cast<Bits>(after));
#else
  const T before = *address, after = change(before);
  *address = after;
#endif
  resume(atomic_end(std::bit_cast<Bits>(before) != std::bit_cast<Bits>(after)));
  return before;
}

template <Atomic T>
T atomicAdd(T* address, std::type_identity_t<T> value, Where where = Where::current()) {
  return atomically(address, where, [value](T before) -> T {
    if constexpr (std::is_same_v<T, int>)  // wraps around
      return static_cast<int>(static_cast<unsigned>(before) + static_cast<unsigned>(value));
    else
      return before + value;
  });
}
template <AtomicInteger T>
T atomicExch(T* address, std::type_identity_t<T> value, Where where = Where::current()) {
  return atomically(address, where, [value](T) { return value; });
}
inline float atomicExch(float* address, float value, Where where = Where::current()) {
  return atomically(address, where, [value](float) { return value; });
}
template <AtomicInteger T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value,
            Where where = Where::current()) {
  return atomically(address, where,
                    [expected, value](T before) { return before == expected ? value : before; });
}
template <AtomicInteger T>
T atomicMin(T* address, std::type_identity_t<T> value, Where where = Where::current()) {
  return atomically(address, where, [value](T before) { return value < before ? value : before; });
}
template <AtomicInteger T>
T atomicMax(T* address, std::type_identity_t<T> value, Where where = Where::current()) {
  return atomically(address, where, [value](T before) { return value > before ? value : before; });
}
// Counts from 0 to `last` and begins again.
inline unsigned atomicInc(unsigned* address, unsigned last, Where where = Where::current()) {
  return atomically(address, where,
                    [last](unsigned before) { return before >= last ? 0u : before + 1; });
}

}  // namespace ABN_BUILD
}  // namespace abn::emulator

using abn::emulator::__float_as_uint, abn::emulator::__float_as_int, abn::emulator::__uint_as_float,
    abn::emulator::__int_as_float, abn::emulator::__double_as_longlong,
    abn::emulator::__longlong_as_double, abn::emulator::__popc, abn::emulator::__ffs,
    abn::emulator::__clz;
using abn::emulator::__half, abn::emulator::__nv_bfloat16, abn::emulator::__ushort_as_half,
    abn::emulator::__half_as_ushort, abn::emulator::__float2half_rn, abn::emulator::__float2half,
    abn::emulator::__double2half, abn::emulator::__half2float, abn::emulator::__ushort_as_bfloat16,
    abn::emulator::__bfloat16_as_ushort, abn::emulator::__float2bfloat16_rn,
    abn::emulator::__float2bfloat16, abn::emulator::__double2bfloat16,
    abn::emulator::__bfloat162float;
using abn::emulator::__syncthreads, abn::emulator::__syncwarp, abn::emulator::__threadfence,
    abn::emulator::__threadfence_block, abn::emulator::__nanosleep, abn::emulator::__shfl_sync,
    abn::emulator::__shfl_up_sync, abn::emulator::__shfl_down_sync, abn::emulator::__shfl_xor_sync,
    abn::emulator::__ballot_sync, abn::emulator::__any_sync, abn::emulator::__all_sync,
    abn::emulator::__activemask;
using abn::emulator::atomicAdd, abn::emulator::atomicExch, abn::emulator::atomicCAS,
    abn::emulator::atomicMin, abn::emulator::atomicMax, abn::emulator::atomicInc;
using abn::emulator::uint3, abn::emulator::dim3, abn::emulator::int2, abn::emulator::uint2,
    abn::emulator::float2, abn::emulator::double2, abn::emulator::int4, abn::emulator::uint4,
    abn::emulator::float4, abn::emulator::make_int2, abn::emulator::make_uint2,
    abn::emulator::make_float2, abn::emulator::make_double2, abn::emulator::make_int4,
    abn::emulator::make_uint4, abn::emulator::make_float4, abn::emulator::warpSize,
    abn::emulator::cudaStream_t, abn::emulator::cudaError_t, abn::emulator::cudaSuccess;
