// The sanitiser of a session: its buffers, and what becomes of each memory access of a launch.
//
// An access is first told apart: the thread's own stack is nobody's business, the block's shared
// memory and the session's buffers are looked after, and anything else must be the kernel's
// parameters or a constant of the program. Then its traffic is counted, and its cells of the shadow
// memory are compared with the clocks of the launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "cuda/emulator/block.hpp"
#include "cuda/emulator/clock.hpp"
#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/launch.hpp"
#include "cuda/emulator/order.hpp"
#include "cuda/emulator/report.h"
#include "cuda/emulator/shadow.hpp"
#include "cuda/emulator/sites.hpp"
#include "cuda/emulator/traffic.hpp"

namespace abn::emulator {

enum class AccessKind { read, write, atomic, volatile_read, volatile_write };

class Sanitizer {
 public:
  // The session's side.
  void watch(const WatchedBuffer& buffer);
  void mark(const void* data, std::size_t bytes, bool written);
  void forget_buffers();

  // The machine's side.
  [[noreturn]] void leave() { launch_->leave(); }
  void begin_launch(Launch& launch, const LaunchRequest& request, Report& report);
  void begin_block(Block& block, std::uint64_t number);
  void end_block(Block& block);
  void end_launch();
  void block_barrier(Block& block);
  void grid_barrier(std::vector<std::unique_ptr<Block>>& blocks, std::uint64_t count);
  void warp_operation(Warp& warp, std::uint32_t lanes, bool sync);  // these have called it

  // One access of the running thread, `exponent` of two in bytes, aligned. `where` is its place in
  // the source, if its caller told it.
  template <AccessKind Kind>
  void access(std::uintptr_t address, int exponent, std::uintptr_t return_address,
              const Where* where = nullptr);
  void atomic(std::uintptr_t address, int exponent, std::uintptr_t return_address,
              const Where& where);
  void order_volatile(std::uintptr_t address, bool store);  // after the access
  // A copy of a struct or of any number of bytes.
  void copy_access(std::uintptr_t address, std::size_t bytes, bool write,
                   std::uintptr_t return_address);
  // Of asynchronous copies, mbarriers and clusters; in copy_accesses.cpp.
  bool access_by_copy(Epoch now, const Known& known, const void* address, std::size_t bytes,
                      bool write, const Where& where);
  void count_element(const Thread& issuer, const void* address, unsigned bytes, const Where& where);
  void count_bulk(const void* address, std::size_t bytes, bool store);
  // false: it was reported
  bool check_fenced(const Known& visible, const void* address, std::size_t bytes,
                    const Where& where);
  template <AccessKind Kind>
  // of the thread that runs, in a call that says where it is
  void access_by_call(const void* address, int exponent, const Where& where);
  void end_requests(std::span<Block* const> blocks);
  [[noreturn]] void misaligned(std::uintptr_t address, unsigned bytes,
                               std::uintptr_t return_address);

  Order order;

 private:
  // Somebody who accesses memory: a thread of a block, or a copy.
  struct Actor {
    const BlockOrder& order;
    unsigned rank;
    Epoch now;
  };
  struct Attempt {
    Region* region;
    std::uintptr_t address;
    unsigned bytes;
    SiteId site;
    bool write, atomic;
  };

  template <AccessKind Kind>
  std::uint32_t check_cells(Region& region, std::uintptr_t address, int exponent, SiteId site,
                            const Actor& actor);
  void add_read(Cell& cell, SiteId site, const Actor& actor, std::uint32_t floor);
  bool races_with_reads(Cell& cell, const Actor& actor, std::uint32_t floor, bool atomic,
                        Epoch& reader, SiteId& reader_site);

  // The region of an access of the running thread; null: nobody's business. Does not return from
  // what is wrong.
  Region* find(std::uintptr_t address, std::size_t bytes, bool write, Sites::Site& site);
  void count_traffic(Warp& warp);  // its lanes are together
  void end_requests(Block& block);
  Region* region_of(std::uintptr_t address, std::size_t bytes, const Block* block);
  bool parameters_or_constants(std::uintptr_t address, std::size_t bytes, bool write);
  std::uint32_t flow_of(const Sites::Site& site, int buffer, bool store);

  // Findings; in accesses.cpp.
  Access witness(Epoch epoch, SiteId site, bool write, bool atomic) const;
  void report_race(Attempt attempt, const Actor& actor, const Cell& cell, Epoch past,
                   SiteId past_site, bool past_write);
  void report_unwritten(const Attempt& attempt, const Actor& actor);
  void report_outside(Attempt attempt, const Actor& actor);
  void report_read_only(const Attempt& attempt, const Actor& actor);
  void report_unfenced(const Attempt& attempt, const Cell& cell);
  void report_peer(const char* kind, const Attempt& attempt, const Actor& actor,
                   const Block& owner);
  bool has_begun_for(const Thread& self, const Block& owner) const;
  void check_peers(const Block& block);
  bool first_of_its_kind(const char* kind, SiteId a, SiteId b);
  Finding describe(const char* kind, const Attempt& attempt, const Access& access) const;

