// Asynchronous copies between global and shared memory.
//
// By elements, for every thread its own (compute capability 8.0; done when the thread has waited,
// seen by others behind a barrier):
//   copy_async<Bytes>(shared, global)         4, 8 or 16 bytes, both ends aligned to as many
//   copy_async<Bytes>(shared, global, valid)  reads the first `valid` bytes only and writes zeros
//                                             behind them
//   copy_async_commit()                       closes a group of what the thread has started
//   copy_async_wait<Pending>()                until all but the last `Pending` groups are done
//
// In bulk, by one thread (compute capability 9.0; both ends aligned to 16 bytes, the size a
// multiple of 16):
//   bulk_load(shared, global, bytes, b)       its bytes count at the mbarrier b, which somebody has
//                                             announced or will announce them to
//   bulk_store(global, shared, bytes)
//   bulk_commit(), bulk_wait<Pending>()       groups of stores; bulk_wait_read<Pending>(): until
//                                             their sources may be overwritten. Before it returns a
//                                             thread waits for its stores, in one way or the other
//   with a policy as the last argument, bulk_load and bulk_store give the second-level cache that
//   hint (device/cache_hints.cuh)
//   bulk_prefetch(global, bytes)              asks for it in the second-level cache
//   fence_proxy_async()                       by every thread that has written what a bulk store
//                                             shall read, between its writes and the barrier behind
//                                             which the store is started
// To a peer of the cluster (9.0):
//   store_async(p, value, b, rank)            4 or 8 bytes to the place p of another block; they
//                                             count at its mbarrier b
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/device/cache_hints.cuh"
#include "cuda/device/mbarrier.cuh"

#ifndef __CUDACC__
#include "cuda/emulator/engine_copies.hpp"
#endif

namespace abn::device {
inline namespace ABN_BUILD {

template <int Bytes>
constexpr bool copied_by_element = Bytes == 4 || Bytes == 8 || Bytes == 16;

#ifdef __CUDACC__

// 16 bytes go past the first-level cache, which only that size may.
template <int Bytes>
__device__ __forceinline__ void copy_async(void* shared, const void* global) {
  static_assert(copied_by_element<Bytes>);
  if constexpr (Bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)),
                 "l"(__cvta_generic_to_global(global))
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared_address(shared)),
                 "l"(__cvta_generic_to_global(global)), "n"(Bytes)
                 : "memory");
}
template <int Bytes>
__device__ __forceinline__ void copy_async(void* shared, const void* global, unsigned valid) {
  static_assert(copied_by_element<Bytes>);
  if constexpr (Bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                 "l"(__cvta_generic_to_global(global)), "r"(valid)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)),
                 "l"(__cvta_generic_to_global(global)), "n"(Bytes), "r"(valid)
                 : "memory");
}
__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int Pending>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

__device__ __forceinline__ void bulk_load(void* shared, const void* global, unsigned bytes,
                                          MBarrier& barrier) {
  ABN_PTX_90(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(shared)),
      "l"(__cvta_generic_to_global(global)), "r"(bytes), "r"(shared_address(&barrier))
      : "memory");
}
__device__ __forceinline__ void bulk_store(void* global, const void* shared, unsigned bytes) {
  ABN_PTX_90("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(
                 __cvta_generic_to_global(global)),
             "r"(shared_address(shared)), "r"(bytes)
             : "memory");
}
__device__ __forceinline__ void bulk_load(void* shared, const void* global, unsigned bytes,
                                          MBarrier& barrier, CachePolicy policy) {
  ABN_PTX_90(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], "
      "[%1], %2, [%3], %4;" ::"r"(shared_address(shared)),
      "l"(__cvta_generic_to_global(global)), "r"(bytes), "r"(shared_address(&barrier)),
      "l"(policy.bits)
      : "memory");
}
__device__ __forceinline__ void bulk_store(void* global, const void* shared, unsigned bytes,
                                           CachePolicy policy) {
  ABN_PTX_90("cp.async.bulk.global.shared::cta.bulk_group.L2::cache_hint [%0], [%1], %2, %3;" ::"l"(
                 __cvta_generic_to_global(global)),
             "r"(shared_address(shared)), "r"(bytes), "l"(policy.bits)
             : "memory");
}
__device__ __forceinline__ void bulk_prefetch(const void* global, unsigned bytes) {
  ABN_PTX_90("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(__cvta_generic_to_global(global)),
             "r"(bytes)
             : "memory");
}
__device__ __forceinline__ void bulk_commit() {
  ABN_PTX_90("cp.async.bulk.commit_group;" ::: "memory");
}
template <int Pending>
__device__ __forceinline__ void bulk_wait() {
  ABN_PTX_90("cp.async.bulk.wait_group %0;" ::"n"(Pending) : "memory");
}
template <int Pending>
__device__ __forceinline__ void bulk_wait_read() {
  ABN_PTX_90("cp.async.bulk.wait_group.read %0;" ::"n"(Pending) : "memory");
}
__device__ __forceinline__ void fence_proxy_async() {
  ABN_PTX_90("fence.proxy.async;" ::: "memory");
}

