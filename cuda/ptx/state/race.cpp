// What orders accesses is known in whole epochs only: a barrier of the block or the cluster, an
// atomic, a fence, an acquire or release, and a poll of an mbarrier begin a new one for all threads
// of the block. So a missing __syncthreads() is found on every schedule, and a hand-over that a
// thread makes to one other thread may hide a race between two more, but is never taken for one.
#include "cuda/ptx/state/race.hpp"

#include <string>

namespace abn::ptx {
namespace {

bool races(const Touch& before, std::uint32_t thread, const Warp& warp, const Block& block) {
  if (before.epoch != block.epoch || before.thread == thread) return false;
  const bool same_warp = before.thread / lanes == thread / lanes;
  return !(same_warp && before.warp_epoch < warp.epoch);
}

}  // namespace

void look_for_races(Warp& warp, const Instruction& in, unsigned lane, Block& block,
                    std::uint64_t at, std::uint32_t bytes, bool store) {
  constexpr std::uint32_t granule = 4, threads_of_a_block = 1024;
  // A number for every thread of the cluster.
  const std::uint32_t thread = warp.block->rank * threads_of_a_block + warp.number * lanes + lane;
  for (std::uint64_t i = at / granule; i <= (at + bytes - 1) / granule; ++i) {
    Touches& known = block.touches[i];
    const Touch now{thread, block.epoch, warp.epoch, &in};
    const Touch* other = nullptr;
    // Narrow accesses of one granule may lie side by side.
    const bool whole = bytes >= granule;
    if (whole && races(known.store, thread, warp, block)) other = &known.store;
    if (whole && store && other == nullptr && known.load.epoch == block.epoch &&
        (known.more_loads || races(known.load, thread, warp, block)) &&
        !(known.more_loads && known.load.warp_epoch < warp.epoch))
      other = &known.load;
    if (other != nullptr)
      note(warp, in, lane, emulator::data_race,
           std::string(store ? "a store to" : "a load of") + " byte " +
               std::to_string(i * granule) + " of shared memory, and before it " +
               (other == &known.store ? "a store" : "a load") + " at PTX line " +
               std::to_string(other->at->line) + " by thread number " +
               std::to_string(other->thread % threads_of_a_block) + "; nothing orders the two",
           "shared memory", static_cast<std::int64_t>(i * granule));
    if (!whole) continue;
    if (store) {
      known.store = now;
    } else {
      known.more_loads =
          known.load.epoch == block.epoch && (known.more_loads || known.load.thread != thread);
      known.load = now;
    }
  }
}

}  // namespace abn::ptx
