// Layout, poison and comparison of the block that holds the buffers of one call.
#include "verify/call/buffer.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "verify/data/random.hpp"

namespace abn::verify::call {
namespace {

// what cudaMalloc aligns to, and what kernel.h promises for the workspace
constexpr std::size_t boundary_bytes = 256;
constexpr std::size_t page_bytes = 4096;

/// Of closed pages, on both sides of a buffer: what reads or writes further away is seen by luck.
constexpr std::size_t pages_between = 2;

/// Of this machine, whose pages may be larger.
std::size_t own_page() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

std::size_t up(std::size_t value, std::size_t boundary) {
  return (value + boundary - 1) / boundary * boundary;
}

/// A 16-bit word that makes a NaN of every f16, bf16, f32 and f64 that it is the high end of:
/// exponent bits and the first mantissa bits of f64 (which has 11 exponent bits) all set, and a
/// random rest that is not zero.
std::uint16_t nan_word(std::uint64_t random) {
  return static_cast<std::uint16_t>(0x7ff0u | ((random & 1) << 15) | (1 + (random >> 1) % 15));
}

/// A 16-bit word that makes a finite number of each: about 16 in f16, 3e7 in bf16 and f32, 5e59 in
/// f64.
std::uint16_t finite_word(std::uint64_t random) {
  return static_cast<std::uint16_t>(0x4c00u | (random & 0xffu));
}

/// A 16-bit word that makes a finite number of each that is larger than any result: about 1e4 in
/// f16, 2^100 in bf16 and f32, 2^793 in f64. fmax and comparisons lose a NaN, and not this.
std::uint16_t canary_word(std::uint64_t random) {
  return static_cast<std::uint16_t>(0x7180u | (random & 0x7fu));
}

}  // namespace

Arena::Arena(Device& device, Placement placement, Poison poison, int alignment,
             std::uint64_t offset_seed, std::uint64_t poison_seed, Block* block)
    : device_(device),
      placement_(placement),
      poison_(poison),
      alignment_(static_cast<std::size_t>(std::max(alignment, 1))),
      offset_seed_(offset_seed),
      poison_seed_(data::mix(poison_seed)),
      block_(block) {
  before_.resize(guard_bytes);
  fill(0, guard_bytes, Filling::guard);
}

Arena::~Arena() {
  if (allocated_ != nullptr) device_.release(allocated_);
}

Block::~Block() {
  if (memory_ != nullptr) device_.release(memory_);
}

std::byte* Block::memory(std::size_t bytes) {
  if (bytes <= bytes_) return memory_ + shift_;
  if (memory_ != nullptr) device_.release(memory_);
  memory_ = nullptr, bytes_ = 0;
  memory_ = static_cast<std::byte*>(device_.allocate(bytes + shift_));
  bytes_ = bytes;
  return memory_ + shift_;
}

void Arena::fill(std::size_t begin, std::size_t end, Filling filling) {
  const bool finite = poison_ == Poison::finite;
  // Eight bytes at a time, at multiples of eight; most of what a call writes are its guards.
  constexpr std::size_t step = sizeof(std::uint64_t);
  for (std::size_t at = begin / step * step; at < end; at += step) {
    const std::uint64_t random = data::mix(poison_seed_ + data::golden_gamma * (at / step + 1));
    std::uint16_t words[step / sizeof(std::uint16_t)];
    for (std::size_t k = 0; k < std::size(words); ++k) {
      const std::uint64_t part = random >> (16 * k) & 0xffff;
      words[k] = !finite                     ? nan_word(part)
                 : filling == Filling::guard ? canary_word(part)
                                             : finite_word(part);
    }
    const std::size_t first = std::max(begin, at), last = std::min(end, at + step);
    std::memcpy(before_.data() + first, reinterpret_cast<const std::byte*>(words) + (first - at),
                last - first);
  }
}

int Arena::place(std::string name, Role role, const problem::Format& format, std::size_t bytes,
                 std::size_t boundary) {
  std::size_t begin = up(before_.size(), boundary_bytes);
  std::size_t pages_begin = 0, pages_end = 0, behind = guard_bytes;
  if (by_page()) {
    // Shared memory ends at a page, so that with whole pages it begins at one, too.
    pages_begin =
        up(before_.size(), own_page()) + (slots_.empty() ? pages_between * own_page() : 0);
    pages_end = pages_begin + up(std::max<std::size_t>(bytes, 1), own_page());
    // At the end as near as its alignment permits: an aligned load that holds any byte of the
    // buffer stays within the page.
    begin = placement_ == Placement::begins_at_page ? pages_begin
                                                    : (pages_end - bytes) / boundary * boundary;
    behind = pages_end + pages_between * own_page() - (begin + bytes);
  } else if (placement_ != Placement::aligned && boundary < boundary_bytes) {
    // An odd multiple of the least boundary, so that no more than it can be relied on.
    const data::Stream draw(offset_seed_);
    const std::uint64_t turn = placement_ == Placement::mixed ? slots_.size() + 1 : 0;
    begin += boundary * (2 * draw.below(boundary_bytes / (2 * boundary), turn) + 1);
  }
  const std::size_t previous = slots_.empty() ? guard_bytes : before_.size();
  before_.resize(begin + bytes + behind);
  fill(previous, begin, Filling::guard);  // what alignment left out belongs to the guard
  fill(begin, begin + bytes, Filling::poison);
  fill(begin + bytes, before_.size(), Filling::guard);
  slots_.push_back({std::move(name), role, &format, begin, bytes, pages_begin, pages_end});
  return static_cast<int>(slots_.size()) - 1;
}

int Arena::add(std::string name, Role role, const problem::Format& format,
               std::span<const double> values) {
  const auto element = static_cast<std::size_t>(format.bytes);
  const int slot =
      place(std::move(name), role, format, values.size() * element, std::max(alignment_, element));
  problem::pack(format, values, before_.data() + slots_.back().begin);
  return slot;
}

int Arena::add_output(std::string name, const problem::Format& format, std::size_t count) {
  const auto element = static_cast<std::size_t>(format.bytes);
  return place(std::move(name), Role::output, format, count * element,
               std::max(alignment_, element));
}

int Arena::add_workspace(std::size_t bytes) {
  return place("workspace", Role::workspace, problem::format_of(ABN_F16), bytes, boundary_bytes);
}

void Arena::upload() {
  if (block_ != nullptr) {
    memory_ = block_->memory(before_.size());
  } else if (allocated_ == nullptr) {
    const std::size_t spare = page_ ? (pages_apart - 1) * page_bytes : 0;
    allocated_ = static_cast<std::byte*>(device_.allocate(before_.size() + spare));
    const auto page = reinterpret_cast<std::uintptr_t>(allocated_) / page_bytes;
    memory_ = allocated_;
    if (page_) memory_ += (static_cast<std::size_t>(*page_) - page) % pages_apart * page_bytes;
  }
  device_.upload(memory_, before_.data(), before_.size());
}

void* Arena::address(int buffer) const {
  return memory_ + slots_[static_cast<std::size_t>(buffer)].begin;
}

void Arena::download() {
  device_.synchronise();
  after_.resize(before_.size());
  device_.download(after_.data(), memory_, after_.size());
}

bool Arena::settled() const {
  return device_.memory() != ABN_MEMORY_HOST || memory_ == nullptr || after_.empty() ||
         std::memcmp(memory_, after_.data(), after_.size()) == 0;
}

std::span<const std::byte> Arena::bytes(int buffer) const {
  const Slot& slot = slots_[static_cast<std::size_t>(buffer)];
  return std::span(after_).subspan(slot.begin, slot.bytes);
}

std::vector<Arena::View> Arena::views() const {
  std::vector<View> all;
  for (const Slot& slot : slots_)
    all.push_back({slot.name, slot.role, *slot.format, memory_ + slot.begin, slot.bytes});
  return all;
}

std::vector<double> Arena::values(int buffer) const {
  const Slot& slot = slots_[static_cast<std::size_t>(buffer)];
  std::vector<double> out(slot.bytes / static_cast<std::size_t>(slot.format->bytes));
  problem::unpack(*slot.format, after_.data() + slot.begin, out);
  return out;
}

bool Arena::holds_poison(int buffer, std::size_t element) const {
  const Slot& slot = slots_[static_cast<std::size_t>(buffer)];
  const auto size = static_cast<std::size_t>(slot.format->bytes);
  const std::size_t at = slot.begin + element * size;
  return std::memcmp(before_.data() + at, after_.data() + at, size) == 0;
}

std::vector<worker::Pages> Arena::closed_pages() const {
  std::vector<worker::Pages> all;
  if (!by_page()) return all;
  std::size_t end = 0;  // of what may be touched
  for (const Slot& slot : slots_) {
    const std::size_t begin = std::max(end, slot.pages_begin - pages_between * own_page());
    all.push_back({memory_ + begin, slot.pages_begin - begin});
    end = slot.pages_end;
  }
  all.push_back({memory_ + end, before_.size() - end});
  return all;
}

Arena::Beside Arena::beside(const std::byte* address) const {
  const auto at = address - memory_;
  Beside nearest{"the buffers", 0};
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const Slot& slot : slots_) {
    const std::int64_t from = at - static_cast<std::int64_t>(slot.begin),
                       past = from - static_cast<std::int64_t>(slot.bytes) + 1,
                       size = slot.format->bytes, away = from < 0 ? -from : past;
    if (away >= least) continue;
    least = away;
    nearest = {slot.name, from >= 0 ? from / size : (from - size + 1) / size};
  }
  return nearest;
}

