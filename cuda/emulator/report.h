// What a program that runs kernels on the emulator sees of it: the settings of a run, what was found, and the session that ties both
// to the launches of one OS thread. Plain C++: no name of CUDA is declared here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace abn::emulator {

struct Settings {
  std::uint64_t schedule_seed = 0;  // the order of threads and blocks is a function of this and of the launch's number in the session
  bool shuffle = true;              // false: blocks, warps and lanes take turns in ascending order, whatever the seed
  int resident_blocks = 8;          // how many blocks are in flight at once (a cooperative launch keeps all of them)
  // How many atomics, fences and sleeps in a row may change no memory before a launch counts as an endless loop. While kernels make
  // progress the count stays below the number of threads in flight; 2^22 of them take about a tenth of a second.
  std::uint64_t spin_limit = std::uint64_t{1} << 22;
};

// The kinds of finding.
inline constexpr char barrier_divergence[] = "barrier divergence";      // a __syncthreads() that not all threads of the block reach
inline constexpr char deadlock[] = "deadlock";                          // threads wait for others that will never come
inline constexpr char shuffle_mask[] = "shuffle mask";                  // a warp operation whose mask does not fit the lanes
inline constexpr char shared_overrun[] = "shared memory overrun";       // a write in front of or behind the block's shared memory
inline constexpr char misaligned_access[] = "misaligned access";        // a 16-byte access or an atomic at an address that is no multiple
inline constexpr char launch_configuration[] = "launch configuration";  // sizes that a GPU refuses
inline constexpr char endless_loop[] = "endless loop";                  // threads spin and nothing changes
inline constexpr char stack_overflow[] = "stack overflow";              // a thread used more than the emulator's stack
inline constexpr char escaped_exception[] = "exception";                // a C++ exception left the kernel
inline constexpr char mbarrier_misuse[] = "mbarrier";                   // not initialised, too many arrivals, bytes that do not add up
inline constexpr char async_copy[] = "asynchronous copy";               // never waited for, or with operands that it cannot have
inline constexpr char missing_proxy_fence[] = "missing proxy fence";    // a bulk copy would not see what threads have written
inline constexpr char cluster_peer[] = "cluster peer";                  // an address or a rank that the cluster does not have
inline constexpr char cluster_peer_left[] = "cluster peer left";        // shared memory of a block of the cluster that has returned

struct Finding {
  std::string kind;                                      // one of the above
  std::string kernel;                                    // its name where it is known, else where it was launched
  std::string text;                                      // what happened, with threads, file and line
  unsigned block[3] = {0, 0, 0}, thread[3] = {0, 0, 0};  // the witness
};

struct Report {
  std::vector<Finding> findings;
  std::uint64_t launches = 0, blocks = 0, threads = 0, switches = 0;  // switches: changes from one fiber to another
};

// Launches that this OS thread makes while the session lives follow its settings and land in its report. Sessions nest; the
// innermost counts. Without a session the default settings hold and findings are printed to stderr. A launch ends at its first
// finding: its threads are dropped where they stand (destructors of their locals do not run) and launch() returns non-zero.
class Session {
 public:
  explicit Session(Settings settings = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  Report take_report();  // what was seen since the last call

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace abn::emulator
