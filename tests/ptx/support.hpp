// What the tests of the executor share: PTX text around a few instructions, one instruction on the
// lanes of a warp, and whole kernels on buffers.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cuda/ptx/run/machine.hpp"

namespace abn::ptx::test {

/// A module with one kernel `k` that has these parameters (as PTX) and this body.
std::string text_of(const std::string& parameters, const std::string& body,
                    const std::string& before = "");

/// A module in memory with its one kernel decoded.
struct Loaded {
  std::unique_ptr<Module> module;
  Program program;
};
Loaded load(const std::string& text);

/// The sentence with which loading is refused; empty where it is not.
std::string refusal(const std::string& text);

/// What a test kernel is given: its parameters are pointers to buffers.
struct Buffer {
  std::string name;
  std::vector<std::uint32_t> words;
  bool written = true, writable = true;
};
struct How {
  Size3 grid{1, 1, 1}, block{32, 1, 1}, cluster{1, 1, 1};
  std::uint32_t dynamic_shared = 0;
  bool cooperative = false, sanitize = false, watched = false;
  std::uint64_t seed = 0, most_idle = 1 << 16;
  std::size_t parameter_padding = 0;  ///< bytes of parameters behind the buffers
  const Form* broken = nullptr;       ///< broken on purpose (break_form.hpp)
};
/// Runs it; buffers become the parameters in their order.
Outcome run(const std::string& text, std::vector<Buffer>& buffers, const How& how = {});

/// "kind: text" of each finding, a line each; "" where there is none.
std::string finding_of(const Outcome& outcome);

/// Forms that programs of run() had.
std::set<std::string>& forms_met();

}  // namespace abn::ptx::test
