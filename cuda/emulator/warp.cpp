// Warp operations: lanes deposit what they bring, and the last lane of the mask to arrive works out everybody's result.
#include <algorithm>

#include "cuda/emulator/machine.hpp"

namespace abn::emulator {
namespace {

bool is_shuffle(WarpOp op) { return op <= WarpOp::shfl_xor; }

// The lane from which `lane` reads, by the definition of shfl in the PTX manual: outside of its segment a lane reads itself.
unsigned source_lane(WarpOp op, unsigned lane, unsigned operand, unsigned width) {
  const unsigned segment = 32 - width, first = lane & segment, last = first | (31 & ~segment);
  operand &= 31;
  switch (op) {
    case WarpOp::shfl_up: return lane >= first + operand ? lane - operand : lane;
    case WarpOp::shfl_down: return lane + operand <= last ? lane + operand : lane;
    case WarpOp::shfl_xor: return (lane ^ operand) <= last ? lane ^ operand : lane;
    default: return first | (operand & ~segment);
  }
}

}  // namespace

// Returns when all lanes of the mask have called the same operation; what they brought is in warp.given and warp.source.
void Machine::meet(Thread& self, WarpOp op, unsigned size, unsigned mask, Where where) {
  Warp& warp = *self.warp;
  self.where = where;
  if (!(mask & self.bit)) {
    record(shuffle_mask, launch_failure,
           std::string(op_name(op)) + " at " + place(where) + ": lane " + std::to_string(self.lane) + " called it with a mask of lanes " +
               lanes_text(mask) + ", which leaves it out");
    leave();
  }
  if (is_shuffle(op) && (mask & warp.exists & ~warp.alive)) fail_returned_lanes(self, mask, mask & warp.exists & ~warp.alive, op);
  std::uint32_t g = 0;
  while (g < warp.group_count && !(warp.groups[g].mask == mask && warp.groups[g].op == op && warp.groups[g].size == size)) ++g;
  if (g == warp.group_count) warp.groups[warp.group_count++] = {op, static_cast<std::uint8_t>(size), mask, 0};
  warp.groups[g].arrived |= self.bit;
  if (warp.groups[g].arrived != (mask & warp.alive)) return suspend(self);
  complete(warp, g, self.bit);
  count_step(false);
  go_on_or_yield(self);
}

// Works out the results of a group and lets all but `self` go.
void Machine::complete(Warp& warp, std::uint32_t g, std::uint32_t self) {
  const WarpGroup group = warp.groups[g];
  warp.groups[g] = warp.groups[--warp.group_count];
  if (is_shuffle(group.op)) {
    for (std::uint32_t left = group.arrived; left; left &= left - 1) {
      const unsigned lane = static_cast<unsigned>(std::countr_zero(left)), source = warp.source[lane];
      if (!(group.arrived >> source & 1)) {
        const Thread& reader = warp.threads[lane];
        record(shuffle_mask, launch_failure,
               std::string(op_name(group.op)) + " at " + place(reader.where) + ": lane " + std::to_string(lane) + " reads lane " +
                   std::to_string(source) + ", which takes no part; those that do are " + lanes_text(group.arrived),
               reader);
        leave();
      }
      warp.received[lane] = warp.given[source];
    }
  } else {
    std::uint32_t yes = 0;
    for (std::uint32_t left = group.arrived; left; left &= left - 1) {
      const int lane = std::countr_zero(left);
      if (warp.given[static_cast<unsigned>(lane)]) yes |= 1u << lane;
    }
    for (std::uint32_t left = group.arrived; left; left &= left - 1)
      warp.received[static_cast<unsigned>(std::countr_zero(left))] = std::uint64_t{group.arrived} << 32 | yes;
  }
  make_ready(warp, group.arrived & ~self);
}

std::uint64_t Machine::shuffle(WarpOp op, unsigned size, unsigned mask, std::uint64_t value, unsigned operand, int width, Where where) {
  Thread& self = *running();
  Warp& warp = *self.warp;
  if (width < 1 || width > 32 || !std::has_single_bit(static_cast<unsigned>(width))) {
    record(shuffle_mask, launch_failure,
           std::string(op_name(op)) + " at " + place(where) + ": the width " + std::to_string(width) + " is none of 1, 2, 4, 8, 16, 32");
    leave();
  }
  warp.given[self.lane] = value;
  warp.source[self.lane] = static_cast<std::uint8_t>(source_lane(op, self.lane, operand, static_cast<unsigned>(width)));
  meet(self, op, size, mask, where);
  return warp.received[self.lane];
}

Vote Machine::vote(WarpOp op, unsigned mask, bool predicate, Where where) {
  Thread& self = *running();
  Warp& warp = *self.warp;
  warp.given[self.lane] = predicate;
  meet(self, op, 0, mask, where);
  const std::uint64_t received = warp.received[self.lane];
  return {static_cast<unsigned>(received), static_cast<unsigned>(received >> 32)};
}

unsigned active_lanes() { return static_cast<Thread*>(current)->warp->alive; }

std::uint64_t shuffle(WarpOp op, unsigned size, unsigned mask, std::uint64_t value, unsigned operand, int width, Where where) {
  return Machine::of_this_thread().shuffle(op, size, mask, value, operand, width, where);
}
Vote vote(WarpOp op, unsigned mask, bool predicate, Where where) { return Machine::of_this_thread().vote(op, mask, predicate, where); }

}  // namespace abn::emulator
