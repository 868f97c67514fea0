// mbarrier objects, bulk copies and st.async. An object is the 8 bytes that the kernel gives it:
//
//   bits 0 to 19  arrivals of a phase       20 to 39  those that are still to come
//   bits 40 to 61 bytes still to come, signed          62  parity of the phase       63  always 0
//
// Fresh shared memory is all ones, so bit 63 tells what was never initialised. Bulk copies land
// when somebody polls for them, which is as late as they may.
#include <algorithm>

#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/state/access.hpp"
#include "cuda/ptx/state/copies.hpp"

namespace abn::ptx {
namespace {

constexpr std::uint32_t most_arrivals = (1U << 20) - 1;
constexpr std::int64_t most_bytes = (1 << 20) - 1;  // that a phase may wait for

struct State {
  std::uint32_t expected = 0, pending = 0;
  std::int64_t bytes = 0;
  bool parity = false, valid = false;

  static State from(std::uint64_t bits) {
    State state;
    state.expected = static_cast<std::uint32_t>(bits & most_arrivals);
    state.pending = static_cast<std::uint32_t>(bits >> 20 & most_arrivals);
    state.bytes = static_cast<std::int64_t>(bits << 2) >> 42;
    state.parity = (bits >> 62 & 1) != 0, state.valid = bits >> 63 == 0;
    return state;
  }
  std::uint64_t bits() const {
    return expected | std::uint64_t{pending} << 20 |
           (static_cast<std::uint64_t>(bytes) & ((std::uint64_t{1} << 22) - 1)) << 40 |
           std::uint64_t{parity} << 62;
  }
  /// A phase ends when nobody and nothing is missing.
  void settle() {
    if (pending == 0 && bytes == 0) parity = !parity, pending = expected;
  }
};

std::uint64_t address_at(const Warp& warp, const Instruction& in, std::size_t operand,
                         std::uint64_t offset, unsigned lane) {
  if ((in.wide >> operand & 1) != 0) return warp.read<std::uint64_t>(in.at[operand])[lane] + offset;
  return static_cast<std::uint32_t>(warp.read<std::uint32_t>(in.at[operand])[lane] + offset);
}

/// As an offset in the shared window, whichever space the form says.
std::uint64_t shared_address(Warp& warp, const Instruction& in, unsigned lane,
                             std::uint64_t address) {
  if (address >= shared_window && address < local_window) return address - shared_window;
  if (address >= std::uint64_t{1} << 32)
    stop(warp, in, lane, emulator::mbarrier_misuse, "an address that is not in shared memory");
  return address;
}

std::byte* object(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t address,
                  Use use) {
  return reach(warp, in, lane, Space::generic,
               shared_window + shared_address(warp, in, lane, address), 8, use);
}

/// What is known of the mbarrier, where accesses are looked at.
Handover& handover_of(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t address) {
  std::uint64_t place = shared_address(warp, in, lane, address);
  Block& block = block_at(warp, in, lane, place, true);
  return block.clocks.mbarriers[static_cast<std::uint32_t>(place)];
}

/// Only a block itself may initialise its mbarriers and wait at them.
void check_own(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t address,
               const char* what) {
  std::uint64_t place = shared_address(warp, in, lane, address);
  if (&block_at(warp, in, lane, place, true) != warp.block)
    stop(warp, in, lane, emulator::mbarrier_misuse, std::string(what) + " a peer's mbarrier");
}

template <class Function>
void change(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t address,
            const Function& function) {
  std::byte* const at = object(warp, in, lane, address, Use::object);
  std::uint64_t bits = 0;
  std::memcpy(&bits, at, sizeof bits);
  State state = State::from(bits);
  if (!state.valid)
    stop(warp, in, lane, emulator::mbarrier_misuse, "an mbarrier that was never initialised");
  const bool phase = state.parity;
  function(state);
  Order* const order = warp.block->launch->order.get();
  if (order != nullptr && state.parity != phase) {
    Handover& handover = handover_of(warp, in, lane, address);
    handover.done = handover.now.view(order->threads());
    handover.now.clear();
  }
  bits = state.bits();
  std::memcpy(at, &bits, sizeof bits);
  warp.block->launch->idle = 0;
}

void initialise(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto* const counts = warp.read<std::uint32_t>(in.at[1]);
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    if (counts[lane] == 0 || counts[lane] > most_arrivals)
      stop(warp, in, lane, emulator::mbarrier_misuse,
           "an mbarrier for " + std::to_string(counts[lane]) + " arrivals");
    State state;
    state.expected = state.pending = counts[lane];
    const std::uint64_t bits = state.bits();
    const std::uint64_t address = address_at(warp, in, 0, in.offset, lane);
    check_own(warp, in, lane, address, "a thread initialises");
    std::memcpy(object(warp, in, lane, address, Use::write), &bits, sizeof bits);
    if (warp.block->launch->order == nullptr) continue;
    Handover& handover = handover_of(warp, in, lane, address);
    if (handover.initialised_by != 0)
      stop(warp, in, lane, emulator::mbarrier_misuse,
           "an mbarrier is initialised once more and was not invalidated before");
    handover = {};
    handover.initialised_by = warp.block->clocks.moment(warp.number * lanes + lane).who;
  }
}

void invalidate(Warp& warp, const Instruction& in, std::uint32_t mask) {
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((mask >> lane & 1) != 0) {
      const std::uint64_t address = address_at(warp, in, 0, in.offset, lane);
      change(warp, in, lane, address, [](State&) {});
      std::memset(object(warp, in, lane, address, Use::object), 0xff, 8);
      if (warp.block->launch->order != nullptr) handover_of(warp, in, lane, address) = {};
    }
}

enum class Arrive : std::uint8_t { plain, expect, drop, only_expect };

/// Operands: a state, which may be a sink; [mbarrier]; and a count of arrivals or bytes.
template <Arrive kind>
void arrive(Warp& warp, const Instruction& in, std::uint32_t mask) {
  constexpr std::size_t first = kind == Arrive::only_expect ? 0 : 1;
  alignas(64) std::uint64_t states[lanes] = {};
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const std::uint32_t given =
        in.at[first + 1].present() ? warp.read<std::uint32_t>(in.at[first + 1])[lane] : 1;
    const std::uint64_t address = address_at(warp, in, first, in.offset, lane);
    const bool relaxed = (in.flags & flag_ordered) != 0 && (in.flags & flag_releases) == 0;
    change(warp, in, lane, address, [&](State& state) {
      if (Order* const order = warp.block->launch->order.get();
          order != nullptr && kind != Arrive::only_expect && !relaxed)
        order->release(warp.block->clocks, warp.number, 1U << lane,
                       handover_of(warp, in, lane, address).now);
      states[lane] = state.bits();
      if (kind == Arrive::expect || kind == Arrive::only_expect) state.bytes += given;
      if (state.bytes > most_bytes)
        stop(warp, in, lane, emulator::mbarrier_misuse,
             "a phase that is to wait for " + std::to_string(state.bytes) +
                 " bytes, and 1048575 are the most");
      if (kind == Arrive::only_expect) return;
      const std::uint32_t arrivals = kind == Arrive::expect ? 1 : given;
      if (arrivals > state.pending)
        stop(warp, in, lane, emulator::mbarrier_misuse,
             std::to_string(arrivals) + " arrivals, and only " + std::to_string(state.pending) +
                 " are missing");
      state.pending -= arrivals;
      if (kind == Arrive::drop) state.expected -= std::min(arrivals, state.expected);
      state.settle();
    });
  }
  if (first == 1 && in.at[0].present()) store(warp.write<std::uint64_t>(in.at[0]), states, mask);
}

