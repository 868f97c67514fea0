// The emulated GPU of one OS thread: the resident blocks, their warps and threads, and who runs
// next.
//
// Every CUDA thread is a fiber that runs until it has to wait; it then picks the next ready thread
// itself and jumps there, one switch with no scheduler in between. A thread that has not begun has
// no fiber: when its predecessor returns, it starts on the same stack, so that kernels which never
// wait switch nothing at all. Sets of threads are 32-bit lane masks, one a warp.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/emulator/async_copy.hpp"
#include "cuda/emulator/clusters.hpp"
#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/mbarrier.hpp"
#include "cuda/emulator/order.hpp"
#include "cuda/emulator/report.h"
#include "cuda/emulator/shadow.hpp"
#include "cuda/emulator/stacks.hpp"
#include "cuda/emulator/traffic.hpp"

namespace abn::emulator {

struct Block;
struct Warp;
class Sanitizer;

struct alignas(64) Thread : ThreadView {
  boost::context::detail::fcontext_t context = nullptr;
  Stack* stack = nullptr;  // null: has not begun or has returned
  Warp* warp = nullptr;
  Where where;  // of its last barrier, warp operation, atomic or fence
  unsigned lane() const { return rank % 32; }
  std::uint32_t bit() const { return 1u << lane(); }
  Block& home() const;
};
static_assert(sizeof(Thread) == 64, "one cache line a thread");

inline bool is_shuffle(WarpOp op) { return op <= WarpOp::shfl_xor; }

// The lanes that have called one warp operation and wait for the rest of its mask.
struct WarpGroup {
  std::uint64_t key;  // mask, operation and size of the value: what its lanes agree on
  std::uint32_t arrived;
  std::uint32_t mask() const { return static_cast<std::uint32_t>(key); }
  WarpOp op() const { return static_cast<WarpOp>(key >> 32 & 0xff); }
  static std::uint64_t make_key(WarpOp op, unsigned size, std::uint32_t mask) {
    return static_cast<std::uint64_t>(static_cast<unsigned>(op) | size << 8) << 32 | mask;
  }
};

struct Warp {
  Block* block = nullptr;
  Thread* threads = nullptr;     // of its first lane
  std::uint32_t ready = 0;       // lanes that could run now
  std::uint32_t alive = 0;       // lanes that have not returned
  std::uint32_t exists = 0;      // lanes that the block has
  std::uint32_t at_barrier = 0;  // lanes in __syncthreads
  std::uint32_t at_grid = 0;     // lanes in the grid's barrier
  std::uint32_t position = 0;    // in Machine::ready_, while `ready` is not zero
  std::uint32_t order = 0;       // for the ascending order
  std::uint32_t turn = 0;        // the lane to begin with, in the ascending order
  ClusterLanes in_cluster;       // lanes in and before the cluster's barrier
  std::uint32_t at_mbarrier = 0;
  std::uint32_t group_count = 0;
  std::array<WarpGroup, 32> groups;
  std::array<std::uint64_t, 32> given;  // what each lane brings to a warp operation
  std::array<std::uint8_t, 32> source;  // the lane that each lane reads
};

struct Block : BlockView {
  // bytes around the shared memory
  static constexpr std::size_t front_guard = 256, back_guard = 2048;
  std::array<Warp, 32> warps;
  std::vector<Thread> threads;
  std::vector<unsigned char> arena;
  Cluster* home_cluster = nullptr;
  std::vector<MBarrierState> mbarriers;
  BlockCopies async;
  std::uint64_t number = 0;           // in the grid
  unsigned size = 0, warp_count = 0;  // threads and warps of a block of this launch
  // threads that have not returned; that wait in __syncthreads
  unsigned alive = 0, waiting = 0;
  bool mixed = false;                          // they wait in different ones
  Where barrier;                               // the one that the first of them waits in
  void lay_out(const LaunchRequest& request);  // once a launch
  void poison();                               // the shared memory, before every block
  // the byte outside of the shared memory that was written, null if none
  const unsigned char* spoilt() const;
  // the byte inside of it that was written since poison(), null if none
  const unsigned char* unpoisoned() const;
  bool owns(const void* address) const {
    return address >= shared && address < shared + shared_bytes;
  }
  // In a sanitised launch:
  BlockOrder order;
  Region watched;                       // the shared memory
  std::array<WarpTraffic, 32> traffic;  // by warp
};

void fill_with_poison(unsigned char* memory, std::size_t bytes);

inline Block& Thread::home() const { return *warp->block; }

class Machine {
 public:
  static Machine& of_this_thread();

