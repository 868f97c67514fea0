// judge -> supervisor -> keeper -> worker.
//
// Where the system permits it, the keeper is the first process of a namespace: nothing in there can
// signal or see a process outside, and with the keeper the kernel ends all that is in it, at once.
// Elsewhere the keeper and the supervisor adopt what loses its parent (PR_SET_CHILD_SUBREAPER), and
// the supervisor ends it one by one until nothing is left. The supervisor holds no socket of the
// worker; when the judge ends, however, its own socket closes, and that ends the rest.
#include "verify/worker/supervise.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "verify/worker/packet_socket.hpp"

namespace abn::verify::worker {
namespace {

constexpr int glance_ms = 100;  // between two looks at the limits

bool write_text(const char* path, const std::string& text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool whole = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(file);
  return whole;
}

/// Puts the children of this process into a namespace of their own, if that is permitted.
bool confine_children() {
  if (unshare(CLONE_NEWPID) == 0) return true;
  const unsigned user = geteuid(), group = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) return false;
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/uid_map", fmt::format("{0} {0} 1", user));
  write_text("/proc/self/gid_map", fmt::format("{0} {0} 1", group));
  return true;
}

/// Does /proc number processes as this one sees them? Else none of its numbers may be used.
bool proc_is_ours() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self", error);
  return !error && self.string() == std::to_string(getpid());
}

/// Of all of its threads.
std::vector<pid_t> children_of(pid_t process) {
  std::vector<pid_t> children;
  std::error_code error;
  for (std::filesystem::directory_iterator thread(fmt::format("/proc/{}/task", process), error),
       end;
       !error && thread != end; thread.increment(error)) {
    std::ifstream list(thread->path() / "children");
    for (pid_t child = 0; list >> child;) children.push_back(child);
  }
  return children;
}

/// Down to a depth and a number that no worker within its limits has.
void add_descendants(pid_t process, std::vector<pid_t>& all, int depth = 0) {
  constexpr int deepest = 64;
  constexpr std::size_t most = 4096;
  for (const pid_t child : children_of(process)) {
    if (all.size() >= most || depth >= deepest) return;
    all.push_back(child);
    add_descendants(child, all, depth + 1);
  }
}

/// Bytes of private memory in use.
std::uint64_t private_memory(pid_t process) {
  std::ifstream statm(fmt::format("/proc/{}/statm", process));
  std::uint64_t size = 0, resident = 0, shared = 0;
  statm >> size >> resident >> shared;
  return (resident - std::min(resident, shared)) *
         static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// Ends all descendants of this process; how many there were. The first process of a namespace
/// ends all that is in it instead, and the numbers in /proc are not its own.
int end_descendants() {
  int ended = 0;
  const bool first = getpid() == 1, known = !first && proc_is_ours();
  constexpr int rounds = 1000;
  for (int round = 0; round < rounds; ++round) {
    std::vector<pid_t> all;
    if (first) kill(-1, SIGKILL);
    if (known) add_descendants(getpid(), all);
    for (const pid_t process : all) {
      const pid_t group = getpgid(process);  // at once, where it has not left the group
      if (group > 1 && group != getpgrp()) kill(-group, SIGKILL);
      if (process > 1) kill(process, SIGKILL);
    }
    for (pid_t gone = 1; gone > 0;) {
      gone = waitpid(-1, nullptr, WNOHANG);
      if (gone > 0) ++ended;
      if (gone < 0 && errno == ECHILD) return ended;
    }
    usleep(1000);
  }
  return ended;
}

void limit(int resource, std::uint64_t value) {
  rlimit both{};
  getrlimit(static_cast<__rlimit_resource_t>(resource), &both);
  both.rlim_cur = std::min<rlim_t>(value, both.rlim_max), both.rlim_max = both.rlim_cur;
  setrlimit(static_cast<__rlimit_resource_t>(resource), &both);
}

/// The worker: in a session of its own, without the supervisor's socket.
[[noreturn]] void become_worker([[maybe_unused]] std::uint64_t reserved, int (*serve)()) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  close(supervisor_descriptor);
  limit(RLIMIT_CORE, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  if (reserved > 0) limit(RLIMIT_DATA, reserved);  // the shadow of a sanitizer has terabytes
#endif
  _exit(serve());
}

struct Status {
  int wait_status = 0, left_over = 0;
};

/// The keeper: starts the worker, collects whatever ends, and says how the worker did.
[[noreturn]] void become_keeper(std::uint64_t reserved, int report, int (*serve)()) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t worker = fork();
  if (worker == 0) {
    close(report);
    become_worker(reserved, serve);
  }
  close(question_descriptor);
  close(STDOUT_FILENO), close(STDERR_FILENO);
  Status status{-1, 0};
  if (worker > 0) {
    pid_t gone = 0;
    do gone = waitpid(-1, &status.wait_status, 0);
    while (gone != worker && (gone > 0 || errno == EINTR));
  }
  status.left_over = end_descendants();
  if (write(report, &status, sizeof status) != sizeof status) _exit(1);
  _exit(0);
}

