// The journal of a run: what it was asked and what it has found so far, on disk while it goes on.
//
// FILE.journal lies beside the FILE of --out; entries (journal_entries.hpp) are only appended. A
// run that has written FILE removes its journal. Until then the journal is the unfinished result:
// `report` reads it, and `run --resume FILE` goes on from it.
#pragma once

#include <string>

#include "verify/results/journal_entries.hpp"

namespace abn::verify::results {

/// The journal that belongs to a --out, or that is named itself.
std::string journal_of(const std::string& path);

/// The results so far: records as if each part ended where it stands, and what is left to do.
/// `path` is that of the journal, empty where there is none.
Results unfinished_results(const JournalContents& contents, const std::string& path);

/// A journal that is being written, by one process at a time.
class Journal {
 public:
  /// Keeps its entries in memory only.
  explicit Journal(JournalHeader header);
  /// Begins one beside `out`; that of an earlier run that was cut off is kept as NAME.old. Throws
  /// UsageError where it cannot be written, or where another run is writing it.
  Journal(JournalHeader header, const std::string& out);
  /// Goes on with one, behind its last whole line.
  explicit Journal(const std::string& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  const JournalContents& contents() const { return contents_; }
  const std::string& path() const { return path_; }

  /// Does not throw: what a full disk does not take is kept, and tried again with the next entry.
  void append(Standing standing);
  /// Is everything on disk?
  bool safe() const { return pending_.empty(); }
  /// Removes it: the results are written.
  void remove();

 private:
  bool write_pending();

  JournalContents contents_;
  std::string path_, pending_;
  int file_ = -1;
  double synced_ = 0;  // seconds, when the disk last had all of it
};

}  // namespace abn::verify::results
