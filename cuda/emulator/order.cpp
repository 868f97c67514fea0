// The clocks of a launch: what barriers, fences and atomics change in them.
#include "cuda/emulator/order.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace abn::emulator {
namespace {

// of a Sync; what is older is merged for good, and a thread that came by then learns all of it
constexpr std::size_t longest_log = 4096;

std::uint32_t after(std::uint32_t time) { return std::min(time + 1, last_time); }

void meet(std::vector<Fences::Seen>& seen, Fences::Seen one) {
  const auto known = std::find_if(
      seen.begin(), seen.end(), [&one](const auto& other) { return other.address == one.address; });
  if (known == seen.end())
    seen.push_back(one);
  else
    known->upto = std::max(known->upto, one.upto);
}

bool holds(const Stamp& stamp) { return stamp.actor != 0 || stamp.known; }

}  // namespace

void Order::begin_launch(unsigned block_size) {
  block_size_ = block_size;
  oldest_ = first_actor_ = next_actor_;
  actors_.clear();
  atomics_.clear();
}

std::uint32_t Order::new_actor(Actor actor) {
  actors_.push_back(actor);
  return next_actor_++;
}

void Order::begin_block(Block& block, std::uint64_t number) {
  BlockOrder& order = block.order;
  for (const std::uintptr_t address : order.shared_atomics) atomics_.erase(address);
  order.shared_atomics.clear();
  order.actor = new_actor({number});
  order.before = order.newest = 1;
  std::fill(std::begin(order.warp_before), std::end(order.warp_before), 0);
  order.now.resize(block.size);
  for (unsigned rank = 0; rank < block.size; ++rank)
    order.now[rank] = make_epoch(order.actor, rank, 1);
  order.known.clear();
  order.fences.clear();
  order.any_known = order.news = order.fenced = order.met = false;
}

// ---- threads

Stamp Order::stamp_of(const Thread& thread) const {
  const BlockOrder& order = thread.home().order;
  return {.actor = order.actor,
          .own = after(time_of(order.now[thread.rank])),
          .warp = order.warp_before[thread.rank / 32],
          .block = order.before,
          .rank = thread.rank,
          .lanes = thread.warp->exists,
          .known = order.any_known ? order.known[thread.rank] : nullptr};
}

void Order::advance(BlockOrder& order, unsigned rank) {
  const std::uint32_t time = after(time_of(order.now[rank]));
  order.now[rank] = make_epoch(order.actor, rank, time);
  order.newest = std::max(order.newest, time);
}

void Order::learn(BlockOrder& order, unsigned rank, const Known& known) const {
  if (!known) return;
  if (order.known.empty()) order.known.resize(order.now.size());
  order.known[rank] = join(order.known[rank], known, oldest_, block_size_);
  order.any_known = order.news = true;
}

Known Order::tidied(Knowledge knowledge) const {
  knowledge.tidy(oldest_, block_size_);
  if (knowledge.actors.empty() && knowledge.threads.empty()) return nullptr;
  return std::make_shared<const Knowledge>(std::move(knowledge));
}

Known Order::hand_over(Thread& thread) {
  Knowledge all;
  add(all, stamp_of(thread));
  advance(thread.home().order, thread.rank);
  return tidied(std::move(all));
}

// ---- synchronisation objects

void Order::append(Sync& sync, Stamp stamp) const {
  sync.log_.push_back(std::move(stamp));
  if (sync.log_.size() <= longest_log) return;
  sync.base_ = value(sync);
  sync.dropped_ += sync.log_.size();
  sync.log_.clear();
  sync.merged_end_ = 0;
}

