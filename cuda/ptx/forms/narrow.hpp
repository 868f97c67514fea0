// f16 and bf16 to and from wider types, in every rounding mode. Results of narrow arithmetic are
// rounded once: sums, products and fused products are formed so that the last rounding decides.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "cuda/ptx/forms/lanes.hpp"

namespace abn::ptx {

enum class Round : std::uint8_t { nearest, zero, down, up };

/// A format of 16 bits: its exponent bits, and what is left for the fraction.
struct Format {
  int exponent_bits, fraction_bits;
  constexpr int bias() const { return (1 << (exponent_bits - 1)) - 1; }
};
template <class T>
inline constexpr Format format_of{5, 10};
template <>
inline constexpr Format format_of<Bf16>{8, 7};

inline constexpr std::uint16_t narrow_nan = 0x7fff;

/// Any double to 16 bits; `sticky` says that the true value lies a little beyond `value`, away from
/// zero, by less than any bit of it.
template <class T, Round mode>
inline std::uint16_t narrow_from(double value, bool sticky = false) {
  constexpr Format format = format_of<T>;
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 63 << 15);
  const int exponent = static_cast<int>(bits >> 52 & 0x7ff);
  constexpr std::uint16_t infinity = ((1 << format.exponent_bits) - 1) << format.fraction_bits;
  if (exponent == 0x7ff)
    return (bits << 12) != 0 ? narrow_nan : static_cast<std::uint16_t>(sign | infinity);
  // The value is whole * 2^(power - 52); a subnormal double is as good as a sticky bit.
  const std::uint64_t whole =
      (bits & ((std::uint64_t{1} << 52) - 1)) | (exponent == 0 ? 0 : std::uint64_t{1} << 52);
  if (whole == 0 && !sticky) return sign;
  const int power = (exponent == 0 ? 1 : exponent) - 1023;
  constexpr int least = 1 - format.bias();
  const int last = (power < least ? least : power) - format.fraction_bits;  // 2^last is one ulp
  const int cut = last - (power - 52);  // how many bits of `whole` go
  std::uint64_t kept = 0, lost = whole, half = std::uint64_t{1} << 62;
  if (cut < 62) {
    kept = whole >> cut, lost = whole & ((std::uint64_t{1} << cut) - 1);
    half = std::uint64_t{1} << (cut - 1);
  }
  const bool inexact = lost != 0 || sticky;
  bool up = false;
  if (mode == Round::nearest)
    up = lost > half || (lost == half && (sticky || (kept & 1) != 0));
  else if (mode == Round::down)
    up = inexact && sign != 0;
  else if (mode == Round::up)
    up = inexact && sign == 0;
  kept += up ? 1 : 0;
  // Exponent and fraction in one number, so that a carry moves into the exponent.
  const std::uint64_t base = power < least ? 0
                                           : static_cast<std::uint64_t>(power + format.bias() - 1)
                                                 << format.fraction_bits;
  const std::uint64_t magnitude = base + kept;
  if (magnitude >= infinity) {
    const bool to_infinity = mode == Round::nearest || (mode == Round::down && sign != 0) ||
                             (mode == Round::up && sign == 0);
    return static_cast<std::uint16_t>(sign | (to_infinity ? infinity : infinity - 1));
  }
  return static_cast<std::uint16_t>(sign | magnitude);
}

inline float wide(Bf16 value) { return std::bit_cast<float>(std::uint32_t{value.bits} << 16); }
inline float wide(F16 value) {
  const std::uint32_t sign = std::uint32_t{value.bits} >> 15 << 31;
  const std::uint32_t magnitude = value.bits & 0x7fffU;
  // Scaled by a power of two, which is exact for subnormals as well.
  const std::uint32_t moved = magnitude << 13;
  const float scaled = std::bit_cast<float>(moved) * 0x1p112f;
  const std::uint32_t special = moved | 0x7f800000U;
  const std::uint32_t finite = std::bit_cast<std::uint32_t>(scaled);
  return std::bit_cast<float>(sign | (magnitude >= 0x7c00 ? special : finite));
}

}  // namespace abn::ptx
