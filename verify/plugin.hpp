// Plug-ins: shared objects with kernel variants of a user's own, loaded through the same ABI as the in-tree variants.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cuda/kernel.h"

namespace abn::verify {

struct Plugin {
  std::string path;                          ///< as the user gave it
  std::vector<const abn_variant*> variants;  ///< at least one; valid until the process ends, for the library stays loaded
};

/// Throws UsageError, one sentence, for whatever is not a usable plug-in.
Plugin load_plugin(const std::string& path);

/// Throws UsageError if a plug-in's variant has the name of an in-tree one or of another plug-in's.
void refuse_equal_names(std::span<const Plugin> plugins);

}  // namespace abn::verify
