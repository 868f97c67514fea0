// Memory that the judge and the workers see: where the tensors of a call lie, and nothing else of
// the judge.
#pragma once

#include <cstddef>
#include <cstdint>

namespace abn::verify::worker {

/// A segment begins at a multiple of so many bytes in the judge and in the worker: which kind of
/// page a buffer lies in is the same in both.
constexpr std::size_t segment_boundary = std::size_t{1} << 16;

/// A part of a segment, as a pointer into it was found.
struct SharedPlace {
  std::uint64_t segment = 0;  ///< its number, never used twice
  std::size_t segment_bytes = 0;
  int descriptor = -1;
  std::uint64_t begin = 0;       ///< of the allocation, counted from the segment's begin
  std::size_t bytes = 0;         ///< of the allocation
  std::byte* address = nullptr;  ///< of the allocation, in the judge
};

/// At least 256-byte aligned. What is allocated ends where its segment ends, but for less than 256
/// bytes, so that a worker that runs over it meets a page that it may not touch. Throws
/// std::bad_alloc. From several threads at once, like the others. A segment goes to one owner only,
/// the workers of one plug-in, who may write to it whenever they like.
void* share(std::size_t bytes, std::uint64_t owner);
void unshare(void* pointer) noexcept;

/// The allocation that holds the pointer; its end counts as inside. Throws std::logic_error for
/// other memory.
SharedPlace place_of_shared(const void* pointer);

/// Is the segment still in use, or kept for the next allocation?
bool is_shared(std::uint64_t segment);

}  // namespace abn::verify::worker
