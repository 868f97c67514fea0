// An instruction before registers have places.
#pragma once

#include <array>
#include <string_view>

#include "cuda/ptx/run/names.hpp"

namespace abn::ptx {

struct Pending {
  Instruction instruction;
  std::array<Source, most_places> sources{};
  Source guard;
  std::string_view label{};
  bool is_branch = false;
};

/// Which places of a form are results.
std::array<bool, most_places> results_of(const Form& form);

}  // namespace abn::ptx
