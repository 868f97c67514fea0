// A counter that the threads draw their work from.
#include "verify/call/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace abn::verify::call {

int thread_count(int wanted) {
  return wanted > 0 ? wanted : static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u));
}

void in_parallel(std::size_t count, int threads,
                 const std::function<void(std::size_t, int)>& work) {
  std::atomic<std::size_t> next{0};
  const auto loop = [&](int thread) {
    for (std::size_t index = next++; index < count; index = next++) work(index, thread);
  };
  std::vector<std::thread> others;
  const int useful = static_cast<int>(std::min<std::size_t>(
      static_cast<std::size_t>(std::max(threads, 1)), std::max<std::size_t>(count, 1)));
  try {
    for (int thread = 1; thread < useful; ++thread) others.emplace_back(loop, thread);
  } catch (const std::system_error&) {  // no more threads here: those that there are do the work
  }
  loop(0);
  for (std::thread& other : others) other.join();
}

}  // namespace abn::verify::call
