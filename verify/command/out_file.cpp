// What can be known of a file before it is written.
#include "verify/command/out_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "verify/problem/error.hpp"

namespace abn::verify::command {
namespace {

namespace fs = std::filesystem;

// Beside it lie its journal, "NAME.journal", and while that is made "NAME.journal.PROCESS.new".
constexpr std::size_t longest_name = 255 - 30;

bool is_standard_output(const std::string& path) {
  struct stat named {
  }, output{};
  if (stat(path.c_str(), &named) != 0 || fstat(STDOUT_FILENO, &output) != 0) return false;
  struct stat null {};
  const bool nowhere =
      stat("/dev/null", &null) == 0 && named.st_rdev == null.st_rdev && S_ISCHR(named.st_mode);
  return !nowhere && named.st_dev == output.st_dev && named.st_ino == output.st_ino;
}

}  // namespace

bool is_plain_file(const std::string& path) {
  std::error_code error;
  const fs::file_status there = fs::status(path, error);
  return !fs::exists(there) || fs::is_regular_file(there);
}

void require_writable(const std::string& path) {
  if (path.empty()) return;
  const auto refuse = [&](const std::string& why) {
    throw problem::UsageError(fmt::format("{} {}", path, why));
  };
  struct stat there {};
  const bool exists = stat(path.c_str(), &there) == 0;
  if (!exists && errno != ENOENT)
    refuse(fmt::format("cannot be written ({}); give --out the name of a file", strerror(errno)));
  if (exists && S_ISDIR(there.st_mode)) refuse("is a folder; give --out the name of a file");
  if (is_standard_output(path))
    refuse("is standard output, where the verdicts are printed; give --out the name of a file");
  if (exists && access(path.c_str(), W_OK) != 0)
    refuse("is not to be written, by its permissions; choose another file");
  // a terminal or a pipe is written to as it is
  if (exists && !S_ISREG(there.st_mode)) return;
  std::error_code error;
  const fs::path file(path);
  if (!exists && fs::is_symlink(fs::symlink_status(file, error)))
    refuse("is a link to a file that does not exist; give --out the name of a file");
  const fs::path parent = file.has_parent_path() ? file.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, error))
    refuse(fmt::format("cannot be written; make the folder {} first, or choose another file",
                       parent.string()));
  if (access(parent.c_str(), W_OK) != 0)
    refuse(fmt::format("cannot be written, the folder {} does not permit it; choose another file",
                       parent.string()));
  if (file.filename().string().size() > longest_name)
    refuse("has too long a name, for its journal lies beside it; choose a shorter one");
}

}  // namespace abn::verify::command
