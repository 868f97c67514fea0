// What a program that runs kernels on the emulator sees of it: the settings of a run, what was
// found, and the session that ties both to the launches of one OS thread. Plain C++: no name of
// CUDA is declared here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace abn::emulator {

// Who runs when several threads could.
enum class Schedule : std::uint8_t {
  random,        // drawn from the seed, as everything that the following ones leave open
  thread_ahead,  // one thread runs whenever it can
  block_behind,  // one block runs only when nobody else can
  reversed,      // blocks, warps and lanes in descending order, each as far as it can
  // of the blocks in flight the last one runs as far as it can; blocks start in descending order
  last_block_first,
  any,  // the seed picks one of these: every other launch is random
};

struct Settings {
  // the order of threads and blocks is a function of this and of the launch's number in the session
  std::uint64_t schedule_seed = 0;
  // false: blocks, warps and lanes take turns in ascending order, whatever the seed
  bool shuffle = true;
  // how many blocks are in flight at once (a cooperative launch keeps all of them)
  int resident_blocks = 8;
  // How many atomics, fences and sleeps in a row may change no memory before a launch counts as an
  // endless loop. While kernels make progress the count stays below the number of threads in
  // flight; 2^22 of them take about a tenth of a second.
  std::uint64_t spin_limit = std::uint64_t{1} << 22;
  Schedule schedule = Schedule::random;  // where `shuffle` is true
  // sees every memory access; needs kernels that were compiled with instrumentation
  bool sanitize = false;
};

// The kinds of finding. These end the launch:
// a __syncthreads() that not all threads of the block reach
inline constexpr char barrier_divergence[] = "barrier divergence";
// threads wait for others that will never come
inline constexpr char deadlock[] = "deadlock";
// a warp operation whose mask does not fit the lanes
inline constexpr char shuffle_mask[] = "shuffle mask";
// a write in front of or behind the block's shared memory
inline constexpr char shared_overrun[] = "shared memory overrun";
// a 16-byte access or an atomic at an address that is no multiple
inline constexpr char misaligned_access[] = "misaligned access";
// an operation on global memory that is given shared memory
inline constexpr char wrong_space[] = "wrong memory space";
inline constexpr char launch_configuration[] = "launch configuration";  // sizes that a GPU refuses
// threads spin and nothing changes
inline constexpr char endless_loop[] = "endless loop";
// a thread used more than the emulator's stack
inline constexpr char stack_overflow[] = "stack overflow";
// a C++ exception left the kernel
inline constexpr char escaped_exception[] = "exception";
// not initialised, too many arrivals, bytes that do not add up
inline constexpr char mbarrier_misuse[] = "mbarrier";
// never waited for, or with operands that it cannot have
inline constexpr char async_copy[] = "asynchronous copy";
// a bulk copy would not see what threads have written
inline constexpr char missing_proxy_fence[] = "missing proxy fence";
// an address or a rank that the cluster does not have
inline constexpr char cluster_peer[] = "cluster peer";
// shared memory of a block of the cluster that has returned
inline constexpr char cluster_peer_left[] = "cluster peer left";
// With Settings::sanitize, these end the launch too:
// an access outside of every buffer and of the shared memory
inline constexpr char out_of_bounds[] = "out of bounds";
inline constexpr char read_only_write[] = "write to a read-only buffer";  // into an input
// a kernel whose accesses nobody sees: it is not run
inline constexpr char not_instrumented[] = "not instrumented";
// and these do not: each pair of source lines is reported once a launch.
// two accesses that nothing orders, one of them a write
inline constexpr char data_race[] = "data race";
inline constexpr char unwritten_read[] = "unwritten read";  // of memory that nobody wrote

struct Access {
  std::string file;  // its last two parts, "device/tree.cuh"; empty: unknown
  unsigned line = 0;
  unsigned block[3] = {0, 0, 0}, thread[3] = {0, 0, 0};
  // false: by an asynchronous copy, and block and thread are those that started it
  bool by_thread = true;
  bool write = false, atomic = false;
};

