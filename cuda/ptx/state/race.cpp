// What orders accesses is known in whole epochs only: a barrier of the block or the cluster, an
// atomic, a fence, an acquire or release, and a poll of an mbarrier begin a new one for all threads
// of the block. So a missing __syncthreads() is found on every schedule, and a hand-over that a
// thread makes to one other thread may hide a race between two more, but is never taken for one.
//
// Accesses of global memory by two blocks are ordered only where the first block released
// something after its access, and the second acquired something after it. A fence of more than the
// block, .release and .acq_rel, the cluster's barrier and an arrival at an mbarrier release. An
// atomic without one of these is relaxed and does not: the counter of the "last block" is no order
// without its __threadfence(). Every atomic, fence and poll acquires, which is more than they
// promise: a missing fence on that side is not found, and the usual code has none.
//
// Within a block two stores to global memory race as in shared memory, but for those of a warp by
// different instructions, which come in their order. A load and a store are no finding there:
// where a scalar is replaced, Triton lets every warp load it, and uses what the first one loaded,
// which stores it. So whether such a load matters is not known.
#include "cuda/ptx/state/race.hpp"

#include <string>

namespace abn::ptx {
namespace {

// A number for every thread of the cluster.
std::uint32_t thread_number(const Warp& warp, unsigned lane) {
  constexpr std::uint32_t threads_of_a_block = 1024;
  return warp.block->rank * threads_of_a_block + warp.number * lanes + lane;
}

bool races(const Touch& before, std::uint32_t thread, const Warp& warp, const Block& block) {
  if (before.epoch != block.epoch || before.thread == thread) return false;
  const bool same_warp = before.thread / lanes == thread / lanes;
  return !(same_warp && before.warp_epoch < warp.epoch);
}

}  // namespace

void look_for_races(Warp& warp, const Instruction& in, unsigned lane, Block& block,
                    std::uint64_t at, std::uint32_t bytes, bool store) {
  constexpr std::uint32_t granule = 4, threads_of_a_block = 1024;
  const std::uint32_t thread = thread_number(warp, lane);
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

void look_for_races(Warp& warp, const Instruction& in, unsigned lane, Range& range,
                    std::uint64_t address, std::uint32_t bytes, bool store) {
  constexpr std::uint64_t granule = 2;
  // Volatile, relaxed and ordered accesses may meet; a byte has a neighbour in its granule.
  if ((in.flags & flag_ordered) != 0 || bytes < granule) return;
  Block& block = *warp.block;
  Launch& launch = *block.launch;
  if (range.touches.empty()) range.touches.resize((range.end - range.begin) / granule + 1);
  const std::uint32_t thread = thread_number(warp, lane);
  const GlobalTouch now{{thread, block.epoch, warp.epoch, &in}, block.number, launch.tick};
  const auto unordered = [&](const GlobalTouch& before, bool both_store) {
    if (before.in_block.epoch == 0) return false;
    if (before.block == block.number) {
      const bool is_of_warp = before.in_block.thread / lanes == thread / lanes;
      return both_store && (!is_of_warp || before.in_block.at == &in) &&
             races(before.in_block, thread, warp, block);
    }
    const auto released = launch.released.find(before.block);
    return released == launch.released.end() || released->second <= before.tick ||
           block.acquired <= before.tick;
  };
  const std::uint64_t begin = address - range.begin;
  for (std::uint64_t i = begin / granule; i <= (begin + bytes - 1) / granule; ++i) {
    GlobalTouches& known = range.touches[i];
    const GlobalTouch* const other = unordered(known.store, store)           ? &known.store
                                     : store && unordered(known.load, false) ? &known.load
                                                                             : nullptr;
    if (other != nullptr) {
      const auto element = static_cast<std::int64_t>(i * granule / range.element_bytes);
      const bool is_of_block = other->block == block.number;
      note(warp, in, lane, emulator::data_race,
           std::string(store ? "a store to " : "a load of ") + range.name + "[" +
               std::to_string(element) + "], and before it " +
               (other == &known.store ? "a store" : "a load") + " at PTX line " +
               std::to_string(other->in_block.at->line) + " by " +
               (is_of_block ? "thread number " + std::to_string(other->in_block.thread % 1024)
                            : "block number " + std::to_string(other->block)) +
               "; nothing orders the two",
           range.name, element);
    }
    (store ? known.store : known.load) = now;
  }
}

void order(Block& block, bool is_release) {
  ++block.epoch;
  Launch& launch = *block.launch;
  if (!launch.configuration.sanitize) return;
  block.acquired = ++launch.tick;
  if (is_release) launch.released[block.number] = launch.tick;
}

}  // namespace abn::ptx