  Launch* launch_ = nullptr;
  const LaunchRequest* request_ = nullptr;
  Report* report_ = nullptr;
  Shadow shadow_;
  Sites sites_;
  std::vector<std::unique_ptr<Region>> buffers_;
  std::vector<FlowKind> flows_;
  BlockOrder copy_clocks_;
  LaunchTraffic traffic_;
  std::set<std::tuple<const char*, SiteId, SiteId>> seen_;  // of this launch
  struct Segment {
    std::uintptr_t begin, end;
  };
  // where the program and its shared objects lie; found when they are first asked for in a launch
  std::vector<Segment> program_;
  // of this sanitiser: shared memory that another one looked after is laid out anew
  std::uint64_t serial_ = next_serial();
  static std::uint64_t next_serial();
};

// "a write at file:line by block (0, 0, 0), thread (0, 0, 0)"
std::string text_of_access(const Access& access);

extern constinit thread_local Sanitizer* watching;  // null: nobody looks

// What barriers of any kind do: nothing where nobody looks.
inline void release(Thread& thread, Sync& sync) {
  if (watching) watching->order.release(thread, sync);
}
inline void acquire(Thread& thread, Sync& sync) {
  if (watching) watching->order.acquire(thread, sync);
}

// ---- the way that every access takes

template <AccessKind Kind>
[[gnu::always_inline]] inline std::uint32_t Sanitizer::check_cells(Region& region,
                                                                   std::uintptr_t address,
                                                                   int exponent, SiteId site,
                                                                   const Actor& actor) {
  constexpr bool write =
      Kind == AccessKind::write || Kind == AccessKind::atomic || Kind == AccessKind::volatile_write;
  constexpr bool strong = Kind == AccessKind::atomic || Kind == AccessKind::volatile_read ||
                          Kind == AccessKind::volatile_write;
  constexpr bool reads = !write || Kind == AccessKind::atomic;
  const Shadow::Cells cells = shadow_.cells(region, address, exponent);
  const std::uint32_t oldest = order.oldest(), floor = region.born > oldest ? region.born : oldest;
  const Attempt attempt{&region, address, 1u << exponent, site, write, strong};
  const SiteId own_site = strong ? site | atomic_bit : site;
  std::uint32_t unwritten = 0;
  for (int i = 0; i < cells.count; ++i) {
    Cell& cell = cells.first[i];
    // nobody wrote since
    if (!write && cell.read == actor.now && cell.read_site != reads_are_set) continue;
    const Epoch last = cell.write;
    const std::uint32_t writer = actor_of(last);
    if (writer < region.born) {
      if (reads) unwritten |= 1u << i;
    } else if (last != actor.now && writer >= oldest &&
               !(strong && (cell.write_site & atomic_bit)) &&
               !order.ordered(actor.order, actor.rank, last)) {
      report_race(attempt, actor, cell, last, cell.write_site, true);
    }
    if (!write) {
      const Epoch before = cell.read;
      if (cell.read_site != reads_are_set && (before == 0 || actor_of(before) < floor ||
                                              order.ordered(actor.order, actor.rank, before))) {
        cell.read = actor.now;
        cell.read_site = own_site;
      } else {
        add_read(cell, own_site, actor, floor);
      }
      continue;
    }
    if (cell.read != 0 || cell.read_site != 0) {
      Epoch reader = cell.read;
      SiteId reader_site = cell.read_site;
      if (reader_site == reads_are_set) {
        if (races_with_reads(cell, actor, floor, strong, reader, reader_site))
          report_race(attempt, actor, cell, reader, reader_site, false);
        shadow_.drop_reads(cell);
      } else {
        if (reader != actor.now && actor_of(reader) >= floor &&
            !(strong && (reader_site & atomic_bit)) &&
            !order.ordered(actor.order, actor.rank, reader))
          report_race(attempt, actor, cell, reader, reader_site, false);
        cell.read = 0;
        cell.read_site = 0;
      }
    }
    cell.write = actor.now;
    cell.write_site = own_site;
  }
  return unwritten;
}

template <AccessKind Kind>
[[gnu::always_inline]] inline void Sanitizer::access(std::uintptr_t address, int exponent,
                                                     std::uintptr_t return_address,
                                                     const Where* where) {
  constexpr bool write =
      Kind == AccessKind::write || Kind == AccessKind::atomic || Kind == AccessKind::volatile_write;
  const std::size_t bytes = std::size_t{1} << exponent;
  const Thread& self = *static_cast<const Thread*>(current);
  Block& block = self.home();
  Sites::Site& site = sites_.at(return_address, where);
  Region* region = &block.watched;
  if (!region->holds(address, bytes)) {
    region = site.region;
    if (region == nullptr || !region->holds(address, bytes) || (write && !region->writable)) {
      region = find(address, bytes, write, site);
      if (region == nullptr) return;
    }
    if (region->buffer >= 0) {
      if constexpr (Kind == AccessKind::atomic)
        ++traffic_.buffers[static_cast<std::size_t>(region->buffer)].atomics;
      else
        block.traffic[self.rank / 32].flow(site.flow).pass(self.rank % 32, address,
                                                           static_cast<unsigned>(bytes));
    }
  }
  ++traffic_.accesses;
  if (!region->shadowed) return;
  const Actor actor{block.order, self.rank, block.order.now[self.rank]};
  if (check_cells<Kind>(*region, address, exponent, site.id, actor) != 0)
    report_unwritten({region, address, static_cast<unsigned>(bytes), site.id, write, false}, actor);
}

}  // namespace abn::emulator
