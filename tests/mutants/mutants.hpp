// The table of planted bugs: what each does, where it was seen, which input exposes it and what a
// diagnosis should call it.
#pragma once

#include <array>
#include <span>

#include "tests/mutants/plan.hpp"

namespace abn::mutants {

struct Mutant {
  Bug bug;
  const char* id;          ///< the enumerator's name
  const char* what;        ///< one line
  const char* incident;    ///< "owner/repo#number" of a project that had it, or "common slip"
  const char* exposed_by;  ///< the class of inputs that shows it
  /// the name that a diagnosis should give it; "" where it is outside of what a formula can say
  const char* hypothesis;
  const char* op;            ///< "forward" or "backward": where it shows
  std::array<int, 2> types;  ///< storage types to look in
  Design design;             ///< of the kernel that it is planted in
};

struct Group {
  const char* name;
  std::span<const Mutant> mutants;
  bool without_inverse = false;  ///< they bite with activations that have none, and only there
  bool at_ends = false;          ///< they bite at the ends of ranges, and only there
};

/// Each has to be caught by the judge.
std::span<const Group> groups();

/// Deviations that no judge of outputs can see, with the proof in mutants.cpp.
std::span<const Mutant> invisible();

/// The kernel with the bug of this row.
const abn_variant& variant_of(const Mutant& mutant);

}  // namespace abn::mutants
