// Clocks of the sanitiser: when an access was made, and what somebody knows of everybody's
// accesses.
//
// A thread's time advances wherever it hands its work over to others (a barrier, a fence, any
// release). An epoch names all accesses of one thread at one time. The usual vector clock, a time
// for each thread of the grid, would be thousands of numbers a thread; but the threads of a block
// meet in barriers all the time, so nearly all that one of them knows is a single number:
// everything that its block did before a certain time. What goes beyond (other blocks, single
// threads) is kept in a sorted list, which is empty in most kernels, never changes once it is made
// and is shared by all who know the same.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace abn::emulator {

// From the top: 28 bits for the actor, 10 for the thread's rank in its block, 26 for the time. An
// actor is a block from one barrier of the grid to the next, or one asynchronous copy; actors are
// numbered through a session, so older ones have smaller numbers.
using Epoch = std::uint64_t;
inline constexpr int time_bits = 26, rank_bits = 10, actor_shift = time_bits + rank_bits;
inline constexpr std::uint32_t last_time = (1u << time_bits) - 1,
                               last_actor = (1u << (64 - actor_shift)) - 1;
inline constexpr std::uint32_t host_actor = 1;  // whatever the host wrote between launches

constexpr Epoch make_epoch(std::uint32_t actor, unsigned rank, std::uint32_t time) {
  return Epoch{actor} << actor_shift | Epoch{rank} << time_bits | time;
}
constexpr std::uint32_t actor_of(Epoch epoch) {
  return static_cast<std::uint32_t>(epoch >> actor_shift);
}
constexpr unsigned rank_of(Epoch epoch) { return epoch >> time_bits & 1023; }
constexpr std::uint32_t time_of(Epoch epoch) {
  return static_cast<std::uint32_t>(epoch) & last_time;
}
constexpr std::uint64_t thread_of(Epoch epoch) { return epoch >> time_bits; }  // actor and rank

// What somebody knows: of some actors everything before a time, of some single threads everything
// before a time.
class Knowledge {
 public:
  struct OfActor {
    std::uint32_t actor, before;
  };
  struct OfThread {
    std::uint64_t thread;  // as thread_of()
    std::uint32_t before;
  };
  std::vector<OfActor> actors;    // sorted, each once
  std::vector<OfThread> threads;  // likewise

  bool knows(Epoch epoch) const;
  // Sorts, merges what is there twice, and drops what the rest implies: threads of actors that are
  // known as far, and actors before `oldest`, of which everybody knows everything. All `block_size`
  // threads of an actor together are the actor.
  void tidy(std::uint32_t oldest, unsigned block_size);
};
using Known = std::shared_ptr<const Knowledge>;  // null: nothing

Known join(const Known& a, const Known& b, std::uint32_t oldest, unsigned block_size);

// What a thread hands over at a release: its own accesses before `own`, those of its warp and of
// its block as far as it knows them, and whatever else it knows. Nothing where actor is 0.
struct Stamp {
  std::uint32_t actor = 0, own = 0, warp = 0, block = 0;
  unsigned rank = 0;
  std::uint32_t lanes = 0;   // that the warp has
  bool block_scope = false;  // released to threads of the same block only
  Known known;
};
void add(Knowledge& to, const Stamp& stamp);  // to.tidy() is the caller's

}  // namespace abn::emulator
