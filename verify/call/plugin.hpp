// Plug-ins: shared objects with kernel variants of a user's own, loaded through the same ABI as the
// in-tree variants.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cuda/kernel.h"

namespace abn::verify::call {

struct Plugin {
  std::string path;  ///< as the user gave it
  /// at least one; valid until the process ends, for the library stays loaded
  std::vector<const abn_variant*> variants;
  /// Its kernels run on this program's emulator: abn_add_kernel() of ci/cmake/kernel.cmake built
  /// it, and a second shared object beside it, which holds the same variants with every memory
  /// access instrumented.
  bool emulated = false;
  std::vector<const abn_variant*> instrumented{};
  /// why there are none, and what to do: one sentence without its full stop
  std::string not_instrumented{};
};

/// Throws UsageError, one sentence, for whatever is not a usable plug-in.
Plugin load_plugin(const std::string& path);

/// The instrumented variant of this name, or null.
const abn_variant* instrumented_in(const Plugin& plugin, const std::string& name);

/// Throws UsageError if a plug-in's variant has the name of an in-tree one or of another plug-in's.
void refuse_equal_names(std::span<const Plugin> plugins);

}  // namespace abn::verify::call
