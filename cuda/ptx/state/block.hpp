// Blocks, clusters and launches while they run.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cuda/emulator/report.h"
#include "cuda/ptx/state/memory.hpp"
#include "cuda/ptx/state/order.hpp"
#include "cuda/ptx/state/program.hpp"
#include "cuda/ptx/state/touch.hpp"
#include "cuda/ptx/state/warp.hpp"

namespace abn::ptx {

struct Launch;
struct Cluster;

struct Size3 {
  std::uint32_t x = 1, y = 1, z = 1;
  std::uint64_t count() const { return std::uint64_t{x} * y * z; }
};

/// What a launch is asked to do.
struct Configuration {
  Size3 grid, block, cluster;
  std::uint32_t dynamic_shared = 0;
  bool cooperative = false;
  std::vector<std::byte> parameters{};
  std::uint64_t seed = 0;  ///< of the order of blocks and warps; 0: ascending
  bool sanitize = false;   ///< reads of shared memory that nobody wrote, traffic
  bool count = false;      ///< which instructions of the program are executed, too
  std::uint64_t most_idle = std::uint64_t{1} << 22;  ///< polls in a row; then it is endless
};

/// bar.sync and its like.
struct Barrier {
  std::uint32_t arrived = 0;        ///< threads
  std::uint32_t expected = 0;       ///< 0: all of the block
  const Instruction* at = nullptr;  ///< where the first one waits
  Sync sync;                        ///< of a barrier that need not be for all
};

/// A bulk copy that has not landed.
struct BulkCopy {
  std::uint64_t from = 0, to = 0;  ///< generic addresses
  std::uint32_t bytes = 0;
  Block* counted_in = nullptr;  ///< whose mbarrier; null: a group of the thread
  std::uint32_t mbarrier = 0;   ///< its place in shared memory
  std::uint32_t group = 0;      ///< of the thread; 0: not committed
  Warp* by = nullptr;
  unsigned lane = 0;
  const Instruction* instruction = nullptr;
  // Where accesses are looked at, as of LateCopy.
  Moment reads{}, writes{};
  View view{};
};

/// Whose accesses are made in place of the lane's own, while a copy lands.
struct CopyUnderWay {
  Moment moment{};
  View view{};
};

struct Block {
  Launch* launch = nullptr;
  Cluster* cluster = nullptr;
  std::uint32_t rank = 0;  ///< in its cluster
  Size3 index;
  std::vector<std::byte> shared;
  std::vector<std::uint8_t> shared_written;
  Touched touched;           ///< shared memory, where accesses are looked at
  Clocks clocks;             ///< likewise
  std::uint64_t number = 0;  ///< in the grid
  std::vector<Warp> warps;
  std::array<Barrier, 16> barriers{};
  std::uint32_t threads = 0, live = 0;
  bool left = false;  ///< all of its threads have returned
  /// A thread of it was behind a barrier of the cluster, so that all its blocks have begun.
  bool met_peers = false;
};

struct Cluster {
  std::vector<std::unique_ptr<Block>> blocks;
  Size3 index;
  std::uint64_t phase = 0;
  std::uint32_t arrived = 0;  ///< threads at the barrier
  Sync syncs[2];              ///< of this phase, and of the one before
  std::vector<BulkCopy> copies;
};

/// Thrown where a launch cannot go on.
struct Stop {
  emulator::Finding finding;
};

struct Launch {
  const Program* program = nullptr;
  Configuration configuration;
  GlobalMemory* memory = nullptr;
  std::vector<emulator::Finding> findings;
  /// Twice the number of an instruction, and 1 for a race: findings that did not stop the launch.
  std::vector<std::uint64_t> reported;
  std::vector<std::byte> grid_workspace;
  std::uint64_t instructions = 0;       ///< of warps
  std::vector<std::uint64_t> executed;  ///< the same by instruction of the program, if counted
  std::uint64_t lane_instructions = 0;
  std::uint64_t splits = 0;   ///< branches that took two ways
  std::uint64_t replays = 0;  ///< of shared memory (banks.hpp), if sanitized
  std::uint64_t idle = 0;     ///< polls, sleeps and fences since memory last changed
  Range* last_range = nullptr;
  std::unique_ptr<Order> order;  ///< null where nobody looks at accesses
  const CopyUnderWay* copy = nullptr;
};

/// The place of a lane for people: "PTX line 12 (file.cu:3), block (0, 0, 0), thread (5, 0, 0)".
std::string place_text(const Warp& warp, const Instruction& in, unsigned lane);

/// That of an instruction: "PTX line 12, file.cu:3".
std::string place_of(const Warp& warp, const Instruction& in);

[[noreturn]] void stop(const Warp& warp, const Instruction& in, unsigned lane, const char* kind,
                       const std::string& what, const std::string& buffer = {},
                       std::int64_t element = -1);

/// Reports and goes on; once a launch for each instruction.
void note(const Warp& warp, const Instruction& in, unsigned lane, const char* kind,
          const std::string& what, const std::string& buffer = {}, std::int64_t element = -1);

}  // namespace abn::ptx
