// The scheduler's short steps, inlined into every call that waits: they run once a switch.
#pragma once

#include <bit>

#include "cuda/emulator/machine.hpp"

namespace abn::emulator {

// An absolute limit, in spin limits, for loops that change memory or pass warp operations for ever
// without a thread that returns.
inline constexpr std::uint64_t busy_limit_factor = 16;

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

// The lane, which is ready, goes on.
[[gnu::always_inline]] inline Thread& Machine::take(Warp& warp, std::uint32_t lane) {
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

[[gnu::always_inline]] inline Thread& Machine::pick(bool leave_warp) {
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
  if (idle_steps_ >= settings_->spin_limit || steps_ >= settings_->spin_limit * busy_limit_factor)
    fail_endless();
}

}  // namespace abn::emulator