  // `sanitizer` may be null.
  int launch(const LaunchRequest& request, const Settings& settings, std::uint64_t seed,
             Report& report, Sanitizer* sanitizer);

  // The waiting calls of engine.hpp up to their jump: each returns the thread that goes on, which
  // may be the one that called.
  Thread& block_barrier(Where where);
  Thread& grid_barrier(Where where);
  void require_cooperative(Where where);
  Thread& shuffle(WarpOp op, unsigned size, unsigned mask, std::uint64_t value, unsigned source,
                  Where where);
  Thread& vote(WarpOp op, unsigned mask, bool predicate, Where where);
  Thread& atomic_begin(Where where);
  Thread& atomic_end(bool changed);
  Thread& cluster_arrive(Where where);
  Thread& cluster_wait(Where where);
  Thread& cluster_sync(Where where);
  void* peer_address(const void* shared, unsigned rank, Where where);
  Block& owner_of(const void* shared, Where where);  // in the cluster of the thread that runs
  Thread& fence(bool block_scope, Where where);
  Thread& pause(Where where);
  Arrival go_on_with(Thread& next);

  // How a launch ends early, in two steps so that the strings of the first are gone when the second
  // leaves the fiber for good.
  void record(const char* kind, int code, std::string text, const Thread& witness);
  void record(const char* kind, int code, std::string text) {
    record(kind, code, std::move(text), *running());
  }
  void record(Finding finding, int code);
  [[noreturn]] void leave();

  MBarriers mbarriers_{*this};
  AsyncCopies copies_{*this};
  // What the sanitiser asks for.
  Sanitizer* sanitizer() const { return sanitizer_; }  // null: the launch is not sanitised
  std::uint64_t resident_blocks() const { return resident_; }
  Block& block(std::uint64_t number) { return *blocks_[number]; }
  Block* block_that_owns(std::uintptr_t address);  // in its shared memory; null: none
  // in the shared memory of a block, or in the guards around it
  bool near_shared(std::uintptr_t address) const;
  bool may_reach(const Block& from, const Block& to) const {
    return from.home_cluster == to.home_cluster;
  }

 private:
  friend class MBarriers;
  friend class AsyncCopies;
  static void enter(Arrival from);
  Thread* running() const { return static_cast<Thread*>(current); }

  // Scheduling.
  std::uint64_t draw();
  Thread& pick(bool leave_warp);
  Warp* next_in_order(bool leave_warp) const;
  void draw_schedule();
  Thread& pick_adversarially(bool leave_warp);
  Thread& take(Warp& warp, std::uint32_t lane);
  void make_ready(Warp& warp, std::uint32_t lanes);
  void begin(Thread& thread);
  Thread& suspend(const Thread& self, bool leave_warp = false);
  Thread& yield(const Thread& self, bool leave_warp);
  Thread& after_release(Thread& self);  // self released others and need not be the first to go on
  void count_step(bool idle);           // towards the limits on loops
  bool run_body();                      // false: an exception was recorded

  // Life of a block.
  void start_block(Block& block);
  void end_block(Block& block);
  void end_thread(Thread& self);
  std::uint64_t shuffled_cluster(std::uint64_t number) const;