void count_bytes(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t address,
                 std::uint32_t bytes, const Moment& copy) {
  change(warp, in, lane, address, [&](State& state) {
    if (copy.who != 0) handover_of(warp, in, lane, address).now.add({{copy.who, copy.time + 1}});
    state.bytes -= bytes;
    state.settle();
  });
}

void complete(Warp& warp, const Instruction& in, std::uint32_t mask) {
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((mask >> lane & 1) != 0)
      count_bytes(warp, in, lane, address_at(warp, in, 0, in.offset, lane),
                  warp.read<std::uint32_t>(in.at[1])[lane], {});
}

/// A predicate, [mbarrier], and the parity of the phase that is waited for, or a state of it.
template <bool by_parity>
void poll(Warp& warp, const Instruction& in, std::uint32_t mask) {
  alignas(64) std::uint32_t out[lanes] = {};
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    std::uint64_t address =
        shared_address(warp, in, lane, address_at(warp, in, 1, in.offset, lane));
    check_own(warp, in, lane, address, "a thread waits at");
    const bool waited_for = by_parity
                                ? (warp.read<std::uint32_t>(in.at[2])[lane] & 1) != 0
                                : State::from(warp.read<std::uint64_t>(in.at[2])[lane]).parity;
    const auto over = [&] {
      std::uint64_t bits = 0;
      std::memcpy(&bits, object(warp, in, lane, address, Use::object), sizeof bits);
      const State state = State::from(bits);
      if (!state.valid)
        stop(warp, in, lane, emulator::mbarrier_misuse,
             "a wait at an mbarrier that was never initialised");
      return state.parity != waited_for;
    };
    bool done = over();
    if (!done) {
      std::uint64_t offset = address;
      Block& block = block_at(warp, in, lane, offset, true);
      while (!done && land_bulk(warp, block, static_cast<std::uint32_t>(offset))) done = over();
    }
    out[lane] = done ? full_mask : 0;
    if (Order* const order = warp.block->launch->order.get(); order != nullptr && done)
      order->learn(warp.block->clocks, warp.number * lanes + lane,
                   handover_of(warp, in, lane, address).done);
  }
  store(warp.write<std::uint32_t>(in.at[0]), out, mask);
}

