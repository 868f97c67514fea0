// ex2, lg2, rcp, rsqrt, sqrt, div, sin, cos and tanh with .approx, and div.full. The bounds are
// those of the PTX ISA's text: so many ulp of the rounded result, or a relative or absolute error.
#include <algorithm>
#include <atomic>

#include "cuda/ptx/forms/approximation.hpp"
#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/forms/narrow.hpp"
#include "cuda/ptx/forms/rounding.hpp"

namespace abn::ptx {
namespace {

std::atomic<Approximation> chosen = Approximation::nearest;

/// In [-1, 1], from the bits of the operands.
double hash_of(std::uint64_t bits) {
  bits = (bits ^ bits >> 31) * 0x9e3779b97f4a7c15ULL;
  bits = (bits ^ bits >> 29) * 0xbf58476d1ce4e5b9ULL;
  bits ^= bits >> 32;
  return static_cast<double>(bits >> 11) * 0x1p-52 - 1;
}

/// Where in the bound the result lies: -1 to 1.
double place_in_bound(std::uint64_t bits) {
  switch (chosen.load(std::memory_order_relaxed)) {
    case Approximation::low:
      return -1;
    case Approximation::high:
      return 1;
    case Approximation::hashed:
      return hash_of(bits);
    case Approximation::nearest:
    case Approximation::fused:
      break;
  }
  return 0;
}

/// The rounded value, moved by up to `most` ulp.
float by_ulps(double exact, int most, std::uint64_t operands) {
  float value = static_cast<float>(exact);
  if (!(std::isfinite(value)) || value == 0) return canonical(value);
  int steps = static_cast<int>(std::lround(place_in_bound(operands) * most));
  for (; steps > 0; --steps) value = std::nextafter(value, INFINITY);
  for (; steps < 0; ++steps) value = std::nextafter(value, -INFINITY);
  return value;
}

/// A value no further from the exact one than `error`; inside of it after rounding, too.
float within(double exact, double error, std::uint64_t operands) {
  const double wanted = exact + place_in_bound(operands) * error;
  float value = static_cast<float>(wanted);
  if (!std::isfinite(value) || exact == 0) return canonical(static_cast<float>(exact));
  if (value > exact + error) value = std::nextafter(value, -INFINITY);
  if (value < exact - error) value = std::nextafter(value, INFINITY);
  return value;
}

std::uint64_t bits_of_float(float a) { return std::bit_cast<std::uint32_t>(a); }

/// Whole arguments come out exact: hardware does that, though the ISA does not promise it, and
/// every expm1f of the toolkit relies on it.
float ex2(float a) {
  if (a == std::nearbyint(a)) return static_cast<float>(std::exp2(static_cast<double>(a)));
  return by_ulps(std::exp2(static_cast<double>(a)), 2, bits_of_float(a));
}
float lg2(float a) {
  const double exact = std::log2(static_cast<double>(a));
  if (!std::isfinite(exact)) return canonical(static_cast<float>(exact));
  const double error = a > 0.5f && a < 2 ? 0x1p-22 : std::fabs(exact) * 0x1p-22;
  return within(exact, error, bits_of_float(a));
}
float rcp(float a) { return by_ulps(1 / static_cast<double>(a), 1, bits_of_float(a)); }
float relative(double exact, double bound, float a) {
  return std::isfinite(exact) ? within(exact, std::fabs(exact) * bound, bits_of_float(a))
                              : canonical(static_cast<float>(exact));
}
float rsqrt(float a) {
  return relative(1 / std::sqrt(static_cast<double>(a)), std::exp2(-22.9), a);
}
float square_root(float a) { return relative(std::sqrt(static_cast<double>(a)), 0x1p-23, a); }
float tanh(float a) { return relative(std::tanh(static_cast<double>(a)), 0x1p-11, a); }

/// Beyond 2pi the bound is wider, and beyond 100pi there is none: no error is put on it there.
float periodic(double exact, float a) {
  const double size = std::fabs(static_cast<double>(a)), pi = 3.14159265358979323846;
  if (!std::isfinite(exact)) return canonical(static_cast<float>(exact));
  const double error = size <= 2 * pi ? std::exp2(-20.5) : size <= 100 * pi ? std::exp2(-14.7) : 0;
  return std::clamp(within(exact, error, bits_of_float(a)), -1.0f, 1.0f);
}

std::uint64_t bits_of_both(float a, float b) { return bits_of_float(a) << 32 | bits_of_float(b); }
float div_full(float a, float b) {
  return by_ulps(static_cast<double>(a) / static_cast<double>(b), 2, bits_of_both(a, b));
}
/// For large divisors the reciprocal underflows: 0, or NaN of an infinite dividend.
float div_approx(float a, float b) {
  const float size = std::fabs(b);
  if (size > 0x1p126f && std::isfinite(b))
    return std::isinf(a) ? canonical(NAN) : std::copysign(0.0f, a * std::copysign(1.0f, b));
  return div_full(a, b);
}

/// Only the upper 32 bits are computed, from the upper 32 bits; the ISA gives no bound. Assumed is
/// 2^-20, which the Newton steps behind it have to mend.
double upper_half(double exact, std::uint64_t operand) {
  constexpr double assumed = 0x1p-20;
  const double value =
      std::isfinite(exact) ? exact * (1 + place_in_bound(operand) * assumed) : exact;
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const bool subnormal = (bits >> 52 & 0x7ff) == 0;
  const std::uint64_t sign = bits >> 63 << 63;
  if (value != value) return std::bit_cast<double>(std::uint64_t{0x7fffffff} << 32);
  return std::bit_cast<double>(subnormal ? sign : bits >> 32 << 32);
}
double upper_operand(double a) {
  const auto bits = std::bit_cast<std::uint64_t>(a);
  const bool subnormal = (bits >> 52 & 0x7ff) == 0;
  if (a != a) return a;
  return std::bit_cast<double>(subnormal ? bits >> 63 << 63 : bits >> 32 << 32);
}

/// A function of f32 as a row, and with subnormals flushed.
template <auto Function>
void add_rows(Table& table, const std::string& head) {
  add_map<[](float a) { return Function(a); }>(table, head + ".f32");
  add_map<[](float a) { return flush(Function(flush(a))); }>(table, head + ".ftz.f32");
}

/// f16 and bf16: relative errors, of the type of the operand.
template <class T>
T narrow_within(double exact, double error, T a) {
  return {narrow_from<T, Round::nearest>(
      std::isfinite(exact) ? exact + place_in_bound(a.bits) * error : exact)};
}

void add_narrow_rows(Table& table) {
  add_map<[](F16 a) {
    const double exact = std::exp2(static_cast<double>(wide(a)));
    return narrow_within(exact, exact * std::exp2(-9.9), a);
  }>(table, "ex2.approx.f16");
  add_map<[](Bf16 a) {
    const double exact = std::exp2(static_cast<double>(wide(a)));
    return narrow_within(exact, exact * 0x1p-7, a);
  }>(table, "ex2.approx.ftz.bf16");
  add_map<[](F16 a) {
    return narrow_within(std::tanh(static_cast<double>(wide(a))), std::exp2(-10.987), a);
  }>(table, "tanh.approx.f16");
  add_map<[](Bf16 a) { return narrow_within(std::tanh(static_cast<double>(wide(a))), 0x1p-8, a); }>(
      table, "tanh.approx.bf16");
}

}  // namespace

Approximation approximation() { return chosen.load(); }
void set_approximation(Approximation choice) { chosen.store(choice); }

void add_approximate_forms(Table& table) {
  add_rows<[](float a) { return ex2(a); }>(table, "ex2.approx");
  add_rows<[](float a) { return lg2(a); }>(table, "lg2.approx");
  add_rows<[](float a) { return rcp(a); }>(table, "rcp.approx");
  add_rows<[](float a) { return rsqrt(a); }>(table, "rsqrt.approx");
  add_rows<[](float a) { return square_root(a); }>(table, "sqrt.approx");
  add_rows<[](float a) { return periodic(std::sin(static_cast<double>(a)), a); }>(table,
                                                                                  "sin.approx");
  add_rows<[](float a) { return periodic(std::cos(static_cast<double>(a)), a); }>(table,
                                                                                  "cos.approx");
  add_map<[](float a) { return tanh(a); }>(table, "tanh.approx.f32");
  add_map<[](float a, float b) { return div_full(a, b); }>(table, "div.full.f32");
  add_map<[](float a, float b) { return flush(div_full(flush(a), flush(b))); }>(table,
                                                                                "div.full.ftz.f32");
  add_map<[](float a, float b) { return div_approx(a, b); }>(table, "div.approx.f32");
  add_map<[](float a, float b) { return flush(div_approx(flush(a), flush(b))); }>(
      table, "div.approx.ftz.f32");
  add_map<[](double a) {
    return upper_half(1 / upper_operand(a), std::bit_cast<std::uint64_t>(a));
  }>(table, "rcp.approx.ftz.f64");
  add_map<[](double a) {
    return upper_half(1 / std::sqrt(upper_operand(a)), std::bit_cast<std::uint64_t>(a));
  }>(table, "rsqrt.approx.ftz.f64");
  add_narrow_rows(table);
}

}  // namespace abn::ptx
