// Who serves the questions of a pool: the program abn-verify-worker with a plug-in, another program
// that it becomes, or a process that is there already.
#pragma once

#include <string>
#include <vector>

namespace abn::verify::worker {

struct Program {
  /// What the worker becomes once its limits are set, found on PATH: it serves on
  /// question_descriptor, and its memory is limited by what it uses and not by what it reserves.
  /// Empty: the worker loads a plug-in itself.
  std::vector<std::string> words{};
  /// >= 0: a socket to a process that is there already. It is sent one end of a new socket for
  /// every worker that is wanted, and serves on each. Nothing limits it, and nobody ends it.
  int host = -1;
  const char* option = "--plugin";  ///< of the command line that names what is loaded
  /// What is loaded are objects of the host, which no command line finds again: what shows a case
  /// again is a call of abn_verify.judge there.
  bool of_session = false;
};

}  // namespace abn::verify::worker
