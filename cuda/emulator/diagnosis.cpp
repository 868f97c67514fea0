// The words of the findings: who waits where, for whom, and where those are.
#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <map>

#include "cuda/emulator/machine.hpp"
#include "cuda/emulator/sites.hpp"

namespace abn::emulator {
namespace {

// "0-15, 31": the sorted numbers, runs of them folded.
std::string ranges(const std::vector<unsigned>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    if (!text.empty()) text += ", ";
    text += std::to_string(numbers[i]);
    if (end - i > 1) text += "-" + std::to_string(numbers[end - 1]);
    i = end;
  }
  return text.empty() ? "none" : text;
}

// What a thread of a block that cannot go on is doing.
std::string activity(const Thread& thread) {
  const Warp& warp = *thread.warp;
  if (!(warp.alive & thread.bit())) return "returned";
  if (warp.at_barrier & thread.bit()) return "wait in __syncthreads at " + place(thread.where);
  if (warp.at_mbarrier & thread.bit()) return "wait at an mbarrier at " + place(thread.where);
  if (warp.in_cluster.waiting & thread.bit())
    return "wait in the cluster's barrier at " + place(thread.where);
  if (warp.at_grid & thread.bit()) return "wait in the grid's barrier at " + place(thread.where);
  for (std::uint32_t g = 0; g < warp.group_count; ++g)
    if (warp.groups[g].arrived & thread.bit())
      return std::string("wait in ") + op_name(warp.groups[g].op()) + " at " + place(thread.where) +
             " for lanes " + lanes_text(warp.groups[g].mask());
  return thread.stack ? "run, last seen at " + place(thread.where) : "have not begun";
}

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

std::string place(const Where& where) { return text_of(place_of(where)); }

std::string kernel_name(const LaunchRequest& request) {
  if (request.name) return request.name;
  Dl_info info;
  if (dladdr(request.kernel, &info) && info.dli_sname && info.dli_saddr == request.kernel) {
    int status = 0;
    char* readable = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
    std::string name = status == 0 ? readable : info.dli_sname;
    std::free(readable);
    return name;
  }
  return "the kernel launched at " + place(request.where);
}

std::string lanes_text(std::uint32_t lanes) {
  std::vector<unsigned> numbers;
  for (; lanes; lanes &= lanes - 1)
    numbers.push_back(static_cast<unsigned>(std::countr_zero(lanes)));
  return ranges(numbers);
}

const char* op_name(WarpOp op) {
  switch (op) {
    case WarpOp::shfl:
      return "__shfl_sync";
    case WarpOp::shfl_up:
      return "__shfl_up_sync";
    case WarpOp::shfl_down:
      return "__shfl_down_sync";
    case WarpOp::shfl_xor:
      return "__shfl_xor_sync";
    case WarpOp::ballot:
      return "__ballot_sync";
    case WarpOp::any:
      return "__any_sync";
    case WarpOp::all:
      return "__all_sync";
    case WarpOp::sync:
      return "__syncwarp";
  }
  return "a warp operation";
}

Finding make_finding(const LaunchRequest& request, const char* kind, std::string text,
                     const Thread* witness) {
  Finding finding;
  finding.kind = kind;
  finding.kernel = kernel_name(request);
  finding.text = std::move(text);
  if (witness) {
    const uint3 block = witness->block->index, thread = witness->index;
    finding.text += "; block (" + std::to_string(block.x) + ", " + std::to_string(block.y) + ", " +
                    std::to_string(block.z) + "), thread (" + std::to_string(thread.x) + ", " +
                    std::to_string(thread.y) + ", " + std::to_string(thread.z) + ")";
    finding.block[0] = block.x, finding.block[1] = block.y, finding.block[2] = block.z;
    finding.thread[0] = thread.x, finding.thread[1] = thread.y, finding.thread[2] = thread.z;
    const Place place = place_of(witness->where);
    finding.file = place.file;
    finding.line = place.line;
  }
  return finding;
}

// "threads 0-127 wait in __syncthreads at device/reduce.cuh:41; threads 128-255 returned", threads
// numbered by rank.
std::string Machine::describe(const Block& block) const {
  std::map<std::string, std::vector<unsigned>> groups;
  for (unsigned rank = 0; rank < block.size; ++rank)
    groups[activity(block.threads[rank])].push_back(rank);
  std::map<unsigned, std::string> by_first;
  for (const auto& [what, ranks] : groups)
    by_first[ranks.front()] = "threads " + ranges(ranks) + " " + what;
  std::string text;
  for (const auto& [first, line] : by_first) text += (text.empty() ? "" : "; ") + line;
  return text;
}

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

void Machine::fail_stack() {
  record(stack_overflow, stack_error,
         "the thread used more than the " + std::to_string(Stack::usable / 1024) +
             " KiB of its stack");
  leave();
}

void Machine::fail_endless() {
  const Thread& self = *running();
  record(endless_loop, launch_timeout,
         "a thread spins at " + place(self.where) + " and what it waits for does not come (" +
             std::to_string(steps_) + " atomics, fences and barriers since a thread returned); " +
             describe(self.home()));
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
      return explain_mbarrier(*blocks_[b], *state);
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
  return make_finding(*request_, deadlock,
                      "the grid's barrier is reached by " + std::to_string(at_grid_) +
                          " of the grid's " + std::to_string(total_blocks_ * at_grid->size) +
                          " threads: " + describe(*at_grid),
                      first_thread(*at_grid, &Warp::at_grid));
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
