// Hashes of the files that verdicts rest on: the tool itself, its worker, and plug-ins.
#pragma once

#include <string>
#include <vector>

#include "verify/results/results.hpp"

namespace abn::verify::command {

/// Of this program; with plug-ins also of the worker beside it and of each of them with its
/// instrumented build.
std::vector<results::FileHash> file_hashes(const std::vector<std::string>& plugins = {});

/// Of files that cases come from.
std::vector<results::FileHash> input_hashes(const std::vector<std::string>& paths);

}  // namespace abn::verify::command
