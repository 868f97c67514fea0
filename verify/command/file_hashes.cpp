// Where the files of the tool lie.
#include "verify/command/file_hashes.hpp"

#include <filesystem>

#include "verify/results/sha256.hpp"

namespace abn::verify::command {

namespace fs = std::filesystem;
using results::sha256_of_file;

std::vector<results::FileHash> file_hashes(const std::vector<std::string>& plugins) {
  std::vector<results::FileHash> hashes{{"tool", "abn-verify", sha256_of_file("/proc/self/exe")}};
  if (plugins.empty()) return hashes;
  std::error_code error;
  const fs::path worker =
      fs::read_symlink("/proc/self/exe", error).parent_path() / "abn-verify-worker";
  hashes.push_back({"worker", "abn-verify-worker", sha256_of_file(worker.string())});
  for (const std::string& plugin : plugins) {
    hashes.push_back({"plug-in", plugin, sha256_of_file(plugin)});
    const std::string instrumented = fs::path(plugin).replace_extension(".sanitized.so").string();
    if (fs::exists(instrumented, error))
      hashes.push_back({"plug-in", instrumented, sha256_of_file(instrumented)});
  }
  return hashes;
}

std::vector<results::FileHash> input_hashes(const std::vector<std::string>& paths) {
  std::vector<results::FileHash> hashes;
  hashes.reserve(paths.size());
  for (const std::string& path : paths) hashes.push_back({"input", path, sha256_of_file(path)});
  return hashes;
}

}  // namespace abn::verify::command
