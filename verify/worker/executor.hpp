// The executor of compiled kernels in a worker: a library beside the program that stands in for the
// CUDA runtime and runs PTX on the processor (cuda/ptx/ptx.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cuda/emulator/report.h"
#include "cuda/ptx/ptx.h"
#include "verify/worker/execution.hpp"

namespace abn::verify::worker {

class Executor {
 public:
  /// Loads the library for all that is loaded after it, once a process. Throws UsageError, one
  /// sentence, where it is not there or cannot run on this processor.
  static Executor& instance();

  /// Throws UsageError for a plug-in, loaded already, whose kernels the executor knows nothing of:
  /// it has a runtime of its own.
  void require_kernels_of(const std::string& path);

  void approximate(Execution where);
  void begin(const emulator::Settings& settings);
  void watch(const emulator::WatchedBuffer& buffer);
  emulator::Report end();
  /// What a call may touch, while it runs.
  void allow(const void* data, std::size_t bytes);
  void forbid(const void* data, std::size_t bytes);
  /// The stream of all calls. Like that of a GPU's calls, it waits for no other.
  void* stream();
  /// Has a kernel faulted, so that nothing more can be launched in this process?
  bool context_in_error() const;

 private:
  Executor();
  void* find(const char* name) const;

  void* library_ = nullptr;
  void* stream_ = nullptr;
  decltype(&::abn_ptx_begin) begin_;
  decltype(&::abn_ptx_watch) watch_;
  decltype(&::abn_ptx_end) end_;
  decltype(&::abn_ptx_allow) allow_;
  decltype(&::abn_ptx_forbid) forbid_;
  decltype(&::abn_ptx_kernels) count_;
  decltype(&::abn_ptx_context_error) context_error_;
  decltype(&::abn_ptx_set_approximation) approximate_;
};

}  // namespace abn::verify::worker
