// The names of a kernel while it is made executable: registers by numbers, variables by addresses,
// constants by their place.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cuda/ptx/run/decode.hpp"

namespace abn::ptx {

struct Register {
  std::uint32_t number = 0;
  std::uint8_t bytes = 4;  // 0: a predicate
};

/// What an operand is before registers have places.
struct Source {
  enum class Kind : std::uint8_t { none, reg, constant };
  Kind kind = Kind::none;
  std::uint32_t number = 0;  // of the register; the offset of the constant
};

class Names {
 public:
  /// Sizes of shared and local memory, and constants, go into the program.
  Names(Program& program, const Symbols& symbols) : program_(program), symbols_(symbols) {}

  /// Registers and variables of the body, and variables of the module. Throws Refused.
  void declare(const Body& body);
  /// Null where the name is none of a register.
  const Register* find(std::string_view name) const;
  /// Of a variable or parameter; null where there is none of this name.
  const std::uint64_t* address_of(std::string_view name) const;
  /// The bits in all lanes, of 4 bytes or 8.
  Source constant(std::uint64_t bits, bool wide);
  Source special(Special special);
  /// Of all registers: 4 or 8 bytes a lane.
  const std::vector<std::uint8_t>& widths() const { return widths_; }
  const std::map<Special, std::uint32_t>& specials() const { return specials_; }

 private:
  void declare_register(std::string_view name, std::uint8_t bytes);
  void declare_registers(const Body& body);
  void declare_variables(const Body& body);

  Program& program_;
  const Symbols& symbols_;
  std::deque<std::string> texts_;  // of names that are made here
  std::unordered_map<std::string_view, Register> registers_;
  std::vector<std::uint8_t> widths_;
  std::map<Special, std::uint32_t> specials_;
  std::unordered_map<std::string, std::uint64_t> addresses_;
  std::map<std::pair<std::uint64_t, bool>, std::uint32_t> constants_;
};

}  // namespace abn::ptx
