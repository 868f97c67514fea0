// What the sanitiser makes of accesses that no instrumented code does: those of asynchronous copies
// and of calls of the emulator; and of shared memory of a cluster's blocks that have not begun or
// that return.
#include <algorithm>
#include <bit>

#include "cuda/emulator/sanitizer.hpp"
#include "cuda/emulator/wording.hpp"

namespace abn::emulator {
namespace {

// A place in the source has no return address; that of its description serves, with a bit for
// reads.
std::uintptr_t key_of(const Where& where, bool write) {
  static_assert(sizeof(Where) == sizeof(std::uintptr_t));
  const auto key = std::bit_cast<std::uintptr_t>(where) & ~Sites::reading;
  return write ? key : key | Sites::reading;
}

}  // namespace

bool Sanitizer::access_by_copy(Epoch now, const Known& known, const void* pointer,
                               std::size_t bytes, bool write, const Where& where) {
  auto address = reinterpret_cast<std::uintptr_t>(pointer);
  // of nobody's block: a copy is not ordered after others of its thread
  BlockOrder& clocks = copy_clocks_;
  clocks.known.assign(1, known);
  clocks.any_known = true;
  const Actor actor{clocks, 0, now};
  const SiteId site = sites_.at(key_of(where, write), &where).id;
  Region* region = nullptr;
  for (const auto& buffer : buffers_)
    if (buffer->holds(address, bytes)) region = buffer.get();
  if (region == nullptr)
    if (Block* owner = launch_->block_that_owns(address))
      if (owner->watched.holds(address, bytes)) region = &owner->watched;
  const Attempt attempt{region, address, static_cast<unsigned>(bytes), site, write, false};
  if (region == nullptr) {
    if (buffers_.empty() && !launch_->near_shared(address)) return true;
    report_outside(attempt, actor);
    return false;
  }
  if (write && !region->writable) {
    report_read_only(attempt, actor);
    return false;
  }
  std::uint32_t unwritten = 0;
  for (std::size_t left = bytes; left > 0;) {
    const int exponent = chunk_exponent(address, left);
    ++traffic_.accesses;
    if (region->shadowed)
      unwritten |= write ? check_cells<AccessKind::write>(*region, address, exponent, site, actor)
                         : check_cells<AccessKind::read>(*region, address, exponent, site, actor);
    address += std::size_t{1} << exponent;
    left -= std::size_t{1} << exponent;
  }
  if (unwritten != 0) report_unwritten(attempt, actor);
  return true;
}

// ---- traffic

void Sanitizer::count_element(const Thread& issuer, const void* pointer, unsigned bytes,
                              const Where& where) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  for (const auto& buffer : buffers_) {
    if (!buffer->holds(address, bytes)) continue;
    const Sites::Site& site = sites_.at(key_of(where, false), &where);
    issuer.home()
        .traffic[issuer.rank / 32]
        .flow(flow_of(site, buffer->buffer, false))
        .pass(issuer.rank % 32, address, bytes);
  }
}

void Sanitizer::count_bulk(const void* pointer, std::size_t bytes, bool store) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  for (const auto& buffer : buffers_) {
    if (!buffer->holds(address, bytes)) continue;
    Traffic& traffic = traffic_.buffers[static_cast<std::size_t>(buffer->buffer)];
    ++(store ? traffic.store_requests : traffic.load_requests);
    (store ? traffic.bytes_stored : traffic.bytes_loaded) += bytes;
    (store ? traffic.store_sectors : traffic.load_sectors) +=
        (address + bytes - 1) / 32 - address / 32 + 1;
  }
}

// ---- proxies

bool Sanitizer::check_fenced(const Known& visible, const void* pointer, std::size_t bytes,
                             const Where& where) {
  auto address = reinterpret_cast<std::uintptr_t>(pointer);
  Region* const region = &launch_->block_that_owns(address)->watched;
  const Thread& self = *static_cast<const Thread*>(current);
  for (std::size_t left = bytes; left > 0;) {
    const int exponent = chunk_exponent(address, left);
    const Shadow::Cells cells = shadow_.cells(*region, address, exponent);
    for (int i = 0; i < cells.count; ++i) {
      const Epoch last = cells.first[i].write;
      const std::uint32_t writer = actor_of(last);
      if (writer < region->born || writer < order.oldest() || order.actor(writer)->bulk ||
          (visible && visible->knows(last)))
        continue;
      // a race, found when the copy reads
      if (!order.ordered(self.home().order, self.rank, last)) continue;
      report_unfenced({region, address, static_cast<unsigned>(bytes),
                       sites_.at(key_of(where, false), &where).id, false, false},
                      cells.first[i]);
      return false;
    }
    address += std::size_t{1} << exponent;
    left -= std::size_t{1} << exponent;
  }
  return true;
}

