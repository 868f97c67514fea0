// The first three descriptors, and the two signals of writes that fail.
#include "verify/command/streams.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <initializer_list>

namespace abn::verify::command {
namespace {

/// Unlike what is ignored, a handler is not handed on to the programs that are started.
void leave_to_errno(int) {}

void let_writes_fail(int signal) {
  struct sigaction action {};
  action.sa_handler = leave_to_errno;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

void open_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(descriptor, F_GETFD) < 0)  // the lowest that is free is the one that is opened
      open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY);
  let_writes_fail(SIGXFSZ);
}

void outlive_readers() { let_writes_fail(SIGPIPE); }

}  // namespace abn::verify::command
