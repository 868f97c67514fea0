// Per-thread notes: a pointer to where they go.
#include "verify/call/crash.hpp"

#include <cstring>

namespace abn::verify::call {
namespace {

thread_local ThreadNote* notes = nullptr;

}  // namespace

void keep_notes_in(ThreadNote* note) { notes = note; }
ThreadNote* notes_of_this_thread() { return notes; }

CrashNote::CrashNote(const char* operation) {
  if (notes != nullptr) std::strncpy(notes->operation, operation, sizeof notes->operation - 1);
}

CrashNote::~CrashNote() {
  if (notes != nullptr) notes->operation[0] = '\0';
}

}  // namespace abn::verify::call
