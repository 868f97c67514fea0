// Threads that share out numbered tasks, for kernels whose results do not depend on who does which.
#pragma once

#include <cstdint>

namespace abn::cpu {

/// How many threads a call may use, found at the first call: the environment variable
/// ABN_CPU_THREADS, a number from 1 to most_threads_of_a_call, else the processors that this
/// process may run on.
int thread_limit();
inline constexpr int most_threads_of_a_call = 256;

/// What thread_limit() makes of the text of the variable (null: not set) on so many processors.
int thread_limit_of(const char* text, int processors);

/// Calls work(context, task) for every task from 0 to tasks - 1, on this thread and on up to
/// threads - 1 new ones, and returns when all are done. Where the system gives no further thread
/// the others do its part. No thread outlives the call, so that a process may fork at any time.
/// `work` must not throw.
void in_parallel(std::int64_t tasks, int threads,
                 void (*work)(const void* context, std::int64_t task), const void* context);

}  // namespace abn::cpu
