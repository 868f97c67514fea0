// What the stand-in for the CUDA runtime remembers: modules, kernels by the host's stubs, memory,
// the session and the last error. Launches run one after another, under one lock.
//
// A kernel that faults, in memory or otherwise, leaves the context in error, as on a GPU: from then
// on every call of this process returns that error, and none does its work.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cuda/emulator/report.h"
#include "cuda/ptx/run/decode.hpp"
#include "cuda/ptx/run/machine.hpp"

namespace abn::ptx::runtime {

// Values of cudaError_t that the stand-in returns.
enum Error : int {
  success = 0,
  invalid_value = 1,
  memory_allocation = 2,
  invalid_configuration = 9,
  invalid_symbol = 13,
  invalid_device_function = 98,
  invalid_device = 101,
  invalid_kernel_image = 200,
  invalid_handle = 400,
  illegal_state = 401,
  not_ready = 600,
  illegal_address = 700,
  launch_failure = 719,
  cooperative_too_large = 720,
  not_supported = 801,
  capture_unsupported = 900,
  capture_invalidated = 901,
  capture_merge = 902,
  capture_unmatched = 903,
  capture_unjoined = 904,
  capture_isolation = 905,
  capture_implicit = 906,
  captured_event = 907,
  capture_wrong_thread = 908,
  graph_update_failure = 910,
};

/// PTX text, its variables in memory, and its kernels, made executable when they are first used.
class LoadedModule {
 public:
  explicit LoadedModule(std::string text);
  /// Throws Refused for a kernel that there is not, or that has something unknown.
  const Program& program(const std::string& kernel);
  /// Null where the module has no such variable.
  void* variable(const std::string& name);
  const Module& module() const { return *module_; }

 private:
  std::unique_ptr<Module> module_;
  std::vector<std::unique_ptr<std::byte[]>> memory_;
  Symbols symbols_;
  std::map<std::string, std::unique_ptr<Program>> programs_;
};

/// A fat binary that was registered.
struct Image {
  const void* data = nullptr;
  std::unique_ptr<LoadedModule> loaded;
  /// Its PTX of the newest architecture. Throws Refused.
  LoadedModule& module();
};

struct Function {
  std::shared_ptr<Image> image;
  std::string name;
  int most_dynamic_shared = 48 * 1024;
  bool non_portable_cluster = false;
};

struct Session {
  std::uint64_t seed = 0, launches = 0;
  bool sanitize = false;
  emulator::Report report;
};

struct State {
  std::recursive_mutex guard;
  std::map<const void*, Function> functions;
  std::map<const void*, std::pair<std::shared_ptr<Image>, std::string>> variables;
  GlobalMemory memory;
  std::optional<Session> session;
  std::atomic<int> context_error = success;  ///< that of the kernel that has faulted
  std::string last_finding;
  std::uint64_t counts[3] = {};
};

/// Never destroyed: plug-ins unregister after everything else has ended.
State& state();

/// Of this thread, as cudaGetLastError has it.
int& last_error();
/// What a call returns: the context's error, where it is in error, else `error`.
int remember(int error);
inline bool in_error() { return state().context_error != success; }

/// The values of the parameters as the kernel finds them. Throws Refused.
std::vector<std::byte> parameters_of(LoadedModule& module, const std::string& kernel,
                                     void** arguments);

/// Runs it with the parameters of the configuration, and sorts what was found: 0 or an Error.
int launch(LoadedModule& module, const std::string& kernel, Configuration configuration);

/// A launch that cannot be made, in one sentence, as a finding.
int refuse_launch(const std::string& kernel, const char* kind, const std::string& why, int error);

}  // namespace abn::ptx::runtime
