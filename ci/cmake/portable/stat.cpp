// stat and its kin, which were inline functions until 2.33: what they called then, with the version
// of the structure that x86-64 has.
#include <fcntl.h>
#include <sys/stat.h>

extern "C" {
int __xstat(int version, const char* path, struct stat* out);
int __lxstat(int version, const char* path, struct stat* out);
int __fxstat(int version, int descriptor, struct stat* out);
int __fxstatat(int version, int folder, const char* path, struct stat* out, int flags);
int __xmknod(int version, const char* path, mode_t mode, dev_t* device);
static constexpr int stat_version = 1, mknod_version = 0;

#define ABN_NEWER [[gnu::visibility("hidden")]]
ABN_NEWER int stat(const char* path, struct stat* out) noexcept {
  return __xstat(stat_version, path, out);
}
ABN_NEWER int lstat(const char* path, struct stat* out) noexcept {
  return __lxstat(stat_version, path, out);
}
ABN_NEWER int fstat(int descriptor, struct stat* out) noexcept {
  return __fxstat(stat_version, descriptor, out);
}
ABN_NEWER int fstatat(int folder, const char* path, struct stat* out, int flags) noexcept {
  return __fxstatat(stat_version, folder, path, out, flags);
}
ABN_NEWER int mknod(const char* path, mode_t mode, dev_t device) noexcept {
  return __xmknod(mknod_version, path, mode, &device);
}

// With large offsets, which are the only ones that 64 bits know: one structure by two names.
#define ABN_LARGE(name, ...) \
  ABN_NEWER int large_##name(__VA_ARGS__) noexcept asm(#name "64") __attribute__((alias(#name)));
ABN_LARGE(stat, const char*, struct stat*)
ABN_LARGE(lstat, const char*, struct stat*)
ABN_LARGE(fstat, int, struct stat*)
ABN_LARGE(fstatat, int, const char*, struct stat*, int)
}
