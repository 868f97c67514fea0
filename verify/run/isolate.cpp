// Child processes, the pipe on which they hand back records, and the search for the case that
// crashed.
//
// A child with several threads has several cases in hand when it dies. Each of them is then run
// again in a child of its own, which needs no signal handler in the plug-in's way and finds the
// culprit whatever it died of.
#include "verify/run/isolate.hpp"
#include "verify/call/parallel.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "verify/call/crash.hpp"

namespace abn::verify::run {
namespace {

constexpr int most_crashes = 3;

struct Header {
  std::int64_t index;
  std::uint64_t bytes;
};

bool write_all(int file, const void* data, std::size_t bytes) {
  for (const char* at = static_cast<const char*>(data); bytes > 0;) {
    const ssize_t wrote = write(file, at, bytes);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    at += wrote, bytes -= static_cast<std::size_t>(wrote);
  }
  return true;
}

/// False at the end of the stream; throws std::runtime_error if nothing comes for too long.
bool read_all(int file, void* data, std::size_t bytes) {
  for (char* at = static_cast<char*>(data); bytes > 0;) {
    pollfd waiting{file, POLLIN, 0};
    const int ready = poll(&waiting, 1, patience_seconds * 1000);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0)
      throw std::runtime_error(
          fmt::format("did not come back within {} seconds", patience_seconds));
    const ssize_t got = read(file, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got, bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

/// Notes of a child's threads, in memory that both processes see.
class SharedNotes {
 public:
  explicit SharedNotes(int threads) : count_(static_cast<std::size_t>(threads)) {
    void* const memory = mmap(nullptr, count_ * sizeof(call::ThreadNote), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    notes_ = static_cast<call::ThreadNote*>(memory);
    for (std::size_t i = 0; i < count_; ++i) new (notes_ + i) call::ThreadNote;
  }
  ~SharedNotes() { munmap(notes_, count_ * sizeof(call::ThreadNote)); }
  SharedNotes(const SharedNotes&) = delete;
  SharedNotes& operator=(const SharedNotes&) = delete;
  std::span<call::ThreadNote> all() const { return {notes_, count_}; }

 private:
  std::size_t count_;
  call::ThreadNote* notes_ = nullptr;
};

std::string death_of(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("the plug-in crashed with signal {} ({})", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
  return fmt::format("the plug-in ended the process with exit code {}", WEXITSTATUS(status));
}

struct Suspect {
  std::size_t index;
  std::string operation;
};

struct Outcome {
  std::vector<std::size_t> finished;
  std::vector<Suspect> suspects;  ///< cases that were in hand when the child died
  std::string death;              ///< empty: it came to its end
};

class Isolation {
 public:
  Isolation(const check::CheckGroup& group, const call::Subject& subject,
            std::span<const data::Case> cases, const check::RunOptions& options,
            const std::function<void(std::size_t, std::vector<results::Record>)>& sink)
      : group_(group), subject_(subject), cases_(cases), options_(options), sink_(sink) {}

  /// One child over these cases; what it finishes goes to the sink.
  Outcome run(const std::vector<std::size_t>& indices, int threads) const {
    SharedNotes notes(threads);
    int ends[2];
    if (pipe(ends) != 0)
      throw std::runtime_error(
          fmt::format("a pipe to a child process could not be made ({})", strerror(errno)));
    fflush(nullptr);  // or the child would hold a copy of what is not yet written
    const pid_t child = fork();
    if (child < 0) {
      close(ends[0]), close(ends[1]);
      throw std::runtime_error(
          fmt::format("a child process could not be started ({})", strerror(errno)));
    }
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // a kernel that hangs must not outlive the judge
      close(ends[0]);
      work(indices, threads, notes, ends[1]);
      _exit(0);
    }
    close(ends[1]);
    Outcome outcome;
    try {
      Header header{};
      std::string text;
      while (read_all(ends[0], &header, sizeof header)) {
        text.resize(header.bytes);
        if (!read_all(ends[0], text.data(), text.size())) break;
        sink_(static_cast<std::size_t>(header.index), results::results_from_json(text).records);
        outcome.finished.push_back(static_cast<std::size_t>(header.index));
      }
    } catch (const std::exception& wrong) {
      outcome.death = std::string("the plug-in ") + wrong.what();
      kill(child, SIGKILL);
    }
    close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (outcome.finished.size() == indices.size()) return outcome;
    if (outcome.death.empty()) outcome.death = death_of(status);
    for (const call::ThreadNote& note : notes.all()) {
      const auto index = static_cast<std::size_t>(note.current);
      if (note.current >= 0 && std::find(outcome.finished.begin(), outcome.finished.end(), index) ==
                                   outcome.finished.end())
        outcome.suspects.push_back({index, note.operation});
    }
    std::sort(outcome.suspects.begin(), outcome.suspects.end(),
              [](const Suspect& a, const Suspect& b) { return a.index < b.index; });
    return outcome;
  }

  void fail(std::size_t index, const std::string& operation, const std::string& reason) const {
    sink_(index, check::failed_case(group_, subject_, cases_[index], options_,
                                    operation.empty() ? "forward" : operation, reason));
  }

 private:
  void work(const std::vector<std::size_t>& indices, int threads, const SharedNotes& notes,
            int pipe_end) const {
    std::mutex writing;
    call::in_parallel(indices.size(), threads, [&](std::size_t turn, int thread) {
      call::ThreadNote& note = notes.all()[static_cast<std::size_t>(thread)];
      call::keep_notes_in(&note);
      note.current = static_cast<std::int64_t>(indices[turn]);
      results::Results results;
      results.records = check::run_case(group_, subject_, cases_[indices[turn]], options_);
      const std::string text = results::to_json(results);
      const Header header{note.current, text.size()};
      const std::lock_guard lock(writing);
      if (!write_all(pipe_end, &header, sizeof header) ||
          !write_all(pipe_end, text.data(), text.size()))
        _exit(1);  // nobody listens any more
      note.current = -1;
    });
  }

  const check::CheckGroup& group_;
  const call::Subject& subject_;
  std::span<const data::Case> cases_;
  const check::RunOptions& options_;
  const std::function<void(std::size_t, std::vector<results::Record>)>& sink_;
};

void erase_all(std::vector<std::size_t>& from, std::vector<std::size_t> these) {
  std::sort(these.begin(), these.end());
  std::erase_if(from, [&](std::size_t index) {
    return std::binary_search(these.begin(), these.end(), index);
  });
}

}  // namespace

void run_isolated(const check::CheckGroup& group, const call::Subject& subject,
                  std::span<const data::Case> cases, const check::RunOptions& options, int threads,
                  const std::function<void(std::size_t, std::vector<results::Record>)>& sink) {
  const Isolation isolation(group, subject, cases, options, sink);
  std::vector<std::size_t> pending(cases.size());
  for (std::size_t i = 0; i < pending.size(); ++i) pending[i] = i;
  int crashes = 0;
  while (!pending.empty()) {
    Outcome outcome = isolation.run(pending, threads);
    erase_all(pending, outcome.finished);
    if (outcome.death.empty()) return;
    if (outcome.suspects.empty()) outcome.suspects.push_back({pending.front(), ""});
    bool found = false;
    for (const Suspect& suspect : outcome.suspects) {
      erase_all(pending, {suspect.index});
      const Outcome alone =
          outcome.suspects.size() == 1 ? outcome : isolation.run({suspect.index}, 1);
      if (alone.death.empty()) continue;
      isolation.fail(suspect.index, suspect.operation, alone.death);
      found = true, ++crashes;
    }
    // Each of them alone came through: it takes two at a time, which no entry of a variant may
    // mind.
    if (!found) {
      isolation.fail(outcome.suspects.front().index, outcome.suspects.front().operation,
                     outcome.death + ", but only while other cases ran beside this one");
      ++crashes;
    }
    if (crashes < most_crashes) continue;
    for (const std::size_t index : pending)
      isolation.fail(index, "",
                     fmt::format("not run: the plug-in had crashed {} times before", crashes));
    return;
  }
}

}  // namespace abn::verify::run
