// What the CUDA names of cuda.hpp ask of the emulator, in plain types: who runs, barriers, warp
// operations, atomics and launches. Every call takes the place in the kernel's source from which it
// came, for the findings.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include <cstddef>
#include <cstdint>

namespace abn::emulator {

// A place in the source, in eight bytes. As std::source_location, which clang++ 14 has not.
class Where {
 public:
  Where() = default;
  [[gnu::always_inline]] static Where current(const char* file = __builtin_FILE(),
                                              unsigned line = __builtin_LINE()) {
    return Where(reinterpret_cast<std::uintptr_t>(file) |
                 std::uint64_t{line < 0xffff ? line : 0xffff} << address_bits);
  }
  const char* file_name() const {
    const std::uint64_t address = bits_ & ((std::uint64_t{1} << address_bits) - 1);
    return address ? reinterpret_cast<const char*>(address) : "";
  }
  unsigned line() const { return static_cast<unsigned>(bits_ >> address_bits); }
  bool operator==(const Where&) const = default;

 private:
  static constexpr int address_bits = 48;  // of a user's address on x86-64
  explicit Where(std::uint64_t bits) : bits_(bits) {}
  std::uint64_t bits_ = 0;
};

// Whether the file that includes this is compiled with instrumentation: then its reads of the
// emulator's own state must not look like accesses of the kernel, and go through functions of
// hooks.cpp.
#if defined(__SANITIZE_THREAD__)
#define ABN_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ABN_SANITIZED 1
#endif
#endif

struct uint3 {
  unsigned x, y, z;
};

// The block and the thread that run now, as a kernel sees them.
struct BlockView {
  uint3 index, dim, grid;
  uint3 cluster;  // blocks of a cluster
  unsigned cluster_rank;
  unsigned char* shared;
  std::size_t shared_bytes;
};
struct ThreadView {
  uint3 index;
  unsigned rank;  // in the block: x + dim.x * (y + dim.y * z)
  const BlockView* block;
  std::uint64_t received;  // by the last warp operation
};
extern constinit thread_local ThreadView* current;  // null outside a kernel

// CUDA's codes for what a launch can end in.
inline constexpr int success = 0, invalid_value = 1, invalid_configuration = 9,
                     illegal_address = 700, launch_timeout = 702, stack_error = 714,
                     misaligned_address = 716, launch_failure = 719,
                     cooperative_launch_too_large = 720, invalid_cluster_size = 912;

// Launches. `body(closure)` runs the kernel once, for the current thread.
struct LaunchRequest {
  uint3 grid, block;
  std::size_t shared_bytes;
  uint3 cluster;  // blocks of a cluster; 1 x 1 x 1 in an ordinary launch
  bool cooperative;
  const char* name;  // may be null
  const void* kernel;
  void (*body)(const void* closure);
  const void* closure;  // holds the kernel's arguments
  std::size_t closure_bytes;
  bool instrumented;
  Where where;
};
int launch(const LaunchRequest& request);  // one of the codes above

// A call that may wait ends in a jump to another thread, and returns when a third one jumps back:
// what comes with that jump is the place where the third wants its own context kept. The jump is
// the last thing that such a call does, so that it is compiled to a tail call and comes back
// straight into the kernel: every `ret` on the way costs a branch misprediction, as much as two
// switches.
using Arrival = boost::context::detail::transfer_t;
[[gnu::always_inline]] inline void arrive(Arrival arrival) {
  *static_cast<boost::context::detail::fcontext_t*>(arrival.data) = arrival.fctx;
}

// Barriers.
[[nodiscard]] Arrival block_barrier(Where where);
[[nodiscard]] Arrival grid_barrier(Where where);

// Warp operations. Each returns when all lanes of `mask` that have not returned from the kernel
// have called the same one, with the result in current->received: the value, or for votes the lanes
// that said yes and, in the upper half, the lanes that voted.
enum class WarpOp : unsigned { shfl, shfl_up, shfl_down, shfl_xor, ballot, any, all, sync };
inline constexpr unsigned bad_width = 255;  // instead of a source lane
[[nodiscard]] Arrival shuffle(WarpOp op, unsigned size, unsigned mask, std::uint64_t value,
                              unsigned source, Where where);
[[nodiscard]] Arrival vote(WarpOp op, unsigned mask, bool predicate, Where where);

// The lane from which a lane reads, by the definition of shfl in the PTX manual: outside of its
// segment a lane reads itself.
constexpr unsigned source_lane(WarpOp op, unsigned lane, unsigned operand, unsigned width) {
  if (width == 0 || width > 32 || (width & (width - 1)) != 0) return bad_width;
  const unsigned segment = 32 - width, first = lane & segment, last = first | (31 & ~segment);
  operand &= 31;
  switch (op) {
    case WarpOp::shfl_up:
      return lane >= first + operand ? lane - operand : lane;
    case WarpOp::shfl_down:
      return lane + operand <= last ? lane + operand : lane;
    case WarpOp::shfl_xor:
      return (lane ^ operand) <= last ? lane ^ operand : lane;
    default:
      return first | (operand & ~segment);
  }
}
unsigned active_lanes();  // lanes of this warp that have not returned

// An atomic is atomic_begin, the change in plain code, atomic_end: nothing else runs in between,
// anything may run around them.
[[nodiscard]] Arrival atomic_begin(const void* address, std::size_t size, Where where);
[[nodiscard]] Arrival atomic_end(bool changed);
[[nodiscard]] Arrival fence(bool block_scope, Where where);
[[nodiscard]] Arrival pause(Where where);  // lets others run

// Checks that end the launch where they fail.
[[noreturn]] void misaligned(const void* address, std::size_t size, Where where);
[[noreturn]] void not_global(const void* address, Where where);
void require_cooperative(Where where);
[[noreturn]] void shared_too_small(std::size_t needed, Where where);

// For instrumented kernels. A thread is the same one for as long as its kernel runs, so compilers
// may keep what they are told.
[[gnu::const]] uint3 thread_index();
[[gnu::const]] uint3 block_index();
[[gnu::const]] uint3 block_dim();
[[gnu::const]] uint3 grid_dim();
[[gnu::const]] unsigned thread_rank();
[[gnu::const]] unsigned char* shared_memory();
[[gnu::const]] std::size_t shared_memory_bytes();
std::uint64_t received();
void arrived(Arrival arrival);
// Accesses that are told where they were called.
struct Bits16 {
  std::uint64_t low, high;
};
Bits16 load16_bits(const void* address, Where where);
void store16_bits(void* address, Bits16 bits, Where where);
// between atomic_begin and atomic_end
std::uint64_t atomic_load(const void* address, std::size_t size, Where where);
void atomic_store(void* address, std::size_t size, std::uint64_t bits);

[[gnu::always_inline]] inline void check_alignment(const void* address, std::size_t size,
                                                   Where where) {
  if (reinterpret_cast<std::uintptr_t>(address) % size != 0) misaligned(address, size, where);
}
}  // namespace abn::emulator
