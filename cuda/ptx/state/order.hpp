// What happens before what: who knows of whose accesses, where they are looked at.
//
// Two accesses are ordered where they are of one thread, or where a chain of hand-overs leads from
// the first to the second. Who releases hands over all that he did and all that he knows; who
// acquires it knows that from then on. A barrier of any kind is both, of every thread that comes. A
// fence alone hands over nothing: it makes what its thread did ready for the atomics behind it, and
// what the atomics before it have met is known behind it. PTX calls these the release pattern and
// the acquire pattern; both are cumulative over barriers, as one thread fences and counts for its
// block.
//
// A copy is somebody of its own, who knows what its thread knew when it was begun, and of whose
// accesses nobody knows before the wait for it.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cuda/ptx/state/clock.hpp"

namespace abn::ptx {

/// One phase of a barrier: what was released to those who acquire it.
class Sync {
 public:
  void add(const std::vector<Known>& some) { log_.insert(log_.end(), some.begin(), some.end()); }
  void add(const View& view) {
    if (view != nullptr && (views_.empty() || views_.back() != view)) views_.push_back(view);
  }
  View view(std::uint32_t threads);
  bool is_long() const { return log_.size() > 4096; }
  void clear() { *this = {}; }

 private:
  std::vector<Known> log_;
  std::vector<View> views_;
  View merged_;  ///< of those before
};

/// What a thread's fences have made ready for its atomics, and its atomics for its next fence.
struct Fences {
  View released, released_in_block;
  std::vector<std::uint64_t> published;  ///< places of atomics since then
  struct Met {
    std::uint64_t place = 0;
    View view, in_block;
  };
  std::vector<Met> met;
};

/// What a proxy fence has made known to bulk copies, and when.
struct Picture {
  Moment when;
  View view;
};

/// Copies of a thread that were begun, and those that have landed.
struct CopyCounts {
  std::uint32_t elements = 0, stores = 0, landed_elements = 0, landed_stores = 0;
};

/// An mbarrier, by its place in shared memory.
struct Handover {
  Sync now;                  ///< of the phase that goes on
  View done;                 ///< of the last one that is over
  std::uint32_t copies = 0;  ///< that count at it and were begun
  Who initialised_by = 0;
  bool fenced = false;  ///< since then, so that copies may see it
};

/// The clocks of a block, and what its threads know beyond them.
struct Clocks {
  std::uint64_t block = 0;  ///< its number
  std::uint32_t threads = 0;
  std::uint32_t before = 1;  ///< all that the block did before this is known to its threads
  std::uint32_t newest = 1;  ///< the latest time of a thread
  std::uint32_t warp_before[32] = {};  ///< likewise of the lanes of a warp
  std::vector<std::uint32_t> now{};    ///< of each thread
  std::vector<View> views{};           ///< of each thread; empty: nothing
  std::vector<Fences> fences{};        ///< likewise
  std::vector<CopyCounts> copies{};    ///< likewise
  std::vector<Picture> pictures{};
  std::unordered_map<std::uint32_t, Handover> mbarriers{};
  bool news = false;                 ///< a view has changed since the last barrier
  bool fenced = false, met = false;  ///< likewise what fences have released and have met

  void begin(std::uint64_t number, std::uint32_t count);
  Moment moment(std::uint32_t rank) const {
    return {who_is(block, Actor::thread, rank), now[rank]};
  }
  View view(std::uint32_t rank) const { return views.empty() ? nullptr : views[rank]; }
  CopyCounts& copies_of(std::uint32_t rank);
  bool is_before(const Moment& past, std::uint32_t rank) const {
    if (block_of(past.who) == block && actor_of(past.who) == Actor::thread) {
      const std::uint32_t other = number_of(past.who);
      if (other == rank || past.time < before ||
          (other / 32 == rank / 32 && past.time < warp_before[rank / 32]))
        return true;
    }
    return !views.empty() && knows(views[rank], past);
  }
};

class Order {
 public:
  explicit Order(std::uint32_t threads) : threads_(threads) {}

  void block_barrier(Clocks& clocks);
  /// Lanes of a warp meet.
  void warp_barrier(Clocks& clocks, std::uint32_t warp, std::uint32_t lanes);
  /// Lanes of a warp release into a barrier that others acquire.
  void release(Clocks& clocks, std::uint32_t warp, std::uint32_t lanes, Sync& sync);
  void learn(Clocks& clocks, std::uint32_t rank, const View& view);
  void acquire(Clocks& clocks, std::uint32_t rank, Sync& sync) {
    learn(clocks, rank, sync.view(threads_));
  }
  /// All that the thread did and knows; its time goes on.
  View hand_over(Clocks& clocks, std::uint32_t rank);

  void fence(Clocks& clocks, std::uint32_t rank, bool of_block);
  /// An atomic, volatile or relaxed access of a place; one of shared memory serves its block only.
  void meet(Clocks& clocks, std::uint32_t rank, std::uint64_t place, bool in_shared, bool loads,
            bool stores);
  void release_at(Clocks& clocks, std::uint32_t rank, std::uint64_t place, bool of_block);
  void acquire_at(Clocks& clocks, std::uint32_t rank, std::uint64_t place);

  /// The thread's proxy fence.
  void take_picture(Clocks& clocks, std::uint32_t rank);
  View sum(const View& a, const View& b) const { return join(a, b, threads_); }
  View only(Who who, std::uint32_t before) const { return view_of({{who, before}}, threads_); }
  std::uint32_t threads() const { return threads_; }

 private:
  struct Place {
    View view;
    std::unordered_map<std::uint64_t, View> in_blocks;  ///< released to one block only
  };
  void collect(const Clocks& clocks, std::uint32_t warp, std::uint32_t lanes,
               std::vector<Known>& to) const;
  void merge_pictures(Clocks& clocks, const Moment& when) const;
  template <class Each>
  void share(Clocks& clocks, const Each& each);

  std::uint32_t threads_;  ///< of each block
  std::unordered_map<std::uint64_t, Place> places_;
  View last_own_, last_learnt_, last_sum_;  ///< of learn()
};

}  // namespace abn::ptx
