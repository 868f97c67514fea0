// One instruction on registers of its own, in a warp that is part of no block.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/ptx/support.hpp"

namespace abn::ptx::test {

inline unsigned register_bytes(const Pattern& pattern) {
  return pattern.bytes == 0 ? 0 : std::max<unsigned>(pattern.bytes, 2);
}

/// One instruction of the form on registers of its own, in a warp that is not part of any block.
struct Bench {
  explicit Bench(const Form& form) {
    std::string registers, operands;
    for (std::size_t i = 0; i < form.operands.size(); ++i) {
      const unsigned bytes = register_bytes(form.operands[i]);
      const std::string name = "%o" + std::to_string(i);
      registers += std::string(".reg .") + (bytes == 0 ? "pred" : "b" + std::to_string(8 * bytes)) +
                   " " + name + ";\n";
      operands += (i == 0 ? " " : ", ") + name;
    }
    loaded = load(text_of("", registers + form.name + operands + ";"));
    warp.memory.assign(loaded.program.register_bytes + 64, std::byte{0});
    warp.registers =
        warp.memory.data() + (64 - reinterpret_cast<std::uintptr_t>(warp.memory.data()) % 64);
    warp.base[0] = warp.registers, warp.base[1] = loaded.program.constants.data();
    const Instruction& in = instruction();
    for (std::size_t i = 0, place = 0; i < form.operands.size(); ++i) {
      places.push_back(in.at[place]);
      place += form.operands[i].pair ? 2 : 1;
    }
  }
  const Instruction& instruction() const { return loaded.program.code.front(); }
  void put(std::size_t operand, unsigned bytes, unsigned lane, std::uint64_t bits) {
    std::memcpy(warp.registers + places[operand].bits + lane * (bytes == 8 ? 8 : 4), &bits,
                bytes == 8 ? 8 : 4);
  }
  std::uint64_t get(unsigned bytes, unsigned lane) const {
    std::uint64_t bits = 0;
    std::memcpy(&bits, warp.registers + places[0].bits + lane * (bytes == 8 ? 8 : 4),
                bytes == 8 ? 8 : 4);
    return bits;
  }

  Loaded loaded;
  Warp warp;
  std::vector<Place> places;
};

/// The forms that approximations_test.cpp looks at, and those of them whose break it notices.
std::set<std::string> approximations_looked_at();
std::set<std::string> approximations_noticed();

}  // namespace abn::ptx::test
