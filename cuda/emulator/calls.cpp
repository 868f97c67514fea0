// What kernels call of asynchronous copies and mbarriers: each finds the machine of its OS thread.
// The calls of engine.hpp are in waits.cpp and those of clusters in clusters.cpp, beside what they
// are inlined with.
#include "cuda/emulator/copy_order.hpp"
#include "cuda/emulator/engine_copies.hpp"
#include "cuda/emulator/engine_mbarriers.hpp"
#include "cuda/emulator/machine.hpp"

namespace abn::emulator {

// ---- engine_copies.hpp

void copy_element(void* shared, const void* global, unsigned bytes, unsigned valid, Where where) {
  this_machine->copies.element(shared, global, bytes, valid, where);
}
void start_bulk_load(void* shared, const void* global, unsigned bytes, void* barrier, Where where) {
  this_machine->copies.load(shared, global, bytes, barrier, where);
}
void start_bulk_store(void* global, const void* shared, unsigned bytes, Where where) {
  this_machine->copies.store(global, shared, bytes, where);
}
void start_store_async(void* shared, std::uint64_t value, unsigned bytes, void* barrier,
                       Where where) {
  this_machine->copies.store_value(shared, value, bytes, barrier, where);
}
void check_bulk_size(unsigned bytes, Where where) { this_machine->copies.check_size(bytes, where); }
void commit_copies(CopyKind kind) { this_machine->copies.commit(kind); }
Arrival copies_pause(Where where) {
  return this_machine->go_on_with(this_machine->copies.pause(where));
}
void finish_copies(CopyKind kind, unsigned pending, bool sources, Where where) {
  this_machine->copies.finish(kind, pending, sources, where);
}
void proxy_fence() {
  Block& home = static_cast<Thread*>(current)->home();
  home.async.fence_pending = true;
  take_picture(*static_cast<Thread*>(current));
  MBarriers::fence(home);
}

// ---- engine_mbarriers.hpp

void mbarrier_init(void* barrier, unsigned arrivals, Where where) {
  this_machine->mbarriers.init(barrier, arrivals, where);
}
void mbarrier_invalidate(void* barrier, Where where) {
  this_machine->mbarriers.invalidate(barrier, where);
}
void mbarrier_fence() { MBarriers::fence(static_cast<Thread*>(current)->home()); }
Arrival mbarrier_arrive(void* barrier, unsigned bytes, Where where) {
  return this_machine->go_on_with(this_machine->mbarriers.arrive(barrier, bytes, where));
}
Arrival mbarrier_wait(void* barrier, unsigned parity, Where where) {
  return this_machine->go_on_with(this_machine->mbarriers.wait(barrier, parity, where));
}
bool mbarrier_passed(void* barrier, unsigned parity, Where where) {
  return this_machine->mbarriers.passed(barrier, parity, where);
}

}  // namespace abn::emulator