// What the first `upto` releases hand over.
Known Order::value(Sync& sync, std::size_t upto) const {
  if (upto <= sync.dropped_) return sync.base_;
  const std::size_t end = upto - sync.dropped_;
  const bool further = end >= sync.merged_end_;
  if (further && end == sync.merged_end_) return sync.merged_;
  const Known& start = further ? sync.merged_ : sync.base_;
  Knowledge all = start ? *start : Knowledge{};
  const Knowledge* last = nullptr;
  for (std::size_t i = further ? sync.merged_end_ : 0; i < end; ++i) {
    Stamp stamp = sync.log_[i];
    // the threads of a block often know the same
    if (stamp.known.get() == last) stamp.known = nullptr;
    if (stamp.known) last = stamp.known.get();
    add(all, stamp);
  }
  Known known = tidied(std::move(all));
  if (further) {
    sync.merged_ = known;
    sync.merged_end_ = end;
  }
  return known;
}

void Order::release(Thread& thread, Sync& sync) {
  append(sync, stamp_of(thread));
  advance(thread.home().order, thread.rank);
}

void Order::acquire(Thread& thread, Sync& sync) {
  learn(thread.home().order, thread.rank, value(sync));
}

void Order::tell(Thread& thread, const Stamp& stamp) {
  Knowledge news;
  add(news, stamp);
  learn(thread.home().order, thread.rank, tidied(std::move(news)));
}

Known Order::join_all(const std::vector<Known>& all) const {
  Knowledge sum;
  const Knowledge* last = nullptr;
  for (const Known& known : all) {
    if (known && known.get() != last) add(sum, {.known = known});
    last = known.get();
  }
  return tidied(std::move(sum));
}

void Order::release_at(Thread& thread, std::uintptr_t address, bool shared) {
  const auto [place, fresh] = atomics_.try_emplace(address);
  if (fresh && shared) thread.home().order.shared_atomics.push_back(address);
  release(thread, place->second.sync);
}

void Order::acquire_at(Thread& thread, std::uintptr_t address) {
  const auto place = atomics_.find(address);
  if (place != atomics_.end()) acquire(thread, place->second.sync);
}

// ---- barriers: all threads of a set know what each of them knows, and what any of them fenced has
// been fenced for all

void Order::block_barrier(Block& block) {
  BlockOrder& order = block.order;
  order.before = order.newest = after(order.newest);
  for (unsigned rank = 0; rank < block.size; ++rank)
    order.now[rank] = make_epoch(order.actor, rank, order.before);
  if (order.news) {
    Known all;
    for (const Known& known : order.known) all = join(all, known, oldest_, block_size_);
    std::fill(order.known.begin(), order.known.end(), all);
    order.news = false;
  }
  share_fences(order, [&block](auto&& act) {
    for (unsigned rank = 0; rank < block.size; ++rank) act(rank);
  });
  order.fenced = order.met = false;
}

// One thread's fence before a barrier serves another's atomic behind it, and one thread's atomic
// before a barrier another's fence behind it: fences are cumulative, and much code in use has one
// thread take a ticket for its block.
template <class Each>
void Order::share_fences(BlockOrder& order, Each each) const {
  if (order.fenced) {
    Knowledge all;
    each([&](unsigned rank) { add(all, order.fences[rank].released); });
    if (const Known known = tidied(std::move(all)))
      each([&](unsigned rank) {
        order.fences[rank].released = {.known = known};
        order.fences[rank].published.clear();
      });
  }
  if (order.met) {
    std::vector<Fences::Seen> all;
    each([&](unsigned rank) {
      for (const Fences::Seen& seen : order.fences[rank].seen) meet(all, seen);
    });
    each([&](unsigned rank) { order.fences[rank].seen = all; });
  }
}

void Order::warp_barrier(Warp& warp, std::uint32_t lanes) {
  BlockOrder& order = warp.block->order;
  const unsigned first = warp.threads[0].rank, number = first / 32;
  const auto each = [lanes, first](auto&& act) {
    for (std::uint32_t left = lanes; left; left &= left - 1)
      act(first + static_cast<unsigned>(std::countr_zero(left)));
  };
  Knowledge all;
  if (lanes == warp.exists) {
    std::uint32_t time = 0;
    each([&](unsigned rank) { time = std::max(time, time_of(order.now[rank])); });
    order.warp_before[number] = time = after(time);
    order.newest = std::max(order.newest, time);
    each([&](unsigned rank) { order.now[rank] = make_epoch(order.actor, rank, time); });
    if (order.news) each([&](unsigned rank) { add(all, {.known = order.known[rank]}); });
  } else {
    each([&](unsigned rank) {
      add(all, stamp_of(warp.threads[rank - first]));
      advance(order, rank);
    });
  }
  if (const Known known = tidied(std::move(all)))
    each([&](unsigned rank) { learn(order, rank, known); });
  share_fences(order, each);
}

