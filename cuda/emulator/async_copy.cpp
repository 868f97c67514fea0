// Asynchronous copies: how threads start them and wait for them, and what goes wrong with them; the
// agent is in copy_agent.cpp.
#include "cuda/emulator/async_copy.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "cuda/emulator/copy_order.hpp"
#include "cuda/emulator/wording.hpp"

namespace abn::emulator {
namespace {

constexpr unsigned most_pieces = 4;  // of a bulk copy

}  // namespace

// ---- life of a block and a thread

void AsyncCopies::begin_block(Block& block) {
  block.mbarriers.clear();
  block.async.landing = 0;
  block.async.elements = block.async.store_reads = block.async.store_writes = {};
  block.async.fences = {};
  block.async.fence_pending = false;
  block.async.view.clear();
  for (ThreadCopies& thread : block.async.threads) thread.elements = thread.stores = {};
}

void AsyncCopies::end_thread(const Thread& self) {
  std::vector<ThreadCopies>& threads = self.home().async.threads;
  if (threads.empty()) return;
  ThreadCopies& own = threads[self.rank];
  for (const CopyGroups* groups : {&own.elements, &own.stores}) {
    if (groups->used <= groups->waited) continue;
    Thread witness = self;
    witness.where = groups->last;
    scheduler_.record(async_copy, launch_failure,
                      "the copy started at " + place(groups->last) +
                          " was never waited for: the thread returned without a wait for its group",
                      witness);
    scheduler_.leave();
  }
  while (!own.queue.copies.empty()) {  // stores whose sources have been read
    add(floating_, std::move(own.queue.copies.back()));
    drop(own.queue, own.queue.copies.size() - 1);
  }
}

void AsyncCopies::end_block(const Block& block) {
  mbarriers_.end_block(block);
  if (block.async.landing == 0) return;
  scheduler_.record(
      async_copy, launch_failure,
      "a bulk copy is still on its way to the shared memory of a block that has returned");
  scheduler_.leave();
}

void AsyncCopies::meet(Block& block) {
  merge_pictures(block);
  block.refresh_view();
}

// ---- what threads call

ThreadCopies& AsyncCopies::copies_of(const Thread& self) {
  Block& home = self.home();
  if (home.async.threads.empty()) {
    home.async.threads.resize(home.size);
    used_.push_back(&home);
  }
  return home.async.threads[self.rank];
}

Copy AsyncCopies::make(CopyKind kind, void* to, const void* from, unsigned bytes, Where where) {
  Copy copy;
  copy.kind = kind;
  copy.bytes = copy.valid = bytes;
  copy.to = static_cast<unsigned char*>(to);
  copy.from = static_cast<const unsigned char*>(from);
  copy.where = where;
  copy.block = current->block->index;
  copy.thread = current->index;
  copy.known = knowledge_of(*Scheduler::running());
  return copy;
}

void AsyncCopies::check_shared(const Block& home, const void* shared, unsigned bytes) {
  if (home.owns(shared) &&
      static_cast<const unsigned char*>(shared) + bytes <= home.shared + home.shared_bytes)
    return;
  fail("its end in shared memory does not lie in the shared memory of the block",
       *Scheduler::running());
}

void AsyncCopies::check_global_end(const void* global, Where where) {
  if (scheduler_.block_that_owns(reinterpret_cast<std::uintptr_t>(global)) != nullptr)
    not_global(global, where);
}

void AsyncCopies::check_bulk(const void* global, const void* shared, unsigned bytes, Where where) {
  Scheduler::running()->where = where;
  check_global_end(global, where);
  check_alignment(global, 16, where);
  check_alignment(shared, 16, where);
  check_size(bytes, where);
}

void AsyncCopies::check_size(unsigned bytes, Where where) {
  Scheduler::running()->where = where;
  if (bytes == 0 || bytes % 16 != 0)
    fail("the size of a bulk copy must be a multiple of 16 bytes and not 0", *Scheduler::running());
}

void AsyncCopies::check_view(Block& home, const void* shared, unsigned bytes) {
  const Thread& self = *Scheduler::running();
  if (check_proxy(self, shared, bytes, self.where)) return;
  home.refresh_view();
  const auto* from = static_cast<const unsigned char*>(shared);
  const unsigned char* view = home.in_view(from);
  const unsigned char* differs = std::mismatch(from, from + bytes, view).first;
  if (differs == from + bytes) return;
  scheduler_.record(missing_proxy_fence, launch_failure,
                    "the bulk store at " + place(Scheduler::running()->where) +
                        " would not see what was written to byte " +
                        std::to_string(differs - home.shared) +
                        " of the shared memory: fence_proxy_async() must stand between the stores "
                        "and the barrier before it");
  scheduler_.leave();
}

void AsyncCopies::add_pieces(CopyQueue& queue, const Copy& whole) {
  unsigned left = whole.bytes,
           pieces = scheduler_.shuffles()
                        ? 1 + static_cast<unsigned>(scheduler_.draw() % most_pieces)
                        : 1;
  for (unsigned at = 0; left > 0;) {
    const unsigned vectors = left / 16;
    const unsigned bytes = pieces > 1 && vectors > 1
                               ? 16 * (1 + static_cast<unsigned>(scheduler_.draw() % (vectors - 1)))
                               : left;
    Copy piece = make(whole.kind, whole.to + at, whole.from + at, bytes, whole.where);
    piece.group = whole.group;
    piece.home = whole.home;
    piece.barrier = whole.barrier;
    piece.phase = whole.phase;
    const Thread& self = *Scheduler::running();
    if (piece.kind == CopyKind::bulk_load) {
      ++piece.home->async.landing;
      piece.reads = piece.writes = mbarriers_.epoch_of_copy(*piece.home, piece.barrier, self);
    } else {
      const std::uint32_t time = ++copies_of(self).stores.started;
      piece.reads = epoch_of(piece.home->async.store_reads, self, time, true);
      piece.writes = epoch_of(piece.home->async.store_writes, self, time, true);
    }
    add(queue, std::move(piece));
    at += bytes;
    left -= bytes;
    --pieces;
  }
}

void AsyncCopies::element(void* shared, const void* global, unsigned bytes, unsigned valid,
                          Where where) {
  Thread& self = *Scheduler::running();
  self.where = where;
  check_alignment(shared, bytes, where);
  check_alignment(global, bytes, where);
  check_global_end(global, where);
  check_shared(self.home(), shared, bytes);
  if (valid > bytes) fail("it is to read more bytes than it writes", self);
  ThreadCopies& own = copies_of(self);
  Copy copy = make(CopyKind::element, shared, global, bytes, where);
  copy.valid = valid;
  copy.group = own.elements.open;
  own.elements.used = own.elements.open + 1;
  own.elements.last = where;
  copy.reads = copy.writes =
      epoch_of(self.home().async.elements, self, ++own.elements.started, false);
  if (valid > 0) count_element(self, global, valid, where);
  add(own.queue, std::move(copy));
}

void AsyncCopies::load(void* shared, const void* global, unsigned bytes, void* barrier,
                       Where where) {
  check_bulk(global, shared, bytes, where);
  Block& home = scheduler_.owner_of(shared, where);
  check_shared(home, shared, bytes);
  if (!home.owns(barrier))
    fail("the mbarrier must lie in the same shared memory as the destination",
         *Scheduler::running());
  Copy copy = make(CopyKind::bulk_load, shared, global, bytes, where);
  copy.home = &home;
  copy.barrier = barrier;
  copy.phase = mbarriers_.begin_copy(barrier, where);
  count_bulk(global, bytes, false);
  add_pieces(floating_, copy);
}

void AsyncCopies::store_value(void* shared, std::uint64_t value, unsigned bytes, void* barrier,
                              Where where) {
  check_alignment(shared, bytes, where);
  Block& home = scheduler_.owner_of(shared, where);
  if (home.alive == 0) scheduler_.fail_peer_left(*Scheduler::running(), home);
  check_shared(home, shared, bytes);
  if (!home.owns(barrier))
    fail("the mbarrier must lie in the same shared memory as the destination",
         *Scheduler::running());
  Copy copy = make(CopyKind::bulk_load, shared, nullptr, bytes, where);
  copy.value = value;
  copy.home = &home;
  copy.barrier = barrier;
  copy.phase = mbarriers_.begin_copy(barrier, where);
  ++home.async.landing;
  copy.writes = mbarriers_.epoch_of_copy(home, barrier, *Scheduler::running());
  add(floating_, std::move(copy));
}

void AsyncCopies::store(void* global, const void* shared, unsigned bytes, Where where) {
  const Thread& self = *Scheduler::running();
  check_bulk(global, shared, bytes, where);
  check_shared(self.home(), shared, bytes);
  check_view(self.home(), shared, bytes);
  ThreadCopies& own = copies_of(self);
  Copy copy = make(CopyKind::bulk_store, global, shared, bytes, where);
  copy.home = &self.home();
  copy.group = own.stores.open;
  own.stores.used = own.stores.open + 1;
  own.stores.last = where;
  count_bulk(global, bytes, true);
  add_pieces(own.queue, copy);
}

void AsyncCopies::commit(CopyKind kind) {
  CopyGroups& groups = copies_of(*Scheduler::running()).of(kind);
  ++groups.open;
  groups.ends.push_back(groups.started);
}

Thread& AsyncCopies::pause(Where where) {
  Thread& self = *Scheduler::running();
  self.where = where;
  return scheduler_.after_release(self);
}

void AsyncCopies::finish(CopyKind kind, unsigned pending, bool sources, Where where) {
  Thread& self = *Scheduler::running();
  self.where = where;
  ThreadCopies& own = copies_of(self);
  CopyGroups& groups = own.of(kind);
  const std::uint64_t below = groups.open > pending ? groups.open - pending : 0;
  groups.waited = std::max(groups.waited, below);
  for (std::size_t index = own.queue.copies.size(); index-- > 0;) {
    Copy& copy = own.queue.copies[index];
    if (copy.kind != kind || copy.group >= below) continue;
    if (sources) {
      read_source(copy);
    } else {
      carry_out(copy);
      drop(own.queue, index);
    }
  }
  const std::uint32_t end = groups.end_of(below) + 1;
  BlockCopies& block = self.home().async;
  learn_of_copies(self, kind == CopyKind::element ? block.elements : block.store_reads, end);
  if (sources) return;
  if (kind == CopyKind::bulk_store) learn_of_copies(self, block.store_writes, end);
  if (below <= groups.done) return;
  groups.done_end = end - 1;
  groups.ends.erase(groups.ends.begin(),
                    groups.ends.begin() + static_cast<std::ptrdiff_t>(below - groups.done));
  groups.done = below;
}

void AsyncCopies::fail(const char* what, const Thread& witness) {
  scheduler_.record(async_copy, launch_failure,
                    "an asynchronous copy at " + place(witness.where) + ": " + what, witness);
  scheduler_.leave();
}

}  // namespace abn::emulator
