// cp.async.bulk: copies of any number of 16 bytes, between global and shared memory or between
// blocks of a cluster. Those that count at an mbarrier land when somebody polls it; those of a bulk
// group when their thread waits for it.
#include <algorithm>

#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/state/access.hpp"
#include "cuda/ptx/state/copies.hpp"
#include "cuda/ptx/state/race.hpp"

namespace abn::ptx {

namespace {

constexpr std::uint32_t piece = 16;

std::uint64_t address_at(const Warp& warp, const Instruction& in, std::size_t operand,
                         std::uint64_t offset, unsigned lane) {
  if ((in.wide >> operand & 1) != 0) return warp.read<std::uint64_t>(in.at[operand])[lane] + offset;
  return static_cast<std::uint32_t>(warp.read<std::uint32_t>(in.at[operand])[lane] + offset);
}

/// Generic: an address of shared memory of 32 bits in its window.
std::uint64_t generic(std::uint64_t address, bool shared) {
  return shared && address < shared_window ? address + shared_window : address;
}

void check(Warp& warp, const Instruction& in, unsigned lane, const BulkCopy& copy) {
  if (copy.bytes == 0 || copy.bytes % piece != 0)
    stop(warp, in, lane, emulator::async_copy,
         "a bulk copy of " + std::to_string(copy.bytes) +
             " bytes; its size has to be a multiple of 16, and not 0");
  if (copy.from % piece != 0 || copy.to % piece != 0)
    stop(warp, in, lane, emulator::misaligned_access,
         "a bulk copy whose ends are not multiples of 16");
}

void move_bytes(Warp& warp, unsigned lane, const BulkCopy& copy) {
  const Instruction& in = *copy.instruction;
  Launch& launch = *warp.block->launch;
  for (std::uint32_t at = 0; at < copy.bytes; at += piece) {
    std::byte* from = nullptr;
    {
      const Landing reading(launch, copy.reads, copy.view);
      from = reach(warp, in, lane, Space::generic, copy.from + at, piece, Use::read);
    }
    const Landing writing(launch, copy.writes, copy.view);
    std::memcpy(reach(warp, in, lane, Space::generic, copy.to + at, piece, Use::write), from,
                piece);
  }
}

void count_bulk(Warp& warp, std::uint64_t global, std::uint32_t bytes, Use use) {
  // One request, however long: pieces of lanes that lie side by side.
  for (std::uint32_t done = 0; done < bytes; done += lanes * piece) {
    std::uint64_t addresses[lanes] = {};
    const std::uint32_t pieces = std::min(lanes, (bytes - done) / piece);
    for (std::uint32_t i = 0; i < pieces; ++i) addresses[i] = global + done + i * piece;
    count_traffic(warp, addresses, pieces == lanes ? full_mask : (1U << pieces) - 1, piece, use);
  }
}

/// What the copy reads of the block's shared memory.
void fenced_for_copies(Warp& warp, const Instruction& in, unsigned lane, const BulkCopy& copy) {
  const std::uint64_t at = copy.from - shared_window;
  const std::uint64_t size = warp.block->shared.size();
  if (at >> peer_shift == 0 && at >= shared_begin && at - shared_begin <= size &&
      copy.bytes <= size - (at - shared_begin))
    look_for_proxy_fence(warp, in, lane, at - shared_begin, copy.bytes);
}

/// [shared], [global or shared], bytes, [mbarrier].
template <bool from_global>
void begin_counted(Warp& warp, const Instruction& in, std::uint32_t mask) {
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    BulkCopy copy;
    copy.to = generic(address_at(warp, in, 0, in.offset, lane), true);
    copy.from = generic(address_at(warp, in, 1, in.second_offset, lane), !from_global);
    copy.bytes = warp.read<std::uint32_t>(in.at[2])[lane];
    copy.instruction = &in;
    check(warp, in, lane, copy);
    if (from_global && copy.from >= shared_window)
      stop(warp, in, lane, emulator::wrong_space,
           "the source of a bulk copy is not in global memory");
    std::uint64_t offset =
        generic(address_at(warp, in, 3, in.third_offset, lane), true) - shared_window;
    std::uint64_t target = copy.to - shared_window;
    Block& counted_in = block_at(warp, in, lane, offset, true);
    Block& to_block = block_at(warp, in, lane, target, true);
    if (&to_block != &counted_in)
      stop(warp, in, lane, emulator::async_copy,
           "a bulk copy whose destination and mbarrier are in two blocks");
    copy.counted_in = &counted_in, copy.mbarrier = static_cast<std::uint32_t>(offset);
    copy.by = &warp, copy.lane = lane;
    if (Launch& launch = *warp.block->launch; launch.order != nullptr) {
      if (!from_global) fenced_for_copies(warp, in, lane, copy);
      Handover& mbarrier = counted_in.clocks.mbarriers[copy.mbarrier];
      if (mbarrier.initialised_by != 0 && !mbarrier.fenced)
        stop(warp, in, lane, emulator::missing_proxy_fence,
             "a copy that counts at an mbarrier, and fence.mbarrier_init does not stand between "
             "its initialisation and the first copy");
      copy.reads = copy.writes = {who_is(counted_in.number, Actor::counted, copy.mbarrier / 8),
                                  ++mbarrier.copies};
      copy.view = launch.order->hand_over(warp.block->clocks, warp.number * lanes + lane);
    }
    if (from_global) count_bulk(warp, copy.from, copy.bytes, Use::read);
    warp.block->cluster->copies.push_back(copy);
  }
}

/// [global], [shared], bytes.
void begin_grouped(Warp& warp, const Instruction& in, std::uint32_t mask) {
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    BulkCopy copy;
    copy.to = address_at(warp, in, 0, in.offset, lane);
    copy.from = generic(address_at(warp, in, 1, in.second_offset, lane), true);
    copy.bytes = warp.read<std::uint32_t>(in.at[2])[lane];
    copy.instruction = &in, copy.by = &warp, copy.lane = lane;
    check(warp, in, lane, copy);
    if (copy.to >= shared_window)
      stop(warp, in, lane, emulator::wrong_space,
           "the destination of a bulk copy is not in global memory");
    if (Launch& launch = *warp.block->launch; launch.order != nullptr) {
      fenced_for_copies(warp, in, lane, copy);
      Clocks& clocks = warp.block->clocks;
      const std::uint32_t rank = warp.number * lanes + lane;
      const std::uint32_t time = ++clocks.copies_of(rank).stores;
      copy.reads = {who_is(clocks.block, Actor::store_reads, rank), time};
      copy.writes = {who_is(clocks.block, Actor::store_writes, rank), time};
      copy.view = launch.order->hand_over(clocks, rank);
    }
    count_bulk(warp, copy.to, copy.bytes, Use::write);
    warp.block->cluster->copies.push_back(copy);
  }
}

