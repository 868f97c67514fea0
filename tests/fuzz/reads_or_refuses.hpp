// What every reader promises, as a fuzz target demands it: any bytes are read, or refused in one
// sentence. Whatever else happens, another exception among it, ends the target as a crash.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "verify/problem/error.hpp"
#include "verify/problem/printable.hpp"

namespace abn::verify::fuzz {

[[noreturn]] inline void broken(const char* promise, const std::string& got) {
  std::fprintf(stderr, "broken promise: %s\n%s\n", promise, got.c_str());
  std::abort();
}

/// Does a sentence end in what to do next? It is behind a semicolon or in a question.
inline bool says_what_to_do(const std::string& sentence) {
  return sentence.find("; ") != sentence.npos || sentence.find('?') != sentence.npos;
}

template <class Read>
void reads_or_refuses(const Read& read) {
  try {
    read();
  } catch (const problem::UsageError& refused) {
    const std::string sentence = refused.what();
    if (!says_what_to_do(sentence)) broken("a refusal says what to do next", sentence);
  }
}

/// Of files, whose words are not the user's: nothing of them may be obeyed by a terminal.
template <class Read>
void reads_or_refuses_in_print(const Read& read) {
  reads_or_refuses([&] {
    try {
      read();
    } catch (const problem::UsageError& refused) {
      const std::string sentence = refused.what();
      if (problem::printable(sentence) != sentence) broken("a refusal can be printed", sentence);
      throw;
    }
  });
}

}  // namespace abn::verify::fuzz
