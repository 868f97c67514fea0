// Calls from several threads at once, each with numbers of its own.
//
// Scratch memory that is static, or belongs to the first thread alone, shows only here: a run with
// one thread never meets it, and one with several meets it by luck. At first the threads wait for
// each other before every call, when their buffers are ready; then each goes on as it can, so that
// on a machine with fewer cores one is interrupted in the middle of its call.
#include <atomic>
#include <barrier>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "verify/check/calls/ways.hpp"
#include "verify/worker/pool.hpp"

namespace abn::verify::check::calls {
namespace {

constexpr std::uint64_t threads = 4;
constexpr std::uint64_t together = 20, apart = 60;
constexpr std::uint64_t together_emulated = 4, apart_emulated = 8;

using Sets = std::vector<std::unique_ptr<DataSet>>;

std::uint64_t together_of(const CallCase& one) {
  return one.subject.emulated ? together_emulated : together;
}
std::uint64_t rounds_of(const CallCase& one) {
  constexpr std::uint64_t patience = 25;  // where one case alone is run
  const std::uint64_t rounds = one.subject.emulated ? apart_emulated : apart;
  return together_of(one) + (one.is_of_tier ? rounds : patience * rounds);
}

/// One for each thread; `found.nothing` where their first calls are wrong already.
Sets sets_of(const CallCase& one, Found& found) {
  Sets sets;
  for (std::uint64_t i = 0; i < threads && found.nothing.empty(); ++i) {
    sets.push_back(
        std::make_unique<DataSet>(one.subject, other_numbers(one, i), one.claims, one.seed));
    found.nothing = sets.back()->obstacle();
  }
  return sets;
}

}  // namespace

Found call_in_turn(const CallCase& one) {
  Found found;
  const Sets sets = sets_of(one, found);
  if (!found.nothing.empty()) return found;
  for (std::uint64_t turn = 0; turn < rounds_of(one); ++turn)
    for (const Direction direction : sets.front()->directions())
      for (std::uint64_t i = 0; i < threads && !found.broken; ++i)
        found.broken = sets[i]->wrong_in(
            "threads", direction, sets[i]->call(direction, sets[i]->settings()), true, "in turn");
  return found;
}

Found call_at_once(const CallCase& one) {
  Found found;
  const Sets sets = sets_of(one, found);
  if (!found.nothing.empty()) return found;
  std::mutex finding;
  std::exception_ptr thrown;
  std::atomic<bool> done = false;
  std::barrier gate(static_cast<std::ptrdiff_t>(threads));
  const auto call_once = [&](const DataSet& set, Direction direction, bool waits) {
    bool waited = !waits;
    const std::function<void()> wait = [&] { gate.arrive_and_wait(), waited = true; };
    call::CallSettings settings = set.settings();
    if (waits) settings.before = &wait;
    try {
      auto broken = set.wrong_in("threads", direction, set.call(direction, settings), true,
                                 "with calls of several threads at once");
      const std::lock_guard lock(finding);
      if (broken && !found.broken) found.broken = std::move(broken), done = true;
    } catch (...) {
      if (!waited) gate.arrive_and_wait();
      const std::lock_guard lock(finding);
      if (!thrown) thrown = std::current_exception(), done = true;
    }
  };
  // In a plug-in's worker the calls of all threads are made at once too, and in one process.
  std::optional<worker::Together> in_worker;
  if (one.subject.workers != nullptr && !one.subject.emulated)
    in_worker.emplace(*one.subject.workers, static_cast<int>(threads));
  const auto work = [&](std::uint64_t thread) {
    std::optional<worker::Together::Member> member;
    if (in_worker) member.emplace(*in_worker);
    const DataSet& set = *sets[thread];
    for (std::uint64_t turn = 0; turn < together_of(one); ++turn)
      for (const Direction direction : set.directions()) call_once(set, direction, true);
    for (std::uint64_t turn = together_of(one); turn < rounds_of(one); ++turn)
      for (const Direction direction : set.directions())
        if (!done) call_once(set, direction, false);
  };
  std::vector<std::thread> running;
  for (std::uint64_t i = 1; i < threads; ++i) running.emplace_back(work, i);
  work(0);
  for (std::thread& thread : running) thread.join();
  if (thrown) std::rethrow_exception(thrown);
  return found;
}

}  // namespace abn::verify::check::calls
