// The floating-point formats that tensors are stored in, and exact conversions between them and double.
//
// Every value of f16, bf16, f32 and f64 is a double, so the whole suite carries stored values as doubles and
// rounds only here: to nearest, ties to even, with subnormals, overflow to infinity and signed zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cuda/kernel.h"

namespace abn::verify {

/// Parameters of a binary format: precision p in bits (with the hidden bit), emin of the smallest normal number 2^emin.
struct Format {
  int dtype;
  int bytes;
  int precision;
  int emin;
  double largest;             ///< largest finite value
  double unit_roundoff;       ///< u = 2^-p
  double smallest_subnormal;  ///< eta = 2^(emin - p + 1)
};

const Format& format_of(int dtype);

/// `value` rounded to the format (to nearest, ties to even), as a double.
double round_to(const Format& format, double value);

/// ulp(value) = 2^(e-p+1) of the binade of `value` (Goldberg), not below the subnormal step.
double ulp_of(const Format& format, double value);

/// The next value of the format above `value`.
double next_above(const Format& format, double value);

/// Raw bits of a stored value, for witnesses: 0xbb15.
std::uint64_t bits_of(const Format& format, double value);

/// Packs values (each exactly representable) to the format's bytes and back.
void pack(const Format& format, std::span<const double> values, std::byte* out);
void unpack(const Format& format, const std::byte* in, std::span<double> values);

}  // namespace abn::verify
