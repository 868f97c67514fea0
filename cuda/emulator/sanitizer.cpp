// Buffers, launches, and the slow ways of an access.
#include "cuda/emulator/sanitizer.hpp"

#include <link.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <stdexcept>
#include <string>

#include "cuda/emulator/wording.hpp"

namespace abn::emulator {

constinit thread_local Sanitizer* watching = nullptr;

namespace {

constexpr std::size_t most_entries = 64;  // of a set of reads; beyond, one of them is forgotten
// Actors that a launch may need at the most (its blocks, again after each barrier of the grid, and
// its copies) before numbers run out.
constexpr std::uint32_t reserve_of_actors = last_actor / 2;

std::string number(std::uint64_t value) { return std::to_string(value); }

}  // namespace

std::uint64_t Sanitizer::next_serial() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

// ---- buffers

void Sanitizer::watch(const WatchedBuffer& buffer) {
  const auto begin = reinterpret_cast<std::uintptr_t>(buffer.data);
  if (buffer.element_bytes == 0 || buffer.bytes % buffer.element_bytes != 0)
    throw std::invalid_argument("the buffer " + buffer.name + " has " + number(buffer.bytes) +
                                " bytes, which is no multiple of its " +
                                number(buffer.element_bytes) +
                                "-byte elements; pass the size in bytes");
  if (buffer.bytes == 0 || buffer.data == nullptr) return;
  Region* same = nullptr;
  for (const auto& other : buffers_) {
    if (begin == other->begin && begin + buffer.bytes == other->end)
      same = other.get();
    else if (begin < other->end && other->begin < begin + buffer.bytes)
      throw std::invalid_argument(
          "the buffers " + other->name + " and " + buffer.name +
          " overlap; watch memory that is used twice under one size, or else once");
  }
  if (same) {
    same->name += " = " + buffer.name;
    same->written |= buffer.written;
    same->writable |= buffer.writable;
  } else {
    same = buffers_.emplace_back(std::make_unique<Region>()).get();
    same->name = buffer.name;
    same->element_bytes = buffer.element_bytes;
    same->written = buffer.written;
    same->writable = buffer.writable;
    same->buffer = static_cast<int>(buffers_.size()) - 1;
    shadow_.lay_out(*same, begin, buffer.bytes);
  }
  same->shadowed = same->writable || !same->written;
}

void Sanitizer::mark(const void* data, std::size_t bytes, bool written) {
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  for (const auto& region : buffers_)
    if (region->holds(begin, bytes)) return shadow_.mark(*region, begin, bytes, written);
  throw std::invalid_argument(number(bytes) +
                              " bytes are marked that lie in no watched buffer; watch() it first");
}

void Sanitizer::forget_buffers() {
  for (const auto& region : buffers_) shadow_.clear(*region);
  buffers_.clear();
  flows_.clear();
  sites_.forget_regions();
}

// ---- launches and blocks

void Sanitizer::begin_launch(Launch& launch, const LaunchRequest& request, Report& report) {
  launch_ = &launch;
  request_ = &request;
  report_ = &report;
  seen_.clear();
  program_.clear();
  traffic_ = {};
  traffic_.kernel = kernel_name(request);
  for (const auto& region : buffers_) traffic_.buffers.push_back({.buffer = region->name});
  if (order.next_actor() > reserve_of_actors) {
    for (const auto& region : buffers_) shadow_.forget_epochs(*region);
    order.renumber();
  }
  order.begin_launch(request.block.x * request.block.y * request.block.z);
}

void Sanitizer::begin_block(Block& block, std::uint64_t number_in_grid) {
  order.begin_block(block, number_in_grid);
  Region& region = block.watched;
  const auto begin = reinterpret_cast<std::uintptr_t>(block.shared);
  if (region.begin != begin || region.end != begin + block.shared_bytes ||
      region.owner != serial_) {
    region.name = "shared memory";
    region.owner = serial_;
    region.written = false;
    region.pages.clear();  // of another session, if any
    shadow_.lay_out(region, begin, block.shared_bytes);
  }
  // its blocks begin together, rank 0 first
  region.born = block.home_cluster->members[0]->order.actor;
}

void Sanitizer::end_block(Block& block) {
  end_requests(block);
  if (block.home_cluster->size > 1) check_peers(block);
}

void Sanitizer::end_requests(Block& block) {
  for (unsigned w = 0; w < block.warp_count; ++w) count_traffic(block.warps[w]);
}

void Sanitizer::block_barrier(Block& block) {
  end_requests(block);
  order.block_barrier(block);
}

void Sanitizer::grid_barrier(std::vector<std::unique_ptr<Block>>& blocks, std::uint64_t count) {
  for (std::uint64_t b = 0; b < count; ++b) end_requests(*blocks[b]);
  order.grid_barrier(blocks, count);
}

void Sanitizer::warp_operation(Warp& warp, std::uint32_t lanes, bool sync) {
  if (lanes == warp.alive) count_traffic(warp);
  if (sync) order.warp_barrier(warp, lanes);
}

void Sanitizer::count_traffic(Warp& warp) {
  WarpTraffic& traffic = warp.block->traffic[warp.threads[0].rank / 32];
  if (!traffic.busy.empty()) traffic.count(flows_, traffic_.buffers);
}

void Sanitizer::end_launch() {
  for (std::uint64_t b = 0; b < launch_->resident_blocks(); ++b) {
    Block& block = launch_->block(b);
    end_requests(block);
    for (WarpTraffic& warp : block.traffic) warp.flows.clear();  // numbers of this session
  }
  report_->traffic.push_back(std::move(traffic_));
}

// ---- where an access goes

std::uint32_t Sanitizer::flow_of(const Sites::Site& site, int buffer, bool store) {
  for (std::size_t i = 0; i < flows_.size(); ++i)
    if (flows_[i].site == site.id && flows_[i].buffer == buffer && flows_[i].store == store)
      return static_cast<std::uint32_t>(i);
  flows_.push_back({site.id, buffer, store});
  return static_cast<std::uint32_t>(flows_.size() - 1);
}

// A buffer, or the shared memory of a block that the caller's may reach.
Region* Sanitizer::region_of(std::uintptr_t address, std::size_t bytes, const Block* block) {
  for (const auto& region : buffers_)
    if (region->holds(address, bytes)) return region.get();
  if (Block* owner = launch_->block_that_owns(address))
    if (block == owner || (block && launch_->may_reach(*block, *owner)))
      if (owner->watched.holds(address, bytes)) return &owner->watched;
  return nullptr;
}

Region* Sanitizer::find(std::uintptr_t address, std::size_t bytes, bool write, Sites::Site& site) {
  const Thread& self = *static_cast<const Thread*>(current);
  const Block& block = self.home();
  Region* region = region_of(address, bytes, &block);
  const Actor actor{block.order, self.rank, block.order.now[self.rank]};
  const Attempt attempt{region, address, static_cast<unsigned>(bytes), site.id, write, false};
  if (region != nullptr && region->buffer < 0 && region != &block.watched) {
    const Block& owner = *launch_->block_that_owns(address);
    if (owner.alive > 0 && has_begun_for(self, owner)) return region;
    report_peer(owner.alive > 0 ? cluster_peer : cluster_peer_left, attempt, actor, owner);
    launch_->leave();
  }
  if (region == nullptr) {
    if (parameters_or_constants(address, bytes, write)) return nullptr;
    // global memory is not watched
    if (buffers_.empty() && !launch_->near_shared(address)) return nullptr;
    report_outside(attempt, actor);
    launch_->leave();
  }
  if (write && !region->writable) {
    report_read_only(attempt, actor);
    launch_->leave();
  }
  if (region->buffer >= 0) {
    site.region = region;
    site.flow = flow_of(site, region->buffer, write);
  }
  return region;
}

// The copies of the launch's arguments, and the constants and globals of the program.
bool Sanitizer::parameters_or_constants(std::uintptr_t address, std::size_t bytes, bool write) {
  const auto closure = reinterpret_cast<std::uintptr_t>(request_->closure);
  if (!write && address >= closure && address + bytes <= closure + request_->closure_bytes)
    return true;
  if (program_.empty())
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* segments) {
          for (int i = 0; i < info->dlpi_phnum; ++i) {
            const auto& header = info->dlpi_phdr[i];
            const std::uintptr_t begin = info->dlpi_addr + header.p_vaddr;
            if (header.p_type == PT_LOAD)
              static_cast<std::vector<Segment>*>(segments)->push_back(
                  {begin, begin + header.p_memsz});
          }
          return 0;
        },
        &program_);
  return std::any_of(program_.begin(), program_.end(), [=](const Segment& segment) {
    return address >= segment.begin && address < segment.end;
  });
}

