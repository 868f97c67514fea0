// SIGINT, SIGTERM and SIGHUP: the first ends a run in order, a second one at once.
#pragma once

#include <stdexcept>

namespace abn::verify::worker {

/// A run is to end: thrown where one can end in order, with what it has found safe.
struct Interrupted : std::exception {
  explicit Interrupted(int by) : signal(by) {}
  const char* what() const noexcept override { return "the run was interrupted"; }
  int signal;
};

/// From now on the first of these signals is only noted; one that comes half a second later, or
/// later still, ends the process. What is ignored already (nohup, background jobs) stays ignored.
void note_interruptions();

/// Where no signal has been noted, the next one ends the process again: for work that cannot be
/// ended in order.
void end_at_once_again();

/// The signal that was noted, or 0.
int interrupted();

/// Throws Interrupted where a signal was noted.
void throw_if_interrupted();

/// How long a wait may be that looks after it whether a signal was noted.
inline constexpr int interruption_milliseconds = 100;

}  // namespace abn::verify::worker
