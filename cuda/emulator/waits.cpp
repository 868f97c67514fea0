// The calls of a kernel that wait: barriers, warp operations, atomics and fences.
#include <bit>

#include "cuda/emulator/machine.hpp"
#include "cuda/emulator/sanitizer.hpp"
#include "cuda/emulator/schedule.hpp"

namespace abn::emulator {

// ---- barriers

[[gnu::noinline]] Thread& Machine::release(Thread& self, Block& block) {
  if (block.mixed || block.alive < block.size) fail_barrier(block);
  count_step(false);
  AsyncCopies::meet(block);
  if (sanitizer_) sanitizer_->block_barrier(block);
  block.waiting = 0;
  self.warp->at_barrier &= ~self.bit();
  for (unsigned w = 0; w < block.warp_count; ++w) {
    make_ready(block.warps[w], block.warps[w].at_barrier);
    block.warps[w].at_barrier = 0;
  }
  return after_release(self);
}

[[gnu::always_inline]] inline Thread& Machine::block_barrier(Where where) {
  Thread& self = *running();
  Warp& warp = *self.warp;
  Block& block = *warp.block;
  self.where = where;
  if (block.waiting == 0)
    block.barrier = where;
  else if (block.barrier.line() != where.line() || block.barrier.file_name() != where.file_name())
    block.mixed = true;
  warp.at_barrier |= self.bit();
  return ++block.waiting < block.alive ? suspend(self) : release(self, block);
}

void Machine::require_cooperative(Where where) {
  Thread& self = *running();
  self.where = where;
  if (!request_->cooperative) fail_grid_barrier(self);
}

[[gnu::always_inline]] inline Thread& Machine::grid_barrier(Where where) {
  Thread& self = *running();
  require_cooperative(where);
  self.warp->at_grid |= self.bit();
  if (++at_grid_ < total_blocks_ * self.home().size) return suspend(self);
  count_step(false);
  if (sanitizer_) sanitizer_->grid_barrier(blocks_, total_blocks_);
  at_grid_ = 0;
  self.warp->at_grid &= ~self.bit();
  for (std::uint64_t b = 0; b < total_blocks_; ++b)
    for (unsigned w = 0; w < blocks_[b]->warp_count; ++w) {
      make_ready(blocks_[b]->warps[w], blocks_[b]->warps[w].at_grid);
      blocks_[b]->warps[w].at_grid = 0;
    }
  return after_release(self);
}

// ---- warp operations: lanes bring something, and the last lane of the mask to arrive works out
// everybody's result

// The last one of a group; apart, so that the way of the other 31 lanes stays short.
[[gnu::noinline]] Thread& Machine::finish(Thread& self, std::uint32_t g) {
  complete(*self.warp, g, self.bit());
  count_step(false);
  return after_release(self);
}

[[gnu::always_inline]] inline Thread& Machine::meet(Thread& self, WarpOp op, unsigned size,
                                                    unsigned mask, Where where) {
  Warp& warp = *self.warp;
  const std::uint32_t bit = self.bit();
  self.where = where;
  if (!(mask & bit)) fail_left_out(self, op, mask);
  const std::uint32_t returned = mask & warp.exists & ~warp.alive;
  if (returned && is_shuffle(op)) fail_returned_lanes(self, mask, returned, op);
  const std::uint64_t key = WarpGroup::make_key(op, size, mask);
  std::uint32_t g = 0;
  while (g < warp.group_count && warp.groups[g].key != key) ++g;
  WarpGroup& group = warp.groups[g];
  if (g == warp.group_count) {
    ++warp.group_count;
    group.key = key;
    group.arrived = 0;
  }
  group.arrived |= bit;
  return group.arrived == (mask & warp.alive) ? finish(self, g) : suspend(self);
}

// Works out the results of a group and lets all but `self` go.
void Machine::complete(Warp& warp, std::uint32_t g, std::uint32_t self) {
  const WarpGroup group = warp.groups[g];
  warp.groups[g] = warp.groups[--warp.group_count];
  if (sanitizer_) sanitizer_->warp_operation(warp, group.arrived, group.op() == WarpOp::sync);
  if (is_shuffle(group.op())) {
    for (std::uint32_t left = group.arrived; left; left &= left - 1) {
      const auto lane = static_cast<unsigned>(std::countr_zero(left)),
                 source = unsigned{warp.source[lane]};
      if (!(group.arrived >> source & 1)) fail_source(warp.threads[lane], group);
      warp.threads[lane].received = warp.given[source];
    }
  } else {
    std::uint32_t yes = 0;
    for (std::uint32_t left = group.arrived; left; left &= left - 1) {
      const auto lane = static_cast<unsigned>(std::countr_zero(left));
      if (warp.given[lane]) yes |= 1u << lane;
    }
    for (std::uint32_t left = group.arrived; left; left &= left - 1)
      warp.threads[std::countr_zero(left)].received = std::uint64_t{group.arrived} << 32 | yes;
  }
  make_ready(warp, group.arrived & ~self);
}

[[gnu::always_inline]] inline Thread& Machine::shuffle(WarpOp op, unsigned size, unsigned mask,
                                                       std::uint64_t value, unsigned source,
                                                       Where where) {
  Thread& self = *running();
  self.where = where;
  if (source == bad_width) fail_width(self, op);
  self.warp->given[self.lane()] = value;
  self.warp->source[self.lane()] = static_cast<std::uint8_t>(source);
  return meet(self, op, size, mask, where);
}

[[gnu::always_inline]] inline Thread& Machine::vote(WarpOp op, unsigned mask, bool predicate,
                                                    Where where) {
  Thread& self = *running();
  self.warp->given[self.lane()] = predicate;
  return meet(self, op, 0, mask, where);
}

// ---- atomics and fences: whatever may happen between two of them is made to happen

[[gnu::always_inline]] inline Thread& Machine::atomic_begin(Where where) {
  Thread& self = *running();
  self.where = where;
  if (!shuffle_) return self;
  const std::uint64_t random = draw();
  return random >> 63 ? self : yield(self, random >> 62 & 1);
}

[[gnu::always_inline]] inline Thread& Machine::atomic_end(bool changed) {
  Thread& self = *running();
  count_step(!changed);
  // a thread that spins lets the other warps come first
  if (!shuffle_) return changed ? self : yield(self, true);
  const std::uint64_t random = draw();
  return random >> 63 ? self : yield(self, random >> 62 & 1);
}

[[gnu::always_inline]] inline Thread& Machine::pause(Where where) {
  Thread& self = *running();
  self.where = where;
  count_step(true);
  return yield(self, true);
}

[[gnu::always_inline]] inline Thread& Machine::fence(bool block_scope, Where where) {
  if (sanitizer_) sanitizer_->order.fence(*running(), block_scope);
  return pause(where);
}

// ---- the calls of engine.hpp

Arrival block_barrier(Where where) {
  return this_machine->go_on_with(this_machine->block_barrier(where));
}
Arrival grid_barrier(Where where) {
  return this_machine->go_on_with(this_machine->grid_barrier(where));
}
Arrival shuffle(WarpOp op, unsigned size, unsigned mask, std::uint64_t value, unsigned source,
                Where where) {
  return this_machine->go_on_with(this_machine->shuffle(op, size, mask, value, source, where));
}
Arrival vote(WarpOp op, unsigned mask, bool predicate, Where where) {
  return this_machine->go_on_with(this_machine->vote(op, mask, predicate, where));
}
void require_cooperative(Where where) { this_machine->require_cooperative(where); }
unsigned active_lanes() { return static_cast<Thread*>(current)->warp->alive; }
Arrival fence(bool block_scope, Where where) {
  return this_machine->go_on_with(this_machine->fence(block_scope, where));
}
Arrival pause(Where where) { return this_machine->go_on_with(this_machine->pause(where)); }
Arrival atomic_begin(const void* address, std::size_t size, Where where) {
  check_alignment(address, size, where);
  return this_machine->go_on_with(this_machine->atomic_begin(where));
}
Arrival atomic_end(bool changed) {
  return this_machine->go_on_with(this_machine->atomic_end(changed));
}

}  // namespace abn::emulator
