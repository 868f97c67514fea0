// The exit codes of the command line: one table for --help, for explain and for what is returned.
#pragma once

#include "verify/problem/word.hpp"

namespace abn::verify::command {

inline constexpr int usage_error = 2;

inline constexpr problem::Word exit_codes[] = {
    {"0", "all passed"},
    {"1", "a check failed, broke off or was inconclusive"},
    {"2", "the command, a file or the setup is wrong"},
    {"77", "nothing could run"},
    {"130", "ended by SIGINT, and 129 by SIGHUP or 143 by SIGTERM; --resume goes on with a run"},
};

}  // namespace abn::verify::command
