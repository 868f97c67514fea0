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

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/emulator/copy_order.hpp"
#include "cuda/emulator/engine.hpp"

namespace abn::emulator {

enum class CopyKind : std::uint8_t { element, bulk_load, bulk_store };

// ---- what kernels call

// 4, 8 or 16 bytes to shared memory; those behind the first `valid` are zero.
void copy_element(void* shared, const void* global, unsigned bytes, unsigned valid, Where where);
void start_bulk_load(void* shared, const void* global, unsigned bytes, void* barrier, Where where);
void start_bulk_store(void* global, const void* shared, unsigned bytes, Where where);
// to a peer
void start_store_async(void* shared, std::uint64_t value, unsigned bytes, void* barrier,
                       Where where);
void check_bulk_size(unsigned bytes, Where where);
void commit_copies(CopyKind kind);
// Waiting is two calls: others may run in the first, and after the second all but the last
// `pending` groups are done. With `sources` their sources have been read.
[[nodiscard]] Arrival copies_pause(Where where);
void finish_copies(CopyKind kind, unsigned pending, bool sources, Where where);
void proxy_fence();

// ---- what the machine keeps

class Machine;
struct Block;
struct Thread;
struct Warp;

struct Copy {
  CopyKind kind;
  bool is_read = false;  // bulk stores: the bytes are in `buffer`
  unsigned bytes = 0, valid = 0;
  unsigned char* to = nullptr;
  const unsigned char* from = nullptr;  // null: the bytes are in `value`
  std::uint64_t value = 0;
  std::uint64_t group = 0;  // of its thread
  Block* home = nullptr;    // of the destination, or for bulk stores of the source
  void* barrier = nullptr;  // loads
  std::uint64_t phase = 0;  // of the barrier
  std::unique_ptr<unsigned char[]> buffer;
  Where where;
  uint3 block{}, thread{};  // that started it
  // In a sanitised launch: what its thread knew, and when it accesses memory.
  Known known;
  Epoch reads = 0, writes = 0;
};

struct CopyQueue {
  static constexpr std::size_t idle = ~std::size_t{0};
  std::vector<Copy> copies;
  std::size_t position = idle;  // in AsyncCopies::busy_
};

// Of a thread. Groups are numbered from 0; the open one is closed by the next commit.
struct CopyGroups {
  // groups below `waited` are done with; below `used` have copies
  std::uint64_t open = 0, waited = 0, used = 0;
  std::uint32_t started = 0;   // copies
  std::uint64_t done = 0;      // groups below it have been waited for in full
  std::uint32_t done_end = 0;  // how many copies those were
  // of the groups from `done` up: how many copies had been started by then
  std::vector<std::uint32_t> ends;
  std::uint32_t end_of(std::uint64_t below) const {
    return below > done ? ends[below - done - 1] : done_end;
  }
  Where last;  // copy
};
struct ThreadCopies {
  CopyQueue queue;
  CopyGroups elements, stores;
  CopyGroups& of(CopyKind kind) { return kind == CopyKind::element ? elements : stores; }
};

// Of a block.
struct BlockCopies {
  std::vector<ThreadCopies> threads;  // by rank; empty before the first copy
  unsigned landing = 0;               // bulk loads on their way here
  bool fence_pending = false;
  CopyActor elements, store_reads, store_writes;
  ProxyFences fences;
  // the shared memory as bulk copies see it; empty before the first of them
  std::vector<unsigned char> view;
};

class AsyncCopies {
 public:
  explicit AsyncCopies(Machine& machine);
  ~AsyncCopies();

  void begin_launch();
  void end_launch();
  static void begin_block(Block& block);
  void end_thread(const Thread& self);
  void end_block(const Block& block);
  static void meet(Block& block);  // its threads meet at a barrier
  static void refresh_view(Block& block);

  void element(void* shared, const void* global, unsigned bytes, unsigned valid, Where where);
  void load(void* shared, const void* global, unsigned bytes, void* barrier, Where where);
  void store(void* global, const void* shared, unsigned bytes, Where where);
  void store_value(void* shared, std::uint64_t value, unsigned bytes, void* barrier, Where where);
  void check_size(unsigned bytes, Where where);
  void commit(CopyKind kind);
  Thread& pause(Where where);
  void finish(CopyKind kind, unsigned pending, bool sources, Where where);

 private:
  static void enter(Arrival from);
  Thread& agent();
  ThreadCopies& copies_of(const Thread& self);
  Copy make(CopyKind kind, void* to, const void* from, unsigned bytes, Where where);
  void check_shared(const Block& home, const void* shared, unsigned bytes);
  void check_global_end(const void* global, Where where);
  void check_bulk(const void* global, const void* shared, unsigned bytes, Where where);
  void check_view(Block& home, const void* shared, unsigned bytes);
  void add(CopyQueue& queue, Copy copy);
  void add_pieces(CopyQueue& queue, const Copy& whole);
  void drop(CopyQueue& queue, std::size_t index);
  static unsigned char* in_view(Block& block, const unsigned char* shared);
  void step();  // of the agent
  static void read_source(Copy& copy);
  void carry_out(Copy& copy);
  [[noreturn]] void fail(const char* what, const Thread& witness);

  Machine& machine_;
  std::unique_ptr<Block> agent_;  // of one thread
  // copies that no thread waits for by group: loads, and what threads that returned left to be
  // written
  CopyQueue floating_;
  std::vector<CopyQueue*> busy_;  // queues that hold copies
  std::vector<Block*> used_;      // blocks that have queues
  bool slow_ = false;
};

}  // namespace abn::emulator
