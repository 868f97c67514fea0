// stat before open, since opening a device can do something; and again behind it, since the path
// may lead elsewhere by then.
#include "verify/problem/bounded_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "verify/problem/error.hpp"

namespace abn::verify::problem {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw UsageError(fmt::format("{}: {}", path, why));
}

[[noreturn]] void refuse_by_errno(const std::string& path) {
  switch (errno) {
    case ENOENT:
      refuse(path, "there is no such file; check the path");
    case ELOOP:
      refuse(path, "its symbolic links lead in a circle; name the file itself");
    default:
      refuse(path, fmt::format("the system does not tell what the file is ({}); check the path and "
                               "its permissions",
                               std::strerror(errno)));
  }
}

void require_regular(const std::string& path, const FileKind& kind, const struct stat& found) {
  if (S_ISDIR(found.st_mode)) refuse(path, fmt::format("this is a folder; {}", kind.in_folder));
  if (!S_ISREG(found.st_mode))
    refuse(path, "this is not a regular file; copy the data to a file first");
  const auto bytes = static_cast<std::uint64_t>(found.st_size);
  if (bytes == 0) refuse(path, fmt::format("the file is empty; {}", kind.make_again));
  if (bytes > kind.largest)
    refuse(path, fmt::format("the file has {} bytes, more than the {} that are read; {}", bytes,
                             kind.largest, kind.if_larger));
}

}  // namespace

BoundedFile::BoundedFile(const std::string& path, const FileKind& kind) : path_(path) {
  if (path.empty()) refuse("\"\"", "the name of the file is empty; give one");
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) refuse_by_errno(path);
  require_regular(path, kind, found);
  file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0)
    refuse(path, fmt::format("the file cannot be opened ({}); check its permissions",
                             std::strerror(errno)));
  try {
    if (fstat(file_, &found) != 0) refuse_by_errno(path);
    require_regular(path, kind, found);
  } catch (...) {
    close(file_);
    throw;
  }
  bytes_ = static_cast<std::uint64_t>(found.st_size);
}

BoundedFile::~BoundedFile() { close(file_); }

std::uint64_t BoundedFile::read(void* to, std::uint64_t most) {
  constexpr std::uint64_t piece = std::uint64_t{1} << 30;
  std::uint64_t done = 0;
  while (done < most) {
    const ssize_t got = ::read(file_, static_cast<char*>(to) + done, std::min(most - done, piece));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      refuse(path_, fmt::format("the file could not be read to its end ({}); copy it elsewhere and "
                                "name the copy",
                                std::strerror(errno)));
    if (got == 0) break;
    done += static_cast<std::uint64_t>(got);
  }
  return done;
}

std::string read_bounded(const std::string& path, const FileKind& kind) {
  BoundedFile file(path, kind);
  std::string text(file.bytes(), '\0');
  text.resize(file.read(text.data(), text.size()));
  return text;
}

}  // namespace abn::verify::problem
