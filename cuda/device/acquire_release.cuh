// Counters and flags in global memory that hand work over from block to block, and a barrier of
// some blocks of a cooperative launch.
//
//   add_release(p, v)             adds and returns what was there; whoever acquires this or a later
//                                 value of *p sees all that the thread did, and all that it had
//                                 been handed over itself (by a barrier of the block, say), before
//   store_release(p, v)           the same by a store
//   load_acquire(p)               sees what was released with the value that it reads
//   group_barrier(p, n, leader)   all threads of n blocks, one of them the leader, wait for each
//                                 other at the counter *p
#pragma once

#include "cuda/device/platform.cuh"

#ifndef __CUDACC__
#include "cuda/emulator/engine_acquire_release.hpp"
#endif

namespace abn::device {
inline namespace ABN_BUILD {

#ifdef __CUDACC__

__device__ __forceinline__ unsigned add_release(unsigned* p, unsigned value) {
  unsigned before;
  asm volatile("atom.add.release.gpu.global.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(__cvta_generic_to_global(p)), "r"(value)
               : "memory");
  return before;
}
__device__ __forceinline__ void store_release(unsigned* p, unsigned value) {
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(p)), "r"(value)
               : "memory");
}
__device__ __forceinline__ unsigned load_acquire(const unsigned* p) {
  unsigned value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
               : "=r"(value)
               : "l"(__cvta_generic_to_global(p))
               : "memory");
  return value;
}

#else

__forceinline__ unsigned add_release(unsigned* p, unsigned value, Where where = Where::current()) {
  emulator::check_global(p, where);
  return emulator::atomically(p, where, [p, value](unsigned before) {
    emulator::release_at(p);
    return before + value;
  });
}
__forceinline__ void store_release(unsigned* p, unsigned value, Where where = Where::current()) {
  emulator::check_global(p, where);
  emulator::resume(emulator::atomic_begin(p, sizeof *p, where));
  const bool changed = emulator::store_and_release(p, value, where);
  emulator::resume(emulator::atomic_end(changed));
}
__forceinline__ unsigned load_acquire(const unsigned* p, Where where = Where::current()) {
  emulator::check_global(p, where);
  emulator::resume(emulator::atomic_begin(p, sizeof *p, where));
  const unsigned value = emulator::load_and_acquire(p, where);
  emulator::resume(emulator::atomic_end(false));
  return value;
}

#endif

// The top bit of the counter turns over in each round. The adds of a round sum up to 2^31: n - 1
// blocks add 1, and the leader adds the rest, so that the bit turns exactly when the last block has
// come, whoever that is. It cannot turn back before all blocks have come again, thus have seen it
// turn; so the counter is never reset: zero before its first launch, it serves any number of rounds
// and of launches that end regularly. Thread 0 releases what the barrier before has handed over to
// it, and acquires for all.
template <class Sync, class Add, class Load>
__device__ __forceinline__ void meet_at_counter(unsigned blocks, bool leader, Sync sync, Add add,
                                                Load load) {
  constexpr unsigned turn = 1u << 31;
  sync();
  if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) {
    const unsigned before = add(leader ? turn - (blocks - 1) : 1u);
    while (((load() ^ before) & turn) == 0) {
    }
  }
  sync();
}

#ifdef __CUDACC__
__device__ __forceinline__ void group_barrier(unsigned* counter, unsigned blocks, bool leader) {
  meet_at_counter(
      blocks, leader, [] { __syncthreads(); },
      [counter](unsigned value) { return add_release(counter, value); },
      [counter] { return load_acquire(counter); });
}
#else
__forceinline__ void group_barrier(unsigned* counter, unsigned blocks, bool leader,
                                   Where where = Where::current()) {
  emulator::require_cooperative(where);
  meet_at_counter(
      blocks, leader, [where] { __syncthreads(where); },
      [counter, where](unsigned value) { return add_release(counter, value, where); },
      [counter, where] { return load_acquire(counter, where); });
}
#endif

}  // namespace ABN_BUILD
}  // namespace abn::device
