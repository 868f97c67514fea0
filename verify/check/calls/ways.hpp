// The ways of calling a kernel, one file each: what a check of this group does with one case.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "verify/check/calls/data_set.hpp"

namespace abn::verify::check::calls {

/// A case on its way through one check.
struct CallCase {
  const call::Subject& subject;
  const problem::Inputs& inputs;
  const abn_claims& claims;
  const std::string& data;  ///< the recipe, of which other seeds give other numbers
  std::uint64_t seed;
  const std::vector<std::string>& without;  ///< see RunOptions::without; empty: every set
  bool is_of_tier = true;                   ///< else one case alone, which may take its time
};

/// What came of it.
struct Found {
  std::optional<call::Contract> broken;
  std::string nothing;  ///< why nothing could be looked at; empty where something was
  std::string without;  ///< what the call that is wrong left out, for the reproduce line
  /// the check whose command shows it, where it is not the one that met it
  const char* shown_by = nullptr;
  bool is_beyond = false;       ///< a call is out of its bounds, not only of other bits
  bool is_unexplained = false;  ///< it was seen once, and is given no name
};

Found leave_out(const CallCase& one);         // optional.cpp
Found shrink_workspace(const CallCase& one);  // workspace.cpp
Found move_buffers(const CallCase& one);      // elsewhere.cpp
Found call_often(const CallCase& one);        // sequence.cpp
Found call_at_once(const CallCase& one);      // threads.cpp

/// call_often() with a hundred calls whatever the size.
Found call_a_hundred_times(const CallCase& one);  // sequence.cpp
/// The calls of call_at_once(), one after the other on this thread.
Found call_in_turn(const CallCase& one);  // threads.cpp

/// What `look` finds, looked at again where something is wrong, while nothing else runs: a check
/// names what it is about, not a kernel that counts its calls or shares its scratch with others.
Found confirmed(const CallCase& one, Found (*look)(const CallCase& one));  // confirmed.cpp

/// The names that may be left out: those of the arguments, and "affine" for gamma and beta.
const std::vector<std::string>& optional_names();

/// The recipe of the case, or the standard one where its numbers are given or of a file.
std::string recipe_of(const CallCase& one);

/// A data set of the same problem and recipe with the numbers of another seed.
problem::Inputs other_numbers(const CallCase& one, std::uint64_t turn);

}  // namespace abn::verify::check::calls
