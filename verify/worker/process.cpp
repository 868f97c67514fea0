// posix_spawn of the worker's program, and the wait for an answer, for its end and for what it
// prints, whichever comes first.
#include "verify/worker/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <random>

#include "verify/problem/error.hpp"
#include "verify/worker/foreign.hpp"
#include "verify/worker/interruption.hpp"
#include "verify/worker/packet_socket.hpp"

extern char** environ;

namespace abn::verify::worker {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_printed = 2000;  // bytes that are kept
constexpr double ending_seconds = 10;       // for exit(), and for the supervisor to end the rest

/// Milliseconds until `when`, for poll; never negative.
int until(Clock::time_point when) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1'000'000'000));
}

Clock::time_point after(double seconds) {
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

/// Beside this program; in the folder of its build, or installed.
std::string program_path() {
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const auto path = folder / "abn-verify-worker";
  if (!std::filesystem::exists(path))
    throw problem::UsageError(
        fmt::format("{} is missing, in which plug-ins run; build the target abn-verify-worker, or "
                    "copy the program beside this one",
                    path.string()));
  return path.string();
}

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(
      fmt::format("a worker process could not be started: {} ({})", what, strerror(errno)));
}

/// Out of the way of the numbers that the worker expects.
int above_the_usual(int file) {
  constexpr int first = 10;
  const int moved = fcntl(file, F_DUPFD_CLOEXEC, first);
  close(file);
  return moved;
}

std::string ending_text(const Ending& ending, const Limits& limits) {
  switch (ending.how) {
    case Ending::How::exited:
      if (ending.value == cannot_answer) return "closed the socket that it was to answer on";
      if (ending.value == exception_escaped) return "let an exception out of a function of C";
      if (ending.value == out_of_memory)
        return fmt::format("got no more memory, and may have {} MB", limits.memory >> 20);
      return fmt::format("ended the process with exit code {}", ending.value);
    case Ending::How::signalled:
      return fmt::format("crashed with signal {} ({})", ending.value, strsignal(ending.value));
    case Ending::How::too_many_processes:
      return fmt::format("had {} processes at once, and may have {}", ending.value,
                         limits.processes);
    case Ending::How::too_much_memory:
      return fmt::format("used more than {} MB of memory", limits.memory >> 20);
    case Ending::How::ended:
      break;
  }
  return "was ended";
}

}  // namespace

std::uint64_t default_memory() {
  const std::uint64_t all = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                            static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return std::max<std::uint64_t>(all / 2, std::uint64_t{4} << 30);
}

std::string limits_text(const Limits& limits) {
  return fmt::format(
      "a call at most {:g} s, a worker at most {} MB and {} processes, no call of a variant that "
      "has "
      "lost {}, at most {} new workers",
      limits.call_seconds, (limits.memory == 0 ? default_memory() : limits.memory) >> 20,
      limits.processes, limits.failures, limits.restarts);
}

Process::Process(const Limits& limits, const Program& program) : limits_(limits) {
  if (limits_.memory == 0) limits_.memory = default_memory();
  if (program.host >= 0)
    connect(program);
  else
    start(program);
  const timeval patience{static_cast<time_t>(ending_seconds), 0};  // with one that reads nothing
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  std::random_device random;
  number_ = (std::uint64_t{random()} << 32) | random();
  alive_ = true;
}

void Process::connect(const Program& program) {
  int questions[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, questions) != 0) fail("a socket");
  socket_ = questions[0];
  constexpr std::byte hello{1};
  const bool taken = send_packet(program.host, {&hello, 1}, questions[1]);
  close(questions[1]);
  if (taken) return;
  close(socket_);
  socket_ = -1;
  throw WorkerGone("has ended");
}

