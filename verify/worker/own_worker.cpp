// Which worker the calls of a thread go to: that of a session of the emulator, or one of its own.
#include <fmt/format.h>

#include <utility>

#include "verify/worker/pool.hpp"
#include "verify/worker/pool_state.hpp"

namespace abn::verify::worker {

std::string take_trouble() { return std::exchange(trouble, {}); }

std::optional<Touch> take_touch() { return std::exchange(touch, {}); }

Closed::Closed(std::vector<Pages> pages) { closed_pages = std::move(pages); }
Closed::~Closed() { closed_pages.clear(); }

RemoteSession::RemoteSession(Pool& pool, const emulator::Settings& settings,
                             const std::vector<emulator::WatchedBuffer>& watched)
    : pool_(*pool.state_) {
  auto worker = std::make_unique<std::unique_ptr<Worker>>();
  try {
    if (own_worker != nullptr && own_worker->pool == &pool_)
      *worker = std::move(own_worker->worker);
    if (*worker == nullptr) *worker = pool_.take();
  } catch (const WorkerGone& gone) {
    throw CallLost("forward", fmt::format("the plug-in {}", pool_.bury(*worker, gone.what())));
  }
  BeginQuestion question;
  question.schedule_seed = settings.schedule_seed, question.sanitize = settings.sanitize ? 1 : 0;
  question.schedule = settings.schedule;
  for (const emulator::WatchedBuffer& one : watched) {
    const SharedPlace place = place_of_shared(one.data);
    pool_.map(**worker, place);
    question.segment = place.segment;
    question.watched.push_back(
        {one.name,
         place.begin +
             static_cast<std::uint64_t>(static_cast<const std::byte*>(one.data) - place.address),
         one.bytes, one.element_bytes, static_cast<std::uint8_t>(one.written ? 1 : 0),
         static_cast<std::uint8_t>(one.writable ? 1 : 0)});
  }
  (*worker)->process.tell(Verb::begin, question);
  session_worker = worker.release();
}

RemoteSession::~RemoteSession() {
  const std::unique_ptr<std::unique_ptr<Worker>> worker(std::exchange(session_worker, nullptr));
  // One whose session is still open is of no more use.
  if (*worker == nullptr || open_) return;
  if (!(*worker)->spent && own_worker != nullptr && own_worker->pool == &pool_)
    own_worker->worker = std::move(*worker);
  else
    pool_.give(std::move(*worker));
}

emulator::Report RemoteSession::take_report() {
  std::unique_ptr<Worker>& worker = *session_worker;
  try {
    if (worker == nullptr) throw WorkerGone("had ended before");
    if (worker->ended) {
      open_ = false;
      return {};
    }
    emulator::Report report = worker->process.ask_report();
    open_ = false;
    return report;
  } catch (const WorkerGone& gone) {
    throw CallLost("forward", fmt::format("the plug-in {}", pool_.bury(worker, gone.what())));
  }
}

OneWorker::OneWorker(Pool& pool)
    : pool_(*pool.state_),
      state_(std::make_unique<OneWorkerState>(OneWorkerState{&pool_, nullptr, own_worker})) {
  own_worker = state_.get();
}

OneWorker::~OneWorker() {
  own_worker = state_->before;
  if (state_->worker != nullptr) pool_.give(std::move(state_->worker));
}

}  // namespace abn::verify::worker
