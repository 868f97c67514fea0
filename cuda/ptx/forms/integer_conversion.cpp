// cvt between integers, from integers to floating-point types and back. A register may be wider
// than the type of the conversion.
#include <limits>

#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/forms/narrow.hpp"
#include "cuda/ptx/forms/rounding.hpp"

namespace abn::ptx {
namespace {

__extension__ using Int128 = __int128;

template <class T>
struct Tag {
  using Type = T;
};

/// Calls it with a tag of each integer type and its name.
template <class Function>
void for_integers(const Function& function) {
  function(Tag<std::int8_t>{}, "s8"), function(Tag<std::uint8_t>{}, "u8");
  function(Tag<std::int16_t>{}, "s16"), function(Tag<std::uint16_t>{}, "u16");
  function(Tag<std::int32_t>{}, "s32"), function(Tag<std::uint32_t>{}, "u32");
  function(Tag<std::int64_t>{}, "s64"), function(Tag<std::uint64_t>{}, "u64");
}

template <class To, class From, bool sat>
void between_integers(Warp& warp, const Instruction& in, std::uint32_t mask) {
  using Limits = std::numeric_limits<To>;
  alignas(64) To out[lanes];
  const auto all = [&](const auto* from) {
    for (unsigned i = 0; i < lanes; ++i) {
      const auto value = static_cast<From>(from[i]);
      if constexpr (sat)
        out[i] = static_cast<To>(Int128{value} < Limits::min()   ? Limits::min()
                                 : Int128{value} > Limits::max() ? Limits::max()
                                                                 : static_cast<To>(value));
      else
        out[i] = static_cast<To>(value);
    }
  };
  if ((in.wide >> 1 & 1) != 0)
    all(warp.read<std::uint64_t>(in.at[1]));
  else
    all(warp.read<std::uint32_t>(in.at[1]));
  store_extended(warp, in, 0, in.first_bytes, out, mask);
}

std::string width(std::size_t bytes) { return std::string(1, static_cast<char>('0' + bytes)); }

template <class T>
double value_of(T value) {
  if constexpr (std::is_floating_point_v<T>)
    return value;
  else
    return wide(value);
}

/// To the next integer by one of the four rules; NaN stays.
double whole(double value, Round mode) {
  switch (mode) {
    case Round::nearest:
      return std::nearbyint(value);
    case Round::zero:
      return std::trunc(value);
    case Round::down:
      return std::floor(value);
    case Round::up:
      return std::ceil(value);
  }
  return value;
}

/// Out of range is the nearest end. NaN is 0, but of a wide type the sign bit alone.
template <class To, class From, bool ftz>
void to_integer(Warp& warp, const Instruction& in, std::uint32_t mask) {
  using Limits = std::numeric_limits<To>;
  const auto* const from = warp.read<typename Lane<From>::Container>(in.at[1]);
  alignas(64) To out[lanes];
  const auto mode = static_cast<Round>(in.form->variant);
  const double end = std::ldexp(1.0, Limits::digits);  // one beyond the largest
  for (unsigned i = 0; i < lanes; ++i) {
    From source = Lane<From>::from(from[i]);
    if constexpr (ftz) source = flush(source);
    const double value = whole(value_of(source), mode);
    constexpr bool wide_type = sizeof(From) == 8 || sizeof(To) == 8;
    constexpr To nan =
        wide_type ? static_cast<To>(std::uint64_t{1} << (8 * sizeof(To) - 1)) : To{0};
    if (value != value)
      out[i] = nan;
    else if (value >= end)
      out[i] = Limits::max();
    else if (value <= static_cast<double>(Limits::min()))
      out[i] = Limits::min();
    else
      out[i] = static_cast<To>(value);
  }
  store_extended(warp, in, 0, in.first_bytes, out, mask);
}

int environment_of(Round mode) {
  switch (mode) {
    case Round::nearest:
      return FE_TONEAREST;
    case Round::zero:
      return FE_TOWARDZERO;
    case Round::down:
      return FE_DOWNWARD;
    case Round::up:
      return FE_UPWARD;
  }
  return FE_TONEAREST;
}

template <class To>
std::uint16_t narrow_by(Round mode, double value, bool lost) {
  switch (mode) {
    case Round::nearest:
      return narrow_from<To, Round::nearest>(value, lost);
    case Round::zero:
      return narrow_from<To, Round::zero>(value, lost);
    case Round::down:
      return narrow_from<To, Round::down>(value, lost);
    case Round::up:
      return narrow_from<To, Round::up>(value, lost);
  }
  return 0;
}

template <class To, class From>
void from_integer(Warp& warp, const Instruction& in, std::uint32_t mask) {
  using Container = typename Lane<To>::Container;
  alignas(64) Container out[lanes];
  const auto mode = static_cast<Round>(in.form->variant);
  const auto all = [&](const auto* from) {
    if constexpr (std::is_floating_point_v<To>) {
      const Rounding rounding(environment_of(mode));
      for (unsigned i = 0; i < lanes; ++i)
        out[i] = Lane<To>::to(static_cast<To>(static_cast<From>(from[i])));
    } else {
      // Cut to what a double holds, with a note of whether anything was lost.
      const Rounding rounding(FE_TOWARDZERO);
      for (unsigned i = 0; i < lanes; ++i) {
        const auto source = static_cast<From>(from[i]);
        const auto value = static_cast<double>(source);
        const bool lost = Int128{source} != static_cast<Int128>(value);
        out[i] = narrow_by<To>(mode, value, lost);
      }
    }
  };
  if ((in.wide >> 1 & 1) != 0)
    all(warp.read<std::uint64_t>(in.at[1]));
  else
    all(warp.read<std::uint32_t>(in.at[1]));
  store(warp.write<Container>(in.at[0]), out, mask);
}

template <class Float, class Integer>
void add_pair(Table& table, const std::string& type, const std::string& integer) {
  const std::string own = width(sizeof(Float)), other = width(sizeof(Integer)) + "+";
  static constexpr const char* modes[] = {"n", "z", "m", "p"};  // as in Round
  for (std::uint8_t mode = 0; mode < 4; ++mode) {
    const std::string whole_mode = std::string("cvt.r") + modes[mode] + "i";
    const std::string types = "." + integer + "." + type;
    const std::string signature = "=" + other + " " + own;
    table.add(whole_mode + types, signature, &to_integer<Integer, Float, false>).variant = mode;
    if constexpr (std::is_same_v<Float, float>)
      table.add(whole_mode + ".ftz" + types, signature, &to_integer<Integer, Float, true>).variant =
          mode;
    table
        .add(std::string("cvt.r") + modes[mode] + "." + type + "." + integer,
             "=" + own + " " + other, &from_integer<Float, Integer>)
        .variant = mode;
  }
}

}  // namespace

void add_integer_conversion_forms(Table& table) {
  for_integers([&](auto to, const std::string& to_name) {
    using To = typename decltype(to)::Type;
    for_integers([&](auto from, const std::string& from_name) {
      using From = typename decltype(from)::Type;
      const std::string signature = "=" + width(sizeof(To)) + "+ " + width(sizeof(From)) + "+";
      const std::string types = to_name + "." + from_name;
      table.add("cvt." + types, signature, &between_integers<To, From, false>);
      table.add("cvt.sat." + types, signature, &between_integers<To, From, true>);
    });
    add_pair<float, To>(table, "f32", to_name), add_pair<double, To>(table, "f64", to_name);
    add_pair<F16, To>(table, "f16", to_name), add_pair<Bf16, To>(table, "bf16", to_name);
  });
}

}  // namespace abn::ptx
