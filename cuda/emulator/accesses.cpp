// The words of the findings about memory accesses: who, where, which buffer and element, and the
// other side of a race.
#include <algorithm>
#include <string>

#include "cuda/emulator/sanitizer.hpp"
#include "cuda/emulator/wording.hpp"

namespace abn::emulator {
namespace {

constexpr std::size_t most_findings = 32;  // of a launch
// How far from a buffer an access may lie to be named by it.
constexpr std::uintptr_t near_by = 1 << 20;

std::string triple(const unsigned (&value)[3]) {
  return "(" + std::to_string(value[0]) + ", " + std::to_string(value[1]) + ", " +
         std::to_string(value[2]) + ")";
}

std::int64_t element_of(const Region& region, std::uintptr_t address) {
  const auto offset = static_cast<std::int64_t>(address) - static_cast<std::int64_t>(region.begin);
  const auto element = static_cast<std::int64_t>(region.element_bytes);
  return offset >= 0 ? offset / element : -((element - 1 - offset) / element);
}

std::string element_text(const Region& region, std::uintptr_t address) {
  if (region.buffer >= 0)
    return region.name + "[" + std::to_string(element_of(region, address)) + "]";
  return "byte " + std::to_string(static_cast<std::int64_t>(address - region.begin)) +
         " of shared memory";
}

}  // namespace

std::string text_of_access(const Access& access) {
  return std::string(access.atomic  ? "an atomic"
                     : access.write ? "a write"
                                    : "a read") +
         " at " + text_of(Place{access.file, access.line}) + " by " +
         (access.by_thread ? "" : "an asynchronous copy of ") + "block " + triple(access.block) +
         ", thread " + triple(access.thread);
}

bool Sanitizer::first_of_its_kind(const char* kind, SiteId a, SiteId b) {
  a &= ~atomic_bit, b &= ~atomic_bit;
  return seen_.size() < most_findings && seen_.emplace(kind, std::min(a, b), std::max(a, b)).second;
}

Access Sanitizer::witness(Epoch epoch, SiteId site, bool write, bool atomic) const {
  Access access;
  const Place place = sites_.place(site);
  access.file = place.file;
  access.line = place.line;
  access.write = write;
  access.atomic = atomic;
  const Order::Actor* actor = order.actor(actor_of(epoch));
  if (actor == nullptr) return access;
  access.by_thread = !actor->copies;
  const unsigned rank = rank_of(epoch);
  const uint3 grid = request_->grid, block = request_->block;
  access.block[0] = static_cast<unsigned>(actor->block % grid.x);
  access.block[1] = static_cast<unsigned>(actor->block / grid.x % grid.y);
  access.block[2] = static_cast<unsigned>(actor->block / grid.x / grid.y);
  access.thread[0] = rank % block.x;
  access.thread[1] = rank / block.x % block.y;
  access.thread[2] = rank / block.x / block.y;
  return access;
}

Finding Sanitizer::describe(const char* kind, const Attempt& attempt, const Access& access) const {
  Finding finding;
  finding.kind = kind;
  finding.kernel = kernel_name(*request_);
  std::copy(std::begin(access.block), std::end(access.block), finding.block);
  std::copy(std::begin(access.thread), std::end(access.thread), finding.thread);
  finding.file = access.file;
  finding.line = access.line;
  finding.bytes = attempt.bytes;
  if (attempt.region) {
    finding.buffer = attempt.region->name;
    finding.element = element_of(*attempt.region, attempt.address);
  }
  return finding;
}

void Sanitizer::report_race(Attempt attempt, const Actor& actor, const Cell& cell, Epoch past,
                            SiteId past_site, bool past_write) {
  if (!first_of_its_kind(data_race, attempt.site, past_site)) return;
  const Page& page = attempt.region->page(attempt.address);
  const auto offset = static_cast<std::uintptr_t>(&cell - page.cells) << page.size;
  attempt.address = (attempt.address & ~(page_bytes - 1)) + offset;
  const Access now = witness(actor.now, attempt.site, attempt.write, attempt.atomic);
  Finding finding = describe(data_race, attempt, now);
  finding.other = witness(past, past_site, past_write, (past_site & atomic_bit) != 0);
  finding.text = element_text(*attempt.region, attempt.address) + ": " + text_of_access(now) +
                 ", and before it " + text_of_access(finding.other) + "; nothing orders the two";
  report_->findings.push_back(std::move(finding));
}

void Sanitizer::report_unwritten(const Attempt& attempt, const Actor& actor) {
  if (!first_of_its_kind(unwritten_read, attempt.site,
                         static_cast<SiteId>(attempt.region->buffer + 1)))
    return;
  const Access now = witness(actor.now, attempt.site, attempt.write, attempt.atomic);
  Finding finding = describe(unwritten_read, attempt, now);
  finding.text = element_text(*attempt.region, attempt.address) + ": " + text_of_access(now) +
                 " of " + std::to_string(attempt.bytes) + " bytes that nobody wrote";
  report_->findings.push_back(std::move(finding));
}

void Sanitizer::report_read_only(const Attempt& attempt, const Actor& actor) {
  const Access now = witness(actor.now, attempt.site, attempt.write, attempt.atomic);
  Finding finding = describe(read_only_write, attempt, now);
  finding.text = element_text(*attempt.region, attempt.address) + ": " + text_of_access(now) +
                 ", but " + attempt.region->name + " is only read";
  launch_->record(std::move(finding), launch_failure);
}

// Named by the buffer, or the shared memory, that is nearest.
void Sanitizer::report_outside(Attempt attempt, const Actor& actor) {
  std::uintptr_t nearest = near_by;
  const auto consider = [&](Region& region) {
    const std::uintptr_t end = attempt.address + attempt.bytes;
    const std::uintptr_t distance = attempt.address < region.begin ? region.begin - attempt.address
                                    : end > region.end             ? end - region.end
                                                                   : 0;
    if (distance >= nearest) return;
    nearest = distance;
    attempt.region = &region;
  };
  for (const auto& region : buffers_) consider(*region);
  const Order::Actor* home = order.actor(actor_of(actor.now));
  const Cluster* cluster = static_cast<const Thread*>(current)->home().home_cluster;
  const Block* other = nullptr;
  for (std::uint64_t b = 0; b < launch_->resident_blocks(); ++b) {
    Block& block = launch_->block(b);
    const bool reachable =
        order.actor(block.order.actor)->block == home->block || block.home_cluster == cluster;
    if (!block.watched.holds(attempt.address, 1) && !reachable) continue;
    const Region* before = attempt.region;
    consider(block.watched);
    if (attempt.region != before && !reachable) other = &block;
  }
  const Access now = witness(actor.now, attempt.site, attempt.write, attempt.atomic);
  Finding finding = describe(out_of_bounds, attempt, now);
  const std::string width = std::to_string(attempt.bytes) + " bytes";
  if (attempt.region == nullptr) {
    finding.text = text_of_access(now) + " of " + width +
                   " that are in no watched buffer, nor within a MiB of one";
  } else {
    const Region& region = *attempt.region;
    const bool shared = region.buffer < 0;
    const auto size = static_cast<std::int64_t>((region.end - region.begin) /
                                                (shared ? 1 : region.element_bytes));
    finding.text =
        element_text(region, attempt.address) + ": " + text_of_access(now) + " of " + width;
    if (other)
      finding.text += " in the shared memory of block (" + std::to_string(other->index.x) + ", " +
                      std::to_string(other->index.y) + ", " + std::to_string(other->index.z) +
                      "), which it cannot reach";
    else
      finding.text += ", but " + region.name + " has " + std::to_string(size) +
                      (shared ? " bytes" : " elements");
  }
  launch_->record(std::move(finding), launch_failure);
}

void Sanitizer::misaligned(std::uintptr_t address, unsigned bytes, std::uintptr_t return_address) {
  const Thread& self = *static_cast<const Thread*>(current);
  const Actor actor{self.home().order, self.rank, self.home().order.now[self.rank]};
  const Attempt attempt{region_of(address, 1, &self.home()),   address, bytes,
                        sites_.at(return_address, nullptr).id, false,   false};
  {
    Access now = witness(actor.now, attempt.site, attempt.write, attempt.atomic);
    Finding finding = describe(misaligned_access, attempt, now);
    finding.text = "misaligned " + std::to_string(bytes) + "-byte access at " +
                   text_of(Place{now.file, now.line}) + ": the address is " +
                   std::to_string(address % bytes) + " bytes beyond a multiple of " +
                   std::to_string(bytes) +
                   (attempt.region ? ", in " + element_text(*attempt.region, address) : "") +
                   "; block " + triple(now.block) + ", thread " + triple(now.thread);
    launch_->record(std::move(finding), misaligned_address);
  }
  launch_->leave();
}

}  // namespace abn::emulator
