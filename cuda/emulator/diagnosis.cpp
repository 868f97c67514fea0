// What goes wrong in barriers and warp operations, and why nobody can run any more.
#include <bit>
#include <string>

#include "cuda/emulator/machine.hpp"
#include "cuda/emulator/wording.hpp"

namespace abn::emulator {
namespace {

const Thread* first_thread(const Block& block, std::uint32_t Warp::*mask) {
  for (unsigned w = 0; w < block.warp_count; ++w)
    if (const std::uint32_t lanes = block.warps[w].*mask)
      return &block.warps[w].threads[std::countr_zero(lanes)];
  return nullptr;
}

const Thread* first_in_group(const Block& block) {
  for (unsigned w = 0; w < block.warp_count; ++w)
    if (block.warps[w].group_count > 0)
      return &block.warps[w].threads[std::countr_zero(block.warps[w].groups[0].arrived)];
  return nullptr;
}

}  // namespace

void Machine::fail_barrier(Block& block) {
  record(barrier_divergence, launch_failure,
         "a barrier that not all threads of the block reach: " + describe(block),
         *first_thread(block, &Warp::at_barrier));
  leave();
}

void Machine::fail_returned_lanes(const Thread& waiting, std::uint32_t mask, std::uint32_t returned,
                                  WarpOp op) {
  record(shuffle_mask, launch_failure,
         std::string(op_name(op)) + " at " + place(waiting.where) + ": its mask of lanes " +
             lanes_text(mask) + " names lanes " + lanes_text(returned) +
             ", which returned from the kernel",
         waiting);
  leave();
}

void Machine::fail_left_out(const Thread& self, WarpOp op, std::uint32_t mask) {
  record(shuffle_mask, launch_failure,
         std::string(op_name(op)) + " at " + place(self.where) + ": lane " +
             std::to_string(self.lane()) + " called it with a mask of lanes " + lanes_text(mask) +
             ", which leaves it out");
  leave();
}

void Machine::fail_source(const Thread& reader, const WarpGroup& group) {
  record(shuffle_mask, launch_failure,
         std::string(op_name(group.op())) + " at " + place(reader.where) + ": lane " +
             std::to_string(reader.lane()) + " reads lane " +
             std::to_string(reader.warp->source[reader.lane()]) +
             ", which takes no part; those that do are " + lanes_text(group.arrived),
         reader);
  leave();
}

void Machine::fail_width(const Thread& self, WarpOp op) {
  record(shuffle_mask, launch_failure,
         std::string(op_name(op)) + " at " + place(self.where) +
             ": its width is none of 1, 2, 4, 8, 16, 32");
  leave();
}

void Machine::fail_grid_barrier(const Thread& self) {
  record(launch_configuration, launch_failure,
         "the barrier between blocks at " + place(self.where) + " needs launch_cooperative()");
  leave();
}

void Machine::fail_guard(const Block& block, const unsigned char* byte) {
  const std::ptrdiff_t offset = byte - block.shared;
  record(shared_overrun, launch_failure,
         "the block wrote " +
             (offset < 0 ? std::to_string(-offset) + " bytes in front of"
                         : "at byte " + std::to_string(offset) + " of") +
             " its shared memory, which has " + std::to_string(block.shared_bytes) + " bytes");
  leave();
}

// Nobody can run and blocks are left. A block that is stuck at its own barrier explains most, then
// a warp operation, then the grid.
Finding Machine::explain_standstill() const {
  const Block* at_barrier = nullptr;
  const Block* in_warp = nullptr;
  const Block* at_grid = nullptr;
  for (std::uint64_t b = resident_; b-- > 0;) {
    const Block* block = blocks_[b].get();
    if (first_thread(*block, &Warp::at_barrier)) at_barrier = block;
    if (first_in_group(*block)) in_warp = block;
    if (first_thread(*block, &Warp::at_grid)) at_grid = block;
  }
  for (std::uint64_t b = 0; b < resident_; ++b)
    if (const MBarrierState* state = MBarriers::with_waiters(*blocks_[b]))
      return mbarriers.explain(*blocks_[b], *state);
  if (at_barrier)
    return make_finding(
        *request_, barrier_divergence,
        "a barrier that not all threads of the block reach: " + describe(*at_barrier),
        first_thread(*at_barrier, &Warp::at_barrier));
  if (in_warp)
    return make_finding(*request_, shuffle_mask,
                        "lanes wait for lanes of their mask that never come: " + describe(*in_warp),
                        first_in_group(*in_warp));
  for (std::uint64_t b = 0; b < resident_; ++b)
    if (blocks_[b]->home_cluster->arrived > 0)
      return explain_cluster_barrier(*blocks_[b]->home_cluster);
  // There is nothing else to wait for. NOLINTBEGIN(clang-analyzer-core.NullDereference)
  return make_finding(*request_, deadlock,
                      "the grid's barrier is reached by " + std::to_string(at_grid_) +
                          " of the grid's " + std::to_string(total_blocks_ * at_grid->size) +
                          " threads: " + describe(*at_grid),
                      first_thread(*at_grid, &Warp::at_grid));
  // NOLINTEND(clang-analyzer-core.NullDereference)
}

// ---- checks on behalf of kernels

void misaligned(const void* address, std::size_t size, Where where) {
  Machine& machine = Machine::of_this_thread();
  static_cast<Thread*>(current)->where = where;
  machine.record(misaligned_access, misaligned_address,
                 "misaligned " + std::to_string(size) + "-byte access at " + place(where) +
                     ": the address is " +
                     std::to_string(reinterpret_cast<std::uintptr_t>(address) % size) +
                     " bytes beyond a multiple of " + std::to_string(size));
  machine.leave();
}

void not_global(const void* address, Where where) {
  Machine& machine = Machine::of_this_thread();
  static_cast<Thread*>(current)->where = where;
  machine.record(wrong_space, illegal_address,
                 "the access at " + place(where) + " is one to global memory, and byte " +
                     std::to_string(static_cast<const unsigned char*>(address) -
                                    static_cast<Thread*>(current)->block->shared) +
                     " of shared memory is not there: a GPU ends the launch");
  machine.leave();
}

void shared_too_small(std::size_t needed, Where where) {
  Machine& machine = Machine::of_this_thread();
  static_cast<Thread*>(current)->where = where;
  machine.record(shared_overrun, launch_failure,
                 "dynamic_shared() at " + place(where) + " lays out " + std::to_string(needed) +
                     " bytes, but the launch gave " + std::to_string(current->block->shared_bytes));
  machine.leave();
}

}  // namespace abn::emulator
