// setp, set and selp. A setp may combine its result with a predicate, and may give the negation of
// the comparison, too: %p|%q.
#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/forms/narrow.hpp"
#include "cuda/ptx/forms/rounding.hpp"

namespace abn::ptx {
namespace {

enum class Compare : std::uint8_t {
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  equ,
  neu,
  ltu,
  leu,
  gtu,
  geu,
  num,
  nan
};
enum class Combine : std::uint8_t { none, conjunction, disjunction, exclusive };

constexpr const char* names[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
                                 "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};

template <Compare compare, class T>
bool holds(T a, T b) {
  bool unordered = false;
  if constexpr (std::is_floating_point_v<T>) unordered = a != a || b != b;
  switch (compare) {
    case Compare::eq:
      return a == b;
    case Compare::ne:
      return a != b && !unordered;
    case Compare::lt:
      return a < b;
    case Compare::le:
      return a <= b;
    case Compare::gt:
      return a > b;
    case Compare::ge:
      return a >= b;
    case Compare::equ:
      return a == b || unordered;
    case Compare::neu:
      return a != b;
    case Compare::ltu:
      return !(a >= b);
    case Compare::leu:
      return !(a > b);
    case Compare::gtu:
      return !(a <= b);
    case Compare::geu:
      return !(a < b);
    case Compare::num:
      return !unordered;
    case Compare::nan:
      return unordered;
  }
}

/// A type of 16 bits is compared in f32, which holds it exactly.
template <class T>
auto comparable(T value) {
  if constexpr (std::is_arithmetic_v<T>)
    return value;
  else
    return wide(value);
}

void combine_lanes(Combine combine, const std::uint32_t* other, std::uint32_t* values) {
  for (unsigned i = 0; i < lanes; ++i)
    values[i] = combine == Combine::conjunction   ? values[i] & other[i]
                : combine == Combine::disjunction ? values[i] | other[i]
                                                  : values[i] ^ other[i];
}

template <class T, Compare compare, bool ftz>
void compare_lanes(Warp& warp, const Instruction& in, std::uint32_t mask) {
  using Container = typename Lane<T>::Container;
  const auto *const a = warp.read<Container>(in.at[2]), *const b = warp.read<Container>(in.at[3]);
  alignas(64) std::uint32_t first[lanes], second[lanes];
  for (unsigned i = 0; i < lanes; ++i) {
    auto x = comparable(Lane<T>::from(a[i])), y = comparable(Lane<T>::from(b[i]));
    if constexpr (ftz) x = flush(x), y = flush(y);
    first[i] = holds<compare>(x, y) ? full_mask : 0;
    second[i] = ~first[i];
  }
  const auto combine = static_cast<Combine>(in.form->variant);
  if (combine != Combine::none) {
    const auto* const other = warp.read<std::uint32_t>(in.at[4]);
    combine_lanes(combine, other, first), combine_lanes(combine, other, second);
  }
  if (in.at[0].present()) store(warp.write<std::uint32_t>(in.at[0]), first, mask);
  if (in.at[1].present()) store(warp.write<std::uint32_t>(in.at[1]), second, mask);
}

template <class T, bool ftz, Compare compare>
void add_row(Table& table, const std::string& type) {
  const std::string head = std::string("setp.") + names[static_cast<int>(compare)];
  const std::string tail = (ftz ? ".ftz." : ".") + type;
  const std::string sources = std::string(" ") + Lane<T>::letter + " " + Lane<T>::letter;
  const Handler handler = &compare_lanes<T, compare, ftz>;
  table.add(head + tail, "=p|" + sources, handler);
  const auto combined = [&](const char* name, Combine combine) {
    table.add(head + name + tail, "=p|" + sources + " p", handler).variant =
        static_cast<std::uint8_t>(combine);
  };
  combined(".and", Combine::conjunction), combined(".or", Combine::disjunction);
  combined(".xor", Combine::exclusive);
}

template <class T, bool ftz, Compare... compare>
void add_rows(Table& table, const std::string& type) {
  (add_row<T, ftz, compare>(table, type), ...);
}
template <class T>
void add_integer_rows(Table& table, const std::string& type) {
  using enum Compare;
  add_rows<T, false, eq, ne, lt, le, gt, ge>(table, type);
}
template <class T, bool ftz = false>
void add_float_rows(Table& table, const std::string& type) {
  using enum Compare;
  add_rows<T, ftz, eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan>(table, type);
}

/// set.CMP.type.type of two halves: 1.0 where it holds, else 0.
template <Compare compare>
void add_set_row(Table& table) {
  const std::string head = std::string("set.") + names[static_cast<int>(compare)];
  add_map<[](float a, float b) { return holds<compare>(a, b) ? full_mask : 0U; }>(
      table, head + ".u32.f32");
  add_map<[](F16 a, F16 b) {
    return F16{static_cast<std::uint16_t>(holds<compare>(wide(a), wide(b)) ? 0x3c00 : 0)};
  }>(table, head + ".f16.f16");
  add_map<[](std::uint32_t a, std::uint32_t b) {
    std::uint32_t pair = 0;
    for (unsigned at = 0; at < 32; at += 16)
      if (holds<compare>(wide(F16{static_cast<std::uint16_t>(a >> at)}),
                         wide(F16{static_cast<std::uint16_t>(b >> at)})))
        pair |= 0x3c00U << at;
    return pair;
  }>(table, head + ".f16x2.f16x2");
}
template <Compare... compare>
void add_set_rows(Table& table) {
  (add_set_row<compare>(table), ...);
}

template <class T>
void add_selection(Table& table, const char* type) {
  add_map<[](T a, T b, bool which) { return which ? a : b; }>(table, std::string("selp.") + type);
}

}  // namespace

void add_comparison_forms(Table& table) {
  using enum Compare;
  add_integer_rows<std::int16_t>(table, "s16"), add_integer_rows<std::uint16_t>(table, "u16");
  add_integer_rows<std::int32_t>(table, "s32"), add_integer_rows<std::uint32_t>(table, "u32");
  add_integer_rows<std::int64_t>(table, "s64"), add_integer_rows<std::uint64_t>(table, "u64");
  add_rows<std::uint16_t, false, eq, ne>(table, "b16");
  add_rows<std::uint32_t, false, eq, ne>(table, "b32");
  add_rows<std::uint64_t, false, eq, ne>(table, "b64");
  add_float_rows<float>(table, "f32"), add_float_rows<float, true>(table, "f32");
  add_float_rows<double>(table, "f64");
  add_float_rows<F16>(table, "f16"), add_float_rows<Bf16>(table, "bf16");
  add_set_rows<eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan>(table);
  for (const char* type : {"b16", "u16", "s16"}) add_selection<std::uint16_t>(table, type);
  for (const char* type : {"b32", "u32", "s32", "f32"}) add_selection<std::uint32_t>(table, type);
  for (const char* type : {"b64", "u64", "s64", "f64"}) add_selection<std::uint64_t>(table, type);
}

}  // namespace abn::ptx
