// Asynchronous copies: how they are started, carried out and waited for, and what goes wrong with them.
#include "cuda/emulator/async_copy.hpp"

#include <algorithm>
#include <cstring>

#include "cuda/emulator/schedule.hpp"

namespace abn::emulator {
namespace {

constexpr std::uint64_t slow_one_in = 4, slow_turns = 64;
constexpr unsigned most_pieces = 4;

// The thread that started a copy, for findings; it may have returned and its place be taken.
struct Issuer {
  BlockView view{};
  Thread thread;
  explicit Issuer(const Copy& copy) {
    view.index = copy.block;
    thread.block = &view;
    thread.index = copy.thread;
    thread.where = copy.where;
  }
};

void ensure_view(Block& block) {
  if (!block.async.view.empty()) return;
  block.async.view.resize(block.shared_bytes);
  fill_with_poison(block.async.view.data(), block.shared_bytes);
}

unsigned char* in_view(Block& block, const unsigned char* shared) { return block.async.view.data() + (shared - block.shared); }

void read_source(Copy& copy) {
  if (copy.is_read) return;
  if (!copy_reads(copy.reads, copy.known, copy.from, copy.bytes, copy.where)) this_machine->leave();
  copy.buffer = std::make_unique<unsigned char[]>(copy.bytes);
  std::memcpy(copy.buffer.get(), copy.from, copy.bytes);
  copy.is_read = true;
}

}  // namespace

AsyncCopies::AsyncCopies(Machine& machine) : machine_(machine), agent_(std::make_unique<Block>()) {
  LaunchRequest request{};
  request.block = {1, 1, 1};
  agent_->lay_out(request);
  agent_->number = std::uint64_t{1} << 48;  // behind all blocks of a grid
}

AsyncCopies::~AsyncCopies() = default;

// ---- the agent: a fiber that begins with the first copy of a launch and is ready while there are any

Thread& AsyncCopies::agent() { return agent_->threads[0]; }

void AsyncCopies::enter(Arrival from) {
  arrive(from);
  Machine& machine = *this_machine;
  AsyncCopies& copies = machine.copies_;
  for (;;) {
    copies.step();
    Thread& self = copies.agent();
    arrive(machine.go_on_with(copies.busy_.empty() ? machine.suspend(self, true) : machine.yield(self, true)));
  }
}

void AsyncCopies::step() {
  if (busy_.empty() || (slow_ && machine_.ready_count_ > 0 && machine_.draw() % slow_turns != 0)) return;
  const auto any = [this](std::size_t count) { return machine_.shuffle_ ? machine_.draw() % count : 0; };
  CopyQueue& queue = *busy_[any(busy_.size())];
  const std::size_t index = any(queue.copies.size());
  Copy& copy = queue.copies[index];
  if (copy.kind == CopyKind::bulk_store && !copy.is_read) {
    read_source(copy);
    if (any(2) == 1) return;  // written in another turn
  }
  carry_out(copy);
  drop(queue, index);
}

void AsyncCopies::carry_out(Copy& copy) {
  switch (copy.kind) {
    case CopyKind::element:
      if (!copy_reads(copy.reads, copy.known, copy.from, copy.valid, copy.where) ||
          !copy_writes(copy.writes, copy.known, copy.to, copy.bytes, copy.where))
        machine_.leave();
      std::memcpy(copy.to, copy.from, copy.valid);
      std::memset(copy.to + copy.valid, 0, copy.bytes - copy.valid);
      break;
    case CopyKind::bulk_store:
      read_source(copy);
      if (!copy_writes(copy.writes, copy.known, copy.to, copy.bytes, copy.where)) machine_.leave();
      std::memcpy(copy.to, copy.buffer.get(), copy.bytes);
      break;
    case CopyKind::bulk_load: {
      Block& home = *copy.home;
      if ((copy.from && !copy_reads(copy.reads, copy.known, copy.from, copy.bytes, copy.where)) ||
          !copy_writes(copy.writes, copy.known, copy.to, copy.bytes, copy.where))
        machine_.leave();
      std::memcpy(copy.to, copy.from ? static_cast<const void*>(copy.from) : &copy.value, copy.bytes);
      ensure_view(home);
      std::memcpy(in_view(home, copy.to), copy.to, copy.bytes);
      --home.async.landing;
      machine_.mbarriers_.end_copy(home, copy.barrier, copy.phase, copy.bytes, copy.known, Issuer(copy).thread);
    }
  }
}

void AsyncCopies::add(CopyQueue& queue, Copy copy) {
  if (queue.copies.empty()) {
    queue.position = busy_.size();
    busy_.push_back(&queue);
  }
  queue.copies.push_back(std::move(copy));
  Thread& fiber = agent();
  if (!fiber.stack) {
    fiber.stack = machine_.stacks_.take();
    fiber.context = boost::context::detail::make_fcontext(fiber.stack->top(), fiber.stack->size(), &AsyncCopies::enter);
  }
  if (!fiber.warp->ready && machine_.running() != &fiber) machine_.make_ready(*fiber.warp, fiber.bit());
}

void AsyncCopies::drop(CopyQueue& queue, std::size_t index) {
  if (index + 1 < queue.copies.size()) queue.copies[index] = std::move(queue.copies.back());
  queue.copies.pop_back();
  if (!queue.copies.empty()) return;
  busy_[queue.position] = busy_.back();
  busy_[queue.position]->position = queue.position;
  busy_.pop_back();
}

// ---- life of a launch, a block and a thread

void AsyncCopies::begin_launch() {
  slow_ = machine_.shuffle_ && machine_.draw() % slow_one_in == 0;
  Warp& warp = *agent().warp;
  warp.ready = 0;
  warp.order = ~std::uint32_t{0};
}

void AsyncCopies::end_launch() {
  for (CopyQueue* queue : busy_) queue->copies.clear();
  busy_.clear();
  for (Block* block : used_) block->async.threads.clear();
  used_.clear();
  Thread& fiber = agent();
  if (!fiber.stack) return;
  fiber.stack->arm();
  machine_.stacks_.give_back(fiber.stack);
  fiber.stack = nullptr;
}

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
    machine_.record(
        async_copy, launch_failure,
        "the copy started at " + place(groups->last) + " was never waited for: the thread returned without a wait for its group", witness);
    machine_.leave();
  }
  while (!own.queue.copies.empty()) {  // stores whose sources have been read
    add(floating_, std::move(own.queue.copies.back()));
    drop(own.queue, own.queue.copies.size() - 1);
  }
}

