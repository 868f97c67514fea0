// What a kernel may change in the processor that outlives its call: set before, looked at behind.
#pragma once

#include <cfenv>
#include <cstdint>

#include "verify/worker/protocol.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace abn::verify::worker {

/// Rounding, the treatment of subnormals, and which exceptions trap. One stands around every call.
class FloatState {
 public:
  FloatState() {
    std::fesetenv(FE_DFL_ENV);
    before_ = now();
  }
  std::uint32_t marks() const {
    const State after = now();
    return (after.rounding != before_.rounding ? rounding_changed : 0U) |
           (after.subnormals != before_.subnormals ? subnormals_flushed : 0U) |
           (after.traps != before_.traps ? traps_enabled : 0U);
  }

 private:
  struct State {
    unsigned rounding = 0, subnormals = 0, traps = 0;
  };
  static State now() {
    State state;
#if defined(__x86_64__) || defined(__i386__)
    constexpr unsigned flush = 0x8040, rounding = 0x6000, traps = 0x1f80;
    const unsigned sse = _mm_getcsr();
    unsigned short x87 = 0;
    asm volatile("fnstcw %0" : "=m"(x87));
    constexpr unsigned x87_masks = 0x3f;
    state.subnormals = sse & flush;
    state.rounding = (sse & rounding) | (x87 & ~x87_masks) << 16;  // and the x87's precision
    state.traps = (sse & traps) | (x87 & x87_masks);
#else
    state.rounding = static_cast<unsigned>(std::fegetround());
#endif
    return state;
  }
  State before_;
};

}  // namespace abn::verify::worker