void Sanitizer::report_unfenced(const Attempt& attempt, const Cell& cell) {
  const Thread& self = *static_cast<const Thread*>(current);
  const Access now = witness(self.home().order.now[self.rank], attempt.site, false, false);
  Finding finding = describe(missing_proxy_fence, attempt, now);
  finding.other = witness(cell.write, cell.write_site, true, false);
  finding.text = "the bulk store at " + text_of(Place{now.file, now.line}) +
                 " would not see what was written at " +
                 text_of(Place{finding.other.file, finding.other.line}) +
                 ": fence_proxy_async() must stand between that and the barrier before the copy";
  launch_->record(std::move(finding), launch_failure);
}

// ---- in calls of the emulator

template <AccessKind Kind>
void Sanitizer::access_by_call(const void* address, int exponent, const Where& where) {
  constexpr bool write = Kind != AccessKind::read && Kind != AccessKind::volatile_read;
  access<Kind>(reinterpret_cast<std::uintptr_t>(address), exponent, key_of(where, write), &where);
}
template void Sanitizer::access_by_call<AccessKind::write>(const void*, int, const Where&);
template void Sanitizer::access_by_call<AccessKind::atomic>(const void*, int, const Where&);
template void Sanitizer::access_by_call<AccessKind::volatile_read>(const void*, int, const Where&);
template void Sanitizer::access_by_call<AccessKind::volatile_write>(const void*, int, const Where&);

// ---- clusters

void Sanitizer::end_requests(std::span<Block* const> blocks) {
  for (Block* block : blocks) end_requests(*block);
}

// A peer must know that the block has begun: of its threads, or of the barrier of the grid since.
bool Sanitizer::has_begun_for(const Thread& self, const Block& owner) const {
  if (owner.watched.born < order.oldest()) return true;
  const BlockOrder& mine = self.home().order;
  if (!mine.any_known || !mine.known[self.rank]) return false;
  const Known& known = mine.known[self.rank];
  const std::uint32_t actor = owner.order.actor;
  const auto of_actor = [actor](const Knowledge::OfActor& entry) { return entry.actor == actor; };
  const auto of_thread = [actor](const Knowledge::OfThread& entry) {
    return entry.thread >> rank_bits == actor;
  };
  return std::any_of(known->actors.begin(), known->actors.end(), of_actor) ||
         std::any_of(known->threads.begin(), known->threads.end(), of_thread);
}

void Sanitizer::report_peer(const char* kind, const Attempt& attempt, const Actor& actor,
                            const Block& owner) {
  const Access now = witness(actor.now, attempt.site, attempt.write, attempt.atomic);
  Finding finding = describe(kind, attempt, now);
  finding.text = text_of_access(now) + " in the shared memory of " + rank_text(owner) +
                 (kind == cluster_peer_left ? ", which may have returned by then"
                                            : ", which need not have begun by then") +
                 ": a barrier of the cluster must stand between";
  launch_->record(std::move(finding), launch_failure);
}

// A block of a cluster returns: what its peers did to its shared memory must have happened before
// one of its threads returned.
void Sanitizer::check_peers(const Block& block) {
  std::vector<Known> all(block.order.known.begin(), block.order.known.end());
  const Known known = order.join_all(all);
  const Region& region = block.watched;
  const auto late = [&](Epoch epoch) {
    const std::uint32_t actor = actor_of(epoch);
    return actor >= region.born && actor >= order.oldest() && actor != block.order.actor &&
           !(known && known->knows(epoch)) &&
           order.actor(actor)->block != order.actor(block.order.actor)->block;
  };
  for (std::size_t p = 0; p < region.pages.size(); ++p) {
    const Page& page = region.pages[p];
    if (page.cells == nullptr) continue;
    const std::uintptr_t begin = (region.first_page + p) << page_shift;
    for (std::uintptr_t offset = 0; offset < page_bytes; offset += std::uintptr_t{1} << page.size) {
      const Cell& cell = page.cells[offset >> page.size];
      const auto found = [&](Epoch epoch, SiteId site, bool write) {
        if (!late(epoch)) return false;
        const Attempt attempt{const_cast<Region*>(&region), begin + offset, 1u << page.size,
                              site & ~atomic_bit,           write,          false};
        report_peer(cluster_peer_left, attempt, Actor{block.order, 0, epoch}, block);
        return true;
      };
      bool any = cell.write != 0 && found(cell.write, cell.write_site, true);
      if (!any && cell.read_site == reads_are_set) {
        for (const ReadSet::Entry& entry : shadow_.reads(cell).entries)
          for (std::uint32_t left = entry.lanes; left && !any; left &= left - 1)
            any = found(
                entry.warp | Epoch{static_cast<unsigned>(std::countr_zero(left))} << time_bits,
                entry.site, false);
      } else if (!any && cell.read != 0) {
        any = found(cell.read, cell.read_site, false);
      }
      if (any) launch_->leave();
    }
  }
}

}  // namespace abn::emulator
