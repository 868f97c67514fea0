// What the verbs share: looking at --out before a long run, provenance, the summary on the
// terminal, and the files of results.
#pragma once

#include <string>
#include <vector>

#include "verify/command/commands.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::command {

/// The named files, and the .safetensors files of the named folders in order of name. Throws
/// UsageError for a folder without any.
std::vector<std::string> tensor_files(const std::vector<std::string>& paths);

/// A variant's bare name stands for all of its checks.
std::string pattern_of(const std::string& text);

/// The parts of a check's id.
std::vector<std::string> parts_of(const std::string& id);

/// `text` in lines of at most 100 columns, each behind `indent` but the first, which stands behind
/// `head`; ends in a newline.
std::string wrapped(const std::string& text, const std::string& indent, const std::string& head);
inline std::string wrapped(const std::string& text, const std::string& indent) {
  return wrapped(text, indent, indent);
}

/// A long run must not end in a file that cannot be written: looked at before it begins. Throws
/// UsageError.
void require_writable(const std::string& path);

/// Throws UsageError for what is no file that can be read.
std::string read_text(const std::string& path);

results::Provenance provenance_of(const CommandLine& command_line);

/// Prints what a person needs, writes what a program needs, and returns the exit code.
int finish(const results::Results& results, const std::string& out, bool quiet);

}  // namespace abn::verify::command
