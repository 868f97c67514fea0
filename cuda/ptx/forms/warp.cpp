// What the lanes of a warp do together: shfl, vote, match, redux, activemask, elect, bar.warp.sync.
// The runner calls these once all lanes that the member mask names have come.
#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/state/access.hpp"

namespace abn::ptx {
namespace {

enum class Shuffle : std::uint8_t { up, down, bfly, idx };

/// c holds the width of the segments in bits 8 to 12 and a clamp in bits 0 to 4.
template <Shuffle mode>
void shuffle(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto *const value = warp.read<std::uint32_t>(in.at[2]),
                    *const by = warp.read<std::uint32_t>(in.at[3]),
                    *const control = warp.read<std::uint32_t>(in.at[4]);
  alignas(64) std::uint32_t out[lanes] = {}, inside[lanes] = {};
  for (unsigned i = 0; i < lanes; ++i) {
    if ((mask >> i & 1) == 0) continue;
    const std::uint32_t segment = control[i] >> 8 & 31, clamp = control[i] & 31;
    const std::uint32_t first = i & segment, last = first | (clamp & ~segment);
    const std::uint32_t distance = by[i] & 31;
    std::uint32_t from = 0;
    bool valid = false;
    switch (mode) {
      case Shuffle::up:
        from = i - distance, valid = i >= distance && i - distance >= last;
        break;
      case Shuffle::down:
        from = i + distance, valid = from <= last;
        break;
      case Shuffle::bfly:
        from = i ^ distance, valid = from <= last;
        break;
      case Shuffle::idx:
        from = first | (distance & ~segment), valid = from <= last;
        break;
    }
    if (!valid) from = i;
    if ((mask >> from & 1) == 0)
      stop(warp, in, i, emulator::shuffle_mask,
           "lane " + std::to_string(i) + " reads lane " + std::to_string(from) +
               ", which takes no part");
    out[i] = value[from], inside[i] = valid ? full_mask : 0;
  }
  if (in.at[0].present()) store(warp.write<std::uint32_t>(in.at[0]), out, mask);
  if (in.at[1].present()) store(warp.write<std::uint32_t>(in.at[1]), inside, mask);
}

void put_all(Warp& warp, Place place, std::uint32_t value, std::uint32_t mask) {
  alignas(64) std::uint32_t out[lanes];
  for (std::uint32_t& lane : out) lane = value;
  store(warp.write<std::uint32_t>(place), out, mask);
}

enum class Vote : std::uint8_t { all, any, uni, ballot };

template <Vote vote>
void take_vote(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const std::uint32_t yes = bits_of(warp.read<std::uint32_t>(in.at[1])) & mask;
  const bool all = yes == mask, any = yes != 0;
  const bool result = vote == Vote::all ? all : vote == Vote::any ? any : all || !any;
  put_all(warp, in.at[0], vote == Vote::ballot ? yes : result ? full_mask : 0, mask);
}

template <class Container, bool all>
void match(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto* const value = warp.read<Container>(in.at[all ? 2 : 1]);
  alignas(64) std::uint32_t out[lanes] = {};
  bool equal = true;
  for (unsigned i = 0; i < lanes; ++i)
    for (unsigned j = 0; j < lanes; ++j)
      if ((mask >> i & 1) != 0 && (mask >> j & 1) != 0) {
        if (value[i] == value[j])
          out[i] |= 1U << j;
        else
          equal = false;
      }
  if constexpr (all) {
    put_all(warp, in.at[0], equal ? mask : 0, mask);
    if (in.at[1].present()) put_all(warp, in.at[1], equal ? full_mask : 0, mask);
  } else {
    store(warp.write<std::uint32_t>(in.at[0]), out, mask);
  }
}

template <auto Function, class T>
void reduce(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto* const value = warp.read<std::uint32_t>(in.at[1]);
  T result{};
  bool first = true;
  for (unsigned i = 0; i < lanes; ++i)
    if ((mask >> i & 1) != 0) {
      result = first ? static_cast<T>(value[i]) : Function(result, static_cast<T>(value[i]));
      first = false;
    }
  put_all(warp, in.at[0], static_cast<std::uint32_t>(result), mask);
}

void active(Warp& warp, const Instruction& in, std::uint32_t mask) {
  put_all(warp, in.at[0], mask, mask);
}

void elect(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto leader = static_cast<std::uint32_t>(std::countr_zero(mask));
  if (in.at[0].present()) put_all(warp, in.at[0], leader, mask);
  if (in.at[1].present()) {
    alignas(64) std::uint32_t out[lanes];
    spread(1U << leader, out);
    store(warp.write<std::uint32_t>(in.at[1]), out, mask);
  }
}

/// Lanes that give one member mask meet; several masks may come here at once.
void synchronise(Warp& warp, const Instruction& in, std::uint32_t mask) {
  Launch& launch = *warp.block->launch;
  if (launch.order == nullptr) return;
  const auto* const members = warp.read<std::uint32_t>(in.at[0]);
  while (mask != 0) {
    const std::uint32_t wanted = members[std::countr_zero(mask)];
    std::uint32_t together = 0;
    for (unsigned i = 0; i < lanes; ++i)
      if ((mask >> i & 1) != 0 && members[i] == wanted) together |= 1U << i;
    launch.order->warp_barrier(warp.block->clocks, warp.number, together);
    mask &= ~together;
  }
}

void add_together(Table& table, const std::string& name, const char* signature, Handler handler,
                  std::uint8_t members) {
  table.add(name, signature, handler, Control::together).members = members;
}

template <class T>
void add_reductions(Table& table, const std::string& type) {
  const auto add = [&](const std::string& operation, Handler handler) {
    add_together(table, "redux.sync." + operation + "." + type, "=4 4 4", handler, 2);
  };
  add("add",
      &reduce<[](T a, T b) { return static_cast<T>(std::uint32_t(a) + std::uint32_t(b)); }, T>);
  add("min", &reduce<[](T a, T b) { return a < b ? a : b; }, T>);
  add("max", &reduce<[](T a, T b) { return a < b ? b : a; }, T>);
}

}  // namespace

void add_warp_forms(Table& table) {
  add_together(table, "shfl.sync.up.b32", "=4| 4 4 4 4", &shuffle<Shuffle::up>, 5);
  add_together(table, "shfl.sync.down.b32", "=4| 4 4 4 4", &shuffle<Shuffle::down>, 5);
  add_together(table, "shfl.sync.bfly.b32", "=4| 4 4 4 4", &shuffle<Shuffle::bfly>, 5);
  add_together(table, "shfl.sync.idx.b32", "=4| 4 4 4 4", &shuffle<Shuffle::idx>, 5);
  add_together(table, "vote.sync.all.pred", "=p p 4", &take_vote<Vote::all>, 2);
  add_together(table, "vote.sync.any.pred", "=p p 4", &take_vote<Vote::any>, 2);
  add_together(table, "vote.sync.uni.pred", "=p p 4", &take_vote<Vote::uni>, 2);
  add_together(table, "vote.sync.ballot.b32", "=4 p 4", &take_vote<Vote::ballot>, 2);
  add_together(table, "match.any.sync.b32", "=4 4 4", &match<std::uint32_t, false>, 2);
  add_together(table, "match.any.sync.b64", "=4 8 4", &match<std::uint64_t, false>, 2);
  add_together(table, "match.all.sync.b32", "=4| 4 4", &match<std::uint32_t, true>, 3);
  add_together(table, "match.all.sync.b64", "=4| 8 4", &match<std::uint64_t, true>, 3);
  add_reductions<std::int32_t>(table, "s32"), add_reductions<std::uint32_t>(table, "u32");
  using U = std::uint32_t;
  add_together(table, "redux.sync.and.b32", "=4 4 4", &reduce<[](U a, U b) { return a & b; }, U>,
               2);
  add_together(table, "redux.sync.or.b32", "=4 4 4", &reduce<[](U a, U b) { return a | b; }, U>, 2);
  add_together(table, "redux.sync.xor.b32", "=4 4 4", &reduce<[](U a, U b) { return a ^ b; }, U>,
               2);
  add_together(table, "bar.warp.sync", "4", &synchronise, 0);
  add_together(table, "elect.sync", "=4| 4", &elect, 2);
  table.add("activemask.b32", "=4", &active);
}

}  // namespace abn::ptx
