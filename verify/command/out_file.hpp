// Is the file of --out one that can be written in the end? Looked at before a long run begins.
#pragma once

#include <string>

namespace abn::verify::command {

/// Throws UsageError for a folder, a place that does not exist or that nobody may write to, and for
/// standard output, where the verdicts are printed. Empty: nothing is to be written.
void require_writable(const std::string& path);

/// Is it, or will it be, a file, beside which there is room for a journal? A device or a pipe has
/// none.
bool is_plain_file(const std::string& path);

}  // namespace abn::verify::command
