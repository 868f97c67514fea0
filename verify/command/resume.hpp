// What --resume asks for: the arguments of a run that was cut off, from its journal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "verify/command/commands.hpp"

namespace abn::verify::command {

struct Resumed {
  std::vector<std::string> words;  ///< the arguments that it had, from the verb on
  std::string journal;
  std::uint64_t seed = 1;
  // Threads change no result, and so may be others now.
  std::optional<int> threads;
  bool quiet = false;
};

/// `given` are the names of all options that stand beside --resume. Changes to the folder that the
/// run was begun in, where there is one. Throws UsageError for what cannot be resumed.
Resumed resumed_run(const std::string& verb, const RunArguments& asked,
                    const std::vector<std::string>& given);

}  // namespace abn::verify::command
