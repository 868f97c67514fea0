// mbarriers: arrivals, bytes, phases, and what goes wrong with them.
#include "cuda/emulator/mbarrier.hpp"

#include <algorithm>
#include <cstring>

#include "cuda/emulator/copy_order.hpp"
#include "cuda/emulator/sanitizer.hpp"
#include "cuda/emulator/wording.hpp"

namespace abn::emulator {
namespace {

// what the eight bytes of a barrier hold while it is one
constexpr std::uint64_t mark = 0x6d62617272696572;
constexpr long long most_bytes = (1 << 20) - 1;  // that a phase can wait for
constexpr unsigned most_arrivals = (1 << 20) - 1;

}  // namespace

MBarrierState* MBarriers::look_up(Block& block, const void* barrier) {
  for (MBarrierState& state : block.mbarriers)
    if (state.address == barrier) return &state;
  return nullptr;
}

MBarrierState& MBarriers::find(Block& home, const void* barrier, const Thread& self) {
  MBarrierState* state = look_up(home, barrier);
  if (!state) {
    MBarrierState unknown;
    unknown.address = home.shared + (static_cast<const unsigned char*>(barrier) - home.shared);
    fail(unknown, home, "is not initialised", self);
  }
  if (std::memcmp(state->address, &mark, sizeof mark) != 0)
    fail(*state, home, "was overwritten", self);
  return *state;
}

void MBarriers::init(void* barrier, unsigned arrivals, Where where) {
  check_alignment(barrier, sizeof mark, where);
  Block& home = scheduler_.owner_of(barrier, where);
  const Thread& self = *Scheduler::running();
  MBarrierState fresh;
  fresh.address = static_cast<unsigned char*>(barrier);
  fresh.arrivals = fresh.missing = arrivals;
  fresh.init = where;
  if (&home != &self.home())
    fail(fresh, home, "belongs to a peer and cannot be initialised from here", self);
  if (arrivals == 0 || arrivals > most_arrivals)
    fail(fresh, home, "is initialised with a count that is none of 1 to 1048575", self);
  if (look_up(home, barrier))
    fail(*look_up(home, barrier), home, "is initialised a second time and was not invalidated",
         self);
  use_mbarrier(barrier, true, where);
  std::memcpy(barrier, &mark, sizeof mark);
  home.mbarriers.push_back(std::move(fresh));
}

void MBarriers::invalidate(void* barrier, Where where) {
  Block& home = scheduler_.owner_of(barrier, where);
  const Thread& self = *Scheduler::running();
  const MBarrierState& state = find(home, barrier, self);
  if (!state.waiting.empty()) fail(state, home, "is invalidated while threads wait at it", self);
  if (state.loaded > state.seen)
    fail(state, home, "is invalidated and nobody has waited for the copies that it counts", self);
  use_mbarrier(barrier, true, where);
  std::memset(barrier, 0, sizeof mark);
  std::erase_if(home.mbarriers, [&](const MBarrierState& each) { return each.address == barrier; });
}

void MBarriers::fence(Block& block) {
  for (MBarrierState& state : block.mbarriers) state.fenced = true;
}

// ---- arrivals and bytes

void MBarriers::settle(MBarrierState& state) {
  if (state.missing > 0 || state.bytes != 0) return;
  release_copies(state.phases[state.phase & 1], state.copies, state.started + 1);
  ++state.phase;
  state.missing = state.arrivals;
  scheduler_.count_step(false);
  for (const Thread* thread : state.waiting) {
    thread->warp->at_mbarrier &= ~thread->bit();
    scheduler_.make_ready(*thread->warp, thread->bit());
  }
  state.waiting.clear();
}

Thread& MBarriers::arrive(void* barrier, unsigned bytes, Where where) {
  Block& home = scheduler_.owner_of(barrier, where);
  Thread& self = *Scheduler::running();
  if (home.alive == 0) scheduler_.fail_peer_left(self, home);
  MBarrierState& state = find(home, barrier, self);
  use_mbarrier(barrier, false, where);
  release(self, state.phases[state.phase & 1]);
  if (state.missing == 0)
    fail(state, home, "gets more arrivals in a phase than it was initialised with", self);
  state.bytes += bytes;
  if (state.bytes > most_bytes) fail(state, home, "is to wait for more bytes than 1048575", self);
  if (--state.missing == 0 && state.bytes < 0)
    fail(state, home, "got more bytes from copies than were announced", self);
  settle(state);
  home.refresh_view();
  return scheduler_.after_release(self);
}

std::uint64_t MBarriers::begin_copy(void* barrier, Where where) {
  Block& home = scheduler_.owner_of(barrier, where);
  const Thread& self = *Scheduler::running();
  MBarrierState& state = find(home, barrier, self);
  if (!state.fenced) {
    scheduler_.record(
        missing_proxy_fence, launch_failure,
        "a copy is started at " + place(where) + ", and " + describe(state, home) +
            ": mbarrier_fence_init() must stand between the initialisation and the first copy",
        self);
    scheduler_.leave();
  }
  use_mbarrier(barrier, false, where);
  state.loaded = state.phase + 1;
  state.load = where;
  return state.phase;
}

Epoch MBarriers::epoch_of_copy(Block& home, const void* barrier, const Thread& issuer) {
  MBarrierState& state = *look_up(home, barrier);
  return epoch_of(state.copies, issuer, ++state.started, true);
}

void MBarriers::end_copy(Block& home, const void* barrier, std::uint64_t phase, unsigned bytes,
                         const Thread& issuer) {
  MBarrierState& state = find(home, barrier, issuer);
  if (state.phase != phase)
    fail(state, home,
         "got bytes from a copy that was started in an earlier phase: fewer were announced than "
         "copied",
         issuer);
  state.bytes -= bytes;
  if (state.bytes < -most_bytes)
    fail(state, home, "got more bytes than 1048575 that were not announced", issuer);
  if (state.missing == 0 && state.bytes < 0)
    fail(state, home, "got more bytes from copies than were announced", issuer);
  settle(state);
}

// ---- waits

Thread& MBarriers::wait(void* barrier, unsigned parity, Where where) {
  Thread& self = *Scheduler::running();
  if (passed(barrier, parity, where)) return scheduler_.after_release(self);
  look_up(self.home(), barrier)->waiting.push_back(&self);
  self.warp->at_mbarrier |= self.bit();
  return scheduler_.suspend(self);
}

bool MBarriers::passed(void* barrier, unsigned parity, Where where) {
  Block& home = scheduler_.owner_of(barrier, where);
  Thread& self = *Scheduler::running();
  MBarrierState& state = find(home, barrier, self);
  use_mbarrier(barrier, false, where);
  if (&home != &self.home())
    fail(state, home, "belongs to a peer, and only its own block can wait at it", self);
  if ((state.phase & 1) == (parity & 1)) return false;
  state.seen = std::max(state.seen, state.phase);
  acquire(self, state.phases[parity & 1]);
  return true;
}

// ---- findings

std::string MBarriers::describe(const MBarrierState& state, const Block& block) {
  std::string text = "the mbarrier at byte " + std::to_string(state.address - block.shared) +
                     " of the shared memory";
  if (state.arrivals == 0) return text;
  return text + ", initialised at " + place(state.init) + ", waits in phase " +
         std::to_string(state.phase) + " for " + std::to_string(state.missing) + " of its " +
         std::to_string(state.arrivals) + " arrivals and for " + std::to_string(state.bytes) +
         " bytes";
}

void MBarriers::fail(const MBarrierState& state, const Block& home, const char* what,
                     const Thread& witness) {
  const bool known = state.arrivals > 0;
  scheduler_.record(mbarrier_misuse, launch_failure,
                    "an mbarrier " + std::string(what) + ", at " + place(witness.where) +
                        (known ? ": " : "; ") + describe(state, home),
                    witness);
  scheduler_.leave();
}

void MBarriers::end_block(const Block& block) {
  for (const MBarrierState& state : block.mbarriers) {
    if (state.loaded <= state.seen) continue;
    Thread witness = *Scheduler::running();
    witness.where = state.load;
    scheduler_.record(async_copy, launch_failure,
                      "the bulk copy started at " + place(state.load) + " was never waited for; " +
                          describe(state, block),
                      witness);
    scheduler_.leave();
  }
}

const MBarrierState* MBarriers::with_waiters(const Block& block) {
  for (const MBarrierState& state : block.mbarriers)
    if (!state.waiting.empty()) return &state;
  return nullptr;
}

Finding MBarriers::explain(const Block& block, const MBarrierState& state) const {
  std::string text = describe(state, block);
  if (state.missing == 0) text += ", which no copy brings: more were announced than copied";
  return make_finding(scheduler_.request(), deadlock, text + "; " + emulator::describe(block),
                      state.waiting.front());
}

}  // namespace abn::emulator
