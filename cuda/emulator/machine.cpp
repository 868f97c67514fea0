// The scheduler: which thread runs next, and what a launch, a block and a thread do from first to last.
#include "cuda/emulator/machine.hpp"

#include <algorithm>
#include <exception>

namespace abn::emulator {

constinit thread_local ThreadView* current = nullptr;

namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;

// How often a step looks beyond the warp that runs, as masks of a random number. Most launches stay in a warp for some eight warp
// operations, which keeps its stacks in the cache; one launch in eight takes hardly two steps in the same warp.
constexpr std::uint64_t calm_mask = 255, wild_mask = 1, wild_one_in = 8;
// An absolute limit, in spin limits, for loops that change memory or pass warp operations for ever without a thread that returns.
constexpr std::uint64_t busy_limit_factor = 16;

std::uint64_t scramble(std::uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

constinit thread_local Machine* this_machine = nullptr;  // the same as below, without the check whether it is there

}  // namespace

Machine& Machine::of_this_thread() {
  static thread_local Machine machine;
  this_machine = &machine;
  return machine;
}

// ---- who runs next

inline std::uint64_t Machine::draw() {  // xorshift64*
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545f4914f6cdd1du;
}

inline void Machine::make_ready(Warp& warp, std::uint32_t lanes) {
  if (lanes == 0) return;
  if (warp.ready == 0) {
    warp.position = static_cast<std::uint32_t>(ready_count_);
    ready_[ready_count_++] = &warp;
  }
  warp.ready |= lanes;
}

// The warp that ran last, as long as it can; after it the next one of those that are ready.
Warp* Machine::next_in_order(bool leave_warp) const {
  if (burst_->ready && !leave_warp) return burst_;
  const std::uint32_t after = burst_->order + 1;
  return *std::min_element(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(ready_count_),
                           [after](const Warp* a, const Warp* b) { return a->order - after < b->order - after; });
}

[[gnu::always_inline]] inline Thread& Machine::pick(bool leave_warp) {
  if (ready_count_ == 0) return main_;
  Warp* warp = burst_;
  std::uint32_t first;
  if (shuffle_) {
    const std::uint64_t random = draw();
    if (leave_warp || warp->ready == 0 || (random & leave_mask_) == 0) warp = ready_[(random >> 32) * ready_count_ >> 32];
    first = random >> 16 & 31;
  } else {
    warp = next_in_order(leave_warp);
    first = warp->turn;
  }
  const auto lane = (static_cast<std::uint32_t>(std::countr_zero(std::rotr(warp->ready, static_cast<int>(first)))) + first) & 31;
  warp->ready &= ~(1u << lane);
  if (warp->ready == 0) {
    Warp* last = ready_[--ready_count_];
    ready_[warp->position] = last;
    last->position = warp->position;
  }
  warp->turn = (lane + 1) & 31;
  burst_ = warp;
  return warp->threads[lane];
}

void Machine::begin(Thread& thread) {
  thread.stack = stacks_.take();
  thread.context = make_fcontext(thread.stack->top(), thread.stack->size(), &Machine::enter);
}

// A function of its own, with nothing after the jump, so that compilers make a tail call of it.
[[gnu::noinline]] Arrival Machine::go_on_with(Thread& next) {
  Thread& self = *running();
  if (&next == &self) return {nullptr, &nowhere_};
  if (!next.stack) begin(next);
  ++switches_;
  current = &next;
  return jump_fcontext(next.context, &self.context);
}

// The thread stands in a mask of those that wait or are ready; somebody else runs until its turn comes.
[[gnu::always_inline]] inline Thread& Machine::suspend(const Thread& self, bool leave_warp) {
  if (static_cast<unsigned char*>(__builtin_frame_address(0)) < self.stack->limit()) fail_stack();
  return pick(leave_warp);
}

[[gnu::always_inline]] inline Thread& Machine::yield(const Thread& self, bool leave_warp) {
  make_ready(*self.warp, self.bit());
  return suspend(self, leave_warp);
}

[[gnu::always_inline]] inline Thread& Machine::after_release(Thread& self) {
  return !shuffle_ || (draw() >> 63) ? self : yield(self, false);
}

inline void Machine::count_step(bool idle) {
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

void Machine::enter(Arrival from) {
  arrive(from);
  Machine& machine = *this_machine;
  for (;;) {
    Thread& self = *machine.running();
    if (!machine.run_body()) machine.leave();
    if (!self.stack->intact()) machine.fail_stack();
    machine.end_thread(self);
    Stack* stack = self.stack;
    self.stack = nullptr;
    Thread& next = machine.pick(false);
    if (next.stack) {
      machine.stacks_.give_back(stack);  // nobody takes it before the jump is done
      ++machine.switches_;
      current = &next;
      jump_fcontext(next.context, &machine.nowhere_);
      __builtin_unreachable();
    }
    next.stack = stack;  // begins right here: no switch
    current = &next;
  }
}

void Machine::end_thread(Thread& self) {
  Warp& warp = *self.warp;
  Block& block = *warp.block;
  warp.alive &= ~self.bit();
  --block.alive;
  idle_steps_ = steps_ = 0;
  for (std::uint32_t g = 0; g < warp.group_count; ++g) {
    const WarpGroup& group = warp.groups[g];
    if (!(group.mask() & self.bit())) continue;
    if (is_shuffle(group.op())) fail_returned_lanes(warp.threads[std::countr_zero(group.arrived)], group.mask(), self.bit(), group.op());
    if (group.arrived == (group.mask() & warp.alive)) complete(warp, g--, 0);
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
  const std::uint64_t turn = next_block_++;
  const std::uint64_t number = shuffled_block(turn);
  block.index = {static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
                 static_cast<unsigned>(number / grid.x / grid.y)};
  block.poison();
  block.alive = block.size;
  block.waiting = 0;
  block.mixed = false;
  for (unsigned w = 0; w < block.warp_count; ++w) {
    Warp& warp = block.warps[w];
    warp.alive = warp.exists;
    warp.order = static_cast<std::uint32_t>(turn * 32 + w);
    warp.at_barrier = warp.at_grid = warp.turn = warp.group_count = 0;
    make_ready(warp, warp.exists);
  }
}

void Machine::end_block(Block& block) {
  if (const unsigned char* byte = block.spoilt()) fail_guard(block, byte);
  ++report_->blocks;
  report_->threads += block.size;
  if (next_block_ < total_blocks_) {
    idle_.order = burst_->order;  // the warps in this place are those of another block from here on, and wait for their turn
    burst_ = &idle_;
    start_block(block);
  } else {
    --live_blocks_;
  }
}

// ---- barriers

[[gnu::noinline]] Thread& Machine::release(Thread& self, Block& block) {
  if (block.mixed || block.alive < block.size) fail_barrier(block);
  count_step(false);
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

[[gnu::always_inline]] inline Thread& Machine::grid_barrier(Where where) {
  Thread& self = *running();
  self.where = where;
  if (!request_->cooperative) fail_grid_barrier(self);
  self.warp->at_grid |= self.bit();
  if (++at_grid_ < total_blocks_ * self.home().size) return suspend(self);
  count_step(false);
  at_grid_ = 0;
  self.warp->at_grid &= ~self.bit();
  for (std::uint64_t b = 0; b < total_blocks_; ++b)
    for (unsigned w = 0; w < blocks_[b]->warp_count; ++w) {
      make_ready(blocks_[b]->warps[w], blocks_[b]->warps[w].at_grid);
      blocks_[b]->warps[w].at_grid = 0;
    }
  return after_release(self);
}

// ---- warp operations: lanes bring something, and the last lane of the mask to arrive works out everybody's result

// The last one of a group; apart, so that the way of the other 31 lanes stays short.
[[gnu::noinline]] Thread& Machine::finish(Thread& self, std::uint32_t g) {
  complete(*self.warp, g, self.bit());
  count_step(false);
  return after_release(self);
}

[[gnu::always_inline]] inline Thread& Machine::meet(Thread& self, WarpOp op, unsigned size, unsigned mask, Where where) {
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
  if (is_shuffle(group.op())) {
    for (std::uint32_t left = group.arrived; left; left &= left - 1) {
      const auto lane = static_cast<unsigned>(std::countr_zero(left)), source = unsigned{warp.source[lane]};
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

[[gnu::always_inline]] inline Thread& Machine::shuffle(WarpOp op, unsigned size, unsigned mask, std::uint64_t value, unsigned source,
                                                       Where where) {
  Thread& self = *running();
  self.where = where;
  if (source == bad_width) fail_width(self, op);
  self.warp->given[self.lane()] = value;
  self.warp->source[self.lane()] = static_cast<std::uint8_t>(source);
  return meet(self, op, size, mask, where);
}

[[gnu::always_inline]] inline Thread& Machine::vote(WarpOp op, unsigned mask, bool predicate, Where where) {
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
  if (!shuffle_) return changed ? self : yield(self, true);  // a thread that spins lets the other warps come first
  const std::uint64_t random = draw();
  return random >> 63 ? self : yield(self, random >> 62 & 1);
}

[[gnu::always_inline]] inline Thread& Machine::fence(Where where) {
  Thread& self = *running();
  self.where = where;
  count_step(true);
  return yield(self, true);
}

// ---- a launch

int Machine::launch(const LaunchRequest& request, const Settings& settings, std::uint64_t seed, Report& report) {
  request_ = &request;
  settings_ = &settings;
  report_ = &report;
  shuffle_ = settings.shuffle;
  code_ = success;
  random_ = scramble(seed) | 1;
  block_key_ = draw();
  leave_mask_ = draw() % wild_one_in == 0 ? wild_mask : calm_mask;
  next_block_ = switches_ = idle_steps_ = steps_ = at_grid_ = 0;
  total_blocks_ = std::uint64_t{request.grid.x} * request.grid.y * request.grid.z;
  const auto wanted = static_cast<std::uint64_t>(std::max(settings.resident_blocks, 1));
  const std::uint64_t resident = request.cooperative ? total_blocks_ : std::min(wanted, total_blocks_);
  while (blocks_.size() < resident) blocks_.push_back(std::make_unique<Block>());
  if (ready_.size() < resident * 32) ready_.resize(resident * 32);
  ready_count_ = 0;
  idle_.order = ~std::uint32_t{0};  // the first in order comes after it
  burst_ = &idle_;
  live_blocks_ = resident;
  for (std::uint64_t b = 0; b < resident; ++b) blocks_[b]->lay_out(request);
  for (std::uint64_t b = 0; b < resident; ++b) start_block(*blocks_[b]);

  if (!main_.stack) main_.stack = stacks_.take();  // never run on: it tells a thread that has begun
  current = &main_;
  arrive(go_on_with(pick(false)));  // comes back when nobody can run any more
  current = nullptr;

  ++report.launches;
  report.switches += switches_;
  if (code_ == success && live_blocks_ > 0) {
    report.findings.push_back(explain_standstill());
    code_ = launch_failure;
  }
  if (code_ != success)
    for (std::uint64_t b = 0; b < resident; ++b)
      for (Thread& thread : blocks_[b]->threads)
        if (thread.stack) {
          thread.stack->arm();
          stacks_.give_back(thread.stack);
          thread.stack = nullptr;
        }
  return code_;
}

void Machine::record(const char* kind, int code, std::string text, const Thread& witness) {
  report_->findings.push_back(make_finding(*request_, kind, std::move(text), &witness));
  code_ = code;
}

void Machine::leave() {
  jump_fcontext(main_.context, &nowhere_);
  __builtin_unreachable();
}

// ---- the calls of engine.hpp

Arrival block_barrier(Where where) { return this_machine->go_on_with(this_machine->block_barrier(where)); }
Arrival grid_barrier(Where where) { return this_machine->go_on_with(this_machine->grid_barrier(where)); }
Arrival shuffle(WarpOp op, unsigned size, unsigned mask, std::uint64_t value, unsigned source, Where where) {
  return this_machine->go_on_with(this_machine->shuffle(op, size, mask, value, source, where));
}
Arrival vote(WarpOp op, unsigned mask, bool predicate, Where where) {
  return this_machine->go_on_with(this_machine->vote(op, mask, predicate, where));
}
unsigned active_lanes() { return static_cast<Thread*>(current)->warp->alive; }
Arrival fence(Where where) { return this_machine->go_on_with(this_machine->fence(where)); }
Arrival atomic_begin(const void* address, std::size_t size, Where where) {
  check_alignment(address, size, where);
  return this_machine->go_on_with(this_machine->atomic_begin(where));
}
Arrival atomic_end(bool changed) { return this_machine->go_on_with(this_machine->atomic_end(changed)); }

}  // namespace abn::emulator
