// How the threads of a call share out a cut problem.
#pragma once

#include "cuda/cpu/cut.hpp"
#include "cuda/cpu/threads.hpp"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

// work(task) for every task.
template <class Work>
void share(int64_t tasks, int threads, const Work& work) {
  abn::cpu::in_parallel(
      tasks, threads,
      [](const void* context, int64_t task) { (*static_cast<const Work*>(context))(task); }, &work);
}

// A thread that has little to do costs more than it saves.
inline int threads_worth(const Cut& cut, int threads) {
  const int64_t worth = cut.channels * cut.samples / elements_of_a_thread;
  return worth < 1 ? 1 : worth < threads ? static_cast<int>(worth) : threads;
}

// Enough tasks a thread that none waits long for the last one.
constexpr int64_t tasks_of_a_thread = 8;

// The units of a cut: a slice of some channels. Along, neighbouring channels of short runs are one
// unit, as they share cache lines and pages; across, a unit is a slice of a block.
struct Units {
  int64_t channels_of_one, columns, slices;
  int64_t count() const { return columns * slices; }
  int64_t slice(int64_t unit) const { return unit / columns; }
  int64_t first_channel(int64_t unit) const { return unit % columns * channels_of_one; }
};
inline Units units_of(const Cut& cut, int64_t slices, int threads, int64_t element_bytes) {
  int64_t together = block_channels;
  if (!cut.across) {
    constexpr int64_t page = 4096;
    const int64_t fair = cut.channels * slices / (tasks_of_a_thread * threads);
    together = page / (cut.run * element_bytes) < fair ? page / (cut.run * element_bytes) : fair;
    if (together < 1) together = 1;
  }
  return {together, ceil_div(cut.channels, together), slices};
}

// Along, a channel that is summed in one go may be finished at once, while it is in the cache.
inline bool whole_channels(const Cut& cut, int threads) {
  return !cut.across &&
         (cut.slices == 1 || threads == 1 || cut.channels >= tasks_of_a_thread * threads);
}

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
