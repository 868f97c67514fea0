// Integer arithmetic: add, sub, mul, mad, div, rem, min, max, abs, neg, shifts of sums, and the bit
// counts. Division by zero is unspecified in PTX; here it gives all ones, and rem the dividend.
#include <limits>

#include "cuda/ptx/forms/lanes.hpp"

namespace abn::ptx {
namespace {

template <class T>
using Unsigned = std::make_unsigned_t<T>;

// Sums wrap around, so they are formed without a sign.
template <class T>
T plus(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b));
}
template <class T>
T minus(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b));
}
template <class T>
T times(T a, T b) {
  // 16 bits would be promoted to an int, which overflows.
  using Wide = std::conditional_t<sizeof(T) < 4, std::uint32_t, Unsigned<T>>;
  return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b));
}

template <class T>
using Twice =
    std::conditional_t<sizeof(T) == 2,
                       std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>,
                       std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>;
__extension__ using Int128 = __int128;
__extension__ using Unsigned128 = unsigned __int128;

template <class T>
T upper(T a, T b) {
  if constexpr (sizeof(T) == 8) {
    using Wide = std::conditional_t<std::is_signed_v<T>, Int128, Unsigned128>;
    return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b) >> 64);
  } else {
    return static_cast<T>(static_cast<Twice<T>>(a) * static_cast<Twice<T>>(b) >> 8 * sizeof(T));
  }
}

template <class T>
T quotient(T a, T b) {
  if (b == 0) return static_cast<T>(-1);
  if constexpr (std::is_signed_v<T>)
    if (b == -1) return minus<T>(0, a);
  return static_cast<T>(a / b);
}
template <class T>
T remainder(T a, T b) {
  if (b == 0) return a;
  if constexpr (std::is_signed_v<T>)
    if (b == -1) return 0;
  return static_cast<T>(a % b);
}

template <class T>
void add_rows(Table& table, const std::string& type) {
  add_map<[](T a, T b) { return plus(a, b); }>(table, "add." + type);
  add_map<[](T a, T b) { return minus(a, b); }>(table, "sub." + type);
  add_map<[](T a, T b) { return times(a, b); }>(table, "mul.lo." + type);
  add_map<[](T a, T b) { return upper(a, b); }>(table, "mul.hi." + type);
  add_map<[](T a, T b, T c) { return plus(times(a, b), c); }>(table, "mad.lo." + type);
  add_map<[](T a, T b, T c) { return plus(upper(a, b), c); }>(table, "mad.hi." + type);
  add_map<[](T a, T b) { return quotient(a, b); }>(table, "div." + type);
  add_map<[](T a, T b) { return remainder(a, b); }>(table, "rem." + type);
  add_map<[](T a, T b) { return a < b ? a : b; }>(table, "min." + type);
  add_map<[](T a, T b) { return b < a ? a : b; }>(table, "max." + type);
  if constexpr (std::is_signed_v<T>) {
    add_map<[](T a) { return a < 0 ? minus<T>(0, a) : a; }>(table, "abs." + type);
    add_map<[](T a) { return minus<T>(0, a); }>(table, "neg." + type);
  }
  if constexpr (sizeof(T) < 8) {
    using Wide = Twice<T>;
    add_map<[](T a, T b) { return times<Wide>(a, b); }>(table, "mul.wide." + type);
    add_map<[](T a, T b, Wide c) { return plus(times<Wide>(a, b), c); }>(table, "mad.wide." + type);
  }
}

template <class T>
T saturated(std::int64_t value) {
  constexpr std::int64_t least = std::numeric_limits<T>::min(),
                         most = std::numeric_limits<T>::max();
  return static_cast<T>(value < least ? least : value > most ? most : value);
}

template <class T>
T reversed(T a) {
  T result = 0;
  for (unsigned i = 0; i < 8 * sizeof(T); ++i)
    result = static_cast<T>(result | (a >> i & 1) << (8 * sizeof(T) - 1 - i));
  return result;
}

/// Position and length count as bytes: more than the width is the whole width.
template <class T>
T inserted(T a, T b, std::uint32_t position, std::uint32_t length) {
  constexpr std::uint32_t width = 8 * sizeof(T);
  position &= 0xff, length &= 0xff;
  T field = length >= width ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << length) - 1);
  field = position >= width ? T{0} : static_cast<T>(field << position);
  const T moved = position >= width ? T{0} : static_cast<T>(a << position);
  return static_cast<T>((b & ~field) | (moved & field));
}

/// Beyond the top lies the sign, or 0.
template <class T>
T extracted(T a, std::uint32_t position, std::uint32_t length) {
  constexpr std::uint32_t width = 8 * sizeof(T);
  using U = Unsigned<T>;
  position &= 0xff, length &= 0xff;
  const std::uint32_t end = position + length;
  const std::uint32_t top = end < width + 1 ? end - 1 : width - 1;
  const bool sign = std::is_signed_v<T> && length > 0 && (static_cast<U>(a) >> top & 1) != 0;
  const U shifted = position >= width ? U{0} : static_cast<U>(static_cast<U>(a) >> position);
  const std::uint32_t kept = position >= width ? 0 : end > width ? width - position : length;
  const U low = kept >= width ? static_cast<U>(~U{0}) : static_cast<U>((U{1} << kept) - 1);
  return static_cast<T>((shifted & low) | (sign ? static_cast<U>(~low) : U{0}));
}

template <class T>
void add_bit_rows(Table& table, const std::string& bits) {
  add_map<[](T a) { return static_cast<std::uint32_t>(std::popcount(a)); }>(table, "popc." + bits);
  add_map<[](T a) { return static_cast<std::uint32_t>(std::countl_zero(a)); }>(table,
                                                                               "clz." + bits);
  add_map<[](T a) { return reversed(a); }>(table, "brev." + bits);
  add_map<[](T a, T b, std::uint32_t position, std::uint32_t length) {
    return inserted(a, b, position, length);
  }>(table, "bfi." + bits);
}

template <class T>
void add_extract_row(Table& table, const std::string& type) {
  add_map<[](T a, std::uint32_t position, std::uint32_t length) {
    return extracted(a, position, length);
  }>(table, "bfe." + type);
}

}  // namespace

void add_integer_forms(Table& table) {
  add_rows<std::int16_t>(table, "s16"), add_rows<std::uint16_t>(table, "u16");
  add_rows<std::int32_t>(table, "s32"), add_rows<std::uint32_t>(table, "u32");
  add_rows<std::int64_t>(table, "s64"), add_rows<std::uint64_t>(table, "u64");
  add_map<[](std::int32_t a, std::int32_t b) {
    return saturated<std::int32_t>(std::int64_t{a} + b);
  }>(table, "add.sat.s32");
  add_map<[](std::int32_t a, std::int32_t b) {
    return saturated<std::int32_t>(std::int64_t{a} - b);
  }>(table, "sub.sat.s32");
  add_bit_rows<std::uint32_t>(table, "b32"), add_bit_rows<std::uint64_t>(table, "b64");
  add_extract_row<std::int32_t>(table, "s32"), add_extract_row<std::uint32_t>(table, "u32");
  add_extract_row<std::int64_t>(table, "s64"), add_extract_row<std::uint64_t>(table, "u64");
}

}  // namespace abn::ptx