void pending_count(Warp& warp, const Instruction& in, std::uint32_t mask) {
  alignas(64) std::uint32_t out[lanes];
  const auto* const states = warp.read<std::uint64_t>(in.at[1]);
  for (unsigned lane = 0; lane < lanes; ++lane) out[lane] = State::from(states[lane]).pending;
  store(warp.write<std::uint32_t>(in.at[0]), out, mask);
}

/// Asynchronous stores arrive at once: [peer], values, [peer's mbarrier].
template <class T, unsigned count>
void store_async(Warp& warp, const Instruction& in, std::uint32_t mask) {
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const std::uint64_t to =
        shared_address(warp, in, lane, address_at(warp, in, 0, in.offset, lane));
    const std::uint64_t mbarrier = address_at(warp, in, 1 + count, in.second_offset, lane);
    Launch& launch = *warp.block->launch;
    Moment copy{};
    View view{};
    if (launch.order != nullptr) {
      std::uint64_t place = shared_address(warp, in, lane, mbarrier);
      const Block& peer = block_at(warp, in, lane, place, true);
      copy = {who_is(peer.number, Actor::counted, static_cast<std::uint32_t>(place / 8)),
              ++handover_of(warp, in, lane, mbarrier).copies};
      view = launch.order->hand_over(warp.block->clocks, warp.number * lanes + lane);
    }
    std::byte* const at = [&] {
      const Landing landing(launch, copy, view);
      return reach(warp, in, lane, Space::generic, shared_window + to, sizeof(T) * count,
                   Use::write);
    }();
    for (unsigned part = 0; part < count; ++part) {
      const T value = static_cast<T>(warp.read<typename Lane<T>::Container>(in.at[1 + part])[lane]);
      std::memcpy(at + part * sizeof(T), &value, sizeof value);
    }
    count_bytes(warp, in, lane, mbarrier, sizeof(T) * count, copy);
  }
}

}  // namespace

void add_mbarrier_forms(Table& table) {
  for (const std::string space : {"", ".shared", ".shared::cluster"}) {
    const auto add = [&](const std::string& name, const char* signature, Handler handler,
                         Control control = Control::none) {
      table.add("mbarrier." + name + space + ".b64", signature, handler, control).space =
          space.empty() ? Space::generic : Space::shared;
    };
    add("arrive", "=8 @ ?4", &arrive<Arrive::plain>);
    add("arrive.expect_tx", "=8 @ 4", &arrive<Arrive::expect>);
    add("arrive_drop", "=8 @ ?4", &arrive<Arrive::drop>);
    add("expect_tx", "@ 4", &arrive<Arrive::only_expect>);
    add("complete_tx", "@ 4", &complete);
    if (space == ".shared::cluster") continue;
    add("init", "@ 4", &initialise);
    add("inval", "@", &invalidate);
    add("test_wait", "=p @ 8", &poll<false>, Control::pause);
    add("test_wait.parity", "=p @ 4", &poll<true>, Control::pause);
    add("try_wait", "=p @ 8 ?4", &poll<false>, Control::pause);
    add("try_wait.parity", "=p @ 4 ?4", &poll<true>, Control::pause);
  }
  table.add("mbarrier.pending_count.b64", "=4 8", &pending_count);
  const auto add_store = [&](const char* type, const char* signature, Handler handler) {
    table
        .add(std::string("st.async.shared::cluster.mbarrier::complete_tx::bytes.") + type,
             signature, handler)
        .space = Space::shared;
  };
  for (const char* type : {"b32", "u32", "s32", "f32"}) {
    add_store(type, "@ 4 @", &store_async<std::uint32_t, 1>);
    add_store((std::string("v2.") + type).c_str(), "@ 4x2 @", &store_async<std::uint32_t, 2>);
    add_store((std::string("v4.") + type).c_str(), "@ 4x4 @", &store_async<std::uint32_t, 4>);
  }
  for (const char* type : {"b64", "u64", "s64", "f64"}) {
    add_store(type, "@ 8 @", &store_async<std::uint64_t, 1>);
    add_store((std::string("v2.") + type).c_str(), "@ 8x2 @", &store_async<std::uint64_t, 2>);
  }
}

/// Bytes that arrived, for copies.
void count_at_mbarrier(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t address,
                       std::uint32_t bytes, const Moment& copy) {
  count_bytes(warp, in, lane, address, bytes, copy);
}

}  // namespace abn::ptx
