// What device/mbarrier.cuh asks of the emulator. As engine.hpp, plain types only.
#pragma once

#include "cuda/emulator/engine.hpp"

namespace abn::emulator {

void mbarrier_init(void* barrier, unsigned arrivals, Where where);
void mbarrier_invalidate(void* barrier, Where where);
// makes what was initialised known to copies and peers
void mbarrier_fence();
// of the block, or of a peer
[[nodiscard]] Arrival mbarrier_arrive(void* barrier, unsigned bytes, Where where);
// may come back early: ask mbarrier_passed
[[nodiscard]] Arrival mbarrier_wait(void* barrier, unsigned parity, Where where);
bool mbarrier_passed(void* barrier, unsigned parity, Where where);

}  // namespace abn::emulator
