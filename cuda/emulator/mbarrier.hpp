// mbarriers: counters in shared memory of arrivals, and of bytes that asynchronous copies bring,
// with phases that threads wait for.
//
// A phase is complete when as many arrivals as the barrier was initialised with, and all bytes that
// they announced, have come. Phases are numbered from 0; a wait names the parity of a phase and is
// over while the phase that is under way has the other parity, so that a wait for parity 1 on a
// fresh barrier is over at once. The eight bytes in shared memory only hold a mark: the state is
// here.
#pragma once

#include <cstdint>
#include <string>

#include "cuda/emulator/block.hpp"
#include "cuda/emulator/clock.hpp"
#include "cuda/emulator/report.h"
#include "cuda/emulator/schedule.hpp"

namespace abn::emulator {

class MBarriers {
 public:
  explicit MBarriers(Scheduler& scheduler) : scheduler_(scheduler) {}

  void init(void* barrier, unsigned arrivals, Where where);
  void invalidate(void* barrier, Where where);
  static void fence(Block& block);
  Thread& arrive(void* barrier, unsigned bytes, Where where);
  Thread& wait(void* barrier, unsigned parity, Where where);
  bool passed(void* barrier, unsigned parity, Where where);

  // A copy begins: the phase that it belongs to. Its bytes have landed.
  std::uint64_t begin_copy(void* barrier, Where where);
  Epoch epoch_of_copy(Block& home, const void* barrier, const Thread& issuer);
  void end_copy(Block& home, const void* barrier, std::uint64_t phase, unsigned bytes,
                const Thread& issuer);

  // finds copies that nobody waited for
  void end_block(const Block& block);
  static const MBarrierState* with_waiters(const Block& block);  // null if none
  // why its threads wait for ever
  Finding explain(const Block& block, const MBarrierState& state) const;

 private:
  static std::string describe(const MBarrierState& state, const Block& block);
  static MBarrierState* look_up(Block& block, const void* barrier);
  MBarrierState& find(Block& home, const void* barrier, const Thread& self);
  void settle(MBarrierState& state);
  [[noreturn]] void fail(const MBarrierState& state, const Block& home, const char* what,
                         const Thread& witness);

  Scheduler& scheduler_;
};

}  // namespace abn::emulator
