// The file of a journal: created under its lock, appended to, and removed at the end.
#include "verify/results/journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "verify/problem/error.hpp"

namespace abn::verify::results {
namespace {

namespace fs = std::filesystem;

// What a power cut may cost; what only the process's end could cost is in the system's hands as
// soon as it is written.
constexpr double seconds_between_syncs = 2;

double now_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

[[noreturn]] void refuse_file(const std::string& path, int error) {
  throw problem::UsageError(fmt::format(
      "{} cannot be written ({}); choose another --out or make room", path, strerror(error)));
}

/// The lock ends with the process, however that ends.
void lock(int file, const std::string& path) {
  if (flock(file, LOCK_EX | LOCK_NB) == 0) return;
  close(file);
  throw problem::UsageError(fmt::format(
      "{} is being written by another run; wait for its end, or choose another --out", path));
}

/// Beside the file behind a link, which is the one that is replaced in the end.
std::string beside_of(const std::string& out) {
  std::error_code error;
  const bool link = fs::is_symlink(fs::symlink_status(out, error)) && fs::exists(out, error);
  return (link ? fs::canonical(out, error).string() : out) + ".journal";
}

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    throw problem::UsageError(
        fmt::format("{} cannot be read; there is an unfinished run only beside the --out of one "
                    "that was cut off, so start it again",
                    path));
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Of an earlier run that was cut off: kept under another name where it has found something.
void put_aside(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0 && errno == ENOENT) return;
  if (file < 0) refuse_file(path, errno);
  lock(file, path);
  bool worth = true;
  try {
    worth = !journal_from_text(text_of(path), path).standings.empty();
  } catch (const problem::UsageError&) {  // a damaged one: for its owner to look at
  }
  const std::string old = path + ".old";
  const bool moved = !worth || std::rename(path.c_str(), old.c_str()) == 0;
  if (!worth) unlink(path.c_str());
  close(file);
  if (!moved) refuse_file(old, errno);
  if (worth)
    std::fputs(fmt::format("abn-verify: an earlier run to this --out was cut off; its journal is "
                           "now {}, which --resume takes\n",
                           old)
                   .c_str(),
               stderr);
}

/// Writes all of it at an offset; else nothing of it stays.
bool write_at(int file, const std::string& text, std::uint64_t offset) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t wrote =
        pwrite(file, text.data() + done, text.size() - done, static_cast<off_t>(offset + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      const int error = wrote < 0 ? errno : ENOSPC;
      // A line that cannot be cut off is torn, and readers leave it out.
      [[maybe_unused]] const int cut = ftruncate(file, static_cast<off_t>(offset));
      errno = error;
      return false;
    }
    done += static_cast<std::size_t>(wrote);
  }
  return true;
}

}  // namespace

std::string journal_of(const std::string& path) {
  std::error_code error;
  std::string beside = beside_of(path);
  if (!fs::exists(beside, error) && fs::is_regular_file(path, error)) {
    std::string begin(16, '\0');
    std::ifstream(path, std::ios::binary).read(begin.data(), 16);
    if (is_journal(begin)) return path;
  }
  return beside;
}

Journal::Journal(JournalHeader header) { contents_.header = std::move(header); }

Journal::Journal(JournalHeader header, const std::string& out) : path_(beside_of(out)) {
  contents_.header = std::move(header);
  contents_.entries = 1;
  const std::string first = journal_line(contents_.header);
  put_aside(path_);
  // It is there with its first line or not at all.
  const std::string temporary = fmt::format("{}.{}.new", path_, getpid());
  file_ = open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file_ < 0) refuse_file(path_, errno);
  lock(file_, path_);
  if (!write_at(file_, first, 0) || fsync(file_) != 0 ||
      std::rename(temporary.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    close(file_);
    refuse_file(path_, error);
  }
  contents_.bytes = first.size();
}

Journal::Journal(const std::string& path) : path_(path) {
  file_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
  if (file_ < 0 && errno != ENOENT) refuse_file(path_, errno);
  if (file_ >= 0) lock(file_, path_);
  try {
    contents_ = journal_from_text(text_of(path_), path_);
  } catch (const problem::UsageError&) {
    if (file_ >= 0) close(file_);
    throw;
  }
  if (ftruncate(file_, static_cast<off_t>(contents_.bytes)) != 0) {
    const int error = errno;
    close(file_);
    refuse_file(path_, error);
  }
}

Journal::~Journal() {
  if (file_ < 0) return;
  write_pending();
  fdatasync(file_);
  close(file_);
}

void Journal::append(Standing standing) {
  if (file_ >= 0) pending_ += journal_line(standing, contents_.entries++);
  contents_.seconds = standing.seconds, contents_.losses = standing.losses;
  contents_.standings[standing.part] = std::move(standing);
  if (file_ >= 0) write_pending();
}

bool Journal::write_pending() {
  if (!write_at(file_, pending_, contents_.bytes)) return false;
  contents_.bytes += pending_.size();
  pending_.clear();
  if (const double now = now_seconds(); now - synced_ > seconds_between_syncs)
    fdatasync(file_), synced_ = now;
  return true;
}

void Journal::remove() {
  if (file_ < 0) return;
  struct stat own {
  }, there{};
  if (fstat(file_, &own) == 0 && stat(path_.c_str(), &there) == 0 && own.st_ino == there.st_ino &&
      own.st_dev == there.st_dev)
    unlink(path_.c_str());
  close(std::exchange(file_, -1));
  pending_.clear();
}

}  // namespace abn::verify::results
