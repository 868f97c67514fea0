// What is lost when a worker ends: a call, and the count of them.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace abn::verify::worker {

/// A call that did not come back, or a variant that is not called any more. what() is a sentence
/// without its full stop.
struct CallLost : std::runtime_error {
  CallLost(std::string op, const std::string& why)
      : std::runtime_error(why), operation(std::move(op)) {}
  std::string operation;  ///< "forward", "backward" or "claims"
};

/// What a pool has lost so far; another one that is told it goes on as this one would have.
struct Losses {
  struct OfVariant {
    std::uint32_t build = 0, index = 0;
    int lost = 0;       ///< times that it was asked or called
    int questions = 0;  ///< of these, for its claims or sizes
    std::string first;  ///< how the first of them was lost
  };
  int workers = 0;
  std::vector<OfVariant> variants;  ///< those that lost any
};

}  // namespace abn::verify::worker
