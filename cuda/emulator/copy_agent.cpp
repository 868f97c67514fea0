// The agent of asynchronous copies: a fiber that begins with the first copy of a launch, is ready
// while there are any, and carries them out one by one.
#include <boost/context/detail/fcontext.hpp>

#include <cstring>
#include <memory>
#include <utility>

#include "cuda/emulator/async_copy.hpp"
#include "cuda/emulator/copy_order.hpp"

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

AsyncCopies::AsyncCopies(Scheduler& scheduler, MBarriers& mbarriers)
    : scheduler_(scheduler), mbarriers_(mbarriers) {
  LaunchRequest request{};
  request.block = {1, 1, 1};
  agent_.lay_out(request);
  agent_.number = std::uint64_t{1} << 48;  // behind all blocks of a grid
  agent_.copies = this;
}

void AsyncCopies::begin_launch() {
  slow_ = scheduler_.shuffles() && scheduler_.draw() % slow_one_in == 0;
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
  scheduler_.stacks().give_back(fiber.stack);
  fiber.stack = nullptr;
}

void AsyncCopies::enter(Arrival from) {
  arrive(from);
  AsyncCopies& copies = *static_cast<Agent&>(Scheduler::running()->home()).copies;
  Scheduler& scheduler = copies.scheduler_;
  for (;;) {
    copies.step();
    Thread& self = copies.agent();
    arrive(scheduler.go_on_with(copies.busy_.empty() ? scheduler.suspend(self, true)
                                                     : scheduler.yield(self, true)));
  }
}

void AsyncCopies::step() {
  if (busy_.empty() || (slow_ && scheduler_.any_ready() && scheduler_.draw() % slow_turns != 0))
    return;
  const auto any = [this](std::size_t count) {
    return scheduler_.shuffles() ? scheduler_.draw() % count : 0;
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

void AsyncCopies::read_source(Copy& copy) const {
  if (copy.is_read) return;
  if (!copy_reads(copy.reads, copy.known, copy.from, copy.bytes, copy.where)) scheduler_.leave();
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
        scheduler_.leave();
      std::memcpy(copy.to, copy.from, copy.valid);
      std::memset(copy.to + copy.valid, 0, copy.bytes - copy.valid);
      break;
    case CopyKind::bulk_store:
      read_source(copy);
      if (!copy_writes(copy.writes, copy.known, copy.to, copy.bytes, copy.where))
        scheduler_.leave();
      std::memcpy(copy.to, copy.buffer.get(), copy.bytes);
      break;
    case CopyKind::bulk_load: {
      Block& home = *copy.home;
      if ((copy.from && !copy_reads(copy.reads, copy.known, copy.from, copy.bytes, copy.where)) ||
          !copy_writes(copy.writes, copy.known, copy.to, copy.bytes, copy.where))
        scheduler_.leave();
      std::memcpy(copy.to, copy.from ? static_cast<const void*>(copy.from) : &copy.value,
                  copy.bytes);
      std::memcpy(home.in_view(copy.to), copy.to, copy.bytes);
      --home.async.landing;
      mbarriers_.end_copy(home, copy.barrier, copy.phase, copy.bytes, Issuer(copy).thread);
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
    fiber.stack = scheduler_.stacks().take();
    fiber.context = boost::context::detail::make_fcontext(fiber.stack->top(), fiber.stack->size(),
                                                          &AsyncCopies::enter);
  }
  if (!fiber.warp->ready && Scheduler::running() != &fiber)
    scheduler_.make_ready(*fiber.warp, fiber.bit());
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
