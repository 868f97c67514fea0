// Lists of what somebody knows, and how they are joined.
#include "cuda/emulator/clock.hpp"

#include <algorithm>
#include <bit>

namespace abn::emulator {
namespace {

// Sorts entries, keeping of equal ones the one that reaches furthest.
template <class Entry, class Key>
void sort_and_merge(std::vector<Entry>& entries, Key Entry::*key) {
  const auto less = [key](const Entry& a, const Entry& b) {
    return a.*key != b.*key ? a.*key < b.*key : a.before > b.before;
  };
  const auto same = [key](const Entry& a, const Entry& b) { return a.*key == b.*key; };
  // Not std::sort, which recurses: this runs on the small stack of a kernel's thread, and frames of
  // a build under AddressSanitizer (ci/asan.sh) are large.
  if (!std::is_sorted(entries.begin(), entries.end(), less))
    std::partial_sort(entries.begin(), entries.end(), entries.end(), less);
  entries.erase(std::unique(entries.begin(), entries.end(), same), entries.end());
}

std::uint32_t actor_of_thread(std::uint64_t thread) {
  return static_cast<std::uint32_t>(thread >> rank_bits);
}

// Times before which all is known of an actor; 0: nothing.
std::uint32_t before_of(const std::vector<Knowledge::OfActor>& actors, std::uint32_t actor) {
  const auto at = std::lower_bound(
      actors.begin(), actors.end(), actor,
      [](const Knowledge::OfActor& entry, std::uint32_t wanted) { return entry.actor < wanted; });
  return at != actors.end() && at->actor == actor ? at->before : 0;
}

bool same(const Knowledge& a, const Knowledge& b) {
  return std::equal(a.actors.begin(), a.actors.end(), b.actors.begin(), b.actors.end(),
                    [](const auto& x, const auto& y) {
                      return x.actor == y.actor && x.before == y.before;
                    }) &&
         std::equal(a.threads.begin(), a.threads.end(), b.threads.begin(), b.threads.end(),
                    [](const auto& x, const auto& y) {
                      return x.thread == y.thread && x.before == y.before;
                    });
}

}  // namespace

bool Knowledge::knows(Epoch epoch) const {
  const std::uint32_t time = time_of(epoch);
  if (time < before_of(actors, actor_of(epoch))) return true;
  const auto at = std::lower_bound(
      threads.begin(), threads.end(), thread_of(epoch),
      [](const OfThread& entry, std::uint64_t wanted) { return entry.thread < wanted; });
  return at != threads.end() && at->thread == thread_of(epoch) && time < at->before;
}

void Knowledge::tidy(std::uint32_t oldest, unsigned block_size) {
  sort_and_merge(threads, &OfThread::thread);
  const std::size_t known_actors = actors.size();
  for (std::size_t begin = 0; begin < threads.size();) {
    const std::uint32_t actor = actor_of_thread(threads[begin].thread);
    std::size_t end = begin;
    std::uint32_t all = last_time;
    for (; end < threads.size() && actor_of_thread(threads[end].thread) == actor; ++end)
      all = std::min(all, threads[end].before);
    if (end - begin == block_size) actors.push_back({actor, all});
    begin = end;
  }
  std::erase_if(
      actors, [oldest](const OfActor& entry) { return entry.actor < oldest || entry.before == 0; });
  if (actors.size() != known_actors || actors.size() > 1) sort_and_merge(actors, &OfActor::actor);
  std::erase_if(threads, [this, oldest](const OfThread& entry) {
    const std::uint32_t actor = actor_of_thread(entry.thread);
    return actor < oldest || entry.before <= before_of(actors, actor);
  });
}

Known join(const Known& a, const Known& b, std::uint32_t oldest, unsigned block_size) {
  if (!b || a == b) return a;
  if (!a) return b;
  Knowledge both = *a;
  both.actors.insert(both.actors.end(), b->actors.begin(), b->actors.end());
  both.threads.insert(both.threads.end(), b->threads.begin(), b->threads.end());
  both.tidy(oldest, block_size);
  if (same(both, *a)) return a;
  if (same(both, *b)) return b;
  return std::make_shared<const Knowledge>(std::move(both));
}

void add(Knowledge& to, const Stamp& stamp) {
  if (stamp.actor != 0) {
    if (stamp.block > 0) to.actors.push_back({stamp.actor, stamp.block});
    if (stamp.own > stamp.block)
      to.threads.push_back({std::uint64_t{stamp.actor} << rank_bits | stamp.rank, stamp.own});
    if (stamp.warp > stamp.block)
      for (std::uint32_t left = stamp.lanes; left; left &= left - 1)
        to.threads.push_back({std::uint64_t{stamp.actor} << rank_bits | (stamp.rank & ~31u) |
                                  static_cast<unsigned>(std::countr_zero(left)),
                              stamp.warp});
  }
  if (stamp.known) {
    to.actors.insert(to.actors.end(), stamp.known->actors.begin(), stamp.known->actors.end());
    to.threads.insert(to.threads.end(), stamp.known->threads.begin(), stamp.known->threads.end());
  }
}

}  // namespace abn::emulator