void AsyncCopies::end_block(const Block& block) {
  machine_.mbarriers_.end_block(block);
  if (block.async.landing == 0) return;
  machine_.record(async_copy, launch_failure, "a bulk copy is still on its way to the shared memory of a block that has returned");
  machine_.leave();
}

void AsyncCopies::meet(Block& block) {
  merge_pictures(block);
  refresh_view(block);
}

void AsyncCopies::refresh_view(Block& block) {
  if (!block.async.fence_pending) return;
  block.async.fence_pending = false;
  block.async.view.assign(block.shared, block.shared + block.shared_bytes);
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
  copy.known = knowledge_of(*machine_.running());
  return copy;
}

void AsyncCopies::check_shared(const Block& home, const void* shared, unsigned bytes) {
  if (home.owns(shared) && static_cast<const unsigned char*>(shared) + bytes <= home.shared + home.shared_bytes) return;
  fail("its end in shared memory does not lie in the shared memory of the block", *machine_.running());
}

void AsyncCopies::check_bulk(const void* global, const void* shared, unsigned bytes, Where where) {
  machine_.running()->where = where;
  check_alignment(global, 16, where);
  check_alignment(shared, 16, where);
  check_size(bytes, where);
}

void AsyncCopies::check_size(unsigned bytes, Where where) {
  machine_.running()->where = where;
  if (bytes == 0 || bytes % 16 != 0) fail("the size of a bulk copy must be a multiple of 16 bytes and not 0", *machine_.running());
}

void AsyncCopies::check_view(Block& home, const void* shared, unsigned bytes) {
  const Thread& self = *machine_.running();
  if (check_proxy(self, shared, bytes, self.where)) return;
  refresh_view(home);
  ensure_view(home);
  const auto* from = static_cast<const unsigned char*>(shared);
  const unsigned char* view = in_view(home, from);
  const unsigned char* differs = std::mismatch(from, from + bytes, view).first;
  if (differs == from + bytes) return;
  machine_.record(missing_proxy_fence, launch_failure,
                  "the bulk store at " + place(machine_.running()->where) + " would not see what was written to byte " +
                      std::to_string(differs - home.shared) +
                      " of the shared memory: fence_proxy_async() must stand between the stores and the barrier before it");
  machine_.leave();
}

void AsyncCopies::add_pieces(CopyQueue& queue, const Copy& whole) {
  unsigned left = whole.bytes, pieces = machine_.shuffle_ ? 1 + static_cast<unsigned>(machine_.draw() % most_pieces) : 1;
  for (unsigned at = 0; left > 0;) {
    const unsigned vectors = left / 16;
    const unsigned bytes = pieces > 1 && vectors > 1 ? 16 * (1 + static_cast<unsigned>(machine_.draw() % (vectors - 1))) : left;
    Copy piece = make(whole.kind, whole.to + at, whole.from + at, bytes, whole.where);
    piece.group = whole.group;
    piece.home = whole.home;
    piece.barrier = whole.barrier;
    piece.phase = whole.phase;
    const Thread& self = *machine_.running();
    if (piece.kind == CopyKind::bulk_load) {
      ++piece.home->async.landing;
      piece.reads = piece.writes = machine_.mbarriers_.epoch_of_copy(*piece.home, piece.barrier, self);
    } else {
      const std::uint32_t time = ++copies_of(self).stores.started;
      piece.reads = piece.home->async.store_reads.epoch(self, time, true);
      piece.writes = piece.home->async.store_writes.epoch(self, time, true);
    }
    add(queue, std::move(piece));
    at += bytes;
    left -= bytes;
    --pieces;
  }
}

