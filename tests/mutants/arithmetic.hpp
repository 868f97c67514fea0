// Numbers of the storage types, and sums: the arithmetic of the kernels in this folder, which
// shares nothing with the judge.
//
// A value of f16 or bf16 is |v| = k 2^(e-p+1) with an integer k < 2^p and e >= emin, so rounding is
// to scale by a power of two and to round to an integer. Everything narrower than double passes
// through double, which holds all of them exactly.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/mutants/plan.hpp"

namespace abn::mutants {

enum class Rounding : std::uint8_t { nearest_even, to_zero, ties_away };

struct Narrow {
  int precision, emin, emax;
};
constexpr Narrow narrow_format(int dtype) {
  return dtype == ABN_F16    ? Narrow{11, -14, 15}
         : dtype == ABN_BF16 ? Narrow{8, -126, 127}
                             : Narrow{24, -126, 127};
}

/// `value` as the storage type holds it.
inline double rounded(int dtype, double value, Rounding rounding = Rounding::nearest_even) {
  if (dtype == ABN_F64 || value == 0 || !std::isfinite(value)) return value;
  if (dtype == ABN_F32 && rounding == Rounding::nearest_even) return static_cast<float>(value);
  const Narrow format = narrow_format(dtype);
  const int step = std::max(std::ilogb(value), format.emin) - format.precision + 1;
  const double scaled = std::ldexp(value, -step);
  const double whole = rounding == Rounding::to_zero     ? std::trunc(scaled)
                       : rounding == Rounding::ties_away ? std::round(scaled)
                                                         : std::nearbyint(scaled);
  const double result = std::ldexp(whole, step);
  if (std::fabs(result) < std::ldexp(1.0, format.emax + 1)) return result;
  return std::copysign(std::numeric_limits<double>::infinity(), value);
}

inline double largest(int dtype) {
  const Narrow format = narrow_format(dtype);
  return dtype == ABN_F64 ? std::numeric_limits<double>::max()
                          : std::ldexp(2 - std::ldexp(1.0, 1 - format.precision), format.emax);
}

/// The value of the type next to `value`, on the side of zero.
inline double next_towards_zero(int dtype, double value) {
  return rounded(dtype, std::nextafter(value, 0.0), Rounding::to_zero);
}

constexpr std::int64_t bytes_of(int dtype) {
  return dtype == ABN_F64 ? 8 : dtype == ABN_F32 ? 4 : 2;
}

// By bytes: a bug may take a buffer for one of a type that it is not aligned for.
template <class Value>
Value get(const void* from, std::int64_t at) {
  Value value;
  std::memcpy(&value, static_cast<const std::byte*>(from) + at * std::int64_t{sizeof value},
              sizeof value);
  return value;
}
template <class Value>
void put(Value value, void* to, std::int64_t at) {
  std::memcpy(static_cast<std::byte*>(to) + at * std::int64_t{sizeof value}, &value, sizeof value);
}

inline double load(int dtype, const void* from, std::int64_t at) {
  if (dtype == ABN_F64) return get<double>(from, at);
  if (dtype == ABN_F32) return get<float>(from, at);
  const auto bits = get<std::uint16_t>(from, at);
  if (dtype == ABN_BF16) return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 31  ? (fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                                                       : std::numeric_limits<double>::infinity())
                      : exponent == 0 ? std::ldexp(fraction, -24)
                                      : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -size : size;
}

/// `value` is one of the type's.
inline void store(int dtype, double value, void* to, std::int64_t at) {
  if (std::isnan(value)) value = std::fabs(value);  // a NaN is stored with the sign bit 0
  if (dtype == ABN_F64) put(value, to, at);
  if (dtype == ABN_F32) put(static_cast<float>(value), to, at);
  if (dtype == ABN_BF16)
    put(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 16),
        to, at);
  if (dtype != ABN_F16) return;
  const double size = std::fabs(value);
  int bits = 0;
  if (std::isnan(size)) {
    bits = 0x7e00;
  } else if (std::isinf(size)) {
    bits = 0x7c00;
  } else if (size < 0x1p-14) {
    bits = static_cast<int>(std::ldexp(size, 24));
  } else {
    const int exponent = std::ilogb(size);
    // the hidden bit adds the missing 1 to the exponent
    bits = (exponent + 14) * 1024 + static_cast<int>(std::ldexp(size, 10 - exponent));
  }
  put(static_cast<std::uint16_t>(bits | (std::signbit(value) ? 0x8000 : 0)), to, at);
}

/// How many roundings lie between one of `count` samples and their sum.
constexpr std::int64_t depth_of(Summation summation, bool is_double, std::int64_t count) {
  constexpr std::int64_t tree = 6;  // log2(lanes)
  std::int64_t depth = (count + lanes - 1) / lanes + tree;
  if (summation == Summation::sequential) depth = count;
  if (summation == Summation::pairwise) depth = std::bit_width(static_cast<std::uint64_t>(count));
  if (summation == Summation::wide && !is_double)
    depth = 2;  // the sum in double is rounded once, and what double itself loses is far below that
  return std::clamp<std::int64_t>(depth, 1, std::max<std::int64_t>(count, 1));
}

/// Adds up the lanes as a tree.
template <class T, class Add>
T tree(std::array<T, lanes>& lane, Add add) {
  for (std::size_t width = lanes / 2; width > 0; width /= 2)
    for (std::size_t k = 0; k < width; ++k) lane[k] = add(lane[k], lane[k + width]);
  return lane[0];
}

template <class A, class Term>
A pairwise_sum(std::int64_t first, std::int64_t last, const Term& term) {
  if (last - first == 1) return term(first);
  const std::int64_t middle = first + (last - first) / 2;
  return pairwise_sum<A>(first, middle, term) + pairwise_sum<A>(middle, last, term);
}

/// A part of a channel on its way through Welford's updates and Chan's merges.
template <class A>
struct Moments {
  A count = 0, mean = 0, m2 = 0;
};

template <class A>
Moments<A> merged(const Moments<A>& a, const Moments<A>& b, bool unguarded) {
  if (!unguarded && b.count == 0) return a;
  const A count = a.count + b.count, delta = b.mean - a.mean, share = b.count / count;
  return {count, a.mean + delta * share, a.m2 + b.m2 + delta * delta * (a.count * share)};
}

}  // namespace abn::mutants
