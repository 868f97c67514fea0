// Mapping, and the bounds of what is mapped.
#include "verify/worker/mapped_segments.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verify/worker/shared_memory.hpp"

namespace abn::verify::worker {

MappedSegments::Mapping::~Mapping() {
  if (reserved != nullptr) munmap(reserved, reserved_bytes);
}

void MappedSegments::map(const MapQuestion& question, int descriptor) {
  unmap(question);
  constexpr std::size_t apart = std::size_t{1} << 20;
  // More than there is behind the descriptor would be a signal at the first touch.
  struct stat behind {};
  if (descriptor < 0 || fstat(descriptor, &behind) != 0 || question.bytes == 0 ||
      question.bytes > static_cast<std::uint64_t>(behind.st_size))
    throw NoMessage("a segment of a size that its memory has not");
  const auto mapping = std::make_shared<Mapping>();
  mapping->bytes = question.bytes;
  mapping->reserved_bytes = question.bytes + 2 * apart;
  void* const reserved = mmap(nullptr, mapping->reserved_bytes, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) throw NoMessage("no memory to map");
  mapping->reserved = static_cast<std::byte*>(reserved);
  const auto address = reinterpret_cast<std::uintptr_t>(reserved) + apart - 1;
  std::byte* const first =
      mapping->reserved + apart + (segment_boundary - 1 - address % segment_boundary);
  void* const begin =
      mmap(first, question.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, 0);
  close(descriptor);
  if (begin == MAP_FAILED) throw NoMessage("no memory to map");
  mapping->begin = static_cast<std::byte*>(begin);
  segments_[question.segment] = mapping;
}

void MappedSegments::unmap(const MapQuestion& question) { segments_.erase(question.segment); }

std::shared_ptr<const MappedSegments::Mapping> MappedSegments::at(std::uint64_t segment) const {
  const auto found = segments_.find(segment);
  if (found == segments_.end()) throw NoMessage("no such segment");
  return found->second;
}

std::byte* MappedSegments::place(const Spot& spot, std::uint64_t bytes) const {
  const auto memory = at(spot.segment);
  if (spot.offset > memory->bytes || bytes > memory->bytes - spot.offset)
    throw NoMessage("a place outside of its segment");
  return memory->begin + spot.offset;
}

}  // namespace abn::verify::worker
