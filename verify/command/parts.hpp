// What the verbs share: plug-ins and tensor files, provenance, the summary on the terminal, and the
// files of results.
#pragma once

#include <string>
#include <vector>

#include "verify/bench/problems.hpp"
#include "verify/call/plugin.hpp"
#include "verify/command/commands.hpp"
#include "verify/results/journal.hpp"
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

/// For bench and plan: the problems that the user named, or else those of a set. Throws UsageError
/// for one without elements.
std::vector<bench::SpeedProblem> problems_of(const std::vector<std::string>& given,
                                             const std::string& set);

results::Provenance provenance_of(const CommandLine& command_line);

/// What becomes of one of several plug-ins that is not usable.
enum class Unusable { refused, a_record };

/// The plug-ins, each loaded in a worker; no two variants have one name. Throws UsageError for what
/// is not a usable one, or gives it a `failure`. Where a worker ended while it loaded one, its
/// `failure` says how. `executed`: kernels for GPUs run on the executor of compiled kernels, and
/// with `in_tree` the project's own variants, as they were compiled, come first.
std::vector<call::Plugin> load_plugins(const std::vector<std::string>& paths,
                                       const LimitArguments& limits,
                                       Unusable unusable = Unusable::refused,
                                       worker::Execution executed = worker::Execution::none,
                                       bool in_tree = false);

/// Adds the kernels of Python files, or of the process behind the socket `host`.
void add_pythons(std::vector<call::Plugin>& plugins, const std::vector<std::string>& places,
                 int host, const LimitArguments& limits);

/// For verbs that have no records: throws UsageError for a plug-in with a `failure`.
void refuse_failures(const std::vector<call::Plugin>& plugins);

/// Ends the workers of the plug-ins and makes a record of each that failed while it was loaded or
/// while it ended. `verb` is for their reproduce lines.
std::vector<results::Record> plugin_records(const std::vector<call::Plugin>& plugins,
                                            const std::string& verb);

/// To standard output; that it took all of it is looked at in main, once.
void say(const std::string& text);
/// To standard error, as far as it takes it.
void complain(const std::string& text);

/// Prints what a person needs.
void print_verdicts(const results::Results& results, bool quiet);

/// Prints what a person needs, then writes what a program needs, removes the journal, which nobody
/// needs any more, and returns the exit code.
int finish(const results::Results& results, const std::string& out, bool quiet,
           results::Journal* journal = nullptr);

}  // namespace abn::verify::command
