// mov of registers, constants, special registers and addresses; mov that packs a vector into a
// register, or takes one apart. Special registers are ordinary ones here, which a warp begins with.
#include "cuda/ptx/forms/lanes.hpp"

namespace abn::ptx {
namespace {

template <class Container>
void copy(Warp& warp, const Instruction& in, std::uint32_t mask) {
  store(warp.write<Container>(in.at[0]), warp.read<Container>(in.at[1]), mask);
}

/// The first part lies lowest.
template <class Whole, class Part, unsigned parts>
void pack(Warp& warp, const Instruction& in, std::uint32_t mask) {
  using From = typename Lane<Part>::Container;
  alignas(64) Whole out[lanes] = {};
  for (unsigned part = 0; part < parts; ++part) {
    const auto* const from = warp.read<From>(in.at[1 + part]);
    for (unsigned i = 0; i < lanes; ++i)
      out[i] |= static_cast<Whole>(from[i]) << 8 * sizeof(Part) * part;
  }
  store(warp.write<Whole>(in.at[0]), out, mask);
}

template <class Whole, class Part, unsigned parts>
void unpack(Warp& warp, const Instruction& in, std::uint32_t mask) {
  using To = typename Lane<Part>::Container;
  // A part may be the register that is taken apart.
  alignas(64) Whole from[lanes];
  std::memcpy(from, warp.read<Whole>(in.at[parts]), sizeof from);
  alignas(64) To out[lanes];
  for (unsigned part = 0; part < parts; ++part) {
    if (!in.at[part].present()) continue;
    for (unsigned i = 0; i < lanes; ++i)
      out[i] = static_cast<Part>(from[i] >> 8 * sizeof(Part) * part);
    store(warp.write<To>(in.at[part]), out, mask);
  }
}

}  // namespace

void add_move_forms(Table& table) {
  for (const char* type : {"pred", "b16", "u16", "s16", "f16", "bf16"})
    table.add(std::string("mov.") + type, std::string(type) == "pred" ? "=p p" : "=2 2",
              &copy<std::uint32_t>);
  for (const char* type : {"b32", "u32", "s32", "f32"})
    table.add(std::string("mov.") + type, "=4 4", &copy<std::uint32_t>);
  for (const char* type : {"b64", "u64", "s64", "f64"})
    table.add(std::string("mov.") + type, "=8 8", &copy<std::uint64_t>);
  using U16 = std::uint16_t;
  using U32 = std::uint32_t;
  using U64 = std::uint64_t;
  table.add("mov.b32{pack2}", "=4 2x2", &pack<U32, U16, 2>);
  table.add("mov.b64{pack2}", "=8 4x2", &pack<U64, U32, 2>);
  table.add("mov.b64{pack4}", "=8 2x4", &pack<U64, U16, 4>);
  table.add("mov.b32{unpack2}", "=2x2 4", &unpack<U32, U16, 2>);
  table.add("mov.b64{unpack2}", "=4x2 8", &unpack<U64, U32, 2>);
  table.add("mov.b64{unpack4}", "=2x4 8", &unpack<U64, U16, 4>);
}

}  // namespace abn::ptx
