// The floating-point formats that tensors are stored in, and exact conversions between them and
// double.
//
// Every value of f16, bf16, f32 and f64 is a double, so the whole suite carries stored values as
// doubles and rounds only here: to nearest, ties to even, with subnormals, overflow to infinity and
// signed zeros.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "cuda/kernel.h"

namespace abn::verify::problem {

/// Parameters of a binary format: precision p in bits (with the hidden bit), emin of the smallest
/// normal number 2^emin.
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

/// Every storage type: what goes over all types goes over this list, so a type that is added later
/// is left out nowhere in silence. A test holds it to the table of formats.
inline constexpr std::array<int, 4> storage_types{ABN_F16, ABN_BF16, ABN_F32, ABN_F64};
/// What a variant may compute in: every storage type, and tf32.
inline constexpr std::array<int, 5> accumulate_types{ABN_F16, ABN_BF16, ABN_F32, ABN_F64, ABN_TF32};
inline constexpr std::array<int, 2> layouts{ABN_NCHW, ABN_NHWC};
inline constexpr std::array<int, 3> modes{ABN_TRAINING, ABN_INFERENCE, ABN_FROZEN};
inline constexpr std::array<int, 2> scales{ABN_SCALE_SIGNED, ABN_SCALE_ABS_EPS};

/// The types that are narrower than the double in which the judge holds every value.
inline bool is_narrow(int dtype) { return format_of(dtype).bytes < 8; }
/// f64 for f64 tensors, else f32: the type of parameters and of sums where nothing else is said.
inline int wide_type_of(int dtype) { return is_narrow(dtype) ? ABN_F32 : ABN_F64; }
/// The type to which eps, momentum and the activation's parameter are rounded.
inline int scalar_type_of(const abn_problem& problem) { return wide_type_of(problem.param_dtype); }
/// The type of z and dz.
inline int out_type_of(const abn_problem& problem) {
  return problem.out_type == 0 ? problem.dtype : problem.out_type - 1;
}

/// `value` rounded to the format (to nearest, ties to even), as a double.
double round_to(const Format& format, double value);

/// ulp(value) = 2^(e-p+1) of the binade of `value` (Goldberg), not below the subnormal step.
inline double ulp_of(const Format& format, double value) {
  if (!std::isfinite(value)) return std::numeric_limits<double>::quiet_NaN();
  // From the bits of the double and not by frexp and ldexp: every comparison and every rounding
  // asks. A subnormal double has the exponent field 0, that is -1023, which no format's emin lies
  // below.
  constexpr int bias = 1023, fraction_bits = 52;
  const int exponent = std::max(
      static_cast<int>(std::bit_cast<std::uint64_t>(value) >> fraction_bits & 0x7ff) - bias,
      format.emin);
  const int step = exponent - format.precision + 1;
  if (step <= -bias) return std::ldexp(1.0, step);  // f64 alone: the step itself is subnormal
  return std::bit_cast<double>(static_cast<std::uint64_t>(step + bias) << fraction_bits);
}

/// The next value of the format above `value`.
double next_above(const Format& format, double value);

/// Raw bits of a stored value, for witnesses: 0xbb15.
std::uint64_t bits_of(const Format& format, double value);

/// Packs values (each exactly representable) to the format's bytes and back.
void pack(const Format& format, std::span<const double> values, std::byte* out);
void unpack(const Format& format, const std::byte* in, std::span<double> values);

}  // namespace abn::verify::problem
