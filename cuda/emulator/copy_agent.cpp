// The agent of asynchronous copies: a fiber that begins with the first copy of a launch, is ready
// while there are any, and carries them out one by one.
#include <cstring>

#include "cuda/emulator/async_copy.hpp"
#include "cuda/emulator/schedule.hpp"

namespace abn::emulator {
namespace {

constexpr std::uint64_t slow_one_in = 4, slow_turns = 64;

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

}  // namespace

AsyncCopies::AsyncCopies(Machine& machine) : machine_(machine), agent_(std::make_unique<Block>()) {
  LaunchRequest request{};
  request.block = {1, 1, 1};
  agent_->lay_out(request);
  agent_->number = std::uint64_t{1} << 48;  // behind all blocks of a grid
}

AsyncCopies::~AsyncCopies() = default;

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

Thread& AsyncCopies::agent() { return agent_->threads[0]; }

void AsyncCopies::enter(Arrival from) {
  arrive(from);
  Machine& machine = *this_machine;
  AsyncCopies& copies = machine.copies_;
  for (;;) {
    copies.step();
    Thread& self = copies.agent();
    arrive(machine.go_on_with(copies.busy_.empty() ? machine.suspend(self, true)
                                                   : machine.yield(self, true)));
  }
}

void AsyncCopies::step() {
  if (busy_.empty() || (slow_ && machine_.ready_count_ > 0 && machine_.draw() % slow_turns != 0))
    return;
  const auto any = [this](std::size_t count) {
    return machine_.shuffle_ ? machine_.draw() % count : 0;
  };
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

void AsyncCopies::read_source(Copy& copy) {
  if (copy.is_read) return;
  if (!copy_reads(copy.reads, copy.known, copy.from, copy.bytes, copy.where)) this_machine->leave();
  copy.buffer = std::make_unique<unsigned char[]>(copy.bytes);
  std::memcpy(copy.buffer.get(), copy.from, copy.bytes);
  copy.is_read = true;
}

void AsyncCopies::carry_out(Copy& copy) {
  switch (copy.kind) {
    case CopyKind::element:
      if ((copy.valid > 0 &&
           !copy_reads(copy.reads, copy.known, copy.from, copy.valid, copy.where)) ||
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
      std::memcpy(copy.to, copy.from ? static_cast<const void*>(copy.from) : &copy.value,
                  copy.bytes);
      std::memcpy(in_view(home, copy.to), copy.to, copy.bytes);
      --home.async.landing;
      machine_.mbarriers_.end_copy(home, copy.barrier, copy.phase, copy.bytes, Issuer(copy).thread);
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
    fiber.context = boost::context::detail::make_fcontext(fiber.stack->top(), fiber.stack->size(),
                                                          &AsyncCopies::enter);
  }
  if (!fiber.warp->ready && machine_.running() != &fiber)
    machine_.make_ready(*fiber.warp, fiber.bit());
}

void AsyncCopies::drop(CopyQueue& queue, std::size_t index) {
  if (index + 1 < queue.copies.size()) queue.copies[index] = std::move(queue.copies.back());
  queue.copies.pop_back();
  if (!queue.copies.empty()) return;
  busy_[queue.position] = busy_.back();
  busy_[queue.position]->position = queue.position;
  busy_.pop_back();
}

}  // namespace abn::emulator
