// The workers of a pool: taken back, buried, and told which memory they share.
#include "verify/worker/pool_state.hpp"

#include <algorithm>

#include "verify/problem/printable.hpp"
#include "verify/worker/interruption.hpp"

namespace abn::verify::worker {

void PoolState::give(std::unique_ptr<Worker> worker) {
  const std::lock_guard lock(guard);
  if (worker->spent) {
    if (worker->counts) ++lost;
    if (printed.empty()) printed = worker->process.printed();
    return;
  }
  idle.push_back(std::move(worker));
}

std::string PoolState::bury(std::unique_ptr<Worker>& worker, const std::string& what) {
  std::string text = what;
  const std::lock_guard lock(guard);
  if (interrupted() == 0) ++lost;
  if (worker != nullptr) {
    const std::string last_words = worker->process.printed();
    if (!last_words.empty()) text += "; it had printed " + last_words;
    left_over += worker->process.left_over();
    worker.reset();
  }
  return text;
}

void PoolState::map(Worker& worker, const SharedPlace& place) {
  for (auto at = worker.mapped.begin(); at != worker.mapped.end();)
    if (is_shared(*at)) {
      ++at;
    } else {
      worker.process.tell(Verb::unmap, MapQuestion{*at, 0});
      at = worker.mapped.erase(at);
    }
  if (place.address == nullptr || !worker.mapped.insert(place.segment).second) return;
  worker.process.tell(Verb::map, MapQuestion{place.segment, place.segment_bytes}, place.descriptor);
}

void PoolState::ask_for_libraries(Worker& worker) {
  const auto answer = worker.process.ask<LibrariesAnswer>(Verb::libraries, MapQuestion{});
  const std::lock_guard lock(guard);
  constexpr std::size_t most = 32, longest = 80;
  for (const std::string& name : answer.names)
    if (libraries.size() < most) libraries.insert(problem::printable(name.substr(0, longest)));
  unloaded = unloaded || answer.unloaded > 0;
}

}  // namespace abn::verify::worker
