// Plug-ins: shared objects with kernel variants of a user's own, which run in worker processes
// (verify/worker/) and are called through the same ABI as the in-tree variants.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cuda/kernel.h"
#include "verify/worker/pool.hpp"

namespace abn::verify::call {

struct Plugin {
  std::string path;  ///< as the user gave it
  /// at least one, unless `failure` says why; valid while `workers` lives
  std::vector<const abn_variant*> variants;
  /// Its kernels run on the emulator: abn_add_kernel() of ci/cmake/kernel.cmake built it, and a
  /// second shared object beside it, which holds the same variants with every memory access
  /// instrumented.
  bool emulated = false;
  std::vector<const abn_variant*> instrumented{};
  /// why there are none, and what to do: one sentence without its full stop
  std::string not_instrumented{};
  /// how the worker ended that was to load it: one sentence without its full stop
  std::string failure{};
  bool in_tree = false;                     ///< the project's own variants, compiled for GPUs
  std::shared_ptr<worker::Pool> workers{};  ///< null: the variants are called in this process
};

/// Loads it in a worker. Throws UsageError, one sentence, for whatever is not a usable plug-in.
/// `executed`: its kernels for GPUs run on the executor of compiled kernels.
Plugin load_plugin(const std::string& path, const worker::Limits& limits = {},
                   worker::Execution executed = worker::Execution::none);

/// The kernels of a Python file, FILE or FILE:NAME, in a worker that is a Python process. Throws
/// UsageError likewise.
Plugin load_python(const std::string& place, const worker::Limits& limits = {});

/// The kernels of a Python process that is there already and takes sockets on `host`; `place` is
/// where a Python file defines them, or a name alone.
Plugin attach_python(const std::string& place, int host, const worker::Limits& limits = {});

/// The plug-in of the in-tree variants as nvcc compiled them, for the executor: variants.ptx.so
/// beside the program. Empty where there is none.
std::string compiled_variants();

/// The instrumented variant of this name, or null.
const abn_variant* instrumented_in(const Plugin& plugin, const std::string& name);

/// Throws UsageError if a plug-in's variant has the name of an in-tree one or of another plug-in's.
void refuse_equal_names(std::span<const Plugin> plugins);

}  // namespace abn::verify::call
