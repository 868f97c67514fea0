// The checks of accesses, cheapest first.
#include "cuda/ptx/state/access.hpp"

#include <algorithm>

#include "cuda/ptx/state/race.hpp"

namespace abn::ptx {
namespace {

std::string hex(std::uint64_t value) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  do text.insert(text.begin(), digits[value % 16]);
  while ((value /= 16) != 0);
  return "0x" + text;
}

const char* verb(Use use) {
  return use == Use::read     ? "a load"
         : use == Use::write  ? "a store"
         : use == Use::atomic ? "an atomic"
                              : "an access of an mbarrier";
}

/// Whether it depends on what was there before; an exchange may be meant as a store.
bool reads(Use use, const Instruction& in) {
  return use == Use::read ||
         (use == Use::atomic && in.form->name.find(".exch.") == std::string::npos);
}

std::string what_of(Use use, std::uint32_t bytes, std::uint64_t address) {
  return std::string(verb(use)) + " of " + std::to_string(bytes) + " bytes at " + hex(address);
}

/// What atomics and accesses with an order hand over, and what they meet.
void hand_over(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t place,
               bool in_shared, Use use) {
  if (use != Use::atomic && ((in.flags & flag_ordered) == 0 || use == Use::object)) return;
  Order& order = *warp.block->launch->order;
  Clocks& clocks = warp.block->clocks;
  const std::uint32_t rank = warp.number * lanes + lane;
  const bool stores = use != Use::read;
  const bool loads =
      use == Use::read || (stores && use == Use::atomic && !in.form->name.starts_with("red."));
  if (stores && (in.flags & flag_releases) != 0)
    order.release_at(clocks, rank, place, !in_shared && (in.flags & flag_of_block) != 0);
  if (loads && (in.flags & flag_acquires) != 0) order.acquire_at(clocks, rank, place);
  order.meet(clocks, rank, place, in_shared, loads, stores);
}

std::byte* in_shared(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t address,
                     std::uint32_t bytes, Use use, bool peers) {
  std::uint64_t offset = address;
  Block& block = block_at(warp, in, lane, offset, peers);
  const std::uint64_t size = block.shared.size();
  if (offset < shared_begin || offset - shared_begin > size ||
      bytes > size - (offset - shared_begin))
    stop(warp, in, lane, emulator::out_of_bounds,
         what_of(use, bytes, address) + " of the block's " + std::to_string(size) +
             " bytes of shared memory, which begin at " + hex(shared_begin));
  const std::uint64_t at = offset - shared_begin;
  if (!block.shared_written.empty()) {
    look_for_races(warp, in, lane, block, at, bytes, use);
    hand_over(warp, in, lane, std::uint64_t{1} << 63 | block.number << peer_shift | at, true, use);
    std::uint8_t* const written = block.shared_written.data() + at;
    if (reads(use, in) && std::find(written, written + bytes, 0) != written + bytes)
      note(warp, in, lane, emulator::unwritten_read,
           what_of(use, bytes, address) + " of shared memory that nobody wrote", "shared memory",
           static_cast<std::int64_t>(at));
    if (use != Use::read) std::fill(written, written + bytes, std::uint8_t{byte_written});
  }
  return block.shared.data() + at;
}

std::byte* in_range(Warp& warp, const Instruction& in, unsigned lane, Range& range,
                    std::uint64_t address, std::uint32_t bytes, Use use) {
  const std::uint64_t at = address - range.begin;
  const auto element = static_cast<std::int64_t>(at / range.element_bytes);
  const auto place = [&] { return " of " + range.name + "[" + std::to_string(element) + "]"; };
  if (use != Use::read && !range.writable)
    stop(warp, in, lane, emulator::read_only_write, what_of(use, bytes, address) + place());
  if (range.watched && range.writable && warp.block->launch->order != nullptr)
    look_for_races(warp, in, lane, range, address, bytes, use);
  if (range.watched) {
    std::uint8_t* const shadow = range.shadow.data() + at;
    if (use != Use::write) {
      std::uint8_t all = 0xff, any = 0;
      for (std::uint32_t i = 0; i < bytes; ++i) all &= shadow[i], any |= shadow[i];
      if ((all & byte_written) == 0 && reads(use, in))
        note(warp, in, lane, emulator::unwritten_read,
             what_of(use, bytes, address) + place() + ", which nobody wrote", range.name, element);
      if ((in.flags & flag_non_coherent) != 0 && (any & byte_stored_by_launch) != 0)
        note(warp, in, lane, emulator::data_race,
             what_of(use, bytes, address) + place() +
                 " by ld.global.nc, which the same launch has written: the value may be an old one",
             range.name, element);
    }
    if (use != Use::read)
      std::fill(shadow, shadow + bytes, std::uint8_t{byte_written | byte_stored_by_launch});
  }
  return reinterpret_cast<std::byte*>(address);
}

std::byte* in_global(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t address,
                     std::uint32_t bytes, Use use) {
  Launch& launch = *warp.block->launch;
  if (launch.order != nullptr) hand_over(warp, in, lane, address, false, use);
  Range* range = launch.last_range;
  if (range == nullptr || address < range->begin || address >= range->end) {
    if (launch.memory == nullptr || launch.memory->empty())
      return reinterpret_cast<std::byte*>(address);
    range = launch.memory->find(address);
    if (range == nullptr)
      stop(warp, in, lane, emulator::out_of_bounds,
           what_of(use, bytes, address) + ", which is in no buffer");
    launch.last_range = range;
  }
  if (bytes > range->end - address)
    stop(warp, in, lane, emulator::out_of_bounds,
         what_of(use, bytes, address) + " reaches beyond the end of " +
             (range->name.empty() ? "its buffer" : range->name));
  if (range->watched || !range->writable)
    return in_range(warp, in, lane, *range, address, bytes, use);
  return reinterpret_cast<std::byte*>(address);
}

[[noreturn]] void wrong_space(Warp& warp, const Instruction& in, unsigned lane,
                              std::uint64_t address, std::uint32_t bytes, Use use,
                              const char* asked) {
  const char* const found = address < shared_window      ? "global memory"
                            : address < local_window     ? "shared memory"
                            : address < parameter_window ? "local memory"
                                                         : "the parameters";
  stop(warp, in, lane, emulator::wrong_space,
       what_of(use, bytes, address) + " by " + in.form->name + " means " + asked +
           " memory, and the address is in " + found);
}

}  // namespace

