// Conversions between the 16-bit floating-point types and the wider ones, on bits: round to nearest
// even, subnormals kept, overflow to infinity, NaN to the quiet NaN 0x7fff that NVIDIA GPUs
// produce.
#pragma once

#include <bit>
#include <cstdint>

namespace abn::emulator {
inline namespace ABN_BUILD {

inline constexpr std::uint32_t f32_magnitude = 0x7fffffff, f32_infinity = 0x7f800000,
                               f32_nan = 0x7fffffff;
inline constexpr std::uint16_t sixteen_bit_nan = 0x7fff;

// f16 has 5 exponent and 10 mantissa bits, so 13 bits of a float's mantissa go and the exponent's
// bias drops by 112.
inline std::uint16_t f16_from_float(float value) {
  constexpr std::uint32_t smallest_normal = 0x38800000, overflow = 0x47800000;  // 2^-14, 2^16
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), magnitude = bits & f32_magnitude;
  const std::uint32_t sign = bits >> 16 & 0x8000;
  if (magnitude > f32_infinity) return sixteen_bit_nan;
  if (magnitude >= overflow) return static_cast<std::uint16_t>(sign | 0x7c00);
  // An ulp of 0.5f is 2^-24, the smallest f16: the addition rounds to a multiple of it.
  if (magnitude < smallest_normal)
    return static_cast<std::uint16_t>(
        sign | (std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) -
                std::bit_cast<std::uint32_t>(0.5f)));
  // a carry may run up to infinity, as it should
  const std::uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return static_cast<std::uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}

inline float float_from_f16(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half} << 16 & 0x80000000, magnitude = half & 0x7fff;
  if (magnitude > 0x7c00) return std::bit_cast<float>(f32_nan);
  if (magnitude == 0x7c00) return std::bit_cast<float>(sign | f32_infinity);
  if (magnitude < 0x400)
    return std::bit_cast<float>(
        sign | std::bit_cast<std::uint32_t>(static_cast<float>(magnitude) * 0x1p-24f));
  return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
}

// bf16 is the upper half of a float.
inline std::uint16_t bf16_from_float(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & f32_magnitude) > f32_infinity) return sixteen_bit_nan;
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float float_from_bf16(std::uint16_t half) {
  return std::bit_cast<float>(std::uint32_t{half} << 16);
}

// Rounded to odd: truncated, and the last bit set if anything was lost. What is rounded to nearest
// after that is as if it had been rounded once, since a float has more than two bits beyond either
// 16-bit type, in its subnormals too.
inline float float_to_odd(double value) {
  const float nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || value != value) return nearest;
  std::uint32_t bits = std::bit_cast<std::uint32_t>(nearest);
  const bool grew = (static_cast<double>(nearest) < 0
                         ? -static_cast<double>(nearest)
                         : static_cast<double>(nearest)) > (value < 0 ? -value : value);
  if (grew) --bits;
  return std::bit_cast<float>(bits | 1);
}

inline std::uint16_t f16_from_double(double value) { return f16_from_float(float_to_odd(value)); }
inline std::uint16_t bf16_from_double(double value) { return bf16_from_float(float_to_odd(value)); }

}  // namespace ABN_BUILD
}  // namespace abn::emulator