bool is_of(const BulkCopy& copy, const Warp& warp, unsigned lane) {
  return copy.counted_in == nullptr && copy.by == &warp && copy.lane == lane;
}

void commit(Warp& warp, const Instruction&, std::uint32_t mask) {
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    ++warp.bulk_groups[lane];
    for (BulkCopy& copy : warp.block->cluster->copies)
      if (is_of(copy, warp, lane) && copy.group == 0) copy.group = warp.bulk_groups[lane];
  }
}

/// A thread has waited for its copies that have landed, or until their sources were read.
void learn_of_stores(Warp& warp, unsigned lane, bool only_sources) {
  Launch& launch = *warp.block->launch;
  if (launch.order == nullptr) return;
  Clocks& clocks = warp.block->clocks;
  const std::uint32_t rank = warp.number * lanes + lane;
  const std::uint32_t landed = clocks.copies_of(rank).landed_stores;
  if (landed == 0) return;
  const auto learn = [&](Actor actor) {
    launch.order->learn(clocks, rank,
                        launch.order->only(who_is(clocks.block, actor, rank), landed + 1));
  };
  learn(Actor::store_reads);
  if (!only_sources) learn(Actor::store_writes);
}

template <bool only_sources>
void wait_for_groups(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto* const left = warp.read<std::uint32_t>(in.at[0]);
  auto& copies = warp.block->cluster->copies;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const std::uint32_t begun = warp.bulk_groups[lane];
    const std::uint32_t last = begun > left[lane] ? begun - left[lane] : 0;
    for (std::size_t i = 0; i < copies.size();) {
      if (!is_of(copies[i], warp, lane) || copies[i].group == 0 || copies[i].group > last) {
        ++i;
        continue;
      }
      move_bytes(warp, lane, copies[i]);
      if (copies[i].reads.who != 0)
        warp.block->clocks.copies_of(warp.number * lanes + lane).landed_stores =
            copies[i].reads.time;
      copies.erase(copies.begin() + static_cast<std::ptrdiff_t>(i));
    }
    learn_of_stores(warp, lane, only_sources);
  }
}

void prefetch(Warp&, const Instruction&, std::uint32_t) {}

}  // namespace

bool land_bulk(Warp& warp, Block& block, std::uint32_t mbarrier) {
  auto& copies = warp.block->cluster->copies;
  const auto at = std::find_if(copies.begin(), copies.end(), [&](const BulkCopy& copy) {
    return copy.counted_in == &block && copy.mbarrier == mbarrier;
  });
  if (at == copies.end()) return false;
  const BulkCopy copy = *at;
  copies.erase(at);
  move_bytes(*copy.by, copy.lane, copy);
  count_at_mbarrier(*copy.by, *copy.instruction, copy.lane,
                    std::uint64_t{block.rank + 1} << peer_shift | mbarrier, copy.bytes,
                    copy.writes);
  return true;
}

void add_bulk_forms(Table& table) {
  const std::string counted = ".mbarrier::complete_tx::bytes";
  for (const std::string to : {"shared::cluster", "shared::cta"})
    table.add("cp.async.bulk." + to + ".global" + counted, "@ G 4 @", &begin_counted<true>).space =
        Space::shared;
  table.add("cp.async.bulk.shared::cluster.shared::cta" + counted, "@ @ 4 @", &begin_counted<false>)
      .space = Space::shared;
  table.add("cp.async.bulk.global.shared::cta.bulk_group", "G @ 4", &begin_grouped).space =
      Space::shared;
  table.add("cp.async.bulk.commit_group", "", &commit);
  table.add("cp.async.bulk.wait_group", "4", &wait_for_groups<false>);
  table.add("cp.async.bulk.wait_group.read", "4", &wait_for_groups<true>);
  table.add("cp.async.bulk.prefetch.L2.global", "G 4", &prefetch);
}

}  // namespace abn::ptx