void Order::cluster_barrier(std::span<Block* const> blocks) {
  Knowledge all;
  for (Block* block : blocks) {
    block_barrier(*block);
    const BlockOrder& order = block->order;
    add(all, {.actor = order.actor,
              .block = order.before,
              .known = order.any_known ? order.known[0] : nullptr});
  }
  const Known known = tidied(std::move(all));
  for (Block* block : blocks) {
    block->order.known.assign(block->size, known);
    block->order.any_known = true;
  }
}

// Whatever came before the grid's barrier is as old as an earlier launch: all blocks go on as new
// actors.
void Order::grid_barrier(std::vector<std::unique_ptr<Block>>& blocks, std::uint64_t count) {
  oldest_ = next_actor_;
  atomics_.clear();
  for (std::uint64_t b = 0; b < count; ++b)
    begin_block(*blocks[b], actor(blocks[b]->order.actor)->block);
}

// ---- fences and atomics

void Order::fence(Thread& thread, bool block_scope) {
  BlockOrder& order = thread.home().order;
  if (order.fences.empty()) order.fences.resize(order.now.size());
  Fences& fences = order.fences[thread.rank];
  for (const Fences::Seen& seen : fences.seen) {
    const auto found = atomics_.find(seen.address);
    if (found == atomics_.end()) continue;
    AtomicPlace& place = found->second;
    Known known = value(place.sync, seen.upto);
    if (block_scope && known) {  // of the own block only
      Knowledge own = *known;
      std::erase_if(own.actors, [&order](const auto& entry) { return entry.actor != order.actor; });
      std::erase_if(own.threads, [&order](const auto& entry) {
        return entry.thread >> rank_bits != order.actor;
      });
      known = tidied(std::move(own));
    }
    learn(order, thread.rank, known);
    Knowledge in_block;
    for (const Stamp& stamp : place.in_blocks)
      if (stamp.actor == order.actor) add(in_block, stamp);
    learn(order, thread.rank, tidied(std::move(in_block)));
  }
  fences.seen.clear();

  const Stamp stamp = stamp_of(thread);
  advance(order, thread.rank);
  fences.published.clear();
  if (block_scope) {
    fences.released_in_block = stamp;
  } else {
    fences.released = stamp;
    fences.released_in_block = {};
    order.fenced = true;
  }
}

void Order::atomic(Thread& thread, std::uintptr_t address, bool shared, bool loads, bool stores) {
  BlockOrder& order = thread.home().order;
  if (order.fences.empty()) {
    if (!atomics_.contains(address)) return;  // nobody has fenced
    order.fences.resize(order.now.size());
  }
  Fences& fences = order.fences[thread.rank];
  const bool releases = stores && (holds(fences.released) || holds(fences.released_in_block));
  auto found = atomics_.find(address);
  if (found == atomics_.end()) {
    if (!releases) return;
    found = atomics_.try_emplace(address).first;
    if (shared) order.shared_atomics.push_back(address);
  }
  AtomicPlace& place = found->second;

  if (loads) {
    meet(fences.seen, {address, end_of(place.sync)});
    order.met = true;
  }

  if (!releases || std::find(fences.published.begin(), fences.published.end(), address) !=
                       fences.published.end())
    return;
  fences.published.push_back(address);
  if (holds(fences.released)) append(place.sync, fences.released);
  if (!holds(fences.released_in_block)) return;
  if (shared)
    append(place.sync, fences.released_in_block);  // nobody but the block is there
  else
    place.in_blocks.push_back(fences.released_in_block);
}

}  // namespace abn::emulator
