// Exact conversions between double and the storage formats.
#include "verify/problem/format.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace abn::verify::problem {
namespace {

constexpr double largest_of(int precision, int emax) {
  double value = 2.0;
  for (int i = 0; i < precision; ++i) value /= 2;
  value = 2.0 - value;  // 2 - 2^(1-p)
  for (int i = 0; i < emax; ++i) value *= 2;
  return value;
}

const Format formats[] = {
    {ABN_F16, 2, 11, -14, largest_of(11, 15), std::ldexp(1.0, -11), std::ldexp(1.0, -24)},
    {ABN_BF16, 2, 8, -126, largest_of(8, 127), std::ldexp(1.0, -8), std::ldexp(1.0, -133)},
    {ABN_F32, 4, 24, -126, std::numeric_limits<float>::max(), std::ldexp(1.0, -24),
     std::ldexp(1.0, -149)},
    {ABN_F64, 8, 53, -1022, std::numeric_limits<double>::max(), std::ldexp(1.0, -53),
     std::ldexp(1.0, -1074)},
    // never stored: what a tensor core makes of an f32 operand
    {ABN_TF32, 4, 11, -126, largest_of(11, 127), std::ldexp(1.0, -11), std::ldexp(1.0, -136)},
};

// A NaN keeps its sign and its payload, as far as the narrower type holds it; arithmetic would
// quiet it, so bits are moved.
constexpr int double_fraction_bits = 52, double_bias = 1023;

int fraction_bits(const Format& format) { return format.precision - 1; }

std::uint64_t nan_bits(const Format& format, double value) {
  const auto wide = std::bit_cast<std::uint64_t>(value);
  const int stored = fraction_bits(format), width = 8 * format.bytes;
  std::uint64_t fraction =
      (wide & ((std::uint64_t{1} << double_fraction_bits) - 1)) >> (double_fraction_bits - stored);
  // all of the payload was in the bits that are lost
  if (fraction == 0) fraction = std::uint64_t{1} << (stored - 1);
  const std::uint64_t exponent = ((std::uint64_t{1} << (width - 1 - stored)) - 1) << stored;
  return (wide >> 63) << (width - 1) | exponent | fraction;
}

double nan_from(const Format& format, std::uint64_t bits) {
  const int stored = fraction_bits(format), width = 8 * format.bytes;
  const std::uint64_t fraction = bits & ((std::uint64_t{1} << stored) - 1);
  return std::bit_cast<double>(bits >> (width - 1) << 63 |
                               std::uint64_t{0x7ff} << double_fraction_bits |
                               fraction << (double_fraction_bits - stored));
}

// The bits of a 16-bit format with `stored` fraction bits, for a number that the format represents.
std::uint16_t bits16(const Format& format, double value) {
  const int stored = format.precision - 1;
  const int exponent_bits = 15 - stored;
  const std::uint16_t sign = std::signbit(value) ? 0x8000u : 0u;
  const auto top = static_cast<std::uint16_t>(((1u << exponent_bits) - 1) << stored);
  const double magnitude = std::fabs(value);
  if (std::isinf(magnitude)) return sign | top;
  if (magnitude == 0) return sign;
  const auto wide = std::bit_cast<std::uint64_t>(magnitude);
  const int exponent = static_cast<int>(wide >> double_fraction_bits) - double_bias;
  if (exponent < format.emin)
    return static_cast<std::uint16_t>(sign |
                                      static_cast<unsigned>(magnitude / format.smallest_subnormal));
  const auto fraction =
      static_cast<unsigned>(wide >> (double_fraction_bits - stored)) & ((1u << stored) - 1);
  return static_cast<std::uint16_t>(
      sign | static_cast<unsigned>(exponent - format.emin + 1) << stored | fraction);
}

double value16(const Format& format, std::uint16_t bits) {
  const int stored = format.precision - 1;
  const unsigned fraction = bits & ((1u << stored) - 1);
  const unsigned exponent = (bits & 0x7fffu) >> stored;
  double magnitude;
  if (exponent == (1u << (15 - stored)) - 1) {
    if (fraction != 0) return nan_from(format, bits);
    magnitude = std::numeric_limits<double>::infinity();
  } else if (exponent == 0) {
    magnitude = fraction * format.smallest_subnormal;
  } else {
    const auto wide =
        static_cast<std::uint64_t>(static_cast<int>(exponent) - 1 + format.emin + double_bias);
    magnitude = std::bit_cast<double>(wide << double_fraction_bits |
                                      std::uint64_t{fraction} << (double_fraction_bits - stored));
  }
  return bits & 0x8000u ? -magnitude : magnitude;
}

}  // namespace

const Format& format_of(int dtype) { return formats[dtype]; }

double round_to(const Format& format, double value) {
  if (format.dtype == ABN_F64 || !std::isfinite(value) || value == 0) return value;
  const double step = ulp_of(format, value);
  // value / step < 2^p is exact (a power of two), and nearbyint rounds to nearest even in the
  // default mode.
  const double rounded = std::nearbyint(value / step) * step;
  if (std::fabs(rounded) > format.largest)
    return std::copysign(std::numeric_limits<double>::infinity(), value);
  return std::copysign(rounded, value);
}

double next_above(const Format& format, double value) {
  if (std::isnan(value) || value == std::numeric_limits<double>::infinity()) return value;
  if (format.dtype == ABN_F64)
    return std::nextafter(value, std::numeric_limits<double>::infinity());
  // minus infinity, and doubles that the format has no value for
  if (value < -format.largest) return -format.largest;
  const double below = round_to(format, value) > value ? -std::numeric_limits<double>::infinity()
                                                       : round_to(format, value);
  // value lies between two of the format's; rounding went up
  if (std::isinf(below)) return round_to(format, value);
  double step = ulp_of(format, below);
  // Going up from a negative power of two the spacing is that of the binade below.
  int exponent;
  if (below < 0 && std::frexp(below, &exponent) == -0.5 && -below > std::ldexp(1.0, format.emin))
    step /= 2;
  const double next = below + step;
  return next > format.largest ? std::numeric_limits<double>::infinity() : next;
}

std::uint64_t bits_of(const Format& format, double value) {
  if (std::isnan(value)) return nan_bits(format, value);
  switch (format.dtype) {
    case ABN_F64:
      return std::bit_cast<std::uint64_t>(value);
    case ABN_F32:
      return std::bit_cast<std::uint32_t>(static_cast<float>(value));
    default:
      return bits16(format, value);
  }
}

void pack(const Format& format, std::span<const double> values, std::byte* out) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint64_t bits = bits_of(format, values[i]);
    std::memcpy(out + i * static_cast<std::size_t>(format.bytes), &bits,
                static_cast<std::size_t>(format.bytes));
  }
}

void unpack(const Format& format, const std::byte* in, std::span<double> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::byte* at = in + i * static_cast<std::size_t>(format.bytes);
    if (format.dtype == ABN_F64) {
      std::memcpy(&values[i], at, 8);
    } else if (format.dtype == ABN_F32) {
      std::uint32_t bits;
      std::memcpy(&bits, at, 4);
      const auto single = std::bit_cast<float>(bits);
      values[i] = std::isnan(single) ? nan_from(format, bits) : static_cast<double>(single);
    } else {
      std::uint16_t bits;
      std::memcpy(&bits, at, 2);
      values[i] = value16(format, bits);
    }
  }
}

}  // namespace abn::verify::problem
