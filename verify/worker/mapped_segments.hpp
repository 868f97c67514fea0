// The worker's side of shared memory: segments that the judge has handed over, each between pages
// that nobody may touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "verify/worker/protocol.hpp"
#include "verify/worker/timing_protocol.hpp"

namespace abn::verify::worker {

class MappedSegments {
 public:
  /// Unmapped with its last owner.
  struct Mapping {
    Mapping() = default;
    ~Mapping();
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    std::byte* reserved = nullptr;
    std::size_t reserved_bytes = 0, bytes = 0;
    std::byte* begin = nullptr;
  };

  /// Takes the descriptor. Throws NoMessage for a segment larger than what is behind that.
  void map(const MapQuestion& question, int descriptor);
  void unmap(const MapQuestion& question);
  /// Throws NoMessage for one that is not mapped.
  std::shared_ptr<const Mapping> at(std::uint64_t segment) const;
  /// Where `bytes` of a segment lie in this process; throws NoMessage where they leave it.
  std::byte* place(const Spot& spot, std::uint64_t bytes) const;

 private:
  std::map<std::uint64_t, std::shared_ptr<const Mapping>> segments_;
};

/// The memory of this thread's call, while it runs: for who hands out what may be looked at later,
/// as an interpreter does.
inline thread_local std::shared_ptr<const MappedSegments::Mapping> lent;

}  // namespace abn::verify::worker
