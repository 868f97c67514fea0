// What a launch, a block and a thread do from first to last.
#include <algorithm>
#include <exception>

#include "cuda/emulator/sanitizer.hpp"
#include "cuda/emulator/schedule.hpp"

namespace abn::emulator {

constinit thread_local ThreadView* current = nullptr;
constinit thread_local Machine* this_machine = nullptr;

namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;

// How often a step looks beyond the warp that runs, as masks of a random number. Most launches stay
// in a warp for some eight warp operations, which keeps its stacks in the cache; one launch in
// eight takes hardly two steps in the same warp.
constexpr std::uint64_t calm_mask = 255, wild_mask = 1, wild_one_in = 8;

std::uint64_t scramble(std::uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Machine& Machine::of_this_thread() {
  static thread_local Machine machine;
  this_machine = &machine;
  return machine;
}

// ---- who runs next

// The warp that ran last, as long as it can; after it the next one of those that are ready.
Warp* Machine::next_in_order(bool leave_warp) const {
  if (burst_->ready && !leave_warp) return burst_;
  const std::uint32_t after = burst_->order + 1;
  return *std::min_element(
      ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(ready_count_),
      [after](const Warp* a, const Warp* b) { return a->order - after < b->order - after; });
}

void Machine::begin(Thread& thread) {
  thread.stack = stacks_.take();
  thread.context = make_fcontext(thread.stack->top(), thread.stack->size(), &Machine::enter);
}

// A function of its own, with nothing after the jump, so that compilers make a tail call of it.
[[gnu::noinline]] Arrival Machine::go_on_with(Thread& next) {
  Thread& self = *running();
  if (&next == &self) return {nullptr, &nowhere_};
  if (!next.stack) begin(next);
  ++switches_;
  current = &next;
  return jump_fcontext(next.context, &self.context);
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
      machine.stacks_.give_back(stack);  // nobody takes it before the jump is done
      ++machine.switches_;
      current = &next;
      jump_fcontext(next.context, &machine.nowhere_);
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
  copies_.end_thread(self);
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
  const int half = (std::bit_width(total - 1) + 1) / 2;
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
  copies_.end_block(block);
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
  request_ = &request;
  sanitizer_ = sanitizer;
  settings_ = &settings;
  report_ = &report;
  shuffle_ = settings.shuffle;
  code_ = success;
  random_ = scramble(seed) | 1;
  block_key_ = draw();
  leave_mask_ = draw() % wild_one_in == 0 ? wild_mask : calm_mask;
  next_block_ = switches_ = idle_steps_ = steps_ = at_grid_ = 0;
  total_blocks_ = std::uint64_t{request.grid.x} * request.grid.y * request.grid.z;
  draw_schedule();
  const auto wanted = static_cast<std::uint64_t>(std::max(settings.resident_blocks, 1));
  // whole clusters
  const std::uint64_t together =
      std::uint64_t{request.cluster.x} * request.cluster.y * request.cluster.z;
  resident_ = request.cooperative
                  ? total_blocks_
                  : std::min((wanted + together - 1) / together * together, total_blocks_);
  while (blocks_.size() < resident_) blocks_.push_back(std::make_unique<Block>());
  // and the agent of asynchronous copies
  if (ready_.size() < resident_ * 32 + 1) ready_.resize(resident_ * 32 + 1);
  ready_count_ = 0;
  idle_.order = ~std::uint32_t{0};  // the first in order comes after it
  burst_ = &idle_;
  live_blocks_ = resident_;
  for (std::uint64_t b = 0; b < resident_; ++b) blocks_[b]->lay_out(request);
  form_clusters();
  copies_.begin_launch();
  if (sanitizer_) sanitizer_->begin_launch(*this, request, report);
  for (std::uint64_t b = 0; b < resident_; ++b) start_block(*blocks_[b]);

  if (!main_.stack) main_.stack = stacks_.take();  // never run on: it tells a thread that has begun
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
  copies_.end_launch();
  if (code_ != success)
    for (std::uint64_t b = 0; b < resident_; ++b)
      for (Thread& thread : blocks_[b]->threads)
        if (thread.stack) {
          thread.stack->arm();
          stacks_.give_back(thread.stack);
          thread.stack = nullptr;
        }
  return code_;
}

void Machine::record(const char* kind, int code, std::string text, const Thread& witness) {
  report_->findings.push_back(make_finding(*request_, kind, std::move(text), &witness));
  code_ = code;
}

void Machine::record(Finding finding, int code) {
  report_->findings.push_back(std::move(finding));
  code_ = code;
}

Block* Machine::block_that_owns(std::uintptr_t address) {
  for (std::uint64_t b = 0; b < resident_; ++b) {
    const auto begin = reinterpret_cast<std::uintptr_t>(blocks_[b]->shared);
    if (address - begin < blocks_[b]->shared_bytes) return blocks_[b].get();
  }
  return nullptr;
}

bool Machine::near_shared(std::uintptr_t address) const {
  for (std::uint64_t b = 0; b < resident_; ++b) {
    const auto begin = reinterpret_cast<std::uintptr_t>(blocks_[b]->shared) - Block::front_guard;
    if (address - begin < Block::front_guard + blocks_[b]->shared_bytes + Block::back_guard)
      return true;
  }
  return false;
}

void Machine::leave() {
  jump_fcontext(main_.context, &nowhere_);
  __builtin_unreachable();
}

}  // namespace abn::emulator
