// Floating-point arithmetic by integers of any size: what an operation gives in any format and
// rounding mode, from its definition. Nothing of the executor is in here.
#pragma once

#include <cstdint>

namespace abn::ptx::test {

struct Format {
  int precision, least, most;  // bits of the significand; exponents of normal numbers
  int bits() const { return precision == 24 ? 32 : precision == 53 ? 64 : 16; }
};
inline constexpr Format f32{24, -126, 127}, f64{53, -1022, 1023}, f16{11, -14, 15},
    bf16{8, -126, 127};

enum class Mode : std::uint8_t { nearest, zero, down, up };

/// Operation by its first letter pairs: "add", "sub", "mul", "fma", "div", "rcp", "sqrt", "cvt".
/// Operands are of format `from`, the result of format `to`. Any NaN is all ones below the sign.
std::uint64_t compute(const char* operation, const Format& from, const Format& to, Mode mode,
                      std::uint64_t a, std::uint64_t b = 0, std::uint64_t c = 0);

/// An integer, given by its sign and magnitude, to a format.
std::uint64_t from_integer(bool negative, std::uint64_t magnitude, const Format& to, Mode mode);

bool is_nan(const Format& format, std::uint64_t bits);
bool is_subnormal(const Format& format, std::uint64_t bits);
/// Exactly, for all but NaN.
double value_of(const Format& format, std::uint64_t bits);

}  // namespace abn::ptx::test
