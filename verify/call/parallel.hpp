// Threads that share out work by index, and the time that it takes.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

namespace abn::verify::call {

/// `wanted`, or one thread a core for 0.
int thread_count(int wanted);

/// Calls work(index, thread) for 0..count-1 from `threads` threads; work must not throw.
void in_parallel(std::size_t count, int threads, const std::function<void(std::size_t, int)>& work);

/// Seconds since it was made.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace abn::verify::call
