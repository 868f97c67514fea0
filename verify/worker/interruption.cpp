// The handler of the signals that end a run.
#include "verify/worker/interruption.hpp"

#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <initializer_list>

namespace abn::verify::worker {
namespace {

std::atomic<int> noted{0};
std::atomic<std::int64_t> noted_at{0};  // milliseconds
static_assert(std::atomic<int>::is_always_lock_free &&
                  std::atomic<std::int64_t>::is_always_lock_free,
              "a handler must not wait");

// timeout(1) and terminals send one signal to a process and to its group: that is not a second one.
constexpr std::int64_t one_wish_milliseconds = 500;

std::int64_t now_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

void note(int signal) {
  if (noted == 0) noted_at = now_milliseconds();
  int none = 0;
  if (noted.compare_exchange_strong(none, signal)) return;
  if (now_milliseconds() - noted_at < one_wish_milliseconds) return;
  ::signal(signal, SIG_DFL);
  raise(signal);
}

}  // namespace

void note_interruptions() {
  for (const int one : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    if (sigaction(one, nullptr, &before) != 0 || before.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = note;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(one, &action, nullptr);
  }
}

void end_at_once_again() {
  for (const int one : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now {};
    if (noted == 0 && sigaction(one, nullptr, &now) == 0 && now.sa_handler == note)
      ::signal(one, SIG_DFL);
  }
}

int interrupted() { return noted; }

void throw_if_interrupted() {
  if (const int signal = interrupted(); signal != 0) throw Interrupted(signal);
}

}  // namespace abn::verify::worker
