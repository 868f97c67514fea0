// What PTX text says before it is made executable: variables, kernels, and the statements of a
// kernel's body.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace abn::ptx {

enum class Space : std::uint8_t { generic, global, shared, local, param, constant };

struct Variable {
  Space space = Space::global;
  std::string name{};
  std::uint64_t bytes = 0, align = 1;
  bool external = false;                ///< of shared memory: the launch says how large it is
  std::vector<std::uint8_t> content{};  ///< initial values; empty: zeros
  unsigned line = 0;
};

/// A parameter of a kernel, at its offset in the launch's parameters.
struct Parameter {
  std::string name{};
  std::uint64_t bytes = 0, align = 1, offset = 0;
};

struct Kernel {
  std::string name{};
  unsigned line = 0;
  std::vector<Parameter> parameters{};
  std::uint64_t parameter_bytes = 0;
  std::uint32_t most_threads = 0;          ///< of .maxntid, as a product; 0: none
  std::uint32_t required_threads[3] = {};  ///< of .reqntid; 0: none
  std::uint32_t required_cluster[3] = {};  ///< of .reqnctapercluster; 0: none
  bool explicit_cluster = false;
  std::string_view body{};  ///< a piece of the module's text
  unsigned body_line = 0;
};

struct Module {
  std::string text{};  ///< which the kernels point into
  std::string version{}, target{};
  std::vector<Variable> variables{};
  std::vector<Kernel> kernels{};
  /// Source files of .file, by number.
  std::vector<std::string> files{};
  Module() = default;
  Module(const Module&) = delete;  // the views would dangle
  Module& operator=(const Module&) = delete;
};

struct Operand {
  enum class Kind : std::uint8_t {
    name,     ///< a register, a special register, a symbol or a label
    integer,  ///< value in `bits`
    real32,   ///< 0f..., its bits
    real64,   ///< 0d... or a decimal number, its bits
    address,  ///< [base + bits]; without a base `name` is empty
    vector,   ///< {parts}
    sink,     ///< _
  };
  Kind kind = Kind::name;
  bool negated = false;  ///< !%p
  std::string_view name{};
  std::string_view second{};  ///< of %p|%q
  std::uint64_t bits = 0;
  std::vector<Operand> parts{};
};

/// What .loc says; line 0: nothing.
struct SourceLine {
  unsigned file = 0, line = 0;
};

/// One instruction, or a label.
struct Statement {
  unsigned line = 0;
  std::string_view label{};  ///< not empty: it is only a label
  std::string_view guard{};  ///< register of @%p
  bool guard_negated = false;
  std::string_view opcode{};
  std::vector<Operand> operands{};
  SourceLine source{}, outermost{};  ///< of the last .loc; of the kernel that it is inlined into
};

/// A range of registers: .reg .b32 %r<137> is {"%r", 137, 4}; one register has count 0.
struct Registers {
  std::string_view name{};
  std::uint32_t count = 0;
  std::uint32_t bytes = 4;  ///< 2, 4 or 8; 0: predicates
};

struct Body {
  std::deque<std::string> names{};  ///< those that a scope of inline PTX was given
  std::vector<Registers> registers{};
  std::vector<Variable> variables{};  ///< of shared and local memory
  std::vector<Statement> statements{};
};

}  // namespace abn::ptx
