// cp.async: copies of 4 to 16 bytes from global to shared memory. They land as late as they may,
// when their thread waits for them: who reads earlier reads what was there before, and what the
// source holds is taken then, too.
#include <algorithm>

#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/state/access.hpp"
#include "cuda/ptx/state/copies.hpp"

namespace abn::ptx {

void land(Warp& warp, unsigned lane, const LateCopy& copy) {
  const Instruction& in = *copy.instruction;
  const Landing landing(*warp.block->launch, copy.moment, copy.view);
  std::byte* const to = reach(warp, in, lane, Space::shared, copy.to, copy.bytes, Use::write);
  std::memset(to, 0, copy.bytes);
  if (copy.read == 0) return;
  // The source may be as short as what is read of it.
  const std::uint32_t whole = copy.read == copy.bytes ? copy.bytes : 1;
  for (std::uint32_t at = 0; at < copy.read; at += whole)
    std::memcpy(to + at, reach(warp, in, lane, Space::global, copy.from + at, whole, Use::read),
                whole);
}

namespace {

/// A thread has waited for its copies that have landed.
void learn_of_elements(Warp& warp, unsigned lane) {
  Launch& launch = *warp.block->launch;
  if (launch.order == nullptr) return;
  Clocks& clocks = warp.block->clocks;
  const std::uint32_t rank = warp.number * lanes + lane;
  const std::uint32_t landed = clocks.copies_of(rank).landed_elements;
  if (landed != 0)
    launch.order->learn(
        clocks, rank, launch.order->only(who_is(clocks.block, Actor::elements, rank), landed + 1));
}

}  // namespace

void land_all(Warp& warp, unsigned lane) {
  for (const auto& group : warp.committed[lane])
    for (const LateCopy& copy : group) land(warp, lane, copy);
  for (const LateCopy& copy : warp.open[lane]) land(warp, lane, copy);
  warp.committed[lane].clear(), warp.open[lane].clear();
  Launch& launch = *warp.block->launch;
  if (launch.order == nullptr) return;
  Clocks& clocks = warp.block->clocks;
  CopyCounts& counts = clocks.copies_of(warp.number * lanes + lane);
  counts.landed_elements = counts.elements;
  learn_of_elements(warp, lane);
}

bool any_copies(const Warp& warp, unsigned lane) {
  return !warp.open[lane].empty() || !warp.committed[lane].empty();
}

namespace {

/// Operands: [shared], [global], bytes, and how many of them are read.
void begin_copy(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto address = [&](std::size_t operand, std::uint64_t offset, unsigned lane) {
    if ((in.wide >> operand & 1) != 0)
      return warp.read<std::uint64_t>(in.at[operand])[lane] + offset;
    return std::uint64_t{
        static_cast<std::uint32_t>(warp.read<std::uint32_t>(in.at[operand])[lane] + offset)};
  };
  alignas(64) std::uint64_t from[lanes] = {};
  std::uint32_t bytes = 0;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    LateCopy copy;
    copy.to = address(0, in.offset, lane), copy.from = address(1, in.second_offset, lane);
    copy.bytes = copy.read = bytes = warp.read<std::uint32_t>(in.at[2])[lane];
    if (in.at[3].present())
      copy.read = std::min(copy.bytes, warp.read<std::uint32_t>(in.at[3])[lane]);
    copy.instruction = &in;
    if (copy.bytes != 16 && (in.form->variant == 16 || (copy.bytes != 4 && copy.bytes != 8)))
      stop(warp, in, lane, emulator::async_copy,
           "a copy of " + std::to_string(copy.bytes) + " bytes");
    if (copy.from % copy.bytes != 0 || copy.to % copy.bytes != 0)
      stop(warp, in, lane, emulator::misaligned_access,
           "a copy of " + std::to_string(copy.bytes) +
               " bytes whose ends are not multiples of that");
    if (copy.from >= shared_window && copy.read > 0)
      stop(warp, in, lane, emulator::wrong_space, "the source of a copy is not in global memory");
    from[lane] = copy.from;
    if (Launch& launch = *warp.block->launch; launch.order != nullptr) {
      Clocks& clocks = warp.block->clocks;
      const std::uint32_t rank = warp.number * lanes + lane;
      copy.moment = {who_is(clocks.block, Actor::elements, rank),
                     ++clocks.copies_of(rank).elements};
      copy.view = launch.order->hand_over(clocks, rank);
    }
    warp.open[lane].push_back(copy);
  }
  count_traffic(warp, from, mask, bytes, Use::read);
}

void commit(Warp& warp, const Instruction&, std::uint32_t mask) {
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((mask >> lane & 1) != 0) {
      warp.committed[lane].push_back(std::move(warp.open[lane]));
      warp.open[lane].clear();
    }
}

void wait_for_groups(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto* const left = warp.read<std::uint32_t>(in.at[0]);
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    auto& groups = warp.committed[lane];
    while (groups.size() > left[lane]) {
      for (const LateCopy& copy : groups.front()) {
        land(warp, lane, copy);
        if (copy.moment.who != 0)
          warp.block->clocks.copies_of(warp.number * lanes + lane).landed_elements =
              copy.moment.time;
      }
      groups.erase(groups.begin());
    }
    learn_of_elements(warp, lane);
  }
}

void wait_for_all(Warp& warp, const Instruction&, std::uint32_t mask) {
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((mask >> lane & 1) != 0) land_all(warp, lane);
}

}  // namespace

void add_copy_forms(Table& table) {
  for (const std::string space : {"shared", "shared::cta"}) {
    table.add("cp.async.ca." + space + ".global", "@ G 4 ?4", &begin_copy).space = Space::shared;
    Form& whole = table.add("cp.async.cg." + space + ".global", "@ G 4 ?4", &begin_copy);
    whole.space = Space::shared, whole.variant = 16;
  }
  table.add("cp.async.commit_group", "", &commit);
  table.add("cp.async.wait_group", "4", &wait_for_groups);
  table.add("cp.async.wait_all", "", &wait_for_all);
}

}  // namespace abn::ptx
