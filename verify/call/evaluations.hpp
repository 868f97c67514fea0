// How often a kernel was called.
#pragma once

#include <cstdint>

namespace abn::verify::call {

/// Calls of a kernel's forward and backward that a check took; 0 where nobody counts.
struct Evaluations {
  std::uint64_t forward = 0, backward = 0;
  Evaluations& operator+=(const Evaluations& other) {
    return forward += other.forward, backward += other.backward, *this;
  }
};

}  // namespace abn::verify::call
