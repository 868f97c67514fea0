#include "cuda/cpu/threads.hpp"

#include <sched.h>

#include <atomic>
#include <cstdlib>
#include <thread>

namespace abn::cpu {
namespace {

int processors_of_process() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const unsigned found = std::thread::hardware_concurrency();  // more than a cpu_set_t holds
  return found == 0 ? 1 : static_cast<int>(found);
}

}  // namespace

int thread_limit_of(const char* text, int processors) {
  const auto bounded = [](long number) {
    return static_cast<int>(number < most_threads_of_a_call ? number : most_threads_of_a_call);
  };
  if (text != nullptr) {
    char* end = nullptr;
    const long asked = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && asked > 0) return bounded(asked);
  }
  return bounded(processors);
}

int thread_limit() {
  static const int limit = thread_limit_of(std::getenv("ABN_CPU_THREADS"), processors_of_process());
  return limit;
}

void in_parallel(std::int64_t tasks, int threads,
                 void (*work)(const void* context, std::int64_t task), const void* context) {
  std::atomic<std::int64_t> next = 0;
  const auto run = [&] {
    for (std::int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;)
      work(context, task);
  };
  std::thread others[most_threads_of_a_call];
  int started = 0;
  try {
    while (started + 1 < threads && started + 1 < tasks && started < most_threads_of_a_call) {
      others[started] = std::thread(run);
      ++started;
    }
  } catch (...) {  // no thread, or no memory for one
  }
  run();
  for (int i = 0; i < started; ++i) others[i].join();
}

}  // namespace abn::cpu
