// Which shared objects a plug-in brings into its worker: a kernel may have another library compute
// for it, and whoever reads its verdict has to know that.
#pragma once

#include <set>
#include <string>

#include "verify/worker/protocol.hpp"

namespace abn::verify::worker {

/// One object that comes and goes within a call is counted, and its name is not known. What is
/// linked in statically, or loaded into a namespace of its own (dlmopen), is not seen.
class LoadedObjects {
 public:
  /// What is there now is the worker's own.
  LoadedObjects();
  /// A plug-in, as dlopen() gave it.
  void is_a_plugin(void* library);
  /// Cheap where nothing was loaded since the last time.
  void look();
  LibrariesAnswer answer();

 private:
  std::set<std::string> own_, names_;  // paths, and names of files
  unsigned long long loads_ = 0;       // of the process so far, at the last look
  std::set<std::string> present_;      // paths, at the last look
  std::uint32_t unloaded_ = 0;
};

}  // namespace abn::verify::worker
