// add, sub, mul, fma, div, rcp, sqrt, min, max, abs, neg, copysign and testp of f32 and f64, exact
// in every rounding mode. Without .rn, add, sub and mul round to nearest here, too, and a mul with
// the add or sub behind it may be fused (run/fuse.hpp).
#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/forms/rounding.hpp"

namespace abn::ptx {
namespace {

enum class Operation : std::uint8_t {
  add,
  sub,
  mul,
  fma,
  product_less,
  less_product,
  div,
  rcp,
  sqrt
};

template <Operation operation>
constexpr bool takes_three = operation == Operation::fma || operation == Operation::product_less ||
                             operation == Operation::less_product;

template <Operation operation, class T>
T compute(T a, T b, T c) {
  if constexpr (operation == Operation::add) return a + b;
  if constexpr (operation == Operation::sub) return a - b;
  if constexpr (operation == Operation::mul) return a * b;
  if constexpr (operation == Operation::fma) return std::fma(a, b, c);
  if constexpr (operation == Operation::product_less) return std::fma(a, b, -c);
  if constexpr (operation == Operation::less_product) return std::fma(-a, b, c);
  if constexpr (operation == Operation::div) return a / b;
  if constexpr (operation == Operation::rcp) return T{1} / a;
  if constexpr (operation == Operation::sqrt) return std::sqrt(a);
}

/// Operands are read and the result is written inside of the function, between the two changes of
/// the rounding mode.
template <Operation operation, class T, bool ftz, bool sat, int mode>
void arithmetic(Warp& warp, const Instruction& in, std::uint32_t mask) {
  using Container = typename Lane<T>::Container;
  constexpr int operands = takes_three<operation>                                        ? 3
                           : operation == Operation::rcp || operation == Operation::sqrt ? 1
                                                                                         : 2;
  const auto *const a = warp.read<Container>(in.at[1]),
                    *const b = warp.read<Container>(in.at[operands > 1 ? 2 : 1]),
                    *const c = warp.read<Container>(in.at[operands > 2 ? 3 : 1]);
  alignas(64) Container out[lanes];
  const auto all = [&] {
    for (unsigned i = 0; i < lanes; ++i) {
      T x = std::bit_cast<T>(a[i]), y = std::bit_cast<T>(b[i]), z = std::bit_cast<T>(c[i]);
      if constexpr (ftz) x = flush(x), y = flush(y), z = flush(z);
      T value = canonical(compute<operation>(x, y, z));
      if constexpr (ftz) value = flush(value);
      if constexpr (sat) value = saturate(value);
      out[i] = std::bit_cast<Container>(value);
    }
  };
  if constexpr (mode == FE_TONEAREST) {
    all();
  } else {
    const Rounding rounding(mode);
    all();
  }
  store(warp.write<Container>(in.at[0]), out, mask);
}

template <Operation operation, class T, int mode>
void add_rounded(Table& table, const std::string& name, const std::string& rounding) {
  const bool f32 = sizeof(T) == 4;
  const std::string type = f32 ? "f32" : "f64";
  const std::string width = f32 ? "4" : "8";
  std::string signature = "=" + width + " " + width;
  if (operation != Operation::rcp && operation != Operation::sqrt) signature += " " + width;
  if (takes_three<operation>) signature += " " + width;
  const bool with_sat = operation == Operation::add || operation == Operation::sub ||
                        operation == Operation::mul || takes_three<operation>;
  const std::string head = name + rounding;
  table.add(head + "." + type, signature, &arithmetic<operation, T, false, false, mode>);
  if constexpr (sizeof(T) == 4) {
    table.add(head + ".ftz.f32", signature, &arithmetic<operation, T, true, false, mode>);
    if (with_sat) {
      table.add(head + ".sat.f32", signature, &arithmetic<operation, T, false, true, mode>);
      table.add(head + ".ftz.sat.f32", signature, &arithmetic<operation, T, true, true, mode>);
    }
  }
}

template <Operation operation>
void add_rows(Table& table, const std::string& name, bool without_rounding) {
  if (without_rounding) {
    add_rounded<operation, float, FE_TONEAREST>(table, name, "");
    add_rounded<operation, double, FE_TONEAREST>(table, name, "");
  }
  add_rounded<operation, float, FE_TONEAREST>(table, name, ".rn");
  add_rounded<operation, double, FE_TONEAREST>(table, name, ".rn");
  add_rounded<operation, float, FE_TOWARDZERO>(table, name, ".rz");
  add_rounded<operation, double, FE_TOWARDZERO>(table, name, ".rz");
  add_rounded<operation, float, FE_DOWNWARD>(table, name, ".rm");
  add_rounded<operation, double, FE_DOWNWARD>(table, name, ".rm");
  add_rounded<operation, float, FE_UPWARD>(table, name, ".rp");
  add_rounded<operation, double, FE_UPWARD>(table, name, ".rp");
}

/// The smaller one, or the larger; -0 is smaller than +0. A NaN is the other operand, or (nan) NaN.
template <class T, bool larger, bool nan, bool ftz>
T extremum(T a, T b) {
  if constexpr (ftz) a = flush(a), b = flush(b);
  if (a != a || b != b) {
    const T other = nan ? (a != a ? a : b) : (a != a ? b : a);
    return canonical(other);
  }
  if (a == b) return std::signbit(a) == larger ? b : a;
  return (a < b) == larger ? b : a;
}

template <bool larger>
void add_extrema(Table& table, const std::string& name) {
  add_map<[](float a, float b) { return extremum<float, larger, false, false>(a, b); }>(
      table, name + ".f32");
  add_map<[](float a, float b) { return extremum<float, larger, false, true>(a, b); }>(
      table, name + ".ftz.f32");
  add_map<[](float a, float b) { return extremum<float, larger, true, false>(a, b); }>(
      table, name + ".NaN.f32");
  add_map<[](float a, float b) { return extremum<float, larger, true, true>(a, b); }>(
      table, name + ".ftz.NaN.f32");
  add_map<[](double a, double b) { return extremum<double, larger, false, false>(a, b); }>(
      table, name + ".f64");
}

// On bits: a NaN keeps its own.
constexpr std::uint32_t sign32 = 0x80000000U;
constexpr std::uint64_t sign64 = std::uint64_t{1} << 63;

void add_sign_rows(Table& table) {
  add_map<[](std::uint32_t a) { return a & ~sign32; }>(table, "abs.f32");
  add_map<[](std::uint32_t a) { return a ^ sign32; }>(table, "neg.f32");
  add_map<[](float a) { return std::fabs(flush(a)); }>(table, "abs.ftz.f32");
  add_map<[](float a) { return -flush(a); }>(table, "neg.ftz.f32");
  add_map<[](std::uint64_t a) { return a & ~sign64; }>(table, "abs.f64");
  add_map<[](std::uint64_t a) { return a ^ sign64; }>(table, "neg.f64");
  add_map<[](std::uint32_t a, std::uint32_t b) { return (a & sign32) | (b & ~sign32); }>(
      table, "copysign.f32");
  add_map<[](std::uint64_t a, std::uint64_t b) { return (a & sign64) | (b & ~sign64); }>(
      table, "copysign.f64");
}

template <class T>
void add_test_rows(Table& table, const std::string& type) {
  add_map<[](T a) { return std::isfinite(a); }>(table, "testp.finite." + type);
  add_map<[](T a) { return std::isinf(a); }>(table, "testp.infinite." + type);
  add_map<[](T a) { return a == a; }>(table, "testp.number." + type);
  add_map<[](T a) { return a != a; }>(table, "testp.notanumber." + type);
  add_map<[](T a) { return std::isnormal(a); }>(table, "testp.normal." + type);
  add_map<[](T a) { return std::fpclassify(a) == FP_SUBNORMAL; }>(table, "testp.subnormal." + type);
}

template <Operation operation>
void add_fused(Table& table, const std::string& name) {
  add_rounded<operation, float, FE_TONEAREST>(table, name, "");
  add_rounded<operation, double, FE_TONEAREST>(table, name, "");
}

}  // namespace

void add_fused_float_forms(Table& table) {
  add_fused<Operation::fma>(table, "mul+add");
  add_fused<Operation::product_less>(table, "mul+sub");
  add_fused<Operation::less_product>(table, "sub+mul");
}

void add_float_forms(Table& table) {
  add_rows<Operation::add>(table, "add", true), add_rows<Operation::sub>(table, "sub", true);
  add_rows<Operation::mul>(table, "mul", true), add_rows<Operation::fma>(table, "fma", false);
  add_rows<Operation::div>(table, "div", false), add_rows<Operation::rcp>(table, "rcp", false);
  add_rows<Operation::sqrt>(table, "sqrt", false);
  add_extrema<false>(table, "min"), add_extrema<true>(table, "max");
  add_sign_rows(table);
  add_test_rows<float>(table, "f32"), add_test_rows<double>(table, "f64");
}

}  // namespace abn::ptx
