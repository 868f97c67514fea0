// The clocks of asynchronous copies and of proxy fences.
#include "cuda/emulator/copy_order.hpp"

#include "cuda/emulator/machine.hpp"
#include "cuda/emulator/sanitizer.hpp"

namespace abn::emulator {

// of a block without barriers; beyond, older ones count for all of its threads
constexpr std::size_t most_pictures = 4096;

Epoch CopyActor::epoch(const Thread& issuer, std::uint32_t time, bool bulk) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  if (!sanitizer) return 0;
  Order& order = sanitizer->order;
  if (number < order.oldest())
    number = order.new_actor({order.actor(issuer.home().order.actor)->block, true, bulk});
  return make_epoch(number, issuer.rank, time);
}

Known knowledge_of(Thread& issuer) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  return sanitizer ? sanitizer->order.hand_over(issuer) : nullptr;
}

bool copy_reads(Epoch now, const Known& known, const void* address, std::size_t bytes,
                Where where) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  return !sanitizer || sanitizer->access_by_copy(now, known, address, bytes, false, where);
}
bool copy_writes(Epoch now, const Known& known, void* address, std::size_t bytes, Where where) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  return !sanitizer || sanitizer->access_by_copy(now, known, address, bytes, true, where);
}

void learn_of_copies(Thread& thread, CopyActor actor, std::uint32_t time) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  if (sanitizer && actor.number >= sanitizer->order.oldest())
    sanitizer->order.tell(
        thread, {.actor = actor.number, .own = time, .rank = thread.rank, .known = nullptr});
}
void release_copies(Sync& phase, CopyActor actor, std::uint32_t time) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  if (sanitizer && actor.number >= sanitizer->order.oldest())
    sanitizer->order.release({.actor = actor.number, .block = time, .known = nullptr}, phase);
}

void count_element(const Thread& issuer, const void* global, unsigned bytes, Where where) {
  if (Sanitizer* sanitizer = this_machine->sanitizer())
    sanitizer->count_element(issuer, global, bytes, where);
}
void count_bulk(const void* global, std::size_t bytes, bool store) {
  if (Sanitizer* sanitizer = this_machine->sanitizer()) sanitizer->count_bulk(global, bytes, store);
}

// ---- proxy fences

void merge_pictures(Block& block) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  ProxyFences& fences = block.async.fences;
  if (!sanitizer || fences.since.empty()) return;
  std::vector<Known> all{fences.known};
  for (const ProxyFences::Fence& fence : fences.since) all.push_back(fence.known);
  fences.known = sanitizer->order.join_all(all);
  fences.since.clear();
}

void take_picture(Thread& thread) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  if (!sanitizer) return;
  Block& home = thread.home();
  if (home.async.fences.since.size() >= most_pictures) merge_pictures(home);
  const Epoch when = home.order.now[thread.rank];
  home.async.fences.since.push_back({when, sanitizer->order.hand_over(thread)});
}

void exchange_pictures(Block* const* blocks, std::size_t count) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  if (!sanitizer) return;
  std::vector<Known> all;
  for (std::size_t b = 0; b < count; ++b) {
    merge_pictures(*blocks[b]);
    all.push_back(blocks[b]->async.fences.known);
  }
  const Known known = sanitizer->order.join_all(all);
  for (std::size_t b = 0; b < count; ++b) blocks[b]->async.fences.known = known;
}

bool check_proxy(const Thread& issuer, const void* shared, std::size_t bytes, Where where) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  if (!sanitizer) return false;
  const Block& home = issuer.home();
  bool fenced = true;
  {
    std::vector<Known> visible{home.async.fences.known};
    for (const ProxyFences::Fence& fence : home.async.fences.since)
      if (sanitizer->order.ordered(home.order, issuer.rank, fence.when))
        visible.push_back(fence.known);
    fenced = sanitizer->check_fenced(sanitizer->order.join_all(visible), shared, bytes, where);
  }
  if (!fenced) this_machine->leave();
  return home.watched.born >= sanitizer->order.oldest();
}

void use_mbarrier(const void* barrier, bool initialises, Where where) {
  Sanitizer* sanitizer = this_machine->sanitizer();
  if (!sanitizer) return;
  if (initialises)
    sanitizer->access_by_call<AccessKind::write>(barrier, 3, where);
  else
    sanitizer->access_by_call<AccessKind::atomic>(barrier, 3, where);
}

}  // namespace abn::emulator
