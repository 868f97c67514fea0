// The messages by which calls are timed in a worker. The timed loop runs in there, as a call that
// is timed must not wait for another process; what the judge makes of the times, it makes with its
// own clock beside them.
//
//   record   copies, then calls of one variant -> launches; kept under a number, or made at once
//   time     two recordings -> microseconds that the second took, behind the first
//   forget   a recording, or all; no answer
//   memory   of a GPU: allocate, release, upload, download
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verify/worker/protocol.hpp"

namespace abn::verify::worker {

/// A place in a segment of shared memory. Segment 0 is a GPU's memory, with addresses as the worker
/// has given them out; the offset `nowhere` is a NULL pointer.
struct Spot {
  std::uint64_t segment = 0, offset = nowhere;
  ABN_MESSAGE(segment, offset)
};

struct CopyStep {
  Spot to, from;
  std::uint64_t bytes = 0;
  ABN_MESSAGE(to, from, bytes)
};

inline constexpr std::size_t most_steps = 2048;  // of a recording, and no more than fit a packet
struct RecordQuestion {
  std::int32_t gpu = -1;     ///< >= 0: on this GPU
  std::uint32_t number = 0;  ///< to keep it under; 0: it is made at once, and not kept
  std::vector<CopyStep> copies;
  VariantQuestion variant;
  AsIs<abn_problem> problem;
  Entry entry{};  ///< forward or backward
  std::uint64_t workspace_bytes = 0;
  /// Of each call the pointers, in the order of CallQuestion's offsets.
  std::vector<std::vector<Spot>> calls;
  ABN_MESSAGE(gpu, number, copies, variant, problem, entry, workspace_bytes, calls)
};
struct RecordAnswer {
  std::string trouble;  ///< one sentence; empty: it was recorded
  std::int32_t launches = -1;
  std::string note;  ///< how it was recorded
  ABN_MESSAGE(trouble, launches, note)
};

struct TimeQuestion {
  std::uint32_t before = 0, timed = 0;
  ABN_MESSAGE(before, timed)
};
struct TimeAnswer {
  std::string trouble;
  std::uint64_t nanoseconds = 0;
  ABN_MESSAGE(trouble, nanoseconds)
};

struct ForgetQuestion {
  std::uint32_t number = 0;  ///< 0: all
  ABN_MESSAGE(number)
};

struct MemoryQuestion {
  enum class Deed : std::uint32_t { allocate, release, upload, download };
  std::int32_t gpu = 0;
  Deed deed{};
  std::uint64_t address = 0, bytes = 0;  ///< of the GPU; bytes of a row
  std::uint64_t pitch = 0, rows = 1;     ///< of what is downloaded
  Spot host;                             ///< where the bytes come from or go to
  ABN_MESSAGE(gpu, deed, address, bytes, pitch, rows, host)
};
struct MemoryAnswer {
  std::string trouble;
  std::uint64_t address = 0;
  ABN_MESSAGE(trouble, address)
};

}  // namespace abn::verify::worker
