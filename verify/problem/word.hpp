// A name that people meet in check ids, on the command line or in a report, with the sentence that
// `abn-verify explain` prints for it. The table of such names lies in the room that owns the thing.
#pragma once

#include <span>

namespace abn::verify::problem {

struct Word {
  const char* name;
  const char* sentence;  ///< one to three short sentences for people
};

/// Words of one kind.
struct WordGroup {
  const char* kind;  ///< "storage type"
  std::span<const Word> words;
};

}  // namespace abn::verify::problem
