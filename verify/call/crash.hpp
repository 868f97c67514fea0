// A note of what a thread is about to call, kept where a signal handler and another process can
// read it.
#pragma once

#include <cstdint>

namespace abn::verify::call {

/// What one thread is doing; plain memory, so that it can lie in a page that two processes share.
struct ThreadNote {
  std::int64_t current = -1;  ///< number of the case, -1 between cases
  char operation[16] = "";    ///< "forward", "backward" or empty
};

/// Where this thread's notes go; null: nowhere.
void keep_notes_in(ThreadNote* note);
ThreadNote* notes_of_this_thread();

/// Names the operation that this thread is in, while it lives.
class CrashNote {
 public:
  explicit CrashNote(const char* operation);
  ~CrashNote();
  CrashNote(const CrashNote&) = delete;
  CrashNote& operator=(const CrashNote&) = delete;
};

}  // namespace abn::verify::call
