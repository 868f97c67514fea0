// What the verbs share: looking at --out before a long run, provenance, the summary on the
// terminal, and the files of results.
#pragma once

#include <string>
#include <vector>

#include "verify/call/plugin.hpp"
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

results::Provenance provenance_of(const CommandLine& command_line);

/// The plug-ins, each loaded in a worker; no two variants have one name. Throws UsageError for what
/// is not a usable one. Where a worker ended while it loaded one, its `failure` says how.
std::vector<call::Plugin> load_plugins(const std::vector<std::string>& paths,
                                       const LimitArguments& limits);

/// For verbs that have no records: throws UsageError for a plug-in with a `failure`.
void refuse_failures(const std::vector<call::Plugin>& plugins);

/// Ends the workers of the plug-ins and makes a record of each that failed while it was loaded or
/// while it ended. `verb` is for their reproduce lines.
std::vector<results::Record> plugin_records(const std::vector<call::Plugin>& plugins,
                                            const std::string& verb);

/// Prints what a person needs, writes what a program needs, and returns the exit code.
int finish(const results::Results& results, const std::string& out, bool quiet);

}  // namespace abn::verify::command
