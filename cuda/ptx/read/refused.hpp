// What is thrown for PTX that cannot be executed: one sentence that ends in what to do next.
#pragma once

#include <stdexcept>
#include <string>

namespace abn::ptx {

struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// With the line of the PTX text in front, and the kernel where it is known.
[[noreturn]] inline void refuse(unsigned line, const std::string& kernel, const std::string& what) {
  std::string where = "PTX line " + std::to_string(line);
  if (!kernel.empty()) where += " of kernel " + kernel;
  throw Refused(where + ": " + what);
}

}  // namespace abn::ptx
