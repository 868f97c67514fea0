// From the name of a file to the run that was to write it.
#include "verify/command/resume.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "verify/command/parts.hpp"
#include "verify/problem/bounded_file.hpp"
#include "verify/problem/error.hpp"
#include "verify/results/journal.hpp"

namespace abn::verify::command {

namespace fs = std::filesystem;

Resumed resumed_run(const std::string& verb, const RunArguments& asked,
                    const std::vector<std::string>& given) {
  Resumed resumed;
  for (const std::string& option : given) {
    if (option == "--threads") resumed.threads = asked.threads;
    if (option != "--resume" && option != "--threads" && option != "--quiet")
      throw problem::UsageError(
          fmt::format("--resume takes the options of the run that was cut off; leave {} away (only "
                      "--threads and --quiet may be given)",
                      option));
  }
  resumed.quiet = asked.quiet;
  std::error_code error;
  const std::string journal = results::journal_of(asked.resume);
  if (!fs::exists(journal, error))
    throw problem::UsageError(fmt::format(
        "There is no {}: either the run came to its end, and {} has its results, or it had not "
        "begun; start it again",
        journal, asked.resume));
  resumed.journal = fs::absolute(journal, error).string();
  const results::JournalHeader header =
      results::journal_from_text(problem::read_bounded(journal, problem::own_journal), journal)
          .header;
  const std::string begun_as = header.arguments.empty() ? "run" : header.arguments.front();
  if (begun_as != verb)
    throw problem::UsageError(fmt::format("{} is not of abn-verify {}; say abn-verify {} --resume",
                                          journal, verb, begun_as));
  if (!header.resumable)
    throw problem::UsageError(fmt::format(
        "{} is of a hunt or of a run with --seconds, which cannot be resumed; abn-verify report {} "
        "shows what it found",
        journal, journal));
  resumed.words = header.arguments, resumed.seed = header.provenance.seed;
  // The paths among the arguments are relative to it.
  if (fs::is_directory(header.folder, error)) fs::current_path(header.folder, error);
  return resumed;
}

}  // namespace abn::verify::command
