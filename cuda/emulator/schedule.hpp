// Who runs next.
//
// Every CUDA thread is a fiber that runs until it has to wait; it then picks the next ready thread
// itself and jumps there, one switch with no scheduler in between. A thread that has not begun has
// no fiber: when its predecessor returns, it starts on the same stack, so that kernels which never
// wait switch nothing at all.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/emulator/block.hpp"
#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/launch.hpp"
#include "cuda/emulator/report.h"
#include "cuda/emulator/stacks.hpp"

namespace abn::emulator {

inline std::uint64_t scramble(std::uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

class Scheduler : public Launch {
 public:
  // `thread_body` is where the fiber of a thread begins.
  explicit Scheduler(void (*thread_body)(Arrival)) : thread_body_(thread_body) {}

  // Steps towards a switch: each returns the thread that goes on, which may be the one that called.
  Thread& suspend(const Thread& self, bool leave_warp = false);
  Thread& yield(const Thread& self, bool leave_warp);
  Thread& after_release(Thread& self);  // self released others and need not be the first to go on
  // The switch; comes back when somebody goes on with the caller.
  Arrival go_on_with(Thread& next);

  void make_ready(Warp& warp, std::uint32_t lanes);
  bool any_ready() const { return ready_count_ > 0; }
  void count_step(bool idle);  // towards the limits on loops
  std::uint64_t draw();        // a random number
  bool shuffles() const { return shuffle_; }
  StackPool& stacks() { return stacks_; }

 protected:
  // Forgets the launch before. Draws a schedule where the settings ask for one that is drawn.
  void begin_schedule(const Settings& settings, std::uint64_t seed);
  Thread& pick(bool leave_warp);
  [[noreturn]] void fail_stack();

  const Settings* settings_ = nullptr;
  Schedule schedule_ = Schedule::random;
  bool shuffle_ = true;
  std::uint64_t block_key_ = 0, switches_ = 0;
  std::uint64_t idle_steps_ = 0, steps_ = 0;
  Warp* burst_ = &idle_;  // the warp that ran last
  Warp idle_;             // one that is never ready

 private:
  Warp* next_in_order(bool leave_warp) const;
  void draw_schedule();
  Thread& pick_adversarially(bool leave_warp);
  Thread& take(Warp& warp, std::uint32_t lane);
  void begin_fiber(Thread& thread);
  [[noreturn]] void fail_endless();

  void (*thread_body_)(Arrival);
  StackPool stacks_;
  std::vector<Warp*> ready_;  // warps with a ready lane, in no order
  std::size_t ready_count_ = 0;
  std::uint64_t random_ = 1;
  std::uint64_t leave_mask_ = 0;  // a random number without these bits leaves the warp
  // by an adversarial schedule: the one that is behind, or that of the thread that is ahead
  std::uint64_t chosen_block_ = 0;
  unsigned chosen_rank_ = 0;
};

// ---- the short steps, inlined into every call that waits: they run once a switch

// An absolute limit, in spin limits, for loops that change memory or pass warp operations for ever
// without a thread that returns.
inline constexpr std::uint64_t busy_limit_factor = 16;

inline std::uint64_t Scheduler::draw() {  // xorshift64*
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545f4914f6cdd1du;
}

inline void Scheduler::make_ready(Warp& warp, std::uint32_t lanes) {
  if (lanes == 0) return;
  if (warp.ready == 0) {
    warp.position = static_cast<std::uint32_t>(ready_count_);
    ready_[ready_count_++] = &warp;
  }
  warp.ready |= lanes;
}

// The lane, which is ready, goes on.
[[gnu::always_inline]] inline Thread& Scheduler::take(Warp& warp, std::uint32_t lane) {
  warp.ready &= ~(1u << lane);
  if (warp.ready == 0) {
    Warp* last = ready_[--ready_count_];
    ready_[warp.position] = last;
    last->position = warp.position;
  }
  warp.turn = (lane + 1) & 31;
  burst_ = &warp;
  return warp.threads[lane];
}

[[gnu::always_inline]] inline Thread& Scheduler::pick(bool leave_warp) {
  if (ready_count_ == 0) return main_;
  if (schedule_ != Schedule::random) [[unlikely]]
    return pick_adversarially(leave_warp);
  Warp* warp = burst_;
  std::uint32_t first;
  if (shuffle_) {
    const std::uint64_t random = draw();
    if (leave_warp || warp->ready == 0 || (random & leave_mask_) == 0)
      warp = ready_[(random >> 32) * ready_count_ >> 32];
    first = random >> 16 & 31;
  } else {
    warp = next_in_order(leave_warp);
    first = warp->turn;
  }
  return take(*warp, (static_cast<std::uint32_t>(
                          std::countr_zero(std::rotr(warp->ready, static_cast<int>(first)))) +
                      first) &
                         31);
}

// The thread stands in a mask of those that wait or are ready; somebody else runs until its turn
// comes.
[[gnu::always_inline]] inline Thread& Scheduler::suspend(const Thread& self, bool leave_warp) {
  if (static_cast<unsigned char*>(__builtin_frame_address(0)) < self.stack->limit()) fail_stack();
  return pick(leave_warp);
}

[[gnu::always_inline]] inline Thread& Scheduler::yield(const Thread& self, bool leave_warp) {
  make_ready(*self.warp, self.bit());
  return suspend(self, leave_warp);
}

[[gnu::always_inline]] inline Thread& Scheduler::after_release(Thread& self) {
  return !shuffle_ || (draw() >> 63) ? self : yield(self, false);
}

inline void Scheduler::count_step(bool idle) {
  idle_steps_ = idle ? idle_steps_ + 1 : 0;
  ++steps_;
  if (idle_steps_ >= settings_->spin_limit || steps_ >= settings_->spin_limit * busy_limit_factor)
    fail_endless();
}

}  // namespace abn::emulator
