// Processes of this machine that a test has started, known by a mark in their environment.
#pragma once

#include <sys/types.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

namespace abn::tests {

/// Those whose environment has `mark`, whose command line has `program` and of whose mapped files
/// one has `mapped` in its name. A process that ends meanwhile is none.
inline std::vector<pid_t> processes_with(const std::string& mark, const std::string& program = "",
                                         const std::string& mapped = "") {
  const auto has = [](const std::filesystem::path& file, const std::string& word) {
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    return text.find(word) != std::string::npos;
  };
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (std::isdigit(static_cast<unsigned char>(name.front())) != 0 &&
        has(entry.path() / "environ", mark) && has(entry.path() / "cmdline", program) &&
        has(entry.path() / "maps", mapped))
      found.push_back(static_cast<pid_t>(std::stol(name)));
  }
  return found;
}

}  // namespace abn::tests
