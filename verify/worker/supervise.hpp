// The process between the judge and a worker: it holds the worker and all of its descendants to
// their limits, and ends every one of them.
#pragma once

#include <cstdint>

namespace abn::verify::worker {

/// How a worker came to its end; what the supervisor tells the judge when nothing of it is left.
struct Ending {
  enum class How : std::int32_t { exited, signalled, too_many_processes, too_much_memory, ended };
  How how{};
  std::int32_t value = 0;      ///< exit code, signal, or number of processes
  std::int32_t left_over = 0;  ///< processes that it had left and that were ended
  std::int32_t confined = 0;   ///< 1: in a process namespace of its own
};

/// The exit code of a worker whose answer nobody takes: its socket was closed.
inline constexpr int cannot_answer = 71;

/// Starts `serve` in a process of its own and returns when that and all that came of it are gone:
/// the exit code of this process. `memory` in bytes: of private memory, a process and all of them
/// together; 0: no limit. `reserved_too`: a process is also held to what it reserves, so that no
/// single allocation goes beyond it; interpreters reserve what they never touch.
int supervise(std::uint64_t memory, int processes, int (*serve)(), bool reserved_too = true);

/// Does this system give a worker a process namespace of its own, from which it can signal nobody?
bool can_confine();

}  // namespace abn::verify::worker