template <class T>
__device__ __forceinline__ void store_async(T* shared, T value, MBarrier& barrier, int rank) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  if constexpr (sizeof(T) == 4) {
    unsigned bits;
    memcpy(&bits, &value, 4);
    ABN_PTX_90("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(
                   peer_shared_address(shared, rank)),
               "r"(bits), "r"(peer_shared_address(&barrier, rank))
               : "memory");
  } else {
    unsigned long long bits;
    memcpy(&bits, &value, 8);
    ABN_PTX_90("st.async.shared::cluster.mbarrier::complete_tx::bytes.b64 [%0], %1, [%2];" ::"r"(
                   peer_shared_address(shared, rank)),
               "l"(bits), "r"(peer_shared_address(&barrier, rank))
               : "memory");
  }
}

#else

template <int Bytes>
__forceinline__ void copy_async(void* shared, const void* global, unsigned valid,
                                Where where = Where::current()) {
  static_assert(copied_by_element<Bytes>);
  emulator::copy_element(shared, global, Bytes, valid, where);
}
template <int Bytes>
__forceinline__ void copy_async(void* shared, const void* global, Where where = Where::current()) {
  copy_async<Bytes>(shared, global, Bytes, where);
}
__forceinline__ void copy_async_commit() { emulator::commit_copies(emulator::CopyKind::element); }

__forceinline__ void wait_for_copies(emulator::CopyKind kind, unsigned pending, bool sources,
                                     Where where) {
  emulator::resume(emulator::copies_pause(where));
  emulator::finish_copies(kind, pending, sources, where);
}
template <int Pending>
__forceinline__ void copy_async_wait(Where where = Where::current()) {
  wait_for_copies(emulator::CopyKind::element, Pending, false, where);
}

__forceinline__ void bulk_load(void* shared, const void* global, unsigned bytes, MBarrier& barrier,
                               Where where = Where::current()) {
  emulator::start_bulk_load(shared, global, bytes, &barrier, where);
}
__forceinline__ void bulk_store(void* global, const void* shared, unsigned bytes,
                                Where where = Where::current()) {
  emulator::start_bulk_store(global, shared, bytes, where);
}
__forceinline__ void bulk_load(void* shared, const void* global, unsigned bytes, MBarrier& barrier,
                               CachePolicy, Where where = Where::current()) {
  bulk_load(shared, global, bytes, barrier, where);
}
__forceinline__ void bulk_store(void* global, const void* shared, unsigned bytes, CachePolicy,
                                Where where = Where::current()) {
  bulk_store(global, shared, bytes, where);
}
__forceinline__ void bulk_prefetch(const void* global, unsigned bytes,
                                   Where where = Where::current()) {
  emulator::check_alignment(global, 16, where);
  emulator::check_bulk_size(bytes, where);
}
__forceinline__ void bulk_commit() { emulator::commit_copies(emulator::CopyKind::bulk_store); }
template <int Pending>
__forceinline__ void bulk_wait(Where where = Where::current()) {
  wait_for_copies(emulator::CopyKind::bulk_store, Pending, false, where);
}
template <int Pending>
__forceinline__ void bulk_wait_read(Where where = Where::current()) {
  wait_for_copies(emulator::CopyKind::bulk_store, Pending, true, where);
}
__forceinline__ void fence_proxy_async() { emulator::proxy_fence(); }

template <class T>
__forceinline__ void store_async(T* shared, T value, MBarrier& barrier, int rank,
                                 Where where = Where::current()) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const auto bits = std::bit_cast<Bits>(value);
  const auto peer = static_cast<unsigned>(rank);
  emulator::start_store_async(emulator::peer_address(shared, peer, where), bits, sizeof value,
                              emulator::peer_address(&barrier, peer, where), where);
}

#endif

}  // namespace ABN_BUILD
}  // namespace abn::device
