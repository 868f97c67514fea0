// Every name that the command line prints or takes, with what it means and where it is used.
//
// The sentences stand beside the names, in the rooms that own them; here they are only gathered.
// The one table of this room is the glossary, whose sentences the README has too.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "verify/problem/word.hpp"

namespace abn::verify::command {

struct Explanation {
  std::string kind;  ///< "data recipe", "check of backward", ...
  std::string name;
  std::string meaning;  ///< one to three sentences
  std::string use;      ///< where it is met or written; may be empty
};

/// All of them, kind by kind.
std::vector<Explanation> explanations();

/// The words of the glossary; their sentences begin with a small letter, as in the README.
std::span<const problem::Word> glossary();

/// What is known of a word, or of each part of a check's id; case, '-', '_' and blanks do not
/// matter. Throws UsageError, naming the nearest, if nothing is.
std::string explain(const std::string& word);

/// All words, kind by kind.
std::string list_words();

}  // namespace abn::verify::command