void Sanitizer::atomic(std::uintptr_t address, int exponent, std::uintptr_t return_address,
                       const Where& where) {
  access<AccessKind::atomic>(address, exponent, return_address, &where);
  Thread& self = *static_cast<Thread*>(current);
  order.atomic(self, address, self.home().watched.holds(address, 1));
}

void Sanitizer::order_volatile(std::uintptr_t address, bool store) {
  Thread& self = *static_cast<Thread*>(current);
  order.atomic(self, address, self.home().watched.holds(address, 1), !store, store);
}

void Sanitizer::copy_access(std::uintptr_t address, std::size_t bytes, bool write,
                            std::uintptr_t return_address) {
  if (bytes == 0) return;
  const Thread& self = *static_cast<const Thread*>(current);
  Block& block = self.home();
  // One place in the code may read and write: two sites.
  Sites::Site& site = sites_.at(write ? return_address : return_address | Sites::reading, nullptr);
  Region* region = &block.watched;
  if (!region->holds(address, bytes)) {
    region = site.region;
    if (region == nullptr || !region->holds(address, bytes) || (write && !region->writable)) {
      region = find(address, bytes, write, site);
      if (region == nullptr) return;
    }
  }
  const Actor actor{block.order, self.rank, block.order.now[self.rank]};
  bool unwritten = false;
  std::uintptr_t first_unwritten = 0;
  for (std::size_t left = bytes; left > 0;) {
    const int exponent = chunk_exponent(address, left);
    const std::size_t chunk = std::size_t{1} << exponent;
    if (region->buffer >= 0)
      block.traffic[self.rank / 32].flow(site.flow).pass(self.rank % 32, address,
                                                         static_cast<unsigned>(chunk));
    ++traffic_.accesses;
    if (region->shadowed) {
      const std::uint32_t cells =
          write ? check_cells<AccessKind::write>(*region, address, exponent, site.id, actor)
                : check_cells<AccessKind::read>(*region, address, exponent, site.id, actor);
      // The padding of a struct is copied too, and nobody ever writes it; it never fills 8 aligned
      // bytes, nor all of a narrower piece.
      const int count = 1 << (exponent - region->page(address).size),
                half = exponent == coarsest ? (count + 1) / 2 : count;
      const std::uint32_t low = (std::uint32_t{1} << half) - 1, high = low << (count - half);
      if (cells != 0 && !unwritten && ((cells & low) == low || (cells & high) == high)) {
        unwritten = true;
        first_unwritten = address;
      }
    }
    address += chunk;
    left -= chunk;
  }
  if (unwritten)
    report_unwritten({region, first_unwritten, static_cast<unsigned>(bytes), site.id, write, false},
                     actor);
}

