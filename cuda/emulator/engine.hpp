// What the CUDA names of cuda.hpp ask of the emulator, in plain types: who runs, barriers, warp operations, atomics and launches.
// Every call takes the place in the kernel's source from which it came, for the findings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace abn::emulator {

using Where = std::source_location;

struct uint3 {
  unsigned x, y, z;
};

// The block and the thread that run now, as a kernel sees them.
struct BlockView {
  uint3 index, dim, grid;
  unsigned char* shared;
  std::size_t shared_bytes;
};
struct ThreadView {
  uint3 index;
  unsigned rank;  // in the block: x + dim.x * (y + dim.y * z)
  const BlockView* block;
};
extern constinit thread_local ThreadView* current;  // null outside a kernel

// CUDA's codes for what a launch can end in.
inline constexpr int success = 0, invalid_value = 1, invalid_configuration = 9, launch_timeout = 702, stack_error = 714,
                     misaligned_address = 716, launch_failure = 719, cooperative_launch_too_large = 720;

// Launches. `body(closure)` runs the kernel once, for the current thread.
struct LaunchRequest {
  uint3 grid, block;
  std::size_t shared_bytes;
  bool cooperative;
  const char* name;  // may be null
  const void* kernel;
  void (*body)(const void* closure);
  const void* closure;
  Where where;
};
int launch(const LaunchRequest& request);  // one of the codes above

// Barriers.
void block_barrier(Where where);
void grid_barrier(Where where);

// Warp operations. Each returns when all lanes of `mask` that have not returned from the kernel have called the same one.
enum class WarpOp : std::uint8_t { shfl, shfl_up, shfl_down, shfl_xor, ballot, any, all, sync };
std::uint64_t shuffle(WarpOp op, unsigned size, unsigned mask, std::uint64_t value, unsigned operand, int width, Where where);
struct Vote {
  unsigned yes, voters;  // lanes
};
Vote vote(WarpOp op, unsigned mask, bool predicate, Where where);
unsigned active_lanes();  // lanes of this warp that have not returned

// An atomic is atomic_begin, the change in plain code, atomic_end: nothing else runs in between, anything may run around them.
void atomic_begin(const void* address, std::size_t size, Where where);
void atomic_end(bool changed);
void fence(Where where);  // also sleeps: lets others run

// Checks that end the launch where they fail.
[[noreturn]] void misaligned(const void* address, std::size_t size, Where where);
[[noreturn]] void shared_too_small(std::size_t needed, Where where);

inline void check_alignment(const void* address, std::size_t size, Where where) {
  if (reinterpret_cast<std::uintptr_t>(address) % size != 0) misaligned(address, size, where);
}
inline void check_shared(std::size_t needed, Where where) {
  if (needed > current->block->shared_bytes) shared_too_small(needed, where);
}

}  // namespace abn::emulator
