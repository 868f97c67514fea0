// Calls of several threads that are made at once in one worker.
#include <utility>

#include "verify/worker/pool.hpp"
#include "verify/worker/pool_state.hpp"

namespace abn::verify::worker {

CallAnswer TogetherState::call(const CallQuestion& question, const SharedPlace& place) {
  Entry own{&question, place};
  std::unique_lock lock(guard);
  waiting.push_back(&own);
  if (static_cast<int>(waiting.size()) >= members) make_calls();
  answered.wait(lock, [&] { return own.done; });
  if (!own.lost.empty()) throw WorkerGone(own.lost);
  return std::move(own.answer);
}

void TogetherState::make_calls() {
  std::string lost;
  try {
    if (worker == nullptr) worker = pool.take();
    TogetherQuestion all;
    for (const Entry* const one : waiting) {
      pool.map(*worker, one->place);
      all.calls.push_back(*one->question);
    }
    auto answer = worker->process.ask<TogetherAnswer>(Verb::together, all);
    if (answer.answers.size() != waiting.size()) throw WorkerGone("answered another question");
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      worker->spent = worker->spent || (answer.answers[i].marks & context_in_error) != 0;
      waiting[i]->answer = std::move(answer.answers[i]);
    }
    if (worker->spent) pool.give(std::move(worker));
  } catch (const WorkerGone& gone) {
    lost = pool.bury(worker, gone.what());
  }
  for (Entry* const one : waiting) one->lost = lost, one->done = true;
  waiting.clear();
  answered.notify_all();
}

void TogetherState::leave() {
  const std::lock_guard lock(guard);
  --members;
  if (!waiting.empty() && static_cast<int>(waiting.size()) >= members) make_calls();
}

Together::Together(Pool& pool, int members)
    : state_(std::make_unique<TogetherState>(*pool.state_, members)) {}

Together::~Together() {
  if (state_->worker != nullptr) state_->pool.give(std::move(state_->worker));
}

Together::Member::Member(Together& together) : state_(*together.state_) { joined = &state_; }

Together::Member::~Member() {
  joined = nullptr;
  state_.leave();
}

}  // namespace abn::verify::worker
