// mbarriers: counters in shared memory of arrivals, and of bytes that asynchronous copies bring,
// with phases that threads wait for.
//
// A phase is complete when as many arrivals as the barrier was initialised with, and all bytes that
// they announced, have come. Phases are numbered from 0; a wait names the parity of a phase and is
// over while the phase that is under way has the other parity, so that a wait for parity 1 on a
// fresh barrier is over at once. The eight bytes in shared memory only hold a mark: the state is
// here.
#pragma once

#include <string>
#include <vector>

#include "cuda/emulator/copy_order.hpp"
#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/order.hpp"

namespace abn::emulator {

// ---- what kernels call

void mbarrier_init(void* barrier, unsigned arrivals, Where where);
void mbarrier_invalidate(void* barrier, Where where);
// makes what was initialised known to copies and peers
void mbarrier_fence();
// of the block, or of a peer
[[nodiscard]] Arrival mbarrier_arrive(void* barrier, unsigned bytes, Where where);
// may come back early: ask mbarrier_passed
[[nodiscard]] Arrival mbarrier_wait(void* barrier, unsigned parity, Where where);
bool mbarrier_passed(void* barrier, unsigned parity, Where where);

// ---- what the machine keeps

class Machine;
struct Block;
struct Thread;

struct MBarrierState {
  unsigned char* address = nullptr;
  unsigned arrivals = 0, missing = 0;  // of a phase, and how many of them have not come
  // announced and not here yet; negative where copies were faster
  long long bytes = 0;
  std::uint64_t phase = 0;   // under way
  std::uint64_t seen = 0;    // phases that a thread knows to be complete
  std::uint64_t loaded = 0;  // phases up to the last one that a copy was started for
  bool fenced = false;       // since it was initialised
  Where init, load;          // and where that copy was started
  std::vector<Thread*> waiting;
  // In a sanitised launch: what the phases of each parity hand over, and the copies that count
  // here.
  Sync phases[2];
  CopyActor copies;
  std::uint32_t started = 0;  // of them
};

class MBarriers {
 public:
  explicit MBarriers(Machine& machine) : machine_(machine) {}

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
  static std::string describe(const MBarrierState& state, const Block& block);

 private:
  static MBarrierState* look_up(Block& block, const void* barrier);
  MBarrierState& find(Block& home, const void* barrier, const Thread& self);
  void settle(MBarrierState& state);
  [[noreturn]] void fail(const MBarrierState& state, const Block& home, const char* what,
                         const Thread& witness);

  Machine& machine_;
};

}  // namespace abn::emulator
