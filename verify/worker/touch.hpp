// Calls that find pages beside their buffers closed, as the judge makes them, and where one touched
// such a page.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "verify/worker/protocol.hpp"

namespace abn::verify::worker {

/// Memory of share() that nobody may touch.
struct Pages {
  const std::byte* begin = nullptr;
  std::size_t bytes = 0;
};

/// While it lives, calls of this thread find whole pages closed. A call that touches one ends there
/// with its worker, returns ABN_ERROR_LAUNCH, and is no call that was lost.
class Closed {
 public:
  explicit Closed(std::vector<Pages> pages);
  ~Closed();
  Closed(const Closed&) = delete;
  Closed& operator=(const Closed&) = delete;
};

/// Where the last call of this thread touched a closed page, in the judge's addresses; it is then
/// forgotten.
struct Touch {
  const std::byte* address = nullptr;
  Access access{};
};
std::optional<Touch> take_touch();

}  // namespace abn::verify::worker
