// Sealed memfds, a few of which are kept for the next call.
#include "verify/worker/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>
#include <vector>

namespace abn::verify::worker {
namespace {

constexpr std::size_t page = 4096, boundary = 256;
constexpr std::size_t largest_kept = std::size_t{16} << 20;
constexpr std::size_t most_kept = 64;

struct Segment {
  std::uint64_t number = 0;
  std::byte* address = nullptr;
  std::size_t bytes = 0;
  int descriptor = -1;
  std::uint64_t owner = 0;
};

/// At a multiple of segment_boundary; null where there is no memory.
std::byte* mapped(std::size_t bytes, int descriptor) {
  void* const reserved = mmap(nullptr, bytes + segment_boundary, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  auto* const first = static_cast<std::byte*>(reserved);
  const std::size_t ahead =
      (segment_boundary - reinterpret_cast<std::uintptr_t>(first) % segment_boundary) %
      segment_boundary;
  void* const begin =
      mmap(first + ahead, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, 0);
  if (ahead > 0) munmap(first, ahead);
  munmap(first + ahead + bytes, segment_boundary - ahead);
  if (begin != MAP_FAILED) return static_cast<std::byte*>(begin);
  munmap(first + ahead, bytes);
  return nullptr;
}

class Segments {
 public:
  void* allocate(std::size_t bytes, std::uint64_t owner) {
    const std::size_t wanted =
        (std::max<std::size_t>(bytes, 1) + boundary - 1) / boundary * boundary;
    Segment segment = take(wanted, owner);
    std::byte* const begin = segment.address + (segment.bytes - wanted);
    const std::lock_guard lock(guard_);
    used_[begin] = {segment, bytes};
    return begin;
  }

  void release(void* pointer) {
    const std::lock_guard lock(guard_);
    const auto at = used_.find(static_cast<std::byte*>(pointer));
    if (at == used_.end()) return;
    const Segment segment = at->second.segment;
    used_.erase(at);
    if (segment.bytes > largest_kept) {
      end(segment);
      return;
    }
    if (kept_.size() == most_kept) {  // of an owner who has been waiting for longest
      end(kept_.front());
      kept_.erase(kept_.begin());
    }
    kept_.push_back(segment);
  }

  SharedPlace find(const std::byte* pointer) {
    const std::lock_guard lock(guard_);
    auto at = used_.upper_bound(const_cast<std::byte*>(pointer));
    if (at != used_.begin()) {
      const auto& [begin, use] = *--at;
      if (pointer <= begin + use.bytes)
        return {use.segment.number,
                use.segment.bytes,
                use.segment.descriptor,
                static_cast<std::uint64_t>(begin - use.segment.address),
                use.bytes,
                begin};
    }
    throw std::logic_error("a plug-in was given memory that its worker does not see");
  }

  bool known(std::uint64_t number) {
    const std::lock_guard lock(guard_);
    return numbers_.count(number) != 0;
  }

 private:
  struct Use {
    Segment segment;
    std::size_t bytes;
  };

  void end(const Segment& segment) {
    munmap(segment.address, segment.bytes);
    close(segment.descriptor);
    numbers_.erase(segment.number);
  }

  /// Powers of two, so that few sizes serve all calls.
  Segment take(std::size_t wanted, std::uint64_t owner) {
    std::size_t bytes = 16 * page;
    while (bytes < wanted && bytes < largest_kept) bytes *= 2;
    bytes = std::max(bytes, (wanted + page - 1) / page * page);
    const std::lock_guard lock(guard_);
    const auto fits = std::find_if(kept_.rbegin(), kept_.rend(), [&](const Segment& one) {
      return one.bytes == bytes && one.owner == owner;
    });
    if (fits != kept_.rend()) {
      const Segment segment = *fits;
      kept_.erase(std::next(fits).base());
      return segment;
    }
    Segment segment;
    segment.bytes = bytes, segment.owner = owner;
    segment.descriptor = memfd_create("tensors", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    // Sealed in its size, or a worker could cut off what the judge is about to read.
    if (segment.descriptor < 0 || ftruncate(segment.descriptor, static_cast<off_t>(bytes)) != 0 ||
        fcntl(segment.descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
      if (segment.descriptor >= 0) close(segment.descriptor);
      throw std::bad_alloc();
    }
    segment.address = mapped(bytes, segment.descriptor);
    if (segment.address == nullptr) {
      close(segment.descriptor);
      throw std::bad_alloc();
    }
    segment.number = ++last_number_;
    numbers_.insert(segment.number);
    return segment;
  }

  std::mutex guard_;
  std::map<std::byte*, Use> used_;  // by where the allocation begins
  std::vector<Segment> kept_;
  std::set<std::uint64_t> numbers_;
  std::uint64_t last_number_ = 0;
};

Segments& segments() {
  static auto* const all = new Segments;  // workers may outlive static objects
  return *all;
}

}  // namespace

void* share(std::size_t bytes, std::uint64_t owner) { return segments().allocate(bytes, owner); }
void unshare(void* pointer) noexcept { segments().release(pointer); }
SharedPlace place_of_shared(const void* pointer) {
  return segments().find(static_cast<const std::byte*>(pointer));
}
bool is_shared(std::uint64_t segment) { return segments().known(segment); }

}  // namespace abn::verify::worker
