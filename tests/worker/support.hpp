// What the tests of the workers share: a plug-in by name, what it is told by its environment, and
// one call of it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "verify/problem/problem.hpp"
#include "verify/worker/pool.hpp"
#include "verify/worker/shared_memory.hpp"

namespace abn::tests {

inline std::string plugin_path(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "plugins" /
          (name + ".so"))
      .string();
}

/// A variable of the environment, for the workers that are started while it lives.
class Saying {
 public:
  explicit Saying(const std::string& what, const char* variable = "HOSTILE") : variable_(variable) {
    setenv(variable, what.c_str(), 1);
  }
  ~Saying() { unsetenv(variable_); }
  Saying(const Saying&) = delete;
  Saying& operator=(const Saying&) = delete;

 private:
  const char* variable_;
};

inline verify::worker::Limits impatient() {
  verify::worker::Limits limits;
  limits.call_seconds = 1;
  return limits;
}

inline const abn_problem small = verify::problem::parse_problem("n2c3s5,f32,leaky_relu");

/// One forward call with everything in one allocation: its status.
inline int call_forward(const abn_variant& variant) {
  constexpr std::size_t each = 256, count = 10;
  auto* const memory = static_cast<std::byte*>(verify::worker::share(each * count, 1));
  std::memset(memory, 0, each * count);
  const auto at = [&](std::size_t which) { return memory + which * each; };
  abn_forward_args args{};
  args.struct_size = sizeof args;
  args.x = at(0), args.z = at(1), args.gamma = at(2), args.beta = at(3);
  args.mean = at(4), args.var = at(5), args.workspace = at(6);
  int status = -1;
  try {
    status = variant.forward(&small, &args);
  } catch (...) {
    verify::worker::unshare(memory);
    throw;
  }
  verify::worker::unshare(memory);
  return status;
}

/// How a call was lost; empty where it came back.
inline std::string lost_in_forward(const abn_variant& variant) {
  try {
    call_forward(variant);
  } catch (const verify::worker::CallLost& lost) {
    return lost.what();
  }
  return {};
}

}  // namespace abn::tests