Block& block_at(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t& address,
                bool peers) {
  Block& own = *warp.block;
  const std::uint64_t rank = address >> peer_shift;
  if (rank == 0) return own;
  if (!peers || rank > own.cluster->blocks.size())
    stop(warp, in, lane, emulator::cluster_peer,
         peers ? "an address of block " + std::to_string(rank - 1) + " of a cluster of " +
                     std::to_string(own.cluster->blocks.size())
               : "an address of a peer's shared memory for an access to the block's own");
  Block& block = *own.cluster->blocks[rank - 1];
  if (block.left && &block != &own)
    stop(warp, in, lane, emulator::cluster_peer_left,
         "shared memory of block " + std::to_string(rank - 1) +
             " of the cluster, which has returned");
  address &= (std::uint64_t{1} << peer_shift) - 1;
  if (own.launch->order != nullptr && &block != &own && own.launch->copy == nullptr)
    look_whether_begun(warp, in, lane, block);
  return block;
}

std::byte* reach(Warp& warp, const Instruction& in, unsigned lane, Space space,
                 std::uint64_t address, std::uint32_t bytes, Use use) {
  if ((address & (bytes - 1)) != 0)
    stop(warp, in, lane, emulator::misaligned_access,
         what_of(use, bytes, address) + ", which is not a multiple of its size");
  switch (space) {
    case Space::global:
    case Space::constant:
      if (address >= shared_window) wrong_space(warp, in, lane, address, bytes, use, "global");
      return in_global(warp, in, lane, address, bytes, use);
    case Space::shared:
      if (address >= std::uint64_t{1} << 32)
        wrong_space(warp, in, lane, address, bytes, use, "shared");
      return in_shared(warp, in, lane, address, bytes, use,
                       in.form->name.find("cluster") != std::string::npos);
    case Space::local:
      if (address < local_window || address >= parameter_window)
        wrong_space(warp, in, lane, address, bytes, use, "local");
      break;
    case Space::param:
      if (address < parameter_window || address >= window_end)
        wrong_space(warp, in, lane, address, bytes, use, "parameter");
      break;
    case Space::generic:
      if (address < shared_window) return in_global(warp, in, lane, address, bytes, use);
      if (address < local_window)
        return in_shared(warp, in, lane, address - shared_window, bytes, use, true);
      break;
  }
  if (address >= local_window && address < parameter_window) {
    const std::uint64_t offset = address - local_window;
    const std::uint64_t size = warp.block->launch->program->local_bytes;
    if (offset > size || bytes > size - offset)
      stop(warp, in, lane, emulator::out_of_bounds,
           what_of(use, bytes, address) + " of a thread's " + std::to_string(size) +
               " bytes of local memory");
    return warp.local.data() + lane * size + offset;
  }
  const std::uint64_t offset = address - parameter_window;
  std::vector<std::byte>& parameters = warp.block->launch->configuration.parameters;
  if (offset > parameters.size() || bytes > parameters.size() - offset)
    stop(warp, in, lane, emulator::out_of_bounds,
         what_of(use, bytes, address) + " of the launch's " + std::to_string(parameters.size()) +
             " bytes of parameters");
  if (use != Use::read)
    stop(warp, in, lane, emulator::read_only_write,
         what_of(use, bytes, address) + " of the launch's parameters");
  return parameters.data() + offset;
}

void count_traffic(Warp& warp, const std::uint64_t* addresses, std::uint32_t mask,
                   std::uint32_t bytes, Use use) {
  Launch& launch = *warp.block->launch;
  if (!launch.configuration.sanitize || launch.memory == nullptr) return;
  // Lanes of one instruction may touch several buffers: each has a request of its own.
  std::uint64_t sectors[lanes * 2];
  while (mask != 0) {
    Range* range = nullptr;
    std::size_t count = 0;
    std::uint64_t moved = 0, lane_count = 0;
    for (unsigned i = 0; i < lanes; ++i) {
      if ((mask >> i & 1) == 0) continue;
      if (range == nullptr) {
        range = addresses[i] < shared_window ? launch.memory->find(addresses[i]) : nullptr;
        if (range == nullptr || !range->watched) {
          range = nullptr, mask &= ~(1U << i);
          continue;
        }
      }
      if (addresses[i] < range->begin || addresses[i] >= range->end) continue;
      mask &= ~(1U << i);
      moved += bytes, ++lane_count;
      sectors[count++] = addresses[i] / 32;
      if ((addresses[i] + bytes - 1) / 32 != addresses[i] / 32)
        sectors[count++] = addresses[i] / 32 + 1;
    }
    if (range == nullptr) return;
    if (use == Use::atomic) {
      range->atomics += lane_count;
      continue;
    }
    std::sort(sectors, sectors + count);
    const auto touched =
        static_cast<std::uint64_t>(std::unique(sectors, sectors + count) - sectors);
    if (use == Use::read)
      range->bytes_loaded += moved, ++range->load_requests, range->load_sectors += touched;
    else
      range->bytes_stored += moved, ++range->store_requests, range->store_sectors += touched;
  }
}

}  // namespace abn::ptx
