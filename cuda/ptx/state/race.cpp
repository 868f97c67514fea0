// An access is compared with the last store of its place and with the loads since: whoever made
// them must have handed over what he did, by a chain that ends with who makes this access
// (order.hpp). That is so or not whichever came first by chance, so a missing barrier or fence is
// found on every schedule that makes the two accesses.
//
// Two rules are looser than the memory model, for global memory within a block. Lanes of a warp
// that execute two instructions together do so in their order. And where a scalar is replaced,
// Triton lets every warp load it and uses what the first one loaded, whose thread stores it: a load
// by another thread is none of a race if the thread that stores has made the same one, by the same
// instruction, as its value then is the same or is not used.
#include "cuda/ptx/state/race.hpp"

#include <algorithm>
#include <bit>
#include <string>

namespace abn::ptx {
namespace {

constexpr std::uint32_t warp_lanes = lanes;
constexpr std::size_t most_loads = 64;  // of different warps that a cell remembers

std::uint32_t rank_of(const Warp& warp, unsigned lane) { return warp.number * lanes + lane; }

bool is_thread(const Moment& moment) { return actor_of(moment.who) == Actor::thread; }

/// Who accesses a place now: a lane, or the copy that is under way.
struct Accessor {
  Warp& warp;
  const Instruction& in;
  unsigned lane;
  Touch touch;
  bool store;
  const CopyUnderWay* copy;
  bool in_block_loosely;  ///< global memory

