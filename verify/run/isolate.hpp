// Runs the cases of a host plug-in in a process of their own: what crashes there is an error of its
// case and of nothing else.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "verify/check/group.hpp"

namespace abn::verify::run {

/// How long a child may go without finishing a case before it counts as hung.
inline constexpr int patience_seconds = 300;

/// Runs the cases in child processes with `threads` threads each and hands every case's records to
/// `sink`, in any order. A case that crashes, hangs or ends its process becomes an error record;
/// behind the third one the rest are errors, too.
void run_isolated(const check::CheckGroup& group, const call::Subject& subject,
                  std::span<const data::Case> cases, const check::RunOptions& options, int threads,
                  const std::function<void(std::size_t, std::vector<results::Record>)>& sink);

}  // namespace abn::verify::run
