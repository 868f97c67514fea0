// `study conventions`: which convention a kernel implements for eps, for the divisor of the
// variance, for the scale and for the kink, named from its outputs.
//
// The variant is run in training over eps, over v/eps from 1e-6 to 1e6 and over small m, where
// conventions differ most. Every candidate is a kernel that would be right by that convention, so
// it is judged as every kernel is, by the bound of its own claims: the one quantity that
// conventions differ in is q, what stands under the root, 1/sigma = 1/sqrt(q). The forward pass of
// a candidate is therefore that of eps' = q - v in the oracle, its backward that of a saved
// variance q with eps' = 0, and its scale g is a signed gamma of that value. A candidate explains
// the kernel if every output of the sweep is within its bound; a kernel is named only if exactly
// one does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verify/run/runner.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::study {

/// One question and what the sweep says: the candidates by rising largest |error| / bound.
struct Finding {
  struct Candidate {
    std::string name;
    /// largest over the sweep; infinity where a NaN or an infinity stands for a number
    double ratio = 0;
  };
  std::string question;
  std::vector<Candidate> candidates;

  enum class Answer { one, several, none };
  Answer answer() const;
  /// The names of those that explain everything, joined by " or "; "none of the known conventions".
  std::string name() const;
  /// The best of those that do not explain everything.
  const Candidate* runner_up() const;
};

/// Throws UsageError where the variant cannot be run in training at all, CallFailed and DeviceError
/// where a call goes wrong.
Study conventions_study(const call::Subject& subject, std::uint64_t seed);

}  // namespace abn::verify::study
