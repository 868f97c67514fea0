// abn-verify as a process of its own that a test may end at any moment, and a folder for its files.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace abn::tests {

namespace fs = std::filesystem;

inline fs::path folder_of_this_binary() { return fs::read_symlink("/proc/self/exe").parent_path(); }

inline std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A folder that is gone after the test.
struct Folder {
  explicit Folder(const std::string& name)
      : path(fs::temp_directory_path() / ("abn-" + name + "-" + std::to_string(getpid()))) {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file(const std::string& name) const { return (path / name).string(); }
  fs::path path;
};

struct EndedShell {
  int code;            // 128 and more: by a signal
  std::string output;  // stdout and stderr together
};

/// A command in the folder of this binary.
inline EndedShell in_shell(const std::string& command) {
  FILE* const pipe = popen(
      ("cd '" + folder_of_this_binary().string() + "' && { " + command + "; } 2>&1").c_str(), "r");
  EndedShell ended{0, {}};
  std::array<char, 4096> chunk;
  while (const std::size_t got = fread(chunk.data(), 1, chunk.size(), pipe))
    ended.output.append(chunk.data(), got);
  const int status = pclose(pipe);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended;
}

/// Started at once, in the folder of this binary, with its output in a file.
class Judge {
 public:
  Judge(std::vector<std::string> arguments, const std::string& output) : output_(output) {
    arguments.insert(arguments.begin(), "abn-verify");
    const std::string program = (folder_of_this_binary() / "abn-verify").string();
    std::vector<char*> words;
    for (std::string& word : arguments) words.push_back(word.data());
    words.push_back(nullptr);
    process_ = fork();
    if (process_ != 0) return;
    const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(file, STDOUT_FILENO), dup2(file, STDERR_FILENO);
    for (const int one : {SIGINT, SIGTERM, SIGHUP}) ::signal(one, SIG_DFL);
    if (chdir(folder_of_this_binary().c_str()) == 0) execv(program.c_str(), words.data());
    _exit(127);
  }
  ~Judge() {
    if (process_ > 0) end(SIGKILL), wait();
  }
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  pid_t process() const { return process_; }
  void end(int signal) const { kill(process_, signal); }
  bool runs() const {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
  }
  /// Its exit code, or 128 and the signal.
  int wait() {
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string output() const { return contents(output_); }

 private:
  pid_t process_;
  std::string output_;
};

/// Whether it holds within a minute.
template <class Condition>
bool comes_true(const Condition& condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

/// Results without what differs from run to run.
inline std::string timeless(const std::string& path, bool without_command = false) {
  auto json = nlohmann::ordered_json::parse(contents(path), nullptr, false);
  if (json.is_discarded()) return "no results: " + contents(path).substr(0, 200);
  for (const char* const name : {"time", "seconds"}) json["provenance"].erase(name);
  if (without_command) json["provenance"].erase("command");
  return json.dump(1);
}

}  // namespace abn::tests