  // Clusters, in clusters.cpp.
  void form_clusters();
  void give_index(Block& block, std::uint64_t turn);
  bool leave_cluster(Block& block);
  void end_thread_in_cluster(const Thread& self);
  Cluster& arrive_in_cluster(Thread& self, Where where);
  void settle(Cluster& cluster);
  static void hand_over(Cluster& cluster, Order& order);
  [[noreturn]] void fail_address(const Thread& self);
  [[noreturn]] void fail_rank(const Thread& self, unsigned rank);
  [[noreturn]] void fail_peer_left(const Thread& self, const Block& peer);
  [[noreturn]] void fail_written_after_return(const Block& last, const Block& peer,
                                              const unsigned char* byte);
  [[noreturn]] void fail_cluster_half(const Thread& self, const char* what);
  [[noreturn]] void fail_cluster_barrier(const Cluster& cluster);
  Finding explain_cluster_barrier(const Cluster& cluster) const;
  // in mbarrier.cpp
  Finding explain_mbarrier(const Block& block, const MBarrierState& state) const;

  // Warp operations.
  Thread& meet(Thread& self, WarpOp op, unsigned size, unsigned mask, Where where);
  Thread& finish(Thread& self, std::uint32_t group);
  Thread& release(Thread& self, Block& block);
  void complete(Warp& warp, std::uint32_t group, std::uint32_t self);

  // Diagnosis, in diagnosis.cpp.
  [[noreturn]] void fail_barrier(Block& block);
  [[noreturn]] void fail_returned_lanes(const Thread& waiting, std::uint32_t mask,
                                        std::uint32_t returned, WarpOp op);
  [[noreturn]] void fail_left_out(const Thread& self, WarpOp op, std::uint32_t mask);
  [[noreturn]] void fail_source(const Thread& reader, const WarpGroup& group);
  [[noreturn]] void fail_width(const Thread& self, WarpOp op);
  [[noreturn]] void fail_endless();
  [[noreturn]] void fail_grid_barrier(const Thread& self);
  [[noreturn]] void fail_guard(const Block& block, const unsigned char* byte);
  [[noreturn]] void fail_stack();
  Finding explain_standstill() const;
  std::string describe(const Block& block) const;

  Thread main_;
  StackPool stacks_;
  // the first `resident_` are in flight; a slot is used again for the next block
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<Cluster> clusters_;  // those of the blocks in flight
  std::vector<Warp*> ready_;       // warps with a ready lane, in no order
  std::size_t ready_count_ = 0;
  Warp* burst_ = &idle_;                                  // the warp that ran last
  Warp idle_;                                             // one that is never ready
  boost::context::detail::fcontext_t nowhere_ = nullptr;  // where nobody's context goes

  const LaunchRequest* request_ = nullptr;
  const Settings* settings_ = nullptr;
  Report* report_ = nullptr;
  Sanitizer* sanitizer_ = nullptr;
  Schedule schedule_ = Schedule::random;
  // by an adversarial schedule: the one that is behind, or that of the thread that is ahead
  std::uint64_t chosen_block_ = 0;
  unsigned chosen_rank_ = 0;
  bool shuffle_ = true;
  int code_ = 0;
  std::uint64_t leave_mask_ = 0;  // a random number without these bits leaves the warp
  std::uint64_t random_ = 1, block_key_ = 0, next_block_ = 0, total_blocks_ = 0, switches_ = 0;
  std::uint64_t idle_steps_ = 0, steps_ = 0;
  std::uint64_t at_grid_ = 0, resident_ = 0, live_blocks_ = 0;
};

// of_this_thread() without the check whether it is there; set by a launch
extern constinit thread_local Machine* this_machine;

// How findings name things; in diagnosis.cpp.
std::string place(const Where& where);  // "device/reduce.cuh:41"
// given, or exported, or "the kernel launched at file:line"
std::string kernel_name(const LaunchRequest& request);
std::string lanes_text(std::uint32_t lanes);  // "0-15, 31"
const char* op_name(WarpOp op);
Finding make_finding(const LaunchRequest& request, const char* kind, std::string text,
                     const Thread* witness);

}  // namespace abn::emulator
