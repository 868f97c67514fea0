// The workers of one plug-in: its variants as the judge calls them, and what is to be done when a
// worker ends.
//
// The variants that a pool hands out are like any others, and their functions ask a worker. What a
// plug-in says of itself is frozen at its first answer: a worker that says otherwise later, or that
// is started again and says otherwise, is at fault. Several threads may call at once; each call has
// a worker of its own, and there are as many as there were calls at once.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cuda/emulator/report.h"
#include "cuda/kernel.h"
#include "verify/worker/execution.hpp"
#include "verify/worker/losses.hpp"
#include "verify/worker/process.hpp"

namespace abn::verify::worker {

struct PoolState;

class Pool {
 public:
  /// Loads the plug-in in a worker. Throws UsageError for what is not a usable plug-in; where the
  /// worker ends before it serves, there are no variants and failure() says why. `executed`: its
  /// kernels for GPUs run on the executor of compiled kernels. `program`: who loads it.
  Pool(std::string path, const Limits& limits, Execution executed = Execution::none,
       Program program = {});
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const std::string& failure() const;
  std::uint64_t number() const;  ///< of this pool in this process: the owner of its memory
  const Limits& limits() const;
  const Program& program() const;  ///< who loads it
  bool emulated() const;
  const std::string& not_instrumented() const;  ///< why there is no instrumented build
  /// Of build 0, the plain one, or 1, the instrumented; valid while the pool lives.
  const std::vector<const abn_variant*>& variants(std::size_t build) const;
  /// Bits of LeftOut, of a variant of this pool.
  std::uint32_t leaves_out(const abn_variant& variant) const;
  /// Asks a variant of this pool for its claims for many problems at once, which claims() then
  /// answers without a worker. What it does not support is known until the next call only.
  void ask_ahead(const abn_variant& variant, std::span<const abn_problem> problems);
  /// A list of problems that is kept for a variant of this pool, whose answers do not change, under
  /// a type and a layout; null where there is none yet.
  const std::vector<abn_problem>* kept_problems(const abn_variant& variant, int dtype, int layout);
  void keep_problems(const abn_variant& variant, int dtype, int layout,
                     std::vector<abn_problem> problems);
  /// GPU for variants whose memory is that of one.
  void use_gpu(int index);

  /// Ends the workers, with exit handlers and destructors. Empty, or what one of them did instead.
  std::string end();
  /// The first lines that a worker wrote which came to its end in order, in quotes; empty before
  /// end(), and where it wrote nothing.
  std::string printed() const;
  /// Other shared objects that the plug-in has brought along, as far as its workers saw it before
  /// end(): names, and how many went again within a call. In words, without control characters.
  std::vector<std::string> libraries() const;
  Losses losses() const;
  void go_on_from(const Losses& losses);
  /// Processes that workers had left behind when they ended, and that were ended with them.
  int left_over() const;

 private:
  friend class RemoteSession;
  friend class OneWorker;
  friend class Together;
  friend class RemoteTimingDevice;
  std::unique_ptr<PoolState> state_;
};

/// What the last calls of this thread did beside their work, one sentence without its full stop; it
/// is then forgotten. Empty where there is nothing to say.
std::string take_trouble();

/// While it lives, the calls of this thread go to one worker, in a session of its emulator with
/// these settings; `watched` lie in memory of share().
class RemoteSession {
 public:
  RemoteSession(Pool& pool, const emulator::Settings& settings,
                const std::vector<emulator::WatchedBuffer>& watched);
  ~RemoteSession();
  RemoteSession(const RemoteSession&) = delete;
  RemoteSession& operator=(const RemoteSession&) = delete;
  /// Once.
  emulator::Report take_report();

 private:
  PoolState& pool_;
  bool open_ = true;
};

struct OneWorkerState;

/// While it lives, the calls of this thread go to one worker and nobody else's do: for checks of
/// what a kernel remembers from call to call. Where there is no worker any more it does nothing.
class OneWorker {
 public:
  explicit OneWorker(Pool& pool);
  ~OneWorker();
  OneWorker(const OneWorker&) = delete;
  OneWorker& operator=(const OneWorker&) = delete;

 private:
  PoolState& pool_;
  std::unique_ptr<OneWorkerState> state_;
};

struct TogetherState;

/// Calls of several threads that run at once in one worker, each on a thread of its own there. They
/// begin when all members have called; who has left is not waited for.
class Together {
 public:
  Together(Pool& pool, int members);
  ~Together();
  Together(const Together&) = delete;
  Together& operator=(const Together&) = delete;

  /// Makes this thread one of the members, while it lives.
  class Member {
   public:
    explicit Member(Together& together);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

   private:
    TogetherState& state_;
  };

 private:
  std::unique_ptr<TogetherState> state_;
};

}  // namespace abn::verify::worker
