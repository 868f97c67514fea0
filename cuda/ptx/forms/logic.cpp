// and, or, xor, not, cnot, lop3, shifts, funnel shifts and byte permutations.
#include "cuda/ptx/forms/lanes.hpp"

namespace abn::ptx {
namespace {

template <class T>
void add_bitwise(Table& table, const std::string& type) {
  add_map<[](T a, T b) { return static_cast<T>(a & b); }>(table, "and." + type);
  add_map<[](T a, T b) { return static_cast<T>(a | b); }>(table, "or." + type);
  add_map<[](T a, T b) { return static_cast<T>(a ^ b); }>(table, "xor." + type);
  if constexpr (std::is_same_v<T, bool>) {
    add_map<[](bool a) { return !a; }>(table, "not.pred");
  } else {
    add_map<[](T a) { return static_cast<T>(~a); }>(table, "not." + type);
    add_map<[](T a) { return static_cast<T>(a == 0 ? 1 : 0); }>(table, "cnot." + type);
    // A shift by the width or more leaves nothing.
    add_map<[](T a, std::uint32_t by) {
      return by >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << by);
    }>(table, "shl." + type);
  }
}

template <class T>
void add_right_shift(Table& table, const std::string& type) {
  add_map<[](T a, std::uint32_t by) {
    constexpr std::uint32_t width = 8 * sizeof(T);
    if constexpr (std::is_signed_v<T>)
      return static_cast<T>(a >> (by >= width ? width - 1 : by));
    else
      return by >= width ? T{0} : static_cast<T>(a >> by);
  }>(table, "shr." + type);
}

/// 32 bits out of two words, moved by `by`.
std::uint32_t funnel(std::uint32_t low, std::uint32_t high, std::uint32_t by, bool left) {
  const std::uint64_t pair = std::uint64_t{high} << 32 | low;
  return static_cast<std::uint32_t>(left ? pair << by >> 32 : pair >> by);
}

/// The general mode of prmt: each nibble of the selector names a byte, or (bit 3) its sign.
std::uint32_t permuted(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
  const std::uint64_t bytes = std::uint64_t{b} << 32 | a;
  std::uint32_t result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const std::uint32_t choice = selector >> 4 * i & 0xf;
    std::uint32_t byte = static_cast<std::uint32_t>(bytes >> 8 * (choice & 7)) & 0xff;
    if ((choice & 8) != 0) byte = (byte & 0x80) != 0 ? 0xff : 0;
    result |= byte << 8 * i;
  }
  return result;
}

}  // namespace

void add_logic_forms(Table& table) {
  add_bitwise<bool>(table, "pred"), add_bitwise<std::uint16_t>(table, "b16");
  add_bitwise<std::uint32_t>(table, "b32"), add_bitwise<std::uint64_t>(table, "b64");
  add_right_shift<std::uint16_t>(table, "u16"), add_right_shift<std::uint16_t>(table, "b16");
  add_right_shift<std::uint32_t>(table, "u32"), add_right_shift<std::uint32_t>(table, "b32");
  add_right_shift<std::uint64_t>(table, "u64"), add_right_shift<std::uint64_t>(table, "b64");
  add_right_shift<std::int16_t>(table, "s16"), add_right_shift<std::int32_t>(table, "s32");
  add_right_shift<std::int64_t>(table, "s64");
  using U = std::uint32_t;
  add_map<[](U a, U b, U by) { return funnel(a, b, by & 31, true); }>(table, "shf.l.wrap.b32");
  add_map<[](U a, U b, U by) { return funnel(a, b, by & 31, false); }>(table, "shf.r.wrap.b32");
  add_map<[](U a, U b, U by) { return funnel(a, b, by > 32 ? 32 : by, true); }>(table,
                                                                                "shf.l.clamp.b32");
  add_map<[](U a, U b, U by) { return funnel(a, b, by > 32 ? 32 : by, false); }>(table,
                                                                                 "shf.r.clamp.b32");
  add_map<[](U a, U b, U c) { return permuted(a, b, c); }>(table, "prmt.b32");
  // Bit i of the table is the result for the bits (a, b, c) = i.
  add_map<[](U a, U b, U c, U rows) {
    U result = 0;
    for (unsigned row = 0; row < 8; ++row)
      if ((rows >> row & 1) != 0)
        result |= ((row & 4) != 0 ? a : ~a) & ((row & 2) != 0 ? b : ~b) & ((row & 1) != 0 ? c : ~c);
    return result;
  }>(table, "lop3.b32");
}

}  // namespace abn::ptx
