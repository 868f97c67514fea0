// The memory that kernels see: buffers of the host, by their addresses, and windows of addresses
// that no host has for shared and local memory and for parameters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/ptx/state/touch.hpp"

namespace abn::ptx {

// Generic addresses. A block's shared memory begins at `shared_begin` of its window, so that 0 is
// no address in it; shared memory of block r of a cluster is seen at (r + 1) << peer_shift, too.
inline constexpr std::uint64_t shared_window = std::uint64_t{1} << 56;
inline constexpr std::uint64_t local_window = std::uint64_t{1} << 57;
inline constexpr std::uint64_t parameter_window = std::uint64_t{1} << 58;
inline constexpr std::uint64_t window_end = std::uint64_t{1} << 59;
inline constexpr std::uint32_t shared_begin = 1024, peer_shift = 24;

/// What is known of a byte that is watched.
enum Shadow : std::uint8_t { byte_written = 1, byte_stored_by_launch = 2 };

/// A piece of global memory.
struct Range {
  std::uint64_t begin = 0, end = 0;
  std::string name{};
  std::uint32_t element_bytes = 1;
  bool writable = true;
  bool watched = false;  ///< named by a session: its bytes have a shadow
  bool around = false;   ///< the memory of a call, gaps included: counts where nothing is watched
  std::vector<std::uint8_t> shadow{};
  Touched touched{};  ///< by the launch, where accesses are looked at
  // What launches moved, as in emulator::Traffic.
  std::uint64_t bytes_loaded = 0, bytes_stored = 0, load_requests = 0, store_requests = 0;
  std::uint64_t load_sectors = 0, store_sectors = 0, atomics = 0;
};

/// All of global memory that may be touched. Without any range every address is taken as it is.
class GlobalMemory {
 public:
  void add(Range range);
  /// Those that begin within this piece.
  void remove(std::uint64_t begin, std::uint64_t bytes);
  void forget_watched();
  /// The range that holds the address, watched ones first; null where there is none.
  Range* find(std::uint64_t address);
  bool empty() const { return ranges_.empty(); }
  bool any_watched() const { return watched_; }
  std::vector<Range>& ranges() { return ranges_; }
  /// What a launch stored counts as written by it until here.
  void begin_launch();

 private:
  std::vector<Range> ranges_;  // watched ones in front
  bool watched_ = false;
};

}  // namespace abn::ptx
