// Pass or fail as other projects decide it: each rule is a pure function of one output and its
// exact values.
//
// Most rules compare with a reference that is held in the output's own type, so they are given the
// exact value rounded to it: the best reference that such a rule can have. What a rule says, in one
// sentence, and where it was read stand beside it in the table.
#pragma once

#include <span>

#include "verify/compare/expectation.hpp"

namespace abn::verify::study {

/// One output of one call.
struct Sample {
  compare::Output output = compare::Output::z;
  int dtype = 0;  ///< in which the output is stored
  /// of the problem's tensors: some rules choose the tolerance of every output by it
  int storage = 0;
  std::span<const double> got;
  std::span<const double> exact;  ///< in double
  std::span<const double> plain;  ///< of a plain implementation in the same precision
};

struct JudgeRule {
  const char* name;
  const char* says;
  const char* source;  ///< project, file and version
  bool (*passes)(const Sample& sample);
};

std::span<const JudgeRule> judge_rules();

}  // namespace abn::verify::study
