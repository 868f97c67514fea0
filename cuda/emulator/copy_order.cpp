// The clocks of asynchronous copies and of proxy fences.
#include "cuda/emulator/copy_order.hpp"

#include <vector>

#include "cuda/emulator/sanitizer.hpp"

namespace abn::emulator {

// of a block without barriers; beyond, older ones count for all of its threads
constexpr std::size_t most_pictures = 4096;

Epoch epoch_of(CopyActor& actor, const Thread& issuer, std::uint32_t time, bool bulk) {
  if (!watching) return 0;
  Order& order = watching->order;
  if (actor.number < order.oldest())
    actor.number = order.new_actor({order.actor(issuer.home().order.actor)->block, true, bulk});
  return make_epoch(actor.number, issuer.rank, time);
}

Known knowledge_of(Thread& issuer) {
  return watching ? watching->order.hand_over(issuer) : nullptr;
}

bool copy_reads(Epoch now, const Known& known, const void* address, std::size_t bytes,
                Where where) {
  return !watching || watching->access_by_copy(now, known, address, bytes, false, where);
}
bool copy_writes(Epoch now, const Known& known, void* address, std::size_t bytes, Where where) {
  return !watching || watching->access_by_copy(now, known, address, bytes, true, where);
}

void learn_of_copies(Thread& thread, CopyActor actor, std::uint32_t time) {
  if (watching && actor.number >= watching->order.oldest())
    watching->order.tell(
        thread, {.actor = actor.number, .own = time, .rank = thread.rank, .known = nullptr});
}
void release_copies(Sync& phase, CopyActor actor, std::uint32_t time) {
  if (watching && actor.number >= watching->order.oldest())
    watching->order.release({.actor = actor.number, .block = time, .known = nullptr}, phase);
}

void count_element(const Thread& issuer, const void* global, unsigned bytes, Where where) {
  if (watching) watching->count_element(issuer, global, bytes, where);
}
void count_bulk(const void* global, std::size_t bytes, bool store) {
  if (watching) watching->count_bulk(global, bytes, store);
}

// ---- proxy fences

void merge_pictures(Block& block) {
  ProxyFences& fences = block.async.fences;
  if (!watching || fences.since.empty()) return;
  std::vector<Known> all{fences.known};
  for (const ProxyFences::Fence& fence : fences.since) all.push_back(fence.known);
  fences.known = watching->order.join_all(all);
  fences.since.clear();
}

void take_picture(Thread& thread) {
  if (!watching) return;
  Block& home = thread.home();
  if (home.async.fences.since.size() >= most_pictures) merge_pictures(home);
  const Epoch when = home.order.now[thread.rank];
  home.async.fences.since.push_back({when, watching->order.hand_over(thread)});
}

void exchange_pictures(Block* const* blocks, std::size_t count) {
  if (!watching) return;
  std::vector<Known> all;
  for (std::size_t b = 0; b < count; ++b) {
    merge_pictures(*blocks[b]);
    all.push_back(blocks[b]->async.fences.known);
  }
  const Known known = watching->order.join_all(all);
  for (std::size_t b = 0; b < count; ++b) blocks[b]->async.fences.known = known;
}

bool check_proxy(const Thread& issuer, const void* shared, std::size_t bytes, Where where) {
  if (!watching) return false;
  const Block& home = issuer.home();
  bool fenced = true;
  {
    std::vector<Known> visible{home.async.fences.known};
    for (const ProxyFences::Fence& fence : home.async.fences.since)
      if (watching->order.ordered(home.order, issuer.rank, fence.when))
        visible.push_back(fence.known);
    fenced = watching->check_fenced(watching->order.join_all(visible), shared, bytes, where);
  }
  if (!fenced) watching->leave();
  return home.watched.born >= watching->order.oldest();
}

void use_mbarrier(const void* barrier, bool initialises, Where where) {
  if (!watching) return;
  if (initialises)
    watching->access_by_call<AccessKind::write>(barrier, 3, where);
  else
    watching->access_by_call<AccessKind::atomic>(barrier, 3, where);
}

}  // namespace abn::emulator
