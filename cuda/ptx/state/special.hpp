// Special registers by name, and their values for the lanes of a warp.
#pragma once

#include <optional>
#include <string_view>

#include "cuda/ptx/state/block.hpp"

namespace abn::ptx {

std::optional<Special> special_of(std::string_view name);

/// Writes those that the program reads.
void write_specials(Warp& warp);

/// Thread `lane` of the warp in its block.
Size3 thread_of(const Warp& warp, unsigned lane);

}  // namespace abn::ptx
