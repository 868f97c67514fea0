// What the files of a pool share: its workers and variants, and which worker the calls of this
// thread go to.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "cuda/kernel.h"
#include "verify/worker/execution.hpp"
#include "verify/worker/losses.hpp"
#include "verify/worker/process.hpp"
#include "verify/worker/protocol.hpp"
#include "verify/worker/shared_memory.hpp"
#include "verify/worker/touch.hpp"

namespace abn::verify::worker {

struct Worker {
  Worker(const Limits& limits, const Program& program) : process(limits, program) {}
  Process process;
  std::set<std::uint64_t> mapped;  // segments
  // Of no use for another call: its CUDA context is in error, or it has touched a closed page and
  // has ended with that.
  bool spent = false, ended = false;
  bool counts = false;  // towards the workers that a plug-in may have
};

class RemoteVariant;

struct PoolState {
  PoolState();
  ~PoolState();
  std::string path, failure, not_instrumented;
  std::uint64_t number = 0;
  Limits limits;
  bool emulated = false;
  Execution executed = Execution::none;
  Program program;
  int gpu = 0;
  std::vector<std::unique_ptr<RemoteVariant>> answerers[2];
  std::vector<const abn_variant*> variants[2];
  std::mutex guard;  // of what follows
  std::vector<std::unique_ptr<Worker>> idle;
  int lost = 0, left_over = 0;
  std::string printed;
  std::set<std::string> libraries;
  bool unloaded = false;  ///< more libraries, whose names are not known
  std::map<std::tuple<const abn_variant*, int, int>, std::vector<abn_problem>> kept;

  LoadAnswer load_into(Worker& worker);
  std::unique_ptr<Worker> take();
  /// For the next who takes one; a worker that is spent is ended.
  void give(std::unique_ptr<Worker> worker);
  /// What the worker did, and what it printed; it is gone then.
  std::string bury(std::unique_ptr<Worker>& worker, const std::string& what);
  void read_variants(Worker& worker, std::uint32_t build, const std::string& named);
  void map(Worker& worker, const SharedPlace& place);
  /// Throws WorkerGone.
  void ask_for_libraries(Worker& worker);
};

struct OneWorkerState {
  PoolState* pool;
  std::unique_ptr<Worker> worker;  // null: none was needed yet, or it has ended
  OneWorkerState* before;
};

/// The calls of a round, as they come in.
struct TogetherState {
  TogetherState(PoolState& of, int count) : pool(of), members(count) {}

  PoolState& pool;
  int members;
  std::unique_ptr<Worker> worker{};
  std::mutex guard{};
  std::condition_variable answered{};
  struct Entry {
    const CallQuestion* question;
    SharedPlace place;
    CallAnswer answer{};
    std::string lost{};
    bool done = false;
  };
  std::vector<Entry*> waiting{};

  /// Throws WorkerGone with what the worker did.
  CallAnswer call(const CallQuestion& question, const SharedPlace& place);
  void leave();

 private:
  void make_calls();  // with the guard held
};

// The worker of the session that this thread has open, and what its calls did beside their work.
inline thread_local std::unique_ptr<Worker>* session_worker = nullptr;
inline thread_local std::string trouble;
inline thread_local std::vector<Pages> closed_pages;
inline thread_local std::optional<Touch> touch;
// The worker that is this thread's own, and the calls that its calls are to be made with.
inline thread_local OneWorkerState* own_worker = nullptr;
inline thread_local TogetherState* joined = nullptr;

}  // namespace abn::verify::worker