// ---- sets of reads

void Sanitizer::add_read(Cell& cell, SiteId site, const Actor& actor, std::uint32_t floor) {
  constexpr Epoch lane_bits = Epoch{31} << time_bits;
  if (cell.read_site != reads_are_set) shadow_.make_set(cell);
  std::vector<ReadSet::Entry>& entries = shadow_.reads(cell).entries;
  const Epoch warp = actor.now & ~lane_bits;
  const std::uint32_t lane = 1u << (rank_of(actor.now) & 31);
  for (std::size_t i = entries.size(); i-- > 0;)
    if (entries[i].warp == warp && entries[i].site == site) {
      entries[i].lanes |= lane;
      return;
    }
  if (entries.size() >= most_entries / 8 && std::has_single_bit(entries.size()))
    std::erase_if(entries, [&](const ReadSet::Entry& entry) {
      if (actor_of(entry.warp) < floor) return true;
      for (std::uint32_t left = entry.lanes; left; left &= left - 1)
        if (!order.ordered(
                actor.order, actor.rank,
                entry.warp | Epoch{static_cast<unsigned>(std::countr_zero(left))} << time_bits))
          return false;
      return true;
    });
  if (entries.size() >= most_entries)
    entries[(actor.now * 0x9e3779b97f4a7c15u >> 32) % most_entries] = {warp, lane, site};
  else
    entries.push_back({warp, lane, site});
}

bool Sanitizer::races_with_reads(Cell& cell, const Actor& actor, std::uint32_t floor, bool strong,
                                 Epoch& reader, SiteId& reader_site) {
  for (const ReadSet::Entry& entry : shadow_.reads(cell).entries) {
    if (actor_of(entry.warp) < floor || (strong && (entry.site & atomic_bit))) continue;
    for (std::uint32_t left = entry.lanes; left; left &= left - 1) {
      reader = entry.warp | Epoch{static_cast<unsigned>(std::countr_zero(left))} << time_bits;
      reader_site = entry.site;
      if (reader != actor.now && !order.ordered(actor.order, actor.rank, reader)) return true;
    }
  }
  return false;
}

}  // namespace abn::emulator
