// cvta, isspacep and mapa: addresses of one space as addresses of another; and what only hints at
// caches.
#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/state/access.hpp"

namespace abn::ptx {
namespace {

void same(Warp& warp, const Instruction& in, std::uint32_t mask) {
  store(warp.write<std::uint64_t>(in.at[0]), warp.read<std::uint64_t>(in.at[1]), mask);
}

std::uint64_t from_shared(std::uint64_t offset) { return offset + shared_window; }
std::uint64_t to_shared(std::uint64_t address) {
  // Of an address that is not in shared memory nothing is promised; it becomes one that no space
  // has, and no block of a cluster, if it is cut to the 32 bits of an address there.
  constexpr std::uint64_t nowhere = 0xff000000;
  return address >= shared_window && address < local_window ? address - shared_window
                                                            : address | nowhere;
}

template <std::uint64_t begin, std::uint64_t end>
void add_question(Table& table, const char* space) {
  add_map<[](std::uint64_t a) { return a >= begin && a < end; }>(table,
                                                                 std::string("isspacep.") + space);
}

std::uint64_t mapped(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t offset,
                     std::uint32_t rank) {
  if (rank >= warp.block->cluster->blocks.size())
    stop(warp, in, lane, emulator::cluster_peer,
         "mapa asks for block " + std::to_string(rank) + " of a cluster of " +
             std::to_string(warp.block->cluster->blocks.size()));
  return (offset & ((std::uint64_t{1} << peer_shift) - 1)) | (std::uint64_t{rank} + 1)
                                                                 << peer_shift;
}

/// Of generic addresses, or of those of shared memory.
template <class T, bool generic>
void mapa(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto* const from = warp.read<T>(in.at[1]);
  const auto* const rank = warp.read<std::uint32_t>(in.at[2]);
  alignas(64) T out[lanes] = {};
  for (unsigned i = 0; i < lanes; ++i) {
    if ((mask >> i & 1) == 0) continue;
    std::uint64_t offset = from[i];
    if (generic) {
      if (offset < shared_window || offset >= local_window)
        stop(warp, in, i, emulator::cluster_peer, "mapa of an address outside of shared memory");
      offset -= shared_window;
    }
    out[i] = static_cast<T>(mapped(warp, in, i, offset, rank[i]) + (generic ? shared_window : 0));
  }
  store(warp.write<T>(in.at[0]), out, mask);
}

void rank_of(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto* const from = warp.read<std::uint64_t>(in.at[1]);
  alignas(64) std::uint32_t out[lanes] = {};
  for (unsigned i = 0; i < lanes; ++i) {
    const std::uint64_t rank = (from[i] & (shared_window - 1)) >> peer_shift;
    out[i] = rank == 0 ? warp.block->rank : static_cast<std::uint32_t>(rank - 1);
  }
  store(warp.write<std::uint32_t>(in.at[0]), out, mask);
}

void nothing(Warp&, const Instruction&, std::uint32_t) {}

}  // namespace

void add_address_forms(Table& table) {
  for (const char* space : {"global", "const", "local", "param"}) {
    table.add(std::string("cvta.") + space + ".u64", "=8 8", &same);
    table.add(std::string("cvta.to.") + space + ".u64", "=8 8", &same);
  }
  for (const std::string space : {"shared", "shared::cta", "shared::cluster"}) {
    add_map<[](std::uint64_t a) { return from_shared(a); }>(table, "cvta." + space + ".u64");
    add_map<[](std::uint64_t a) { return to_shared(a); }>(table, "cvta.to." + space + ".u64");
    add_question<shared_window, local_window>(table, space.c_str());
  }
  add_question<1, shared_window>(table, "global");
  add_question<local_window, parameter_window>(table, "local");
  add_question<parameter_window, window_end>(table, "param");
  table.add("mapa.u64", "=8 8 4", &mapa<std::uint64_t, true>);
  table.add("mapa.shared::cluster.u32", "=4 4 4", &mapa<std::uint32_t, false>);
  table.add("getctarank.u64", "=4 8", &rank_of);
  // A policy is a hint; it has some bits, which nobody looks at.
  for (const char* level : {"evict_last", "evict_first", "evict_normal", "evict_unchanged"}) {
    add_map<[](float) { return std::uint64_t{1}; }>(
        table, std::string("createpolicy.fractional.L2::") + level + ".b64");
    table.add(std::string("prefetch.global.L2::") + level, "@", &nothing);
  }
  add_map<[](float) { return std::uint64_t{1}; }>(
      table, "createpolicy.fractional.L2::evict_last.L2::evict_first.b64");
  for (const char* form :
       {"prefetch.global.L1", "prefetch.global.L2", "prefetch.L1", "prefetch.L2", "prefetchu.L1"})
    table.add(form, "@", &nothing);
}

}  // namespace abn::ptx
