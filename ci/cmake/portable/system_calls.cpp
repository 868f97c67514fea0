// Functions that do no more than one system call, each newer than 2.28.
#include <dirent.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>

#define ABN_NEWER extern "C" [[gnu::visibility("hidden")]]
ABN_NEWER pid_t gettid() noexcept { return static_cast<pid_t>(syscall(SYS_gettid)); }

// Where the kernel does not know it, either (before 5.9): those that there are, one by one.
ABN_NEWER int close_range(unsigned first, unsigned last, int flags) noexcept {
#ifdef SYS_close_range
  const long done = syscall(SYS_close_range, first, last, flags);
  if (done == 0 || errno != ENOSYS || flags != 0) return static_cast<int>(done);
#endif
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return -1;
  while (const dirent* entry = readdir(folder)) {
    char* end = nullptr;
    const unsigned long descriptor = strtoul(entry->d_name, &end, 10);
    if (end == entry->d_name || *end != '\0') continue;  // "." and ".."
    if (descriptor < first || descriptor > last) continue;
    if (static_cast<int>(descriptor) != dirfd(folder)) close(static_cast<int>(descriptor));
  }
  closedir(folder);
  return 0;
}

ABN_NEWER void arc4random_buf(void* bytes, size_t count) noexcept {
  char* next = static_cast<char*>(bytes);
  while (count > 0) {
    const ssize_t got = getrandom(next, count, 0);
    if (got < 0 && errno != EINTR) abort();
    if (got > 0) next += got, count -= static_cast<size_t>(got);
  }
}
ABN_NEWER unsigned arc4random() noexcept {
  unsigned number = 0;
  arc4random_buf(&number, sizeof number);
  return number;
}
ABN_NEWER unsigned arc4random_uniform(unsigned bound) noexcept {
  if (bound < 2) return 0;
  const unsigned uneven = -bound % bound;  // the numbers below are one more than their share
  unsigned number = arc4random();
  while (number < uneven) number = arc4random();
  return number % bound;
}
