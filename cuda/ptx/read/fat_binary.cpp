// A fat binary is a header and entries, each a header with a payload of machine code or PTX.
#include "cuda/ptx/read/fat_binary.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cuda/ptx/read/refused.hpp"

namespace abn::ptx {
namespace {

constexpr std::uint32_t wrapper_magic = 0x466243b1, fat_magic = 0xba55ed50;
constexpr std::uint16_t kind_ptx = 1;
constexpr std::uint64_t flag_lz4 = 0x2000, flag_zstd = 0x8000;
constexpr std::size_t least_header = 64;  // of an entry
constexpr std::size_t most_text = std::size_t{1} << 30;

template <class T>
T at(const std::byte* from, std::size_t offset) {
  T value;
  std::memcpy(&value, from + offset, sizeof value);
  return value;
}

/// A function of a library that decompresses; every Linux has these libraries, and without them
/// nothing compressed can be read.
void* function_of(const char* library, const char* package, const char* name) {
  void* const opened = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr)
    throw Refused(std::string("the PTX of the fat binary is compressed and there is no ") +
                  library + "; install it (Debian: " + package +
                  "), or compile with nvcc -no-compress");
  return dlsym(opened, name);
}

std::size_t unzstd(char* to, std::size_t size, const std::byte* from, std::size_t packed) {
  using Decompress = std::size_t (*)(void*, std::size_t, const void*, std::size_t);
  static const auto decompress =
      reinterpret_cast<Decompress>(function_of("libzstd.so.1", "libzstd1", "ZSTD_decompress"));
  return decompress == nullptr ? 0 : decompress(to, size, from, packed);  // an error is no size
}

std::size_t unlz4(char* to, std::size_t size, const std::byte* from, std::size_t packed) {
  using Decompress = int (*)(const char*, char*, int, int);
  static const auto decompress =
      reinterpret_cast<Decompress>(function_of("liblz4.so.1", "liblz4-1", "LZ4_decompress_safe"));
  if (decompress == nullptr || packed > most_text) return 0;
  const int got = decompress(reinterpret_cast<const char*>(from), to, static_cast<int>(packed),
                             static_cast<int>(size));
  return got < 0 ? 0 : static_cast<std::size_t>(got);
}

template <class Unpack>
std::string unpacked(const Unpack& unpack, const std::byte* from, std::size_t packed,
                     std::size_t size) {
  std::string text(size <= most_text ? size : 0, '\0');
  if (text.empty() || unpack(text.data(), text.size(), from, packed) != size)
    throw Refused(
        "the PTX of the fat binary cannot be decompressed; compile with nvcc -no-compress");
  return text;
}

}  // namespace

std::vector<std::string> ptx_of(const void* fat_binary) {
  const auto* from = static_cast<const std::byte*>(fat_binary);
  if (from != nullptr && at<std::uint32_t>(from, 0) == wrapper_magic)
    from = at<const std::byte*>(from, 8);
  if (from == nullptr || at<std::uint32_t>(from, 0) != fat_magic)
    throw Refused("a fat binary of a kind that is not known; build with nvcc 12 or 13");
  const std::byte* const end = from + at<std::uint16_t>(from, 6) + at<std::uint64_t>(from, 8);
  std::vector<std::pair<std::uint32_t, std::string>> found;  // by architecture
  for (from += at<std::uint16_t>(from, 6); from + least_header <= end;) {
    const auto kind = at<std::uint16_t>(from, 0);
    const auto header = at<std::uint32_t>(from, 4);
    const auto padded = at<std::uint64_t>(from, 8);
    const std::byte* const payload = from + header;
    if (header < least_header || payload > end ||
        padded > static_cast<std::uint64_t>(end - payload))
      throw Refused("a fat binary whose parts do not fit; build with nvcc 12 or 13");
    if (kind == kind_ptx) {
      const auto packed = at<std::uint32_t>(from, 16), architecture = at<std::uint32_t>(from, 28);
      const auto flags = at<std::uint64_t>(from, 40), size = at<std::uint64_t>(from, 56);
      if (packed > padded) throw Refused("a fat binary whose parts do not fit; build it again");
      if ((flags & flag_zstd) != 0)
        found.emplace_back(architecture, unpacked(unzstd, payload, packed, size));
      else if ((flags & flag_lz4) != 0)  // of older toolkits, and --compress-mode=speed
        found.emplace_back(architecture, unpacked(unlz4, payload, packed, size));
      else
        found.emplace_back(architecture,
                           std::string(reinterpret_cast<const char*>(payload), padded));
    }
    from = payload + padded;
  }
  if (found.empty())
    throw Refused(
        "the fat binary holds machine code and no PTX; compile with -gencode "
        "arch=compute_90,code=compute_90");
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> texts;
  for (auto& [architecture, text] : found) texts.push_back(std::move(text));
  return texts;
}

}  // namespace abn::ptx
