// What a block keeps of asynchronous copies and of its mbarriers. async_copy.hpp and mbarrier.hpp
// are what changes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/emulator/block_order.hpp"
#include "cuda/emulator/clock.hpp"
#include "cuda/emulator/engine_copies.hpp"

namespace abn::emulator {

struct Block;
struct Thread;

// ---- in a sanitised launch: who accesses memory, and what bulk copies see

struct CopyActor {
  // numbered when it is first needed, and anew after each barrier of the grid
  std::uint32_t number = 0;
};

// Of a block: what its proxy fences have made known to bulk copies.
struct ProxyFences {
  Known known;  // all fences before the block's last barrier
  struct Fence {
    Epoch when;
    Known known;
  };
  std::vector<Fence> since;
};

// ---- copies

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

// ---- mbarriers

struct MBarrierState {
  unsigned char* address = nullptr;
  unsigned arrivals = 0, missing = 0;  // of a phase, and how many of them have not come
  // announced and not here yet; negative where copies were faster
  long long bytes = 0;
  std::uint64_t phase = 0;   // under way
  std::uint64_t seen = 0;    // phases that a thread knows to be complete
  std::uint64_t loaded = 0;  // phases up to the last one that a copy was started for
  bool fenced = false;       // since it was initialised
  Where init, load;          // and where that copy was started
  std::vector<Thread*> waiting;
  // In a sanitised launch: what the phases of each parity hand over, and the copies that count
  // here.
  Sync phases[2];
  CopyActor copies;
  std::uint32_t started = 0;  // of them
};

}  // namespace abn::emulator
