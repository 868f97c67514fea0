// Arithmetic of f32 and f64 as GPUs do it: the four rounding modes, subnormals flushed (.ftz),
// results clamped (.sat), and the one NaN that f32 has.
#pragma once

#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>

namespace abn::ptx {

inline constexpr std::uint32_t canonical_nan = 0x7fffffff;

inline float canonical(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits & 0x7fffffff) > 0x7f800000 ? canonical_nan : bits);
}
inline double canonical(double value) { return value; }

/// A subnormal as a zero of its sign.
inline float flush(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits & 0x7f800000) == 0 ? bits & 0x80000000 : bits);
}

/// Into [0, 1]; NaN becomes +0.
inline float saturate(float value) { return value > 0 ? (value < 1 ? value : 1.0f) : 0.0f; }
inline double saturate(double value) { return value > 0 ? (value < 1 ? value : 1.0) : 0.0; }

/// A rounding mode for as long as it lives.
class Rounding {
 public:
  explicit Rounding(int mode) : before_(std::fegetround()) { std::fesetround(mode); }
  ~Rounding() { std::fesetround(before_); }
  Rounding(const Rounding&) = delete;
  Rounding& operator=(const Rounding&) = delete;

 private:
  int before_;
};

}  // namespace abn::ptx
