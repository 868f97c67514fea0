// What happens before what, in a sanitised launch: who knows of whose accesses.
//
// Two accesses of one place, one of them a write, are a race unless one happens before the other:
// in the same thread, or through a chain of releases and acquires. A thread that releases into a
// Sync hands over all that it did and all that it knows; a thread that acquires from it knows that
// from then on. So a barrier of any kind is: every thread that arrives releases, every thread that
// goes on acquires, both on the Sync of that phase of the barrier.
//
// Asynchronous copies are somebody of their own: copy_order.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "cuda/emulator/block.hpp"
#include "cuda/emulator/block_order.hpp"
#include "cuda/emulator/clock.hpp"

namespace abn::emulator {

class Order {
 public:
  struct Actor {
    // its linear number in the grid, or that of the thread that started the copies
    std::uint64_t block;
    bool copies = false;  // asynchronous ones; a rank is that of the thread that started it
    bool bulk = false;    // which see memory through a proxy of their own
  };

  void begin_launch(unsigned block_size);
  void begin_block(Block& block, std::uint64_t number);

  bool ordered(const BlockOrder& order, unsigned rank, Epoch past) const {
    const std::uint32_t actor = actor_of(past);
    if (actor < oldest_) return true;
    if (actor == order.actor) {
      const std::uint32_t time = time_of(past);
      const unsigned other = rank_of(past);
      if (time < order.before || other == rank ||
          (other / 32 == rank / 32 && time < order.warp_before[rank / 32]))
        return true;
    }
    return order.any_known && order.known[rank] && order.known[rank]->knows(past);
  }

  // What the kernel does; an atomic is told of when it is done.
  void block_barrier(Block& block);
  void warp_barrier(Warp& warp, std::uint32_t lanes);
  void cluster_barrier(std::span<Block* const> blocks);
  void grid_barrier(std::vector<std::unique_ptr<Block>>& blocks, std::uint64_t count);
  void fence(Thread& thread, bool block_scope);
  void atomic(Thread& thread, std::uintptr_t address, bool shared, bool loads = true,
              bool stores = true);
  void release(Thread& thread, Sync& sync);
  void acquire(Thread& thread, Sync& sync);

  // A release and an acquire at a place in memory, whatever the atomics there do.
  void release_at(Thread& thread, std::uintptr_t address, bool shared);
  void acquire_at(Thread& thread, std::uintptr_t address);

  // Of copies.
  Known hand_over(Thread& thread);  // what a release of the thread hands over
  std::uint32_t new_actor(Actor actor);
  void tell(Thread& thread, const Stamp& stamp);  // it knows what the stamp hands over
  void release(const Stamp& stamp, Sync& sync) const { append(sync, stamp); }
  Known join_all(const std::vector<Known>& all) const;

  std::uint32_t oldest() const { return oldest_; }  // everybody knows everything of older actors
  std::uint32_t next_actor() const { return next_actor_; }
  // the caller rewrites all epochs first
  void renumber() { next_actor_ = oldest_ = first_actor_ = host_actor + 1; }
  const Actor* actor(std::uint32_t number) const {
    return number >= first_actor_ ? &actors_[number - first_actor_] : nullptr;
  }

 private:
  struct AtomicPlace {
    Sync sync;
    std::vector<Stamp> in_blocks;  // released by fences of block scope
  };
  Stamp stamp_of(const Thread& thread) const;
  static void advance(BlockOrder& order, unsigned rank);
  void learn(BlockOrder& order, unsigned rank, const Known& known) const;
  Known value(Sync& sync, std::size_t upto) const;
  Known value(Sync& sync) const { return value(sync, end_of(sync)); }
  static std::size_t end_of(const Sync& sync) { return sync.dropped_ + sync.log_.size(); }
  template <class Each>
  void share_fences(BlockOrder& order, Each each) const;
  void append(Sync& sync, Stamp stamp) const;
  Known tidied(Knowledge knowledge) const;

  std::uint32_t next_actor_ = host_actor + 1, oldest_ = host_actor + 1,
                first_actor_ = host_actor + 1;
  unsigned block_size_ = 0;
  std::vector<Actor> actors_;  // of this launch
  std::unordered_map<std::uintptr_t, AtomicPlace> atomics_;
};

}  // namespace abn::emulator
