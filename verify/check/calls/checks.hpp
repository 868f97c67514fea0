// How a kernel is called: with outputs left out, with too small a workspace, at other addresses,
// after other calls, and from several threads at once.
//
// The other groups call a kernel in one way, the usual one. Here the numbers are ordinary and the
// calls are not.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "verify/check/group.hpp"

namespace abn::verify::check::calls {

/// calls/optional, workspace, elsewhere, sequence and threads.
extern const CheckGroup call_checks;

/// Makes hundreds of calls, so only problems up to this many elements are taken.
inline constexpr std::int64_t most_elements = 20'000;

/// "mean,dgamma" as names of what a call may be without; throws UsageError for any other.
std::vector<std::string> parse_without(std::string_view text);

}  // namespace abn::verify::check::calls
