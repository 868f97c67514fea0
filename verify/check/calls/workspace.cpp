// A workspace that is too small: one byte less than the variant asked for, none, and NULL.
//
// Each has to be refused with ABN_ERROR_WORKSPACE before anything is written. The check stops at
// the first that is not, so a kernel that never looks is not made to write through a null pointer.
#include <fmt/format.h>

#include "verify/check/calls/ways.hpp"

namespace abn::verify::check::calls {
namespace {

struct Shortage {
  call::WorkspaceGiven given;
  const char* words;
};
constexpr Shortage shortages[] = {
    {call::WorkspaceGiven::one_byte_less, "with a workspace of one byte less than it asks for"},
    {call::WorkspaceGiven::none, "with a workspace of no bytes"},
    {call::WorkspaceGiven::null, "with NULL for its workspace"},
};

std::optional<call::Contract> broken_by(const DataSet& set, Direction direction,
                                        const Shortage& shortage) {
  call::CallSettings settings = set.settings();
  settings.workspace = shortage.given;
  const call::Call call = set.call(direction, settings);
  const char* const op = direction == Direction::forward ? "forward" : "backward";
  if (call.status != ABN_ERROR_WORKSPACE)
    return call::broken(
        "workspace", op,
        fmt::format("{}, {} returns {}, not ABN_ERROR_WORKSPACE", shortage.words, op, call.status));
  // as where there is no work: no output may be written either
  call::Contract untouched = call::guards_contract({&call}, true, set.inputs().problem);
  if (untouched.reason.empty()) untouched = call::inputs_contract({&call}, set.inputs().problem);
  if (untouched.reason.empty()) return std::nullopt;
  return call::broken("workspace", untouched.where,
                      fmt::format("{}, {} returns ABN_ERROR_WORKSPACE, but {} was written",
                                  shortage.words, op, untouched.where));
}

}  // namespace

Found shrink_workspace(const CallCase& one) {
  const DataSet set(one.subject, one.inputs, one.claims, one.seed);
  if (!set.is_complete()) return {{}, set.fault(), {}};
  Found found;
  bool any = false;
  for (const Direction direction : set.directions()) {
    const int which = direction == Direction::forward ? ABN_FORWARD : ABN_BACKWARD;
    if (one.subject.variant->workspace_bytes(&one.inputs.problem, which) == 0) continue;
    any = true;
    for (const Shortage& shortage : shortages)
      if (!found.broken) found.broken = broken_by(set, direction, shortage);
  }
  if (!any) found.nothing = "it asks for no workspace";
  return found;
}

}  // namespace abn::verify::check::calls
