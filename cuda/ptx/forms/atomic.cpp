// atom and red. Lanes go one after another, so an atomic is a load, a function and a store.
#include <algorithm>

#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/forms/narrow.hpp"
#include "cuda/ptx/forms/rounding.hpp"
#include "cuda/ptx/state/access.hpp"

namespace abn::ptx {
namespace {

template <class T, auto Function, bool has_result, unsigned operands>
void atomic(Warp& warp, const Instruction& in, std::uint32_t mask) {
  using Container = typename Lane<T>::Container;
  constexpr std::size_t address = has_result ? 1 : 0;
  alignas(64) std::uint64_t addresses[lanes];
  alignas(64) Container before[lanes] = {};
  const bool wide = (in.wide >> address & 1) != 0;
  const auto* const first = warp.read<Container>(in.at[address + 1]);
  const auto* const second = warp.read<Container>(in.at[address + operands]);
  for (unsigned i = 0; i < lanes; ++i) {
    if ((mask >> i & 1) == 0) continue;
    addresses[i] =
        wide ? warp.read<std::uint64_t>(in.at[address])[i] + in.offset
             : static_cast<std::uint32_t>(warp.read<std::uint32_t>(in.at[address])[i] + in.offset);
    std::byte* const at = reach(warp, in, i, in.form->space, addresses[i], sizeof(T), Use::atomic);
    T old;
    std::memcpy(&old, at, sizeof old);
    const T changed = Function(old, Lane<T>::from(first[i]), Lane<T>::from(second[i]));
    if (std::memcmp(at, &changed, sizeof changed) != 0) warp.block->launch->idle = 0;
    std::memcpy(at, &changed, sizeof changed);
    before[i] = Lane<T>::to(old);
  }
  count_traffic(warp, addresses, mask, sizeof(T), Use::atomic);
  if constexpr (has_result)
    if (in.at[0].present()) store(warp.write<Container>(in.at[0]), before, mask);
}

constexpr struct {
  const char* name;
  Space space;
} spaces[] = {{"", Space::generic}, {".global", Space::global}, {".shared", Space::shared}};

template <class T, auto Function, unsigned operands = 1>
void add_rows(Table& table, const std::string& operation, std::initializer_list<const char*> types,
              bool reduction = true) {
  const std::string width(1, static_cast<char>('0' + sizeof(T)));
  std::string sources = " " + width;
  if (operands == 2) sources += " " + width;
  for (const auto& space : spaces)
    for (const char* const type : types) {
      const std::string tail = std::string(space.name) + "." + operation + "." + type;
      table.add("atom" + tail, "=" + width + " @" + sources, &atomic<T, Function, true, operands>)
          .space = space.space;
      if (reduction)
        table.add("red" + tail, "@" + sources, &atomic<T, Function, false, operands>).space =
            space.space;
    }
}

template <class T>
void add_integer_rows(Table& table, const char* type) {
  using U = std::make_unsigned_t<T>;
  add_rows<T, [](T a, T b, T) { return static_cast<T>(U(a) + U(b)); }>(table, "add", {type});
  add_rows<T, [](T a, T b, T) { return std::min(a, b); }>(table, "min", {type});
  add_rows<T, [](T a, T b, T) { return std::max(a, b); }>(table, "max", {type});
}

template <class T>
void add_bit_rows(Table& table, const char* type) {
  add_rows<T, [](T a, T b, T) { return static_cast<T>(a & b); }>(table, "and", {type});
  add_rows<T, [](T a, T b, T) { return static_cast<T>(a | b); }>(table, "or", {type});
  add_rows<T, [](T a, T b, T) { return static_cast<T>(a ^ b); }>(table, "xor", {type});
  add_rows<T, [](T, T b, T) { return b; }>(table, "exch", {type}, false);
  add_rows<T, [](T a, T b, T c) { return a == b ? c : a; }, 2>(table, "cas", {type}, false);
}

template <class T>
std::uint32_t pair_sum(std::uint32_t a, std::uint32_t b) {
  std::uint32_t sum = 0;
  for (unsigned at = 0; at < 32; at += 16) {
    const double x = wide(T{static_cast<std::uint16_t>(a >> at)}),
                 y = wide(T{static_cast<std::uint16_t>(b >> at)});
    sum |= std::uint32_t{narrow_from<T, Round::nearest>(x + y)} << at;
  }
  return sum;
}

}  // namespace

void add_atomic_forms(Table& table) {
  using U32 = std::uint32_t;
  add_integer_rows<std::int32_t>(table, "s32"), add_integer_rows<U32>(table, "u32");
  add_integer_rows<std::int64_t>(table, "s64"), add_integer_rows<std::uint64_t>(table, "u64");
  add_bit_rows<U32>(table, "b32"), add_bit_rows<std::uint64_t>(table, "b64");
  add_rows<std::uint16_t,
           [](std::uint16_t a, std::uint16_t b, std::uint16_t c) { return a == b ? c : a; }, 2>(
      table, "cas", {"b16"}, false);
  add_rows<U32, [](U32 a, U32 b, U32) { return b <= a ? 0 : a + 1; }>(table, "inc", {"u32"});
  add_rows<U32, [](U32 a, U32 b, U32) { return a == 0 || b < a ? b : a - 1; }>(table, "dec",
                                                                               {"u32"});
  add_rows<float, [](float a, float b, float) { return canonical(a + b); }>(table, "add", {"f32"});
  add_rows<double, [](double a, double b, double) { return a + b; }>(table, "add", {"f64"});
  add_rows<U32, [](U32 a, U32 b, U32) { return pair_sum<F16>(a, b); }>(table, "add.noftz",
                                                                       {"f16x2"});
  add_rows<U32, [](U32 a, U32 b, U32) { return pair_sum<Bf16>(a, b); }>(table, "add.noftz",
                                                                        {"bf16x2"});
}

}  // namespace abn::ptx
