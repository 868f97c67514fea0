// Asynchronous copies: an agent of its own carries them out at some later point of the schedule.
//
// A copy reads its source and writes its destination when the agent comes to it, never before, and
// at the latest when a thread waits for it: what a kernel does too early or too late is in the
// numbers. Bulk copies are cut into pieces that land one by one. The agent is a fiber that is drawn
// like any thread; in one launch of four it is slow and mostly passes its turn while anybody else
// can run.
//
// Bulk copies see memory through another proxy than ordinary accesses do: what threads stored in
// shared memory is theirs to read only after a proxy fence. Each block keeps a copy of its shared
// memory as bulk copies see it, brought up to date where the block meets at a barrier after a
// fence; a bulk store whose source differs from it is a finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/emulator/block.hpp"
#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/engine_copies.hpp"
#include "cuda/emulator/mbarrier.hpp"
#include "cuda/emulator/schedule.hpp"

namespace abn::emulator {

class AsyncCopies {
 public:
  AsyncCopies(Scheduler& scheduler, MBarriers& mbarriers);

  void begin_launch();
  void end_launch();
  static void begin_block(Block& block);
  void end_thread(const Thread& self);
  void end_block(const Block& block);
  static void meet(Block& block);  // its threads meet at a barrier

  void element(void* shared, const void* global, unsigned bytes, unsigned valid, Where where);
  void load(void* shared, const void* global, unsigned bytes, void* barrier, Where where);
  void store(void* global, const void* shared, unsigned bytes, Where where);
  void store_value(void* shared, std::uint64_t value, unsigned bytes, void* barrier, Where where);
  void check_size(unsigned bytes, Where where);
  void commit(CopyKind kind);
  Thread& pause(Where where);
  void finish(CopyKind kind, unsigned pending, bool sources, Where where);

 private:
  // The block of the agent's one thread.
  struct Agent : Block {
    AsyncCopies* copies = nullptr;
  };
  static void enter(Arrival from);
  Thread& agent() { return agent_.threads[0]; }
  ThreadCopies& copies_of(const Thread& self);
  Copy make(CopyKind kind, void* to, const void* from, unsigned bytes, Where where);
  void check_shared(const Block& home, const void* shared, unsigned bytes);
  void check_global_end(const void* global, Where where);
  void check_bulk(const void* global, const void* shared, unsigned bytes, Where where);
  void check_view(Block& home, const void* shared, unsigned bytes);
  void add(CopyQueue& queue, Copy copy);
  void add_pieces(CopyQueue& queue, const Copy& whole);
  void drop(CopyQueue& queue, std::size_t index);
  void step();  // of the agent
  void read_source(Copy& copy) const;
  void carry_out(Copy& copy);
  [[noreturn]] void fail(const char* what, const Thread& witness);

  Scheduler& scheduler_;
  MBarriers& mbarriers_;
  Agent agent_;
  // copies that no thread waits for by group: loads, and what threads that returned left to be
  // written
  CopyQueue floating_;
  std::vector<CopyQueue*> busy_;  // queues that hold copies
  std::vector<Block*> used_;      // blocks that have queues
  bool slow_ = false;
};

}  // namespace abn::emulator
