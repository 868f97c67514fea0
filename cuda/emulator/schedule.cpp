// The scheduler's longer steps.
#include "cuda/emulator/schedule.hpp"

#include <algorithm>
#include <string>

#include "cuda/emulator/wording.hpp"

namespace abn::emulator {

namespace {

// How often a step looks beyond the warp that runs, as masks of a random number. Most launches stay
// in a warp for some eight warp operations, which keeps its stacks in the cache; one launch in
// eight takes hardly two steps in the same warp.
constexpr std::uint64_t calm_mask = 255, wild_mask = 1, wild_one_in = 8;

}  // namespace

void Scheduler::begin_schedule(const Settings& settings, std::uint64_t seed) {
  settings_ = &settings;
  shuffle_ = settings.shuffle;
  random_ = scramble(seed) | 1;
  block_key_ = draw();
  leave_mask_ = draw() % wild_one_in == 0 ? wild_mask : calm_mask;
  switches_ = idle_steps_ = steps_ = 0;
  draw_schedule();
  // and the agent of asynchronous copies
  if (ready_.size() < resident_ * 32 + 1) ready_.resize(resident_ * 32 + 1);
  ready_count_ = 0;
  idle_.order = ~std::uint32_t{0};  // the first in order comes after it
  burst_ = &idle_;
}

// The warp that ran last, as long as it can; after it the next one of those that are ready.
Warp* Scheduler::next_in_order(bool leave_warp) const {
  if (burst_->ready && !leave_warp) return burst_;
  const std::uint32_t after = burst_->order + 1;
  return *std::min_element(
      ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(ready_count_),
      [after](const Warp* a, const Warp* b) { return a->order - after < b->order - after; });
}

void Scheduler::begin_fiber(Thread& thread) {
  thread.stack = stacks_.take();
  thread.context = boost::context::detail::make_fcontext(thread.stack->top(), thread.stack->size(),
                                                         thread_body_);
}

// A function of its own, with nothing after the jump, so that compilers make a tail call of it.
[[gnu::noinline]] Arrival Scheduler::go_on_with(Thread& next) {
  Thread& self = *running();
  if (&next == &self) return {nullptr, &nowhere_};
  if (!next.stack) begin_fiber(next);
  ++switches_;
  current = &next;
  return boost::context::detail::jump_fcontext(next.context, &self.context);
}

// ---- findings

void Scheduler::fail_stack() {
  record(stack_overflow, stack_error,
         "the thread used more than the " + std::to_string(Stack::usable / 1024) +
             " KiB of its stack");
  leave();
}

void Scheduler::fail_endless() {
  const Thread& self = *running();
  record(endless_loop, launch_timeout,
         "a thread spins at " + place(self.where) + " and what it waits for does not come (" +
             std::to_string(steps_) + " atomics, fences and barriers since a thread returned); " +
             describe(self.home()));
  leave();
}

}  // namespace abn::emulator
