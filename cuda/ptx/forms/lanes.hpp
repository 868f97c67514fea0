// Handlers of instructions that only compute: a function of one lane becomes one of 32. The
// function is applied to all lanes, which compilers vectorise, and stored where the mask says so;
// so it must not trap, whatever idle lanes hold.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "cuda/ptx/state/warp.hpp"

namespace abn::ptx {

/// Values that are bits of a type of their own, so that a signature can be told from them.
struct F16 {
  std::uint16_t bits;
};
struct Bf16 {
  std::uint16_t bits;
};

/// How a value lies in a register, and how it is written in a signature.
template <class T>
struct Lane {
  static_assert(std::is_arithmetic_v<T>);
  using Container = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  static T from(Container bits) {
    if constexpr (std::is_floating_point_v<T>)
      return std::bit_cast<T>(bits);
    else
      return static_cast<T>(bits);
  }
  static Container to(T value) {
    if constexpr (std::is_floating_point_v<T>)
      return std::bit_cast<Container>(value);
    else
      return static_cast<std::make_unsigned_t<T>>(value);
  }
  static constexpr char letter = static_cast<char>('0' + sizeof(T));
};
template <>
struct Lane<bool> {
  using Container = std::uint32_t;
  static bool from(std::uint32_t bits) { return bits != 0; }
  static std::uint32_t to(bool value) { return value ? full_mask : 0; }
  static constexpr char letter = 'p';
};
template <class Bits>
struct Lane16 {
  using Container = std::uint32_t;
  static Bits from(std::uint32_t bits) { return {static_cast<std::uint16_t>(bits)}; }
  static std::uint32_t to(Bits value) { return value.bits; }
  static constexpr char letter = '2';
};
template <>
struct Lane<F16> : Lane16<F16> {};
template <>
struct Lane<Bf16> : Lane16<Bf16> {};

/// Every lane of the mask as all bits or none.
template <class Container>
inline void spread(std::uint32_t mask, Container* to) {
  for (unsigned i = 0; i < lanes; ++i)
    to[i] = static_cast<Container>(-static_cast<Container>(mask >> i & 1));
}

template <class Container>
inline void store(Container* to, const Container* from, std::uint32_t mask) {
  if (mask == full_mask) {
    std::memcpy(to, from, lanes * sizeof(Container));
    return;
  }
  alignas(64) Container active[lanes];
  spread(mask, active);
  for (unsigned i = 0; i < lanes; ++i) to[i] = (from[i] & active[i]) | (to[i] & ~active[i]);
}

/// Stores integers into a register that may be wider than their type: extended by their sign or by
/// zeros, and cut to the register.
template <class T>
inline void store_extended(Warp& warp, const Instruction& in, std::size_t operand,
                           std::uint32_t register_bytes, const T* from, std::uint32_t mask) {
  const Place place = in.at[operand];
  if ((in.wide >> operand & 1) != 0) {
    alignas(64) std::uint64_t out[lanes];
    for (unsigned i = 0; i < lanes; ++i)
      out[i] = static_cast<std::uint64_t>(static_cast<std::int64_t>(from[i]));
    store(warp.write<std::uint64_t>(place), out, mask);
    return;
  }
  alignas(64) std::uint32_t out[lanes];
  const std::uint32_t kept = register_bytes == 2 ? 0xffff : full_mask;
  for (unsigned i = 0; i < lanes; ++i)
    out[i] = static_cast<std::uint32_t>(static_cast<std::int64_t>(from[i])) & kept;
  store(warp.write<std::uint32_t>(place), out, mask);
}

/// One bit a lane.
inline std::uint32_t bits_of(const std::uint32_t* predicate) {
  std::uint32_t bits = 0;
  for (unsigned i = 0; i < lanes; ++i) bits |= (predicate[i] & 1U) << i;
  return bits;
}

template <auto Function, class Result, class... Arguments>
struct Map {
  template <std::size_t... I>
  static void run(Warp& warp, const Instruction& in, std::uint32_t mask,
                  std::index_sequence<I...>) {
    using Container = typename Lane<Result>::Container;
    alignas(64) Container out[lanes];
    const auto apply = [&](const auto*... from) {
      for (unsigned i = 0; i < lanes; ++i)
        out[i] = Lane<Result>::to(Function(Lane<Arguments>::from(from[i])...));
    };
    apply(warp.read<typename Lane<Arguments>::Container>(in.at[I + 1])...);
    store(warp.write<Container>(in.at[0]), out, mask);
  }
  static void handler(Warp& warp, const Instruction& in, std::uint32_t mask) {
    run(warp, in, mask, std::index_sequence_for<Arguments...>{});
  }
  static std::string signature() {
    std::string text = {'=', Lane<Result>::letter};
    ((text += ' ', text += Lane<Arguments>::letter), ...);
    return text;
  }
};

template <auto Function, class Pointer>
struct MapOf;
template <auto Function, class Lambda, class Result, class... Arguments>
struct MapOf<Function, Result (Lambda::*)(Arguments...) const>
    : Map<Function, Result, Arguments...> {};

/// A row for a function of one lane: its types are those of the operands.
template <auto Function>
Form& add_map(Table& table, std::string name) {
  using Of = MapOf<Function, decltype(&std::remove_cvref_t<decltype(Function)>::operator())>;
  return table.add(std::move(name), Of::signature(), &Of::handler);
}

}  // namespace abn::ptx
