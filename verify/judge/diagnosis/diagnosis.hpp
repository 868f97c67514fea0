// What is wrong with a kernel, if it is something known: its outputs against "the reference with
// one thing changed".
//
// Each hypothesis is the textbook computation with one change (a term left out, eps in another
// place, sums that lack the tail). It is evaluated on the exact inputs and compared with what the
// kernel wrote. In one call it is accepted if
//   1. every element that failed, or all but `tiny_share` of them, lies within the right answer's
//      own bound of the hypothesis' value (wider in proportion where the hypothesis' values are
//      larger than the right ones; a non-finite value matches a non-finite one),
//   2. no element of these channels that passed speaks against it. A channel in which nothing
//      failed although the hypothesis says that it should have is one that the change did not
//      touch: a path of its own, and a weaker match,
//   3. it explains the errors: each failed element counts log2(|got - exact| / |got - hypothesis|)
//      bits. Their sum has to be more than chance gives among a hundred hypotheses (`least_bits`),
//      and their mean more than a coincidence of size (`least_mean_bits`).
// What many calls say together is verify/results/explanation.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/problem/inputs.hpp"
#include "verify/results/explanation.hpp"

namespace abn::verify::judge::diagnosis {

/// One call of a kernel: what it was given, what it should have written and what it wrote.
struct Evidence {
  const problem::Inputs& inputs;  ///< as the oracle takes them
  const problem::Saved* saved;    ///< backward: what the kernel's forward stored; null for forward
  const abn_claims& claims;
  bool backward;
  const std::vector<compare::Expectation>& expected;
  const std::vector<compare::Stored>& outputs;
};

/// Elements above which nothing is tried: a failure shows on small problems too, and a hundred
/// hypotheses take their time.
inline constexpr std::int64_t most_diagnosed_elements = std::int64_t{1} << 20;

/// Looks for what explains the failed elements of a call. Pure.
results::Diagnosis diagnose(const Evidence& evidence);

struct HypothesisName {
  std::string name;
  std::string sentence;  ///< what follows "matches the reference with "; {} stands for a parameter
  std::string op;        ///< "forward", "backward" or "both"
};
const std::vector<HypothesisName>& hypotheses();

}  // namespace abn::verify::judge::diagnosis
