// mbarriers (compute capability 9.0): barriers in shared memory that count arrivals, and bytes that
// asynchronous copies bring.
//
//   mbarrier_init(b, arrivals)                one thread, then mbarrier_fence_init() by it, then a
//                                             barrier of the block (of the cluster, where peers use
//                                             it), and everybody may use b
//   mbarrier_arrive(b)                        one arrival
//   mbarrier_arrive_expect_tx(b, bytes)       announces bytes and arrives
//   mbarrier_arrive_peer(b, rank)             one arrival at the barrier in the same place of
//                                             another block of the cluster
//   mbarrier_arrive_expect_tx_peer(b, n, r)
//   mbarrier_try_wait(b, parity)              whether the phase of that parity is complete; may
//                                             take a while to say no
//   mbarrier_wait(b, parity)                  until it is. Phases begin at parity 0: round r waits
//                                             for parity r & 1
//   mbarrier_wait_cluster(b, parity)          the same where arrivals or bytes come from peers
//   mbarrier_inval(b)                         before its memory is used for something else
#pragma once

#include "cuda/device/ptx.cuh"

#ifndef __CUDACC__
#include "cuda/emulator/engine_mbarriers.hpp"
#endif

namespace abn::device {
inline namespace ABN_BUILD {

// A member of the struct in shared memory.
struct alignas(8) MBarrier {
  unsigned long long opaque;
};

#ifdef __CUDACC__

__device__ __forceinline__ void mbarrier_init(MBarrier& barrier, unsigned arrivals) {
  ABN_PTX_90("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)),
             "r"(arrivals)
             : "memory");
}
__device__ __forceinline__ void mbarrier_fence_init() {
  ABN_PTX_90("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void mbarrier_inval(MBarrier& barrier) {
  ABN_PTX_90("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(shared_address(&barrier)) : "memory");
}

__device__ __forceinline__ void mbarrier_arrive(MBarrier& barrier) {
  ABN_PTX_90("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&barrier)) : "memory");
}
__device__ __forceinline__ void mbarrier_arrive_expect_tx(MBarrier& barrier, unsigned bytes) {
  ABN_PTX_90(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)),
      "r"(bytes)
      : "memory");
}
__device__ __forceinline__ void mbarrier_arrive_peer(MBarrier& barrier, int rank) {
  ABN_PTX_90("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(
                 peer_shared_address(&barrier, rank))
             : "memory");
}
__device__ __forceinline__ void mbarrier_arrive_expect_tx_peer(MBarrier& barrier, unsigned bytes,
                                                               int rank) {
  ABN_PTX_90("mbarrier.arrive.expect_tx.release.cluster.shared::cluster.b64 _, [%0], %1;" ::"r"(
                 peer_shared_address(&barrier, rank)),
             "r"(bytes)
             : "memory");
}

__device__ __forceinline__ bool mbarrier_try_wait(MBarrier& barrier, unsigned parity) {
  unsigned done = 0;
  ABN_PTX_90(
      "{\n\t.reg .pred p;\n\tmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\tselp.u32 %0, "
      "1, 0, p;\n\t}"
      : "=r"(done)
      : "r"(shared_address(&barrier)), "r"(parity)
      : "memory");
  return done != 0;
}
__device__ __forceinline__ void mbarrier_wait(MBarrier& barrier, unsigned parity) {
  while (!mbarrier_try_wait(barrier, parity)) {
  }
}
__device__ __forceinline__ void mbarrier_wait_cluster(MBarrier& barrier, unsigned parity) {
  unsigned done = 0;
  do {
    ABN_PTX_90(
        "{\n\t.reg .pred p;\n\tmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], "
        "%2;\n\tselp.u32 %0, 1, 0, p;\n\t}"
        : "=r"(done)
        : "r"(shared_address(&barrier)), "r"(parity)
        : "memory");
  } while (done == 0);
}

#else

__forceinline__ void mbarrier_init(MBarrier& barrier, unsigned arrivals,
                                   Where where = Where::current()) {
  emulator::mbarrier_init(&barrier, arrivals, where);
}
__forceinline__ void mbarrier_fence_init() { emulator::mbarrier_fence(); }
__forceinline__ void mbarrier_inval(MBarrier& barrier, Where where = Where::current()) {
  emulator::mbarrier_invalidate(&barrier, where);
}

__forceinline__ void mbarrier_arrive_expect_tx(MBarrier& barrier, unsigned bytes,
                                               Where where = Where::current()) {
  emulator::resume(emulator::mbarrier_arrive(&barrier, bytes, where));
}
__forceinline__ void mbarrier_arrive(MBarrier& barrier, Where where = Where::current()) {
  mbarrier_arrive_expect_tx(barrier, 0, where);
}
__forceinline__ void mbarrier_arrive_expect_tx_peer(MBarrier& barrier, unsigned bytes, int rank,
                                                    Where where = Where::current()) {
  emulator::resume(emulator::mbarrier_arrive(
      emulator::peer_address(&barrier, static_cast<unsigned>(rank), where), bytes, where));
}
__forceinline__ void mbarrier_arrive_peer(MBarrier& barrier, int rank,
                                          Where where = Where::current()) {
  mbarrier_arrive_expect_tx_peer(barrier, 0, rank, where);
}

__forceinline__ bool mbarrier_try_wait(MBarrier& barrier, unsigned parity,
                                       Where where = Where::current()) {
  if (emulator::mbarrier_passed(&barrier, parity, where)) return true;
  emulator::resume(emulator::pause(where));
  return emulator::mbarrier_passed(&barrier, parity, where);
}
__forceinline__ void mbarrier_wait(MBarrier& barrier, unsigned parity,
                                   Where where = Where::current()) {
  do {
    emulator::resume(emulator::mbarrier_wait(&barrier, parity, where));
  } while (!emulator::mbarrier_passed(&barrier, parity, where));
}
__forceinline__ void mbarrier_wait_cluster(MBarrier& barrier, unsigned parity,
                                           Where where = Where::current()) {
  mbarrier_wait(barrier, parity, where);
}

#endif

}  // namespace ABN_BUILD
}  // namespace abn::device
