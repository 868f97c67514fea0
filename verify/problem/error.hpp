// The one exception for what a user can mend: its message is a sentence that ends in what to do
// next.
#pragma once

#include <stdexcept>

namespace abn::verify::problem {

/// Bad input from a user: a malformed problem, a broken file, an unusable plug-in. The CLI prints
/// it and exits with code 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace abn::verify::problem
