// ld and st in every space, of scalars and vectors. Lanes go one after another in ascending order.
#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/state/access.hpp"
#include "cuda/ptx/state/banks.hpp"
#include "cuda/ptx/state/block.hpp"

namespace abn::ptx {
namespace {

/// Addresses of all lanes: a register of 32 or 64 bits and the instruction's offset. Addresses of
/// shared memory have 32 bits.
void addresses_of(const Warp& warp, const Instruction& in, std::size_t operand, std::uint64_t* to) {
  if ((in.wide >> operand & 1) != 0) {
    const auto* const from = warp.read<std::uint64_t>(in.at[operand]);
    for (unsigned i = 0; i < lanes; ++i) to[i] = from[i] + in.offset;
  } else {
    const auto* const from = warp.read<std::uint32_t>(in.at[operand]);
    for (unsigned i = 0; i < lanes; ++i) to[i] = static_cast<std::uint32_t>(from[i] + in.offset);
  }
}

void count_replays(const Warp& warp, const std::uint64_t* addresses, std::uint32_t mask,
                   unsigned bytes) {
  Launch& launch = *warp.block->launch;
  if (launch.configuration.sanitize) launch.replays += replays_of(addresses, mask, bytes);
}

template <class T, unsigned count>
void load(Warp& warp, const Instruction& in, std::uint32_t mask) {
  alignas(64) std::uint64_t addresses[lanes];
  addresses_of(warp, in, count, addresses);
  const Space space = in.form->space;
  alignas(64) T values[count][lanes] = {};
  for (unsigned i = 0; i < lanes; ++i) {
    if ((mask >> i & 1) == 0) continue;
    const std::byte* const from =
        reach(warp, in, i, space, addresses[i], sizeof(T) * count, Use::read);
    for (unsigned part = 0; part < count; ++part)
      std::memcpy(&values[part][i], from + part * sizeof(T), sizeof(T));
  }
  if (space == Space::global || space == Space::generic)
    count_traffic(warp, addresses, mask, sizeof(T) * count, Use::read);
  if (space == Space::shared) count_replays(warp, addresses, mask, sizeof(T) * count);
  for (unsigned part = 0; part < count; ++part)
    if (in.at[part].present()) store_extended(warp, in, part, in.first_bytes, values[part], mask);
}

/// Lanes of one store that write the same values to one place, as Triton's reductions do: one of
/// the stores is made, and it does not matter which. The first stands for all.
template <class T, unsigned count>
std::uint32_t without_repeats(const std::uint64_t* addresses, const T (&values)[count][lanes],
                              std::uint32_t mask) {
  const auto repeats = [&](unsigned i, unsigned before) {
    if ((mask >> before & 1) == 0 || addresses[before] != addresses[i]) return false;
    for (unsigned part = 0; part < count; ++part)
      if (values[part][before] != values[part][i]) return false;
    return true;
  };
  std::uint32_t left = mask;
  for (unsigned i = 1; i < lanes; ++i)
    for (unsigned before = 0; before < i && (left >> i & 1) != 0; ++before)
      if (repeats(i, before)) left &= ~(1U << i);
  return left;
}

template <class T, unsigned count>
void put(Warp& warp, const Instruction& in, std::uint32_t mask) {
  alignas(64) std::uint64_t addresses[lanes];
  addresses_of(warp, in, 0, addresses);
  const Space space = in.form->space;
  alignas(64) T values[count][lanes];
  for (unsigned part = 0; part < count; ++part) {
    if ((in.wide >> (1 + part) & 1) != 0) {
      const auto* const from = warp.read<std::uint64_t>(in.at[1 + part]);
      for (unsigned i = 0; i < lanes; ++i) values[part][i] = static_cast<T>(from[i]);
    } else {
      const auto* const from = warp.read<std::uint32_t>(in.at[1 + part]);
      for (unsigned i = 0; i < lanes; ++i) values[part][i] = static_cast<T>(from[i]);
    }
  }
  const bool sanitised = warp.block->launch->configuration.sanitize;
  const std::uint32_t stored =
      sanitised ? without_repeats<T, count>(addresses, values, mask) : mask;
  for (unsigned i = 0; i < lanes; ++i) {
    if ((stored >> i & 1) == 0) continue;
    std::byte* const to = reach(warp, in, i, space, addresses[i], sizeof(T) * count, Use::write);
    for (unsigned part = 0; part < count; ++part)
      std::memcpy(to + part * sizeof(T), &values[part][i], sizeof(T));
  }
  warp.block->launch->idle = 0;
  if (space == Space::global || space == Space::generic)
    count_traffic(warp, addresses, mask, sizeof(T) * count, Use::write);
  if (space == Space::shared) count_replays(warp, addresses, mask, sizeof(T) * count);
}

struct NamedSpace {
  const char* name;
  Space space;
  bool stores;
};
constexpr NamedSpace spaces[] = {
    {"", Space::generic, true},        {".global", Space::global, true},
    {".shared", Space::shared, true},  {".shared::cluster", Space::shared, true},
    {".local", Space::local, true},    {".param", Space::param, false},
    {".const", Space::constant, false}};

template <class T, unsigned count>
void add_rows(Table& table, std::initializer_list<const char*> types) {
  const std::string width(1, static_cast<char>('0' + sizeof(T)));
  const std::string vector = count == 1 ? "" : ".v" + std::to_string(count);
  const std::string value = count == 1 ? width + "+" : width + "x" + std::to_string(count) + "+";
  for (const NamedSpace& space : spaces)
    for (const char* const type : types) {
      const std::string tail = space.name + vector + "." + type;
      table.add("ld" + tail, "=" + value + " @", &load<T, count>).space = space.space;
      if (space.stores) table.add("st" + tail, "@ " + value, &put<T, count>).space = space.space;
    }
}

template <class Unsigned, class Signed>
void add_width(Table& table, std::initializer_list<const char*> types,
               std::initializer_list<const char*> signed_types) {
  add_rows<Unsigned, 1>(table, types), add_rows<Signed, 1>(table, signed_types);
  add_rows<Unsigned, 2>(table, types), add_rows<Signed, 2>(table, signed_types);
  if constexpr (sizeof(Unsigned) < 8)
    add_rows<Unsigned, 4>(table, types), add_rows<Signed, 4>(table, signed_types);
}

}  // namespace

void add_memory_forms(Table& table) {
  add_width<std::uint8_t, std::int8_t>(table, {"u8", "b8"}, {"s8"});
  add_width<std::uint16_t, std::int16_t>(table, {"u16", "b16", "f16", "bf16"}, {"s16"});
  add_width<std::uint32_t, std::int32_t>(table, {"u32", "b32", "f32", "f16x2", "bf16x2"}, {"s32"});
  add_width<std::uint64_t, std::int64_t>(table, {"u64", "b64", "f64"}, {"s64"});
}

}  // namespace abn::ptx
