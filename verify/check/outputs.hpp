// The group behind `run`: every output against its bound, every contract of every call.
#pragma once

#include "verify/check/group.hpp"

namespace abn::verify::check {

/// forward/z, forward/mean, ..., backward/dbeta with their bounds, and the contract checks of both
/// operations.
extern const CheckGroup output_checks;

}  // namespace abn::verify::check
