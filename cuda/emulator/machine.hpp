// The emulated GPU of one OS thread: the resident blocks, their warps and threads, and who runs next.
//
// Every CUDA thread is a fiber that runs until it has to wait; it then picks the next ready thread itself and jumps there, one
// switch with no scheduler in between. A thread that has not begun has no fiber: when its predecessor returns, it starts on the
// same stack, so that kernels which never wait switch nothing at all. Sets of threads are 32-bit lane masks, one a warp.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/report.h"
#include "cuda/emulator/stacks.hpp"

namespace abn::emulator {

struct Block;
struct Warp;

struct Thread : ThreadView {
  boost::context::detail::fcontext_t context = nullptr;
  Stack* stack = nullptr;  // null: has not begun or has returned
  Warp* warp = nullptr;
  std::uint32_t bit = 0;  // of the lane in the warp
  std::uint8_t lane = 0;
  Where where;  // of its last barrier, warp operation, atomic or fence
  Block& home() const;
};

// The lanes that have called one warp operation and wait for the rest of its mask.
struct WarpGroup {
  WarpOp op;
  std::uint8_t size;
  std::uint32_t mask, arrived;
};

struct Warp {
  Block* block = nullptr;
  Thread* threads = nullptr;      // of its first lane
  std::uint32_t ready = 0;        // lanes that could run now
  std::uint32_t alive = 0;        // lanes that have not returned
  std::uint32_t exists = 0;       // lanes that the block has
  std::uint32_t at_barrier = 0;   // lanes in __syncthreads
  std::uint32_t at_grid = 0;      // lanes in the grid's barrier
  std::uint32_t position = 0;     // in Machine::ready_, while `ready` is not zero
  std::uint32_t order = 0;        // for the ascending order
  std::uint32_t turn = 0;         // the lane to begin with, in the ascending order
  std::uint32_t group_count = 0;
  std::array<WarpGroup, 32> groups;
  std::array<std::uint64_t, 32> given, received;  // of shuffles, by lane
  std::array<std::uint8_t, 32> source;            // the lane that each lane reads
};

struct Block : BlockView {
  static constexpr std::size_t front_guard = 256, back_guard = 2048;  // bytes around the shared memory
  std::array<Warp, 32> warps;
  std::vector<Thread> threads;
  std::vector<unsigned char> arena;
  unsigned size = 0, warp_count = 0;            // threads and warps of a block of this launch
  unsigned alive = 0, waiting = 0;              // threads that have not returned; that wait in __syncthreads
  bool mixed = false;                           // they wait in different ones
  Where barrier;                                // the one that the first of them waits in
  void lay_out(const LaunchRequest& request);   // once a launch
  void poison();                                // the shared memory, before every block
  const unsigned char* spoilt() const;          // the byte outside of the shared memory that was written, null if none
};

inline Block& Thread::home() const { return *warp->block; }

// What a launch needs of its session; in session.cpp.
struct Session::State {
  Settings settings;
  Report report;
  State* outer = nullptr;
  std::uint64_t launch_number = 0;
};

class Machine {
 public:
  static Machine& of_this_thread();

  int launch(const LaunchRequest& request, const Settings& settings, std::uint64_t seed, Report& report);

  void block_barrier(Where where);
  void grid_barrier(Where where);
  std::uint64_t shuffle(WarpOp op, unsigned size, unsigned mask, std::uint64_t value, unsigned operand, int width, Where where);
  Vote vote(WarpOp op, unsigned mask, bool predicate, Where where);
  void atomic_begin(Where where);
  void atomic_end(bool changed);
  void fence(Where where);

  // How a launch ends early, in two steps so that the strings of the first are gone when the second leaves the fiber for good.
  void record(const char* kind, int code, std::string text, const Thread& witness);
  void record(const char* kind, int code, std::string text) { record(kind, code, std::move(text), *running()); }
  [[noreturn]] void leave();

 private:
  static void enter(boost::context::detail::transfer_t from);
  Thread* running() const { return static_cast<Thread*>(current); }

  // Scheduling.
  std::uint64_t draw();
  std::uint32_t draw_below(std::uint32_t n) { return static_cast<std::uint32_t>((draw() >> 32) * n >> 32); }
  Thread* pick(bool leave_warp);
  Warp* next_in_order(bool leave_warp) const;
  void make_ready(Warp& warp, std::uint32_t lanes);
  void drop_ready(Warp& warp);
  void switch_to(Thread& from, Thread& to);
  void suspend(Thread& self, bool leave_warp = false);
  void go_on_or_yield(Thread& self);                // after self released others
  void count_step(bool idle);                       // towards the limits on loops
  bool run_body();                                  // false: an exception was recorded
  [[noreturn]] void overflow();

  // Life of a block.
  void start_block(Block& block);
  void end_block(Block& block);
  void end_thread(Thread& self);
  std::uint64_t shuffled_block(std::uint64_t number) const;
  void release_block(Block& block);

  // Warp operations.
  void meet(Thread& self, WarpOp op, unsigned size, unsigned mask, Where where);  // returns when the lanes of the mask are there
  void complete(Warp& warp, std::uint32_t group, std::uint32_t self);

  // Diagnosis, in diagnosis.cpp.
  [[noreturn]] void fail_barrier(Block& block);
  [[noreturn]] void fail_returned_lanes(const Thread& waiting, std::uint32_t mask, std::uint32_t returned, WarpOp op);
  [[noreturn]] void fail_endless();
  Finding explain_standstill() const;
  std::string describe(const Block& block) const;

  Thread main_;
  StackPool stacks_;
  std::vector<std::unique_ptr<Block>> blocks_;  // resident; a slot is used again for the next block
  std::vector<Warp*> ready_;                    // warps with a ready lane, in no order
  std::size_t ready_count_ = 0;
  Warp* burst_ = nullptr;  // the warp that ran last

  const LaunchRequest* request_ = nullptr;
  const Settings* settings_ = nullptr;
  Report* report_ = nullptr;
  bool shuffle_ = true;
  int code_ = 0;
  std::uint64_t random_ = 1, block_key_ = 0, next_block_ = 0, total_blocks_ = 0, switches_ = 0;
  std::uint64_t idle_steps_ = 0, steps_ = 0;
  std::uint64_t at_grid_ = 0, live_blocks_ = 0;
};

// How findings name things; in diagnosis.cpp.
std::string place(const Where& where);                  // "device/reduce.cuh:41"
std::string kernel_name(const LaunchRequest& request);  // given, or exported, or "the kernel launched at file:line"
std::string lanes_text(std::uint32_t lanes);            // "0-15, 31"
const char* op_name(WarpOp op);
Finding make_finding(const LaunchRequest& request, const char* kind, std::string text, const Thread* witness);

}  // namespace abn::emulator
