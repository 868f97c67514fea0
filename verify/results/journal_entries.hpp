// What stands in a journal, and its text: one line for each entry, with the hash that tells a whole
// line.
//
// Each line is a JSON object {"sha256": the first 16 letters of the hash of the entry's text,
// "entry": {...}}. The first entry says what was asked, and of which files; every other one how far
// a part of the run is, and replaces what was said of that part before. Entries have numbers, so
// none can be missing. A last line that is not whole was being written when the run was cut off,
// and is left out; a line that is not whole before one that is means that the file was damaged, and
// it is refused.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "verify/results/results.hpp"
#include "verify/worker/pool.hpp"

namespace abn::verify::results {

/// How far a part of a run is: the first `done` of its `of` cases, and their records, which are not
/// concluded.
struct Standing {
  std::string part;
  std::uint64_t done = 0, of = 0;
  std::vector<Record> records;
  double seconds = 0;                  ///< of the whole run, until then
  std::vector<worker::Losses> losses;  ///< of its plug-ins, in their order, until then
};

struct JournalHeader {
  std::vector<std::string> arguments;  ///< of the command line, from the verb on
  std::string folder;                  ///< that their paths are relative to
  Provenance provenance;               ///< with the tool, its worker and the plug-ins
  std::vector<FileHash> inputs;        ///< files that the cases come from
  std::vector<VariantInfo> variants;
  std::vector<std::string> parts;  ///< of the run, in their order
  bool resumable = true;           ///< a hunt is not
};

struct JournalContents {
  JournalHeader header;
  std::map<std::string, Standing> standings;  ///< by part; the last of each
  std::vector<worker::Losses> losses;         ///< of the last entry
  double seconds = 0;                         ///< of the last entry
  std::uint64_t entries = 0, bytes = 0;       ///< that are whole
};

/// Does a text begin as a journal does?
bool is_journal(std::string_view text);

/// `name` is for messages. Throws UsageError for what is no journal, or a damaged one.
JournalContents journal_from_text(const std::string& text, const std::string& name);

std::string journal_line(const JournalHeader& header);
std::string journal_line(const Standing& standing, std::uint64_t number_of_entry);

}  // namespace abn::verify::results
