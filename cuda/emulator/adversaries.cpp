// Schedules that no GPU forbids and few runs meet: one thread far ahead, one block far behind,
// everything backwards.
#include <algorithm>
#include <span>
#include <utility>

#include "cuda/emulator/schedule.hpp"

namespace abn::emulator {
namespace {

// Where the threads that a schedule prefers have done nothing but spin for so many steps, they wait
// for somebody else.
constexpr std::uint64_t patience = 4096;

unsigned random_lane(std::uint32_t ready, std::uint64_t random) {
  const int first = static_cast<int>(random & 31);
  return (static_cast<unsigned>(std::countr_zero(std::rotr(ready, first))) +
          static_cast<unsigned>(first)) &
         31;
}

std::uint64_t place_in_grid(const Warp& warp) {
  return warp.block->number * 32 + static_cast<std::uint64_t>(&warp - warp.block->warps.data());
}

}  // namespace

// Which schedule a launch gets; whatever is drawn here is drawn behind everything that a random
// schedule draws.
void Scheduler::draw_schedule() {
  schedule_ = shuffle_ ? settings_->schedule : Schedule::random;
  if (schedule_ == Schedule::any) {
    constexpr Schedule choices[] = {Schedule::thread_ahead, Schedule::block_behind,
                                    Schedule::reversed, Schedule::last_block_first};
    const std::uint64_t random = draw() >> 32;
    schedule_ = random & 1 ? Schedule::random : choices[random >> 1 & 3];
  }
  if (schedule_ == Schedule::random) return;
  chosen_block_ = (draw() >> 32) % total_blocks_;
  const uint3 block = request_->block;
  chosen_rank_ =
      static_cast<unsigned>((draw() >> 32) % (std::uint64_t{block.x} * block.y * block.z));
}

Thread& Scheduler::pick_adversarially(bool leave_warp) {
  const std::uint64_t random = draw();
  const auto ready = std::span(ready_).first(ready_count_);
  Warp* warp = ready[(random >> 32) * ready.size() >> 32];
  if (idle_steps_ > patience) return take(*warp, random_lane(warp->ready, random));
  switch (schedule_) {
    case Schedule::thread_ahead:
      if (leave_warp) break;
      for (Warp* one : ready) {
        const std::uint32_t lane = chosen_rank_ % 32;
        if (one->block->number == chosen_block_ && one->threads[0].rank == chosen_rank_ - lane &&
            (one->ready >> lane & 1))
          return take(*one, lane);
      }
      break;
    case Schedule::block_behind: {
      // The random one, or where it is of that block the next that is not.
      const auto at =
          static_cast<std::size_t>(std::find(ready.begin(), ready.end(), warp) - ready.begin());
      for (std::size_t i = 0; i < ready.size() && warp->block->number == chosen_block_; ++i)
        warp = ready[(at + i) % ready.size()];
      break;
    }
    case Schedule::last_block_first:
      if (leave_warp) break;
      for (Warp* one : ready)
        if (one->block->number > warp->block->number) warp = one;
      break;
    case Schedule::reversed: {
      // The last one that is ready; after a thread that gives way, the last one before it.
      const std::uint64_t bound =
          leave_warp && burst_->block ? place_in_grid(*burst_) : ~std::uint64_t{0};
      const auto rank = [bound](const Warp* one) {
        const std::uint64_t place = place_in_grid(*one);
        return std::pair(place < bound, place);
      };
      warp = *std::max_element(ready.begin(), ready.end(),
                               [&](const Warp* a, const Warp* b) { return rank(a) < rank(b); });
      const std::uint32_t below =
          leave_warp ? warp->ready & ((1u << ((warp->turn + 31) & 31)) - 1) : 0;
      return take(*warp, 31 - static_cast<unsigned>(std::countl_zero(below ? below : warp->ready)));
    }
    default:
      break;
  }
  return take(*warp, random_lane(warp->ready, random));
}

}  // namespace abn::emulator
