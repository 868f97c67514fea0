// Makes a kernel executable.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "cuda/ptx/state/program.hpp"

namespace abn::ptx {

/// Addresses of the module's variables of global memory, by name.
using Symbols = std::map<std::string, std::uint64_t, std::less<>>;

/// Throws Refused for whatever is not known.
Program decode(const Module& module, const Kernel& kernel, const Symbols& symbols);

}  // namespace abn::ptx