void AsyncCopies::element(void* shared, const void* global, unsigned bytes, unsigned valid, Where where) {
  Thread& self = *machine_.running();
  self.where = where;
  check_alignment(shared, bytes, where);
  check_alignment(global, bytes, where);
  check_shared(self.home(), shared, bytes);
  if (valid > bytes) fail("it is to read more bytes than it writes", self);
  ThreadCopies& own = copies_of(self);
  Copy copy = make(CopyKind::element, shared, global, bytes, where);
  copy.valid = valid;
  copy.group = own.elements.open;
  own.elements.used = own.elements.open + 1;
  own.elements.last = where;
  copy.reads = copy.writes = self.home().async.elements.epoch(self, ++own.elements.started, false);
  count_element(self, global, valid, where);
  add(own.queue, std::move(copy));
}

void AsyncCopies::load(void* shared, const void* global, unsigned bytes, void* barrier, Where where) {
  check_bulk(global, shared, bytes, where);
  Block& home = machine_.owner_of(shared, where);
  check_shared(home, shared, bytes);
  if (!home.owns(barrier)) fail("the mbarrier must lie in the same shared memory as the destination", *machine_.running());
  Copy copy = make(CopyKind::bulk_load, shared, global, bytes, where);
  copy.home = &home;
  copy.barrier = barrier;
  copy.phase = machine_.mbarriers_.begin_copy(barrier, where);
  count_bulk(global, bytes, false);
  add_pieces(floating_, copy);
}

void AsyncCopies::store_value(void* shared, std::uint64_t value, unsigned bytes, void* barrier, Where where) {
  check_alignment(shared, bytes, where);
  Block& home = machine_.owner_of(shared, where);
  if (home.alive == 0) machine_.fail_peer_left(*machine_.running(), home);
  check_shared(home, shared, bytes);
  if (!home.owns(barrier)) fail("the mbarrier must lie in the same shared memory as the destination", *machine_.running());
  Copy copy = make(CopyKind::bulk_load, shared, nullptr, bytes, where);
  copy.value = value;
  copy.home = &home;
  copy.barrier = barrier;
  copy.phase = machine_.mbarriers_.begin_copy(barrier, where);
  ++home.async.landing;
  copy.writes = machine_.mbarriers_.epoch_of_copy(home, barrier, *machine_.running());
  add(floating_, std::move(copy));
}

void AsyncCopies::store(void* global, const void* shared, unsigned bytes, Where where) {
  const Thread& self = *machine_.running();
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
  CopyGroups& groups = copies_of(*machine_.running()).of(kind);
  ++groups.open;
  groups.ends.push_back(groups.started);
}

Thread& AsyncCopies::pause(Where where) {
  Thread& self = *machine_.running();
  self.where = where;
  return machine_.after_release(self);
}

void AsyncCopies::finish(CopyKind kind, unsigned pending, bool sources, Where where) {
  Thread& self = *machine_.running();
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
  groups.ends.erase(groups.ends.begin(), groups.ends.begin() + static_cast<std::ptrdiff_t>(below - groups.done));
  groups.done = below;
}

void AsyncCopies::fail(const char* what, const Thread& witness) {
  machine_.record(async_copy, launch_failure, "an asynchronous copy at " + place(witness.where) + ": " + what, witness);
  machine_.leave();
}

// ---- the calls of kernels

void copy_element(void* shared, const void* global, unsigned bytes, unsigned valid, Where where) {
  this_machine->copies_.element(shared, global, bytes, valid, where);
}
void start_bulk_load(void* shared, const void* global, unsigned bytes, void* barrier, Where where) {
  this_machine->copies_.load(shared, global, bytes, barrier, where);
}
void start_bulk_store(void* global, const void* shared, unsigned bytes, Where where) {
  this_machine->copies_.store(global, shared, bytes, where);
}
void start_store_async(void* shared, std::uint64_t value, unsigned bytes, void* barrier, Where where) {
  this_machine->copies_.store_value(shared, value, bytes, barrier, where);
}
void check_bulk_size(unsigned bytes, Where where) { this_machine->copies_.check_size(bytes, where); }
void commit_copies(CopyKind kind) { this_machine->copies_.commit(kind); }
Arrival copies_pause(Where where) { return this_machine->go_on_with(this_machine->copies_.pause(where)); }
void finish_copies(CopyKind kind, unsigned pending, bool sources, Where where) {
  this_machine->copies_.finish(kind, pending, sources, where);
}
void proxy_fence() {
  Block& home = static_cast<Thread*>(current)->home();
  home.async.fence_pending = true;
  take_picture(*static_cast<Thread*>(current));
  MBarriers::fence(home);
}

}  // namespace abn::emulator
