// PTX text to a module, and a kernel's body to statements.
#pragma once

#include <memory>
#include <string>

#include "cuda/ptx/read/lexer.hpp"
#include "cuda/ptx/read/module.hpp"

namespace abn::ptx {

/// Reads the declarations; bodies are only measured. Throws Refused.
std::unique_ptr<Module> parse_module(std::string text);

/// Reads the body of one kernel. Throws Refused.
Body parse_body(const Kernel& kernel);

/// Bytes of ".f32" and its like; 0 for .pred. Throws Refused for a type that is none.
std::uint32_t bytes_of_type(std::string_view type, unsigned line);

/// A variable behind its state space word. Throws Refused.
Variable parse_variable(Lexer& from, Space space, bool external);

/// An integer constant, or the bits of 0f... and 0d....
Operand parse_number(const Token& token, bool minus);

}  // namespace abn::ptx