struct Finding {
  std::string kind;  // one of the above
  // its name where it is known, else where it was launched
  std::string kernel;
  // what happened, with threads, file and line
  std::string text;
  unsigned block[3] = {0, 0, 0}, thread[3] = {0, 0, 0};  // the witness
  // where the witness was, as in Access; empty: unknown
  std::string file;
  unsigned line = 0;
  // What follows is filled in by memory accesses only.
  std::string buffer;  // its name, or "shared memory"; empty: no buffer is near
  // counted in the buffer's elements; negative or beyond its end for out of bounds
  std::int64_t element = -1;
  unsigned bytes = 0;  // width of the access
  Access other;        // of a race: the earlier one of the two
};

// What a launch moved between a buffer and its threads. A request is what a GPU makes of one
// instruction of a warp: the n-th time that the warp's lanes pass one place of the code, counted
// anew after each barrier. Sectors are the 32-byte pieces that it touches.
struct Traffic {
  std::string buffer = {};
  std::uint64_t bytes_loaded = 0, bytes_stored = 0;
  std::uint64_t load_requests = 0, store_requests = 0;
  std::uint64_t load_sectors = 0, store_sectors = 0;
  std::uint64_t atomics = 0;  // one a lane; in none of the above
};
// Instructions that come from one line of a kernel, those of functions that it calls there among
// them.
struct LineCount {
  std::string file;
  unsigned line = 0;
  std::uint64_t instructions = 0;
};
struct LaunchTraffic {
  std::string kernel;
  std::vector<Traffic> buffers;  // every watched one, in the order of Session::watch
  std::uint64_t accesses = 0;    // to buffers and shared memory
  // Of compiled kernels: instructions of warps, and branches at which a warp parted; the lines with
  // most of them first, where the code knows its lines.
  std::uint64_t instructions = 0, divergences = 0;
  std::vector<LineCount> lines;
};

// A piece of memory that kernels may use.
struct WatchedBuffer {
  std::string name;
  const void* data = nullptr;
  std::size_t bytes = 0;
  unsigned element_bytes = 4;  // findings count in these
  // false: outputs and workspace, which a kernel must write before anybody reads them
  bool written = true;
  bool writable = true;  // false: inputs
};

struct Report {
  std::vector<Finding> findings;
  // with Settings::sanitize, one entry a launch
  std::vector<LaunchTraffic> traffic;
  // switches: changes from one fiber to another
  std::uint64_t launches = 0, blocks = 0, threads = 0, switches = 0;
};

// Launches that this OS thread makes while the session lives follow its settings and land in its
// report. Sessions nest; the innermost counts. Without a session the default settings hold and
// findings are printed to stderr. A launch ends at its first finding, unless that is a race or an
// unwritten read: its threads are dropped where they stand (destructors of their locals do not run)
// and launch() returns non-zero.
//
// With Settings::sanitize, the buffers of the launches are made known by watch(), before the first
// of them. As soon as there is one, every access in global memory must lie in one of them; without
// any, only shared memory is checked. What the host writes between launches is made known by
// written().
class Session {
 public:
  explicit Session(Settings settings = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  Report take_report();  // what was seen since the last call

  // Buffers that are one and the same memory (an output in place of an input) become one, named "x
  // = z", written if one of them is and writable if one of them is. Buffers that overlap otherwise
  // are a std::invalid_argument, as are sizes that are no whole elements.
  void watch(const WatchedBuffer& buffer);
  void written(const void* data, std::size_t bytes);  // counts as written from here on
  void unwritten(const void* data, std::size_t bytes);
  void forget_buffers();

  struct State;

 private:
  std::unique_ptr<State> state_;
};

// How fast the sanitiser is, on a workload with a name: the launches of one forward pass of
// two_sweep, in training, f32 NCHW, in place, on a tensor of 12 MiB, in one OS thread. The seconds
// are those that its core worked for it, whoever else is on the machine.
struct SanitizerSpeed {
  std::string workload;
  std::uint64_t accesses = 0;  // to buffers and shared memory
  // sanitised, and the same launches without instrumentation
  double seconds = 0, plain_seconds = 0;
  std::string trouble;  // empty: everything ran and nothing was found
};
SanitizerSpeed measure_sanitizer();

}  // namespace abn::emulator