/// What is wrong with all of them together, or `ended` where nothing is.
Ending glance(pid_t keeper, std::uint64_t memory, int processes) {
  Ending ending;
  ending.how = Ending::How::ended;
  if (!proc_is_ours()) return ending;
  std::vector<pid_t> all;
  add_descendants(keeper, all);
  if (static_cast<int>(all.size()) > processes) {
    ending.how = Ending::How::too_many_processes;
    ending.value = static_cast<std::int32_t>(all.size());
    return ending;
  }
  std::uint64_t used = 0;
  for (const pid_t process : all) used += private_memory(process);
  if (memory > 0 && used > memory) ending.how = Ending::How::too_much_memory;
  return ending;
}

}  // namespace

bool can_confine() {
  const pid_t child = fork();
  if (child == 0) _exit(confine_children() ? 0 : 1);
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

int supervise(std::uint64_t memory, int processes, int (*serve)(), bool reserved_too) {
  // What whoever started the judge left open is no business of a plug-in.
  close_range(supervisor_descriptor + 1, ~0U, 0);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return 1;
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const bool confined = confine_children();
  const pid_t keeper = fork();
  if (keeper < 0) return 1;
  if (keeper == 0) {
    close(ends[0]);
    become_keeper(reserved_too ? memory : 0, ends[1], serve);
  }
  close(ends[1]), close(question_descriptor);
  close(STDOUT_FILENO), close(STDERR_FILENO);

  Ending ending;
  ending.how = Ending::How::ended;
  for (bool running = true; running;) {
    pollfd waiting[2] = {{supervisor_descriptor, POLLIN, 0}, {ends[0], POLLIN, 0}};
    const int ready = poll(waiting, 2, glance_ms);
    if (waiting[1].revents != 0) {  // the worker has ended, or the keeper was ended
      Status status{};
      if (read(ends[0], &status, sizeof status) != sizeof status) status = {SIGKILL, 0};
      const bool exited = WIFEXITED(status.wait_status);
      ending.how = exited ? Ending::How::exited : Ending::How::signalled;
      ending.value = exited ? WEXITSTATUS(status.wait_status) : WTERMSIG(status.wait_status);
      ending.left_over = status.left_over;
      break;
    }
    if (waiting[0].revents != 0) break;  // the judge wants it to end, or has ended itself
    if (ready == 0) {
      ending = glance(keeper, memory, processes);
      running = ending.how == Ending::How::ended;
    }
  }
  kill(keeper, SIGKILL);
  const int ended = end_descendants();
  ending.left_over += std::max(ended - 1, 0);  // the keeper itself is none
  ending.confined = confined ? 1 : 0;
  send_packet(supervisor_descriptor, {reinterpret_cast<const std::byte*>(&ending), sizeof ending});
  return 0;
}

}  // namespace abn::verify::worker
