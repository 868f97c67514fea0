// The scheduler: which thread runs next, and what a launch, a block and a thread do from first to last.
#include "cuda/emulator/machine.hpp"

#include <algorithm>
#include <exception>

namespace abn::emulator {

constinit thread_local ThreadView* current = nullptr;

namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

// One step in eight looks beyond the warp that runs: runs of one warp keep its stacks in the cache, and yet no warp is held back.
constexpr std::uint64_t leave_one_in = 8;
// An absolute limit, in spin limits, for loops that change memory or pass warp operations for ever without a thread that returns.
constexpr std::uint64_t busy_limit_factor = 16;

std::uint64_t scramble(std::uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Machine& Machine::of_this_thread() {
  static thread_local Machine machine;
  return machine;
}

// ---- who runs next

std::uint64_t Machine::draw() {  // xorshift64*
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545f4914f6cdd1du;
}

void Machine::make_ready(Warp& warp, std::uint32_t lanes) {
  if (lanes == 0) return;
  if (warp.ready == 0) {
    warp.position = static_cast<std::uint32_t>(ready_count_);
    ready_[ready_count_++] = &warp;
  }
  warp.ready |= lanes;
}

void Machine::drop_ready(Warp& warp) {
  Warp* last = ready_[--ready_count_];
  ready_[warp.position] = last;
  last->position = warp.position;
}

Warp* Machine::next_in_order(bool leave_warp) const {
  if (burst_ && burst_->ready && !leave_warp) return burst_;
  const std::uint32_t after = burst_ ? burst_->order + 1 : 0;
  return *std::min_element(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(ready_count_),
                           [after](const Warp* a, const Warp* b) { return a->order - after < b->order - after; });
}

Thread* Machine::pick(bool leave_warp) {
  if (ready_count_ == 0) return &main_;
  Warp* warp = burst_;
  std::uint32_t first;
  if (shuffle_) {
    const std::uint64_t random = draw();
    if (leave_warp || !warp || warp->ready == 0 || random % leave_one_in == 0) warp = ready_[(random >> 32) * ready_count_ >> 32];
    first = random >> 8 & 31;
  } else {
    warp = next_in_order(leave_warp);
    first = warp->turn;
  }
  const int lane = (std::countr_zero(std::rotr(warp->ready, static_cast<int>(first))) + static_cast<int>(first)) & 31;
  warp->ready &= ~(1u << lane);
  if (warp->ready == 0) drop_ready(*warp);
  warp->turn = static_cast<std::uint32_t>(lane + 1) & 31;
  burst_ = warp;
  return &warp->threads[lane];
}

void Machine::switch_to(Thread& from, Thread& to) {
  if (&to != &main_ && !to.stack) {
    to.stack = stacks_.take();
    to.context = make_fcontext(to.stack->top(), to.stack->size(), &Machine::enter);
  }
  ++switches_;
  current = &to == &main_ ? nullptr : &to;
  const transfer_t back = jump_fcontext(to.context, &from);
  static_cast<Thread*>(back.data)->context = back.fctx;  // of the thread that came here, which is not `to`
}

// The thread stands in a mask of those that wait or are ready; somebody else runs until its turn comes.
void Machine::suspend(Thread& self, bool leave_warp) {
  if (static_cast<unsigned char*>(__builtin_frame_address(0)) < self.stack->limit()) overflow();
  Thread* next = pick(leave_warp);
  if (next != &self) switch_to(self, *next);
}

void Machine::go_on_or_yield(Thread& self) {
  if (!shuffle_ || (draw() >> 63)) return;
  make_ready(*self.warp, self.bit);
  suspend(self);
}

void Machine::count_step(bool idle) {
  idle_steps_ = idle ? idle_steps_ + 1 : 0;
  ++steps_;
  if (idle_steps_ >= settings_->spin_limit || steps_ >= settings_->spin_limit * busy_limit_factor) fail_endless();
}

// ---- a thread from first to last

bool Machine::run_body() {
  std::string escaped;
  try {
    request_->body(request_->closure);
    return true;
  } catch (const std::exception& error) {
    escaped = error.what();
  } catch (...) {
    escaped = "of a type that is no std::exception";
  }
  record(escaped_exception, launch_failure, "an exception left the kernel: " + escaped);
  return false;
}

void Machine::overflow() {
  record(stack_overflow, stack_error, "the thread used more than the " + std::to_string(Stack::usable / 1024) + " KiB of its stack");
  leave();
}

void Machine::enter(transfer_t from) {
  static_cast<Thread*>(from.data)->context = from.fctx;
  Machine& machine = of_this_thread();
  for (;;) {
    Thread& self = *machine.running();
    if (!machine.run_body()) machine.leave();
    if (!self.stack->intact()) machine.overflow();
    machine.end_thread(self);
    Stack* stack = self.stack;
    self.stack = nullptr;
    Thread& next = *machine.pick(false);
    if (&next != &machine.main_ && !next.stack) {  // goes on here: no switch
      next.stack = stack;
      current = &next;
    } else {
      machine.stacks_.give_back(stack);  // nobody takes it before the jump is done
      machine.switch_to(self, next);
    }
  }
}

void Machine::end_thread(Thread& self) {
  Warp& warp = *self.warp;
  Block& block = *warp.block;
  warp.alive &= ~self.bit;
  --block.alive;
  idle_steps_ = steps_ = 0;
  for (std::uint32_t g = 0; g < warp.group_count; ++g) {
    const WarpGroup& group = warp.groups[g];
    if (!(group.mask & self.bit)) continue;
    if (group.op <= WarpOp::shfl_xor)
      fail_returned_lanes(warp.threads[std::countr_zero(group.arrived)], group.mask, self.bit, group.op);
    if (group.arrived == (group.mask & warp.alive)) complete(warp, g--, 0);
  }
  if (block.waiting && block.waiting == block.alive) fail_barrier(block);
  if (block.alive == 0) end_block(block);
}

// ---- a block from first to last

std::uint64_t Machine::shuffled_block(std::uint64_t number) const {
  if (!shuffle_) return number;
  // A Feistel network over the next even power of two, walked until it falls inside: a permutation that needs no memory.
  const int half = (std::bit_width(total_blocks_ - 1) + 1) / 2;
  const std::uint64_t low = (std::uint64_t{1} << half) - 1;
  do {
    std::uint64_t left = number >> half, right = number & low;
    for (std::uint64_t round = 1; round <= 4; ++round) {
      const std::uint64_t mixed = left ^ (scramble(block_key_ + round * 0x9e3779b97f4a7c15u + right) & low);
      left = right;
      right = mixed;
    }
    number = left << half | right;
  } while (number >= total_blocks_);
  return number;
}

void Machine::start_block(Block& block) {
  const uint3 grid = request_->grid;
  const std::uint64_t number = shuffled_block(next_block_++);
  block.index = {static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
                 static_cast<unsigned>(number / grid.x / grid.y)};
  block.poison();
  block.alive = block.size;
  block.waiting = 0;
  block.mixed = false;
  for (unsigned w = 0; w < block.warp_count; ++w) {
    Warp& warp = block.warps[w];
    warp.alive = warp.exists;
    warp.at_barrier = warp.at_grid = warp.turn = warp.group_count = 0;
    make_ready(warp, warp.exists);
  }
}

void Machine::end_block(Block& block) {
  if (const unsigned char* byte = block.spoilt()) {
    const std::ptrdiff_t offset = byte - block.shared;
    record(shared_overrun, launch_failure,
         "the block wrote " + (offset < 0 ? std::to_string(-offset) + " bytes in front of" : "at byte " + std::to_string(offset) + " of") +
             " its shared memory, which has " + std::to_string(block.shared_bytes) + " bytes");
    leave();
  }
  ++report_->blocks;
  report_->threads += block.size;
  if (next_block_ < total_blocks_)
    start_block(block);
  else
    --live_blocks_;
}

// ---- barriers

void Machine::block_barrier(Where where) {
  Thread& self = *running();
  Warp& warp = *self.warp;
  Block& block = *warp.block;
  if (block.waiting == 0)
    block.barrier = where;
  else if (block.barrier.line() != where.line() || block.barrier.file_name() != where.file_name())
    block.mixed = true;
  self.where = where;
  warp.at_barrier |= self.bit;
  if (++block.waiting < block.alive) return suspend(self);
  if (block.mixed || block.alive < block.size) fail_barrier(block);
  release_block(block);
  go_on_or_yield(self);
}

void Machine::release_block(Block& block) {
  const Thread& self = *running();
  block.waiting = 0;
  count_step(false);
  for (unsigned w = 0; w < block.warp_count; ++w) {
    Warp& warp = block.warps[w];
    make_ready(warp, &warp == self.warp ? warp.at_barrier & ~self.bit : warp.at_barrier);
    warp.at_barrier = 0;
  }
}

void Machine::grid_barrier(Where where) {
  Thread& self = *running();
  if (!request_->cooperative) {
    record(launch_configuration, launch_failure, "the grid's barrier at " + place(where) + " needs launch_cooperative()");
    leave();
  }
  self.where = where;
  self.warp->at_grid |= self.bit;
  if (++at_grid_ < total_blocks_ * self.home().size) return suspend(self);
  at_grid_ = 0;
  count_step(false);
  for (std::uint64_t b = 0; b < total_blocks_; ++b)
    for (unsigned w = 0; w < blocks_[b]->warp_count; ++w) {
      Warp& warp = blocks_[b]->warps[w];
      make_ready(warp, &warp == self.warp ? warp.at_grid & ~self.bit : warp.at_grid);
      warp.at_grid = 0;
    }
  go_on_or_yield(self);
}

// ---- atomics and fences: whatever may happen between two of them is made to happen

void Machine::atomic_begin(Where where) {
  Thread& self = *running();
  self.where = where;
  if (!shuffle_ || (draw() >> 63)) return;
  make_ready(*self.warp, self.bit);
  suspend(self);
}

void Machine::atomic_end(bool changed) {
  Thread& self = *running();
  count_step(!changed);
  if (shuffle_ ? draw() >> 63 : changed) return;  // in the ascending order a thread that spins lets the other warps come first
  make_ready(*self.warp, self.bit);
  suspend(self, !changed);
}

void Machine::fence(Where where) {
  Thread& self = *running();
  self.where = where;
  count_step(true);
  make_ready(*self.warp, self.bit);
  suspend(self, true);
}

// ---- a launch

int Machine::launch(const LaunchRequest& request, const Settings& settings, std::uint64_t seed, Report& report) {
  request_ = &request;
  settings_ = &settings;
  report_ = &report;
  shuffle_ = settings.shuffle;
  code_ = success;
  random_ = scramble(seed) | 1;
  block_key_ = scramble(random_);
  next_block_ = switches_ = idle_steps_ = steps_ = at_grid_ = 0;
  total_blocks_ = std::uint64_t{request.grid.x} * request.grid.y * request.grid.z;
  const auto wanted = static_cast<std::uint64_t>(std::max(settings.resident_blocks, 1));
  live_blocks_ = request.cooperative ? total_blocks_ : std::min(wanted, total_blocks_);
  while (blocks_.size() < live_blocks_) {
    blocks_.push_back(std::make_unique<Block>());
    for (Warp& warp : blocks_.back()->warps) warp.order = static_cast<std::uint32_t>(blocks_.size() * 32 + static_cast<std::size_t>(&warp - blocks_.back()->warps.data()));
  }
  if (ready_.size() < live_blocks_ * 32) ready_.resize(live_blocks_ * 32);
  ready_count_ = 0;
  burst_ = nullptr;
  const std::uint64_t resident = live_blocks_;
  for (std::uint64_t b = 0; b < resident; ++b) blocks_[b]->lay_out(request);
  for (std::uint64_t b = 0; b < resident; ++b) start_block(*blocks_[b]);

  switch_to(main_, *pick(false));  // comes back when nobody can run any more

  ++report.launches;
  report.switches += switches_;
  if (code_ == success && live_blocks_ > 0) {
    report.findings.push_back(explain_standstill());
    code_ = launch_failure;
  }
  if (code_ != success) {
    for (std::uint64_t b = 0; b < resident; ++b)
      for (Thread& thread : blocks_[b]->threads)
        if (thread.stack) {
          thread.stack->arm();
          stacks_.give_back(thread.stack);
          thread.stack = nullptr;
        }
  }
  return code_;
}

void Machine::record(const char* kind, int code, std::string text, const Thread& witness) {
  report_->findings.push_back(make_finding(*request_, kind, std::move(text), &witness));
  code_ = code;
}

void Machine::leave() {
  switch_to(*running(), main_);
  __builtin_unreachable();
}

// ---- the calls of engine.hpp

void block_barrier(Where where) { Machine::of_this_thread().block_barrier(where); }
void grid_barrier(Where where) { Machine::of_this_thread().grid_barrier(where); }
void fence(Where where) { Machine::of_this_thread().fence(where); }
void atomic_begin(const void* address, std::size_t size, Where where) {
  check_alignment(address, size, where);
  Machine::of_this_thread().atomic_begin(where);
}
void atomic_end(bool changed) { Machine::of_this_thread().atomic_end(changed); }

void misaligned(const void* address, std::size_t size, Where where) {
  Machine& machine = Machine::of_this_thread();
  machine.record(misaligned_access, misaligned_address,
                 "misaligned " + std::to_string(size) + "-byte access at " + place(where) + ": the address is " +
                     std::to_string(reinterpret_cast<std::uintptr_t>(address) % size) + " bytes beyond a multiple of " +
                     std::to_string(size));
  machine.leave();
}

void shared_too_small(std::size_t needed, Where where) {
  Machine& machine = Machine::of_this_thread();
  machine.record(shared_overrun, launch_failure,
                 "dynamic_shared() at " + place(where) + " lays out " + std::to_string(needed) + " bytes, but the launch gave " +
                     std::to_string(current->block->shared_bytes));
  machine.leave();
}

}  // namespace abn::emulator
