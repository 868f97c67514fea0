// cvt between floating-point types, and to whole numbers of the same type.
#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/forms/narrow.hpp"
#include "cuda/ptx/forms/rounding.hpp"

namespace abn::ptx {
namespace {

template <class To, Round mode>
To to_narrow(double value) {
  return {narrow_from<To, mode>(value)};
}

template <class T>
T relu(T value) {
  if (wide(value) != wide(value)) return {narrow_nan};
  return (value.bits & 0x8000) != 0 ? T{0} : value;
}

/// A rounding mode by its name in an opcode.
template <Round mode>
constexpr const char* name_of = mode == Round::nearest ? "rn"
                                : mode == Round::zero  ? "rz"
                                : mode == Round::down  ? "rm"
                                                       : "rp";

template <class To, Round mode>
void add_narrow_rows(Table& table, const std::string& type) {
  const std::string head = std::string("cvt.") + name_of<mode>;
  add_map<[](float a) { return to_narrow<To, mode>(a); }>(table, head + "." + type + ".f32");
  add_map<[](double a) { return to_narrow<To, mode>(a); }>(table, head + "." + type + ".f64");
  add_map<[](float a) { return relu(to_narrow<To, mode>(a)); }>(table,
                                                                head + ".relu." + type + ".f32");
  add_map<[](float a) { return to_narrow<To, mode>(flush(a)); }>(table,
                                                                 head + ".ftz." + type + ".f32");
  // The first source goes to the upper half.
  add_map<[](float a, float b) {
    return std::uint32_t{to_narrow<To, mode>(b).bits} | std::uint32_t{to_narrow<To, mode>(a).bits}
                                                            << 16;
  }>(table, head + "." + type + "x2.f32");
  add_map<[](float a, float b) {
    return std::uint32_t{relu(to_narrow<To, mode>(b)).bits} |
           std::uint32_t{relu(to_narrow<To, mode>(a)).bits} << 16;
  }>(table, head + ".relu." + type + "x2.f32");
}

template <int environment, bool ftz>
void narrow_double(Warp& warp, const Instruction& in, std::uint32_t mask) {
  const auto* const from = warp.read<std::uint64_t>(in.at[1]);
  alignas(64) std::uint32_t out[lanes];
  {
    const Rounding rounding(environment);
    for (unsigned i = 0; i < lanes; ++i)
      out[i] = std::bit_cast<std::uint32_t>(static_cast<float>(std::bit_cast<double>(from[i])));
  }
  for (std::uint32_t& bits : out)
    bits = std::bit_cast<std::uint32_t>(ftz ? flush(canonical(std::bit_cast<float>(bits)))
                                            : canonical(std::bit_cast<float>(bits)));
  store(warp.write<std::uint32_t>(in.at[0]), out, mask);
}

template <Round mode, int environment>
void add_double_rows(Table& table) {
  const std::string head = std::string("cvt.") + name_of<mode>;
  table.add(head + ".f32.f64", "=4 8", &narrow_double<environment, false>);
  table.add(head + ".ftz.f32.f64", "=4 8", &narrow_double<environment, true>);
}

/// Whole numbers; a zero keeps the sign of what was rounded.
template <class T, class Whole>
void add_whole_row(Table& table, const std::string& mode, Whole) {
  const std::string type = sizeof(T) == 4 ? "f32" : "f64";
  add_map<[](T a) { return canonical(std::copysign(Whole{}(a), a)); }>(
      table, "cvt." + mode + "." + type + "." + type);
  if constexpr (sizeof(T) == 4)
    add_map<[](T a) { return canonical(std::copysign(Whole{}(flush(a)), a)); }>(
        table, "cvt." + mode + ".ftz." + type + "." + type);
}

template <class T>
void add_whole_rows(Table& table) {
  add_whole_row<T>(table, "rni", [](T a) { return std::nearbyint(a); });
  add_whole_row<T>(table, "rzi", [](T a) { return std::trunc(a); });
  add_whole_row<T>(table, "rmi", [](T a) { return std::floor(a); });
  add_whole_row<T>(table, "rpi", [](T a) { return std::ceil(a); });
}

}  // namespace

void add_float_conversion_forms(Table& table) {
  using enum Round;
  add_narrow_rows<F16, nearest>(table, "f16"), add_narrow_rows<F16, zero>(table, "f16");
  add_narrow_rows<Bf16, nearest>(table, "bf16"), add_narrow_rows<Bf16, zero>(table, "bf16");
  add_double_rows<nearest, FE_TONEAREST>(table), add_double_rows<zero, FE_TOWARDZERO>(table);
  add_double_rows<down, FE_DOWNWARD>(table), add_double_rows<up, FE_UPWARD>(table);
  add_whole_rows<float>(table), add_whole_rows<double>(table);
  add_map<[](F16 a) { return canonical(wide(a)); }>(table, "cvt.f32.f16");
  add_map<[](Bf16 a) { return canonical(wide(a)); }>(table, "cvt.f32.bf16");
  add_map<[](F16 a) { return static_cast<double>(wide(a)); }>(table, "cvt.f64.f16");
  add_map<[](Bf16 a) { return static_cast<double>(wide(a)); }>(table, "cvt.f64.bf16");
  add_map<[](float a) { return static_cast<double>(a); }>(table, "cvt.f64.f32");
  add_map<[](float a) { return static_cast<double>(flush(a)); }>(table, "cvt.ftz.f64.f32");
  add_map<[](float a) { return canonical(a); }>(table, "cvt.f32.f32");
  add_map<[](float a) { return canonical(flush(a)); }>(table, "cvt.ftz.f32.f32");
  add_map<[](float a) { return saturate(a); }>(table, "cvt.sat.f32.f32");
  add_map<[](float a) { return saturate(flush(a)); }>(table, "cvt.ftz.sat.f32.f32");
  add_map<[](double a) { return saturate(a); }>(table, "cvt.sat.f64.f64");
}

}  // namespace abn::ptx