  bool after(const Moment& past) const {
    if (copy != nullptr) return knows(copy->view, past);
    return warp.block->clocks.is_before(past, rank_of(warp, lane));
  }
  bool of_own_block(const Moment& past) const {
    return copy == nullptr && is_thread(past) && block_of(past.who) == block_of(touch.moment.who);
  }
  /// Lanes of a warp by two instructions, of which the first lane takes part in the second, too.
  bool in_step(const Touch& past) const {
    if (!in_block_loosely || past.at == &in || !of_own_block(past.moment)) return false;
    const std::uint32_t rank = number_of(past.moment.who);
    return rank / warp_lanes == warp.number && (warp.active >> rank % warp_lanes & 1) != 0;
  }
  bool races(const Touch& past) const {
    return past.moment.who != 0 && !(touch.strong && past.strong) && !after(past.moment) &&
           !in_step(past);
  }
};

template <class Function>
bool any_lane(const Loads& loads, const Function& function) {
  for (std::uint32_t left = loads.lanes; left != 0; left &= left - 1) {
    Touch one = loads.first;
    one.moment.who += static_cast<std::uint32_t>(std::countr_zero(left));
    if (function(one)) return true;
  }
  return false;
}

/// Calls it with each load that the cell remembers until it returns true; whether it did.
template <class Function>
bool any_load(const Cell& cell, const Function& function) {
  if (cell.loads == nullptr) return cell.load.moment.who != 0 && function(cell.load);
  return std::any_of(cell.loads->begin(), cell.loads->end(),
                     [&](const Loads& loads) { return any_lane(loads, function); });
}

void add_to(std::vector<Loads>& loads, const Touch& touch) {
  Loads one{touch, 1};
  if (is_thread(touch.moment)) {
    const std::uint32_t lane = number_of(touch.moment.who) % warp_lanes;
    one.first.moment.who -= lane, one.lanes = 1U << lane;
  }
  for (Loads& known : loads)
    if (known.first.moment.who == one.first.moment.who && known.first.at == touch.at &&
        known.first.moment.time == touch.moment.time && known.first.strong == touch.strong) {
      known.lanes |= one.lanes;
      return;
    }
  if (loads.size() < most_loads) loads.push_back(one);
}

void remember_load(Cell& cell, const Accessor& now) {
  const Touch& last = cell.load;
  const bool stands_for_it =
      last.moment.who == 0 ||
      (now.after(last.moment) &&
       (last.at == now.touch.at || last.moment.time != now.touch.moment.time));
  if (cell.loads == nullptr && stands_for_it) {
    cell.load = now.touch;
    return;
  }
  if (cell.loads == nullptr) {
    cell.loads = std::make_unique<std::vector<Loads>>();
    add_to(*cell.loads, last);
  }
  add_to(*cell.loads, now.touch);
}

/// The earlier access that races with this one; null: none does.
const Touch* racing(const Cell& cell, const Accessor& now, Touch& load) {
  const auto is_replaced = [&](const Touch& past) {
    return now.in_block_loosely && now.of_own_block(past.moment);
  };
  if (now.races(cell.store) &&
      !(!now.store && is_replaced(cell.store) && cell.loaded_by == &now.in))
    return &cell.store;
  if (!now.store) return nullptr;
  const auto own_has_loaded = [&](const Instruction* at) {
    return any_load(cell, [&](const Touch& one) {
      return one.moment.who == now.touch.moment.who && one.at == at;
    });
  };
  const bool found = any_load(cell, [&](const Touch& past) {
    if (!now.races(past) || (is_replaced(past) && own_has_loaded(past.at))) return false;
    load = past;
    return true;
  });
  return found ? &load : nullptr;
}

void remember(Cell& cell, const Accessor& now) {
  if (!now.store) return remember_load(cell, now);
  cell.loaded_by = nullptr;
  if (now.in_block_loosely)
    any_load(cell, [&](const Touch& one) {
      if (one.moment.who == now.touch.moment.who) cell.loaded_by = one.at;
      return false;
    });
  cell.store = now.touch, cell.load = {}, cell.loads = nullptr;
}

std::string text_of(const Moment& moment, std::uint64_t own_block) {
  std::string text;
  if (!is_thread(moment)) text = "an asynchronous copy";
  if (is_thread(moment)) text = "thread number " + std::to_string(number_of(moment.who));
  if (block_of(moment.who) != own_block)
    text += " of block number " + std::to_string(block_of(moment.who));
  return text;
}

/// Cells of this piece of memory, in aligned pieces of up to 16 bytes.
template <class Name>
void look(Accessor& now, Touched& touched, std::uint64_t begin, std::uint64_t end,
          std::uint64_t address, std::uint32_t bytes, const std::string& buffer, const Name& name,
          std::uint64_t unit) {
  while (bytes != 0) {
    unsigned exponent =
        std::min(4U, static_cast<unsigned>(std::countr_zero(address | std::uint64_t{16})));
    while (1U << exponent > bytes) --exponent;
    const Touched::Cells cells = touched.cells(begin, end, address, exponent);
    for (int i = 0; i < cells.count; ++i) {
      Cell& cell = cells.first[i];
      if (!now.store && cell.loads == nullptr && cell.load.moment.who == now.touch.moment.who &&
          cell.load.moment.time == now.touch.moment.time && cell.load.at == &now.in)
        continue;  // once more, and nobody has stored since
      Touch load;
      if (const Touch* const other = racing(cell, now, load)) {
        const std::uint64_t at = address - begin + static_cast<std::uint64_t>(i) * cells.bytes;
        const std::string by = now.copy == nullptr ? "" : " by an asynchronous copy";
        note(now.warp, now.in, now.lane, emulator::data_race,
             (now.store ? "a store to " : "a load of ") + name(at) + by + ", and before it " +
                 (other == &cell.store ? "a store" : "a load") + " at " +
                 place_of(now.warp, *other->at) + " by " +
                 text_of(other->moment, now.warp.block->number) + "; nothing orders the two",
             buffer, static_cast<std::int64_t>(at / unit));
      }
      remember(cell, now);
    }
    address += std::uint64_t{1} << exponent, bytes -= 1U << exponent;
  }
}

Accessor accessor(Warp& warp, const Instruction& in, unsigned lane, Use use, bool global) {
  const CopyUnderWay* const copy = warp.block->launch->copy;
  const bool strong = use == Use::atomic || use == Use::object || (in.flags & flag_ordered) != 0;
  const Moment moment =
      copy != nullptr ? copy->moment : warp.block->clocks.moment(rank_of(warp, lane));
  return {warp, in, lane, {moment, &in, strong && copy == nullptr}, use != Use::read, copy, global};
}

}  // namespace

void look_for_races(Warp& warp, const Instruction& in, unsigned lane, Block& block,
                    std::uint64_t at, std::uint32_t bytes, Use use) {
  Accessor now = accessor(warp, in, lane, use, false);
  look(
      now, block.touched, 0, block.shared.size(), at, bytes, "shared memory",
      [](std::uint64_t place) { return "byte " + std::to_string(place) + " of shared memory"; }, 1);
}

void look_for_races(Warp& warp, const Instruction& in, unsigned lane, Range& range,
                    std::uint64_t address, std::uint32_t bytes, Use use) {
  Accessor now = accessor(warp, in, lane, use, true);
  look(
      now, range.touched, range.begin, range.end, address, bytes, range.name,
      [&](std::uint64_t place) {
        return range.name + "[" + std::to_string(place / range.element_bytes) + "]";
      },
      range.element_bytes);
}

void look_for_proxy_fence(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t at,
                          std::uint32_t bytes) {
  Block& block = *warp.block;
  const Clocks& clocks = block.clocks;
  const std::uint32_t rank = rank_of(warp, lane);
  Sum sum;
  for (const auto& one : block.cluster->blocks)
    for (const Picture& picture : one->clocks.pictures)
      if (clocks.is_before(picture.when, rank)) sum.add(picture.view);
  const View visible = sum.view(block.launch->order->threads());
  for (const std::uint64_t end = at + bytes; at < end; at += 4) {
    const Touched::Cells cells = block.touched.cells(0, block.shared.size(), at, 2);
    for (int i = 0; i < cells.count; ++i) {
      const Touch& store = cells.first[i].store;
      // What is not ordered is a race, which is found when the copy reads.
      if (store.moment.who == 0 || !is_thread(store.moment) || knows(visible, store.moment) ||
          !clocks.is_before(store.moment, rank))
        continue;
      stop(warp, in, lane, emulator::missing_proxy_fence,
           "the bulk copy would not see what was stored to byte " + std::to_string(at) +
               " of shared memory at " + place_of(warp, *store.at) +
               ": fence.proxy.async must stand between that and the barrier before the copy",
           "shared memory", static_cast<std::int64_t>(at));
    }
  }
}

void look_whether_begun(Warp& warp, const Instruction& in, unsigned lane, const Block& peer) {
  // A barrier orders the begin even where its arrival is relaxed, which hands over no access.
  if (warp.block->met_peers) return;
  if (has_heard_of(warp.block->clocks.view(rank_of(warp, lane)), peer.number)) return;
  stop(warp, in, lane, emulator::cluster_peer,
       "shared memory of block " + std::to_string(peer.rank) +
           " of the cluster, which need not have begun by then: a barrier of the cluster must "
           "stand before",
       "shared memory");
}

void look_whether_peers_are_done(Warp& warp, const Instruction& in, unsigned lane, Block& block) {
  Sum sum;
  for (const View& view : block.clocks.views) sum.add(view);
  const View known = sum.view(block.launch->order->threads());
  block.touched.for_each([&](const Cell& cell) {
    const auto late = [&](const Touch& touch) {
      if (touch.moment.who == 0 || block_of(touch.moment.who) == block.number ||
          knows(known, touch.moment))
        return false;
      stop(warp, in, lane, emulator::cluster_peer_left,
           "a block of the cluster returns, whose shared memory is touched at " +
               place_of(warp, *touch.at) + " by " + text_of(touch.moment, block.number) +
               "; it may have returned by then: a barrier of the cluster must stand behind",
           "shared memory");
    };
    late(cell.store);
    any_load(cell, late);
  });
}

}  // namespace abn::ptx
