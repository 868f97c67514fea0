// Counts by the bytes of the largest tensor.
#include "verify/command/pace.hpp"

#include <algorithm>

#include "verify/check/sanitize/traffic.hpp"

namespace abn::verify::command {

Pace pace_of(const check::sanitize::MovedBy& call, std::uint64_t instructions) {
  constexpr double lanes = 32, vector_bytes = 16, budget_of_a_sweep = 153;
  std::uint64_t bytes = 0;
  for (const results::BufferTraffic& buffer : call.buffers)
    if (buffer.tensor) bytes = std::max(bytes, buffer.bytes);
  Pace pace;
  pace.budget = budget_of_a_sweep * check::sanitize::floor_sweeps(call.op == "backward");
  if (bytes > 0)
    pace.instructions =
        static_cast<double>(instructions) * lanes / (static_cast<double>(bytes) / vector_bytes);
  return pace;
}

}  // namespace abn::verify::command