std::vector<Change> Arena::broken_guards() const {
  std::vector<Change> changes;
  std::size_t begin = 0;
  // the guard before buffer i; the last one is behind the last buffer
  for (std::size_t i = 0; i <= slots_.size(); ++i) {
    const std::size_t end = i < slots_.size() ? slots_[i].begin : before_.size();
    if (std::memcmp(before_.data() + begin, after_.data() + begin, end - begin) != 0) {
      std::int64_t changed = 0;
      std::size_t first = end;
      for (std::size_t at = begin; at < end; ++at)
        if (before_[at] != after_[at]) {
          first = std::min(first, at);
          ++changed;
        }
      // Named after the nearer neighbour.
      const bool behind = i > 0 && (i == slots_.size() || first - begin <= end - first);
      const Slot& slot = slots_[behind ? i - 1 : i];
      const std::int64_t size = slot.format->bytes,
                         distance = static_cast<std::int64_t>(first) -
                                    static_cast<std::int64_t>(slot.begin);
      changes.push_back(
          {slot.name, distance >= 0 ? distance / size : (distance - size + 1) / size, changed});
    }
    if (i < slots_.size()) begin = slots_[i].begin + slots_[i].bytes;
  }
  return changes;
}

std::vector<Change> Arena::changed(bool inputs) const {
  std::vector<Change> changes;
  for (const Slot& slot : slots_) {
    if (slot.role == Role::workspace || (slot.role == Role::input) != inputs) continue;
    if (std::memcmp(before_.data() + slot.begin, after_.data() + slot.begin, slot.bytes) == 0)
      continue;
    std::int64_t count = 0, first = -1;
    for (std::size_t at = slot.begin; at < slot.begin + slot.bytes; ++at)
      if (before_[at] != after_[at] && count++ == 0)
        first = static_cast<std::int64_t>(at - slot.begin) / slot.format->bytes;
    changes.push_back({slot.name, first, count});
  }
  return changes;
}

std::vector<Change> Arena::changed_inputs() const { return changed(true); }

std::vector<Change> Arena::written() const { return changed(false); }

}  // namespace abn::verify::call
