// A second look at what was found, alone.
//
// A kernel that counts its calls may miscount in any check, and one with static scratch memory may
// meet the call of another case: each would be given the name of the check that met it, and a
// command that shows nothing. So the same look is repeated while no other case of this group runs.
// If the fault is gone, the checks of sequences and of threads are asked whose it is. Where it
// stays, the name may still be another check's, which then has to find it as well: a sequence moves
// between addresses, and threads make many calls.
#include <mutex>
#include <shared_mutex>

#include "verify/check/calls/ways.hpp"

namespace abn::verify::check::calls {
namespace {

/// Held by all looks, and by a second look alone.
std::shared_mutex& looks() {
  static std::shared_mutex mutex;
  return mutex;
}

Found attributed(Found met, const char* to, const char* words) {
  met.shown_by = to, met.without.clear();
  met.broken->reason += words;
  return met;
}

}  // namespace

Found confirmed(const CallCase& one, Found (*look)(const CallCase& one)) {
  Found met;
  {
    const std::shared_lock beside(looks());
    met = look(one);
  }
  if (!met.broken) return met;
  const std::unique_lock alone(looks());
  Found again = look(one);
  const bool may_move = look == call_often || look == call_at_once;
  if (may_move && move_buffers(one).broken)
    return {{}, "where its buffers lie decides already; see calls/elsewhere", {}};
  if (again.broken) {
    if (look == call_at_once && (call_in_turn(one).broken || call_a_hundred_times(one).broken))
      return {{}, "the same calls one after the other are wrong already; see calls/sequence", {}};
    // Another order of a sum stays within its bounds. What does not may have been remembered, and
    // so may what goes wrong where outputs are left out.
    const bool may_remember = look == leave_out || (look == move_buffers && again.is_beyond);
    if (may_remember && call_a_hundred_times(one).broken) {
      again.is_unexplained = true;
      return attributed(std::move(again),
                        look == leave_out ? "@(optional|sequence)" : "@(elsewhere|sequence)",
                        "; a sequence of calls is wrong too: the call itself decides, or the calls "
                        "before");
    }
    return again;
  }
  if (call_a_hundred_times(one).broken)
    return attributed(std::move(met), "sequence",
                      "; made again it is not there: it depends on the calls before");
  CallCase patient = one;
  patient.is_of_tier = false;
  constexpr int tries = 3;  // it takes some luck
  for (int i = 0; i < tries; ++i)
    if (call_at_once(patient).broken)
      return look == call_at_once
                 ? met
                 : attributed(
                       std::move(met), "threads",
                       "; made again alone it is not there: it depends on calls of other threads");
  met.is_unexplained = true;
  met.broken->reason += "; made again it is not there";
  return met;
}

}  // namespace abn::verify::check::calls
