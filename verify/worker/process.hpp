// A worker's process as the judge holds it: started, asked, waited for within a time limit, and
// ended with all that came of it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "verify/worker/program.hpp"
#include "verify/worker/protocol.hpp"
#include "verify/worker/supervise.hpp"

namespace abn::verify::worker {

/// What a worker may use up.
struct Limits {
  double call_seconds = 120;  ///< until an answer: of one call, or of loading
  std::uint64_t memory =
      0;               ///< bytes of private memory, all of its processes; 0: see default_memory()
  int processes = 64;  ///< at once
  int failures = 3;    ///< of one variant; then it is not called any more
  int restarts = 100;  ///< of the workers of one plug-in
};

/// Half of the machine's memory, and at least 4 GiB.
std::uint64_t default_memory();

/// "a call at most 120 s, all processes of a worker at most 4096 MB and 64 of them, ...".
std::string limits_text(const Limits& limits);

/// A worker did not answer, or not as it has to. what(): "crashed with signal 11 (...)", "did not
/// come back within 120 seconds"; a verb, to be put behind the one who did.
struct WorkerGone : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Process {
 public:
  /// Throws std::runtime_error where the judge itself cannot start one.
  explicit Process(const Limits& limits, const Program& program = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Asks, without waiting for an answer.
  template <class Message>
  void tell(Verb verb, const Message& message, int descriptor = -1) {
    send(pack(next(verb), message), descriptor);
  }
  /// Asks, and waits. Throws WorkerGone; the process is then ended.
  template <class Answer, class Message>
  Answer ask(Verb verb, const Message& message) {
    const Header header = next(verb);
    send(pack(header, message), -1);
    const std::vector<std::byte> bytes = answer_to(header);
    Unpacker from(bytes);
    unpack_header(from);
    try {
      return unpack<Answer>(from);
    } catch (const NoMessage& wrong) {
      give_up(wrong.what());
    }
  }
  emulator::Report ask_report();

  bool alive() const { return alive_; }
  /// The first lines that it wrote to standard output and standard error, without control
  /// characters, in quotes; empty if it wrote nothing.
  std::string printed() const;
  /// Ends it: with exit() and destructors, if it is alive and does that in time. Empty, or what it
  /// did instead: "crashed with signal 11 (...)".
  std::string end();
  /// The process that holds all others; 0 once it has ended, and of one that was there before.
  pid_t supervisor() const { return supervisor_; }
  int left_over() const { return left_over_; }

 private:
  Header next(Verb verb);
  void send(std::span<const std::byte> bytes, int descriptor);
  std::vector<std::byte> answer_to(const Header& question);
  [[noreturn]] void give_up(const std::string& why);
  void connect(const Program& program);
  void start(const Program& program);
  void drain();
  /// Waits for the supervisor's word, then for its end.
  std::string take_ending(double seconds);
  void kill_all();

  Limits limits_;
  int socket_ = -1, control_ = -1, output_ = -1;
  pid_t supervisor_ = 0;
  bool alive_ = false;
  std::uint64_t number_ = 0;
  int left_over_ = 0;
  std::string printed_;
};

}  // namespace abn::verify::worker
