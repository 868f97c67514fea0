// Arithmetic of f16, bf16 and pairs of them: add, sub, mul, fma, min, max, abs, neg, each rounded
// once. A sum or product of two narrow numbers is exact in double, or its error is known.
#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/forms/narrow.hpp"
#include "cuda/ptx/forms/rounding.hpp"

namespace abn::ptx {
namespace {

template <class T>
T flushed(T value) {
  constexpr auto exponent = static_cast<std::uint16_t>(((1 << format_of<T>.exponent_bits) - 1)
                                                       << format_of<T>.fraction_bits);
  return (value.bits & exponent) == 0 ? T{static_cast<std::uint16_t>(value.bits & 0x8000)} : value;
}

/// A sum of doubles to 16 bits in one rounding: the part of it that a double does not hold decides
/// ties. It points away from zero where it has the sum's sign; else the sum is moved down by a bit.
template <class T>
T rounded_sum(double a, double b) {
  const double sum = a + b;
  const double part = sum - a;
  const double error = (a - (sum - part)) + (b - part);
  if (!(error != 0) || !std::isfinite(sum)) return {narrow_from<T, Round::nearest>(sum)};
  if (std::signbit(error) == std::signbit(sum)) return {narrow_from<T, Round::nearest>(sum, true)};
  return {narrow_from<T, Round::nearest>(std::nextafter(sum, 0.0), true)};
}

template <class T>
T add(T a, T b) {
  return rounded_sum<T>(wide(a), wide(b));
}
template <class T>
T sub(T a, T b) {
  return rounded_sum<T>(wide(a), -static_cast<double>(wide(b)));
}
template <class T>
T mul(T a, T b) {
  return {narrow_from<T, Round::nearest>(static_cast<double>(wide(a)) * wide(b))};
}
template <class T>
T fma(T a, T b, T c) {
  return rounded_sum<T>(static_cast<double>(wide(a)) * wide(b), wide(c));
}
template <class T>
T relu(T value) {
  if ((value.bits & 0x7fff) > ((1 << 15) - (1 << format_of<T>.fraction_bits))) return {narrow_nan};
  return (value.bits & 0x8000) != 0 ? T{0} : value;
}
template <class T>
T saturated(T value) {
  return {narrow_from<T, Round::nearest>(saturate(wide(value)))};
}
template <class T>
T negated(T a) {
  return {static_cast<std::uint16_t>(a.bits ^ 0x8000)};
}
template <class T>
T magnitude(T a) {
  return {static_cast<std::uint16_t>(a.bits & 0x7fff)};
}
template <class T, bool larger, bool nan>
T extremum(T a, T b) {
  const float x = wide(a), y = wide(b);
  if (x != x || y != y) {
    if (nan || (x != x && y != y)) return {narrow_nan};
    return x != x ? b : a;
  }
  if (x == y) return std::signbit(x) == larger ? b : a;
  return (x < y) == larger ? b : a;
}

template <class T>
T low(std::uint32_t pair) {
  return {static_cast<std::uint16_t>(pair)};
}
template <class T>
T high(std::uint32_t pair) {
  return {static_cast<std::uint16_t>(pair >> 16)};
}
template <class T>
std::uint32_t both(T first, T second) {
  return first.bits | std::uint32_t{second.bits} << 16;
}

/// A function of one number as a row for it and a row for pairs.
template <class T, auto Function>
void add_one(Table& table, const std::string& head, const std::string& type) {
  add_map<[](T a) { return Function(a); }>(table, head + type);
  add_map<[](std::uint32_t a) { return both(Function(low<T>(a)), Function(high<T>(a))); }>(
      table, head + type + "x2");
}
template <class T, auto Function>
void add_two(Table& table, const std::string& head, const std::string& type) {
  add_map<[](T a, T b) { return Function(a, b); }>(table, head + type);
  add_map<[](std::uint32_t a, std::uint32_t b) {
    return both(Function(low<T>(a), low<T>(b)), Function(high<T>(a), high<T>(b)));
  }>(table, head + type + "x2");
}
template <class T, auto Function>
void add_three(Table& table, const std::string& head, const std::string& type) {
  add_map<[](T a, T b, T c) { return Function(a, b, c); }>(table, head + type);
  add_map<[](std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    return both(Function(low<T>(a), low<T>(b), low<T>(c)),
                Function(high<T>(a), high<T>(b), high<T>(c)));
  }>(table, head + type + "x2");
}

template <class T>
void add_rows(Table& table, const std::string& type) {
  for (const std::string rounding : {"", ".rn"}) {
    add_two<T, [](T a, T b) { return add(a, b); }>(table, "add" + rounding + ".", type);
    add_two<T, [](T a, T b) { return sub(a, b); }>(table, "sub" + rounding + ".", type);
    add_two<T, [](T a, T b) { return mul(a, b); }>(table, "mul" + rounding + ".", type);
  }
  add_three<T, [](T a, T b, T c) { return fma(a, b, c); }>(table, "fma.rn.", type);
  add_three<T, [](T a, T b, T c) { return relu(fma(a, b, c)); }>(table, "fma.rn.relu.", type);
  add_two<T, [](T a, T b) { return extremum<T, false, false>(a, b); }>(table, "min.", type);
  add_two<T, [](T a, T b) { return extremum<T, true, false>(a, b); }>(table, "max.", type);
  add_two<T, [](T a, T b) { return extremum<T, false, true>(a, b); }>(table, "min.NaN.", type);
  add_two<T, [](T a, T b) { return extremum<T, true, true>(a, b); }>(table, "max.NaN.", type);
  add_one<T, [](T a) { return negated(a); }>(table, "neg.", type);
  add_one<T, [](T a) { return magnitude(a); }>(table, "abs.", type);
}

template <auto Function>
constexpr auto with_ftz = [](F16 a, F16 b) { return flushed(Function(flushed(a), flushed(b))); };

void add_f16_rows(Table& table) {
  constexpr auto plus = [](F16 a, F16 b) { return add(a, b); };
  constexpr auto minus = [](F16 a, F16 b) { return sub(a, b); };
  constexpr auto times = [](F16 a, F16 b) { return mul(a, b); };
  add_two<F16, with_ftz<plus>>(table, "add.ftz.", "f16");
  add_two<F16, with_ftz<minus>>(table, "sub.ftz.", "f16");
  add_two<F16, with_ftz<times>>(table, "mul.ftz.", "f16");
  add_two<F16, [](F16 a, F16 b) { return saturated(add(a, b)); }>(table, "add.sat.", "f16");
  add_two<F16, [](F16 a, F16 b) { return saturated(sub(a, b)); }>(table, "sub.sat.", "f16");
  add_two<F16, [](F16 a, F16 b) { return saturated(mul(a, b)); }>(table, "mul.sat.", "f16");
  add_three<F16, [](F16 a, F16 b, F16 c) { return saturated(fma(a, b, c)); }>(table, "fma.rn.sat.",
                                                                              "f16");
}

template <class T>
void add_fused_rows(Table& table, const std::string& type) {
  add_three<T, [](T a, T b, T c) { return fma(a, b, c); }>(table, "mul+add.", type);
  add_three<T, [](T a, T b, T c) { return fma(a, b, negated(c)); }>(table, "mul+sub.", type);
  add_three<T, [](T a, T b, T c) { return fma(negated(a), b, c); }>(table, "sub+mul.", type);
}

}  // namespace

void add_fused_half_forms(Table& table) {
  add_fused_rows<F16>(table, "f16"), add_fused_rows<Bf16>(table, "bf16");
}

void add_half_forms(Table& table) {
  add_rows<F16>(table, "f16"), add_rows<Bf16>(table, "bf16");
  add_f16_rows(table);
}

}  // namespace abn::ptx
