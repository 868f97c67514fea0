// The cases of a tier moved to where a variant does them, so that every variant is judged on as
// many.
//
// A case that a kernel does not do is replaced by a problem of the same storage type and layout
// that it does, as near to the case as a greedy walk gets: from a problem that is supported, one
// field after the other becomes the case's while the result stays supported, and a size that cannot
// goes as far as it may. Data recipe and seed stay. Types and layouts are parts of check ids; what
// a variant does not do of them stays skipped.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "verify/check/group.hpp"

namespace abn::verify::check {

struct MovedCases {
  std::vector<data::Case> cases;  ///< in the order of those that were given
  std::size_t left_out = 0;       ///< of these, what the emulator does not run in this tier
  std::size_t left_to_gpus = 0;   ///< of these, what no host kernel is asked to do in a tier
  std::size_t moved = 0;
  /// left as they were: nothing of their type and layout is supported
  std::size_t unsupported = 0;
};

/// The cases, each that the variant does not support moved to a problem that it does and that suits
/// the group. Cases with inputs of their own are not moved.
MovedCases moved_cases(const CheckGroup& group, const call::Subject& subject,
                       std::span<const data::Case> cases);

}  // namespace abn::verify::check
