// The emulated GPU of one OS thread: what a launch, a block and a thread do from first to last, and
// the calls of a kernel that wait.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/emulator/async_copy.hpp"
#include "cuda/emulator/block.hpp"
#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/mbarrier.hpp"
#include "cuda/emulator/order.hpp"
#include "cuda/emulator/report.h"
#include "cuda/emulator/sanitizer.hpp"
#include "cuda/emulator/schedule.hpp"

namespace abn::emulator {

class Machine : public Scheduler {
 public:
  Machine() : Scheduler(&Machine::enter) {}
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
  Thread& fence(bool block_scope, Where where);
  Thread& pause(Where where);

  MBarriers mbarriers{*this};
  AsyncCopies copies{*this, mbarriers};

 private:
  static void enter(Arrival from);
  bool run_body();  // false: an exception was recorded

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
  [[noreturn]] void fail_written_after_return(const Block& last, const Block& peer,
                                              const unsigned char* byte);
  [[noreturn]] void fail_cluster_half(const Thread& self, const char* what);
  [[noreturn]] void fail_cluster_barrier(const Cluster& cluster);
  Finding explain_cluster_barrier(const Cluster& cluster) const;

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
  [[noreturn]] void fail_grid_barrier(const Thread& self);
  [[noreturn]] void fail_guard(const Block& block, const unsigned char* byte);
  Finding explain_standstill() const;

  std::vector<Cluster> clusters_;   // those of the blocks in flight
  Sanitizer* sanitizer_ = nullptr;  // null: the launch is not sanitised
  std::uint64_t next_block_ = 0, at_grid_ = 0, live_blocks_ = 0;
};

// of_this_thread() without the check whether it is there; set by a launch
extern constinit thread_local Machine* this_machine;

}  // namespace abn::emulator
