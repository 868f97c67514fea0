// The one list of all groups of checks.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "verify/check/group.hpp"

namespace abn::verify::check {

/// In the order in which a run goes through them.
std::span<const CheckGroup* const> groups();

/// Those that a verb of the command line runs: without options, or those that need `flags`, too.
std::vector<const CheckGroup*> groups_of(std::string_view verb, std::string_view flags = "");

}  // namespace abn::verify::check
