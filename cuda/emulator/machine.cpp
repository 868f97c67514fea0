// What a launch, a block and a thread do from first to last.
#include "cuda/emulator/machine.hpp"

#include <bit>
#include <exception>
#include <string>

#include "cuda/emulator/sanitizer.hpp"

namespace abn::emulator {

constinit thread_local Machine* this_machine = nullptr;

Machine& Machine::of_this_thread() {
  static thread_local Machine machine;
  this_machine = &machine;
  return machine;
}

// ---- a thread from first to last

bool Machine::run_body() {
  std::string escaped;
  try {
    request_->body(request_->closure);
    return true;
  } catch (const std::exception& error) {
    escaped = error.what();
  } catch (...) {
    escaped = "of a type that is no std::exception";
  }
  record(escaped_exception, launch_failure, "an exception left the kernel: " + escaped);
  return false;
}

void Machine::enter(Arrival from) {
  arrive(from);
  Machine& machine = *this_machine;
  for (;;) {
    Thread& self = *machine.running();
    if (!machine.run_body()) machine.leave();
    if (!self.stack->intact()) machine.fail_stack();
    machine.end_thread(self);
    Stack* stack = self.stack;
    self.stack = nullptr;
    Thread& next = machine.pick(false);
    if (next.stack) {
      machine.stacks().give_back(stack);  // nobody takes it before the jump is done
      ++machine.switches_;
      current = &next;
      boost::context::detail::jump_fcontext(next.context, &machine.nowhere_);
      __builtin_unreachable();
    }
    next.stack = stack;  // begins right here: no switch
    current = &next;
  }
}

void Machine::end_thread(Thread& self) {
  Warp& warp = *self.warp;
  Block& block = *warp.block;
  warp.alive &= ~self.bit();
  --block.alive;
  idle_steps_ = steps_ = 0;
  for (std::uint32_t g = 0; g < warp.group_count; ++g) {
    const WarpGroup& group = warp.groups[g];
    if (!(group.mask() & self.bit())) continue;
    if (is_shuffle(group.op()))
      fail_returned_lanes(warp.threads[std::countr_zero(group.arrived)], group.mask(), self.bit(),
                          group.op());
    if (group.arrived == (group.mask() & warp.alive)) complete(warp, g--, 0);
  }
  if (block.waiting && block.waiting == block.alive) fail_barrier(block);
  end_thread_in_cluster(self);
  copies.end_thread(self);
  if (block.alive == 0) end_block(block);
}

// ---- a block from first to last

std::uint64_t Machine::shuffled_cluster(std::uint64_t number) const {
  if (!shuffle_) return number;
  const std::uint64_t total = total_blocks_ / clusters_[0].size;
  if (schedule_ == Schedule::reversed || schedule_ == Schedule::last_block_first)
    return total - 1 - number;
  // A Feistel network over the next even power of two, walked until it falls inside: a permutation
  // that needs no memory.
  const int half = (static_cast<int>(std::bit_width(total - 1)) + 1) / 2;
  const std::uint64_t low = (std::uint64_t{1} << half) - 1;
  do {
    std::uint64_t left = number >> half, right = number & low;
    for (std::uint64_t round = 1; round <= 4; ++round) {
      const std::uint64_t mixed =
          left ^ (scramble(block_key_ + round * 0x9e3779b97f4a7c15u + right) & low);
      left = right;
      right = mixed;
    }
    number = left << half | right;
  } while (number >= total);
  return number;
}

void Machine::start_block(Block& block) {
  const std::uint64_t turn = next_block_++;
  give_index(block, turn);
  block.poison();
  AsyncCopies::begin_block(block);
  block.alive = block.size;
  block.waiting = 0;
  block.mixed = false;
  for (unsigned w = 0; w < block.warp_count; ++w) {
    Warp& warp = block.warps[w];
    warp.alive = warp.exists;
    warp.order = static_cast<std::uint32_t>(turn * 32 + w);
    warp.at_barrier = warp.at_grid = warp.turn = warp.group_count = 0;
    warp.in_cluster = {};
    warp.at_mbarrier = 0;
    make_ready(warp, warp.exists);
  }
  if (sanitizer_) sanitizer_->begin_block(block, block.number);
}

void Machine::end_block(Block& block) {
  copies.end_block(block);
  if (sanitizer_) sanitizer_->end_block(block);
  if (const unsigned char* byte = block.spoilt()) fail_guard(block, byte);
  ++report_->blocks;
  report_->threads += block.size;
  if (!leave_cluster(block)) return;
  const Cluster& cluster = *block.home_cluster;
  if (next_block_ < total_blocks_) {
    // the warps in this place are those of another block from here on, and wait for their turn
    idle_.order = burst_->order;
    burst_ = &idle_;
    for (Block* member : cluster.blocks()) start_block(*member);
  } else {
    live_blocks_ -= cluster.size;
  }
}

// ---- a launch

int Machine::launch(const LaunchRequest& request, const Settings& settings, std::uint64_t seed,
                    Report& report, Sanitizer* sanitizer) {
  sanitizer_ = sanitizer;
  lay_out(request, settings.resident_blocks, report);
  begin_schedule(settings, seed);
  next_block_ = at_grid_ = 0;
  live_blocks_ = resident_;
  form_clusters();
  copies.begin_launch();
  if (sanitizer_) sanitizer_->begin_launch(*this, request, report);
  for (std::uint64_t b = 0; b < resident_; ++b) start_block(*blocks_[b]);

  if (!main_.stack)
    main_.stack = stacks().take();  // never run on: it tells a thread that has begun
  current = &main_;
  watching = sanitizer_;
  arrive(go_on_with(pick(false)));  // comes back when nobody can run any more
  watching = nullptr;
  current = nullptr;
  if (sanitizer_) sanitizer_->end_launch();

  ++report.launches;
  report.switches += switches_;
  if (code_ == success && live_blocks_ > 0) {
    report.findings.push_back(explain_standstill());
    code_ = launch_failure;
  }
  copies.end_launch();
  if (code_ != success)
    for (std::uint64_t b = 0; b < resident_; ++b)
      for (Thread& thread : blocks_[b]->threads)
        if (thread.stack) {
          thread.stack->arm();
          stacks().give_back(thread.stack);
          thread.stack = nullptr;
        }
  return code_;
}

}  // namespace abn::emulator