void Process::start(const Program& program) {
  const std::string path = program_path();
  int questions[2], control[2], output[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, questions) != 0) fail("a socket");
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0) fail("a socket");
  if (pipe2(output, O_CLOEXEC) != 0) fail("a pipe");
  socket_ = above_the_usual(questions[0]), control_ = above_the_usual(control[0]);
  output_ = above_the_usual(output[0]);
  const int theirs[] = {above_the_usual(questions[1]), above_the_usual(control[1]),
                        above_the_usual(output[1])};
  fcntl(output_, F_SETFL, O_NONBLOCK);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, theirs[2], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, theirs[2], STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, theirs[0], question_descriptor);
  posix_spawn_file_actions_adddup2(&actions, theirs[1], supervisor_descriptor);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none), sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> words{path, std::to_string(limits_.memory),
                                 std::to_string(limits_.processes)};
  words.insert(words.end(), program.words.begin(), program.words.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int error =
      posix_spawn(&supervisor_, path.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  for (const int file : theirs) close(file);
  if (error != 0) {
    supervisor_ = 0;
    for (const int file : {socket_, control_, output_}) close(file);
    errno = error;
    fail(path.c_str());
  }
}

Process::~Process() {
  kill_all();
  for (const int file : {socket_, control_, output_})
    if (file >= 0) close(file);
}

Header Process::next(Verb verb) {
  Header header;
  header.verb = verb, header.number = ++number_;
  return header;
}

void Process::send(std::span<const std::byte> bytes, int descriptor) {
  if (alive_) send_packet(socket_, bytes, descriptor);  // a dead one has no answer
}

void Process::drain() {
  if (output_ < 0) return;
  char some[4096];
  for (ssize_t got = 0; (got = read(output_, some, sizeof some)) > 0;)
    printed_.append(some, std::min(static_cast<std::size_t>(got), most_printed - printed_.size()));
}

std::string Process::printed() const {
  std::string text;
  for (const unsigned char letter : printed_) {
    if (letter == '\n')
      text += text.empty() || text.ends_with(' ') ? "" : " ";
    else if (letter >= ' ' && letter < 0x7f)
      text += static_cast<char>(letter);
    else if (!text.ends_with('?'))
      text += '?';  // one for a whole sequence
  }
  constexpr std::size_t shown = 300;
  while (text.ends_with(' ')) text.pop_back();
  if (text.size() > shown) text.resize(shown), text += " ...";
  return text.empty() ? text : fmt::format("\"{}\"", text);
}

std::vector<std::byte> Process::answer_to(const Header& question) {
  if (!alive_) throw WorkerGone("had ended before");
  const Clock::time_point deadline = after(limits_.call_seconds);
  for (;;) {
    pollfd waiting[] = {{socket_, POLLIN, 0}, {control_, POLLIN, 0}, {output_, POLLIN, 0}};
    // A signal that ends the run may reach another thread than the one that waits here.
    const int ready = poll(waiting, 3, std::min(until(deadline), interruption_milliseconds));
    if (interrupted() != 0) give_up("was interrupted");
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0 && Clock::now() < deadline) continue;
    if (ready == 0)
      give_up(fmt::format("did not come back within {:g} seconds", limits_.call_seconds));
    if (waiting[2].revents != 0) {
      drain();
      if ((waiting[2].revents & POLLIN) == 0 && waiting[0].revents == 0 && waiting[1].revents == 0)
        usleep(1000);  // it has closed its outputs
    }
    if ((waiting[0].revents & POLLIN) != 0) {
      std::optional<Packet> packet = receive_packet(socket_);
      if (packet && packet->descriptor >= 0) close(packet->descriptor);
      if (packet) {
        std::string wrong = "sent a packet that answers no question";
        try {
          Unpacker from(packet->bytes);
          const Header header = unpack_header(from);
          if (header.verb == question.verb && header.number == question.number)
            return std::move(packet->bytes);
        } catch (const NoMessage& no) {
          wrong = std::string("sent something else than an answer: ") + no.what();
        }
        give_up(wrong);
      }
    }
    if (waiting[1].revents != 0 || waiting[0].revents != 0) {
      // Its end of the socket is closed: either it has ended, or it closes what is not its own.
      std::string why = take_ending(5);
      if (why.empty()) give_up("closed the socket that it was to answer on");
      drain();
      throw WorkerGone(why);
    }
  }
}

emulator::Report Process::ask_report() {
  const Header header = next(Verb::end);
  send(pack(header, MapQuestion{}), -1);
  const std::vector<std::byte> bytes = answer_to(header);
  Unpacker from(bytes);
  unpack_header(from);
  try {
    return unpack_report(from);
  } catch (const NoMessage& wrong) {
    give_up(wrong.what());
  }
}

void Process::give_up(const std::string& why) {
  drain();
  kill_all();
  throw WorkerGone(why);
}

std::string Process::take_ending(double seconds) {
  if (control_ < 0) {  // nobody watches over it who could tell more
    alive_ = false;
    return "ended, or closed the socket that it was to answer on";
  }
  pollfd waiting{control_, POLLIN, 0};
  const Clock::time_point deadline = after(seconds);
  int ready = 0;
  do ready = poll(&waiting, 1, until(deadline));
  while (ready < 0 && errno == EINTR);
  if (ready <= 0) return {};
  const std::optional<Packet> packet = receive_packet(control_);
  std::string text = "crashed with signal 9 (Killed)";  // it ended its own supervisor
  Ending ending;
  if (packet && packet->bytes.size() == sizeof ending) {
    std::memcpy(&ending, packet->bytes.data(), sizeof ending);
    left_over_ = ending.left_over;
    text = ending_text(ending, limits_);
  }
  kill_all();
  return text;
}

void Process::kill_all() {
  alive_ = false;
  if (supervisor_ <= 0) return;
  shutdown(control_, SHUT_WR);  // the supervisor's word to end everything
  const Clock::time_point deadline = after(ending_seconds);
  for (bool killed = false;;) {
    const pid_t gone = waitpid(supervisor_, nullptr, WNOHANG);
    if (gone != 0 && !(gone < 0 && errno == EINTR)) break;
    if (!killed && Clock::now() > deadline) kill(supervisor_, SIGKILL), killed = true;
    drain();  // nobody may wait for a pipe that is full
    usleep(200);
  }
  drain();
  supervisor_ = 0;
  pollfd last{control_, POLLIN, 0};
  Ending ending;
  if (poll(&last, 1, 0) > 0)
    if (const auto packet = receive_packet(control_);
        packet && packet->bytes.size() == sizeof ending)
      std::memcpy(&ending, packet->bytes.data(), sizeof ending), left_over_ = ending.left_over;
}

std::string Process::end() {
  if (!alive_) return {};
  if (control_ < 0) {  // it goes on, and does something else
    send(pack(next(Verb::quit), MapQuestion{}), -1);
    alive_ = false;
    return {};
  }
  send(pack(next(Verb::quit), MapQuestion{}), -1);
  const Clock::time_point deadline = after(std::min(ending_seconds, limits_.call_seconds));
  while (Clock::now() < deadline) {
    pollfd waiting[] = {{control_, POLLIN, 0}, {output_, POLLIN, 0}};
    poll(waiting, 2, std::min(until(deadline), 50));
    drain();
    if (waiting[0].revents == 0) continue;
    const std::string text = take_ending(0);
    return text == "ended the process with exit code 0" ? "" : text;
  }
  kill_all();
  return fmt::format("did not end within {:g} seconds",
                     std::min(ending_seconds, limits_.call_seconds));
}

}  // namespace abn::verify::worker
