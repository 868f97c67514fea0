// What a run has found before it was cut off, as results that say so.
#include <fmt/format.h>

#include <algorithm>

#include "verify/results/journal.hpp"

namespace abn::verify::results {
namespace {

constexpr std::size_t most_named = 5;  // parts that are left

std::string what_is_left(const JournalContents& contents) {
  std::string named;
  std::size_t left = 0;
  for (const std::string& part : contents.header.parts) {
    const auto at = contents.standings.find(part);
    const bool begun = at != contents.standings.end();
    if (begun && at->second.done == at->second.of) continue;
    if (++left > most_named) continue;
    named += fmt::format("{}{}", named.empty() ? "" : "; ", part);
    if (begun) named += fmt::format(" ({} of {} cases are done)", at->second.done, at->second.of);
  }
  if (left > most_named) named += fmt::format("; and {} more", left - most_named);
  return named;
}

/// What --resume is given: the file that the run was to write, where the journal is its own.
std::string resumed_as(const std::string& path) {
  constexpr std::string_view ending = ".journal";
  return path.ends_with(ending) ? path.substr(0, path.size() - ending.size()) : path;
}

}  // namespace

Results unfinished_results(const JournalContents& contents, const std::string& path) {
  Results results;
  results.provenance = contents.header.provenance;
  results.provenance.seconds = contents.seconds;
  results.variants = contents.header.variants;
  std::size_t done = 0;
  for (const auto& [part, standing] : contents.standings) {
    const bool whole = standing.done == standing.of;
    done += whole ? 1 : 0;
    for (Record record : standing.records) {
      conclude(record);
      if (!whole)
        record.reason += fmt::format(" (unfinished: {} of {} cases)", standing.done, standing.of);
      results.records.push_back(std::move(record));
    }
  }
  std::sort(results.records.begin(), results.records.end(),
            [](const Record& a, const Record& b) { return a.id < b.id; });
  const std::size_t all = contents.header.parts.size();
  const std::string left = what_is_left(contents);
  results.unfinished =
      fmt::format("the run was cut off when {} of its {} parts were done", done, all);
  results.unfinished +=
      left.empty() ? ", before it could conclude." : fmt::format("; left are {}.", left);
  if (!contents.header.resumable)
    results.unfinished += " It cannot be resumed; start it again for the rest.";
  else if (path.empty())
    results.unfinished += " Without --out it cannot be resumed; start it again for the rest.";
  else
    results.unfinished +=
        fmt::format(" abn-verify {} --resume {} goes on from there.",
                    contents.header.arguments.empty() ? "run" : contents.header.arguments.front(),
                    resumed_as(path));
  return results;
}

}  // namespace abn::verify::results
