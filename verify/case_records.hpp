// One case of one variant, from its claims to its records.
#pragma once

#include <string>
#include <vector>

#include "verify/runner.hpp"

namespace abn::verify {

struct CheckName {
  const char* op;     ///< "forward" or "backward"
  const char* check;  ///< last part of the id
  const char* kind;   ///< "numbers" or "contract"
};

/// The checks that a problem of this mode has, for a variant that makes these claims.
std::vector<CheckName> checks_of(const Subject& subject, const abn_claims& claims, int mode);

/// The checks of a case whose ids match the pattern; those of no claims in particular where the variant does not support the problem.
std::vector<CheckName> wanted_checks(const Subject& subject, const Case& one, const RunOptions& options);

/// All wanted records of a case. Does not throw: what goes wrong is an error record.
std::vector<Record> run_case(const Subject& subject, const Case& one, const RunOptions& options);

/// The record of a case that did not come to an end: an error of the operation's `status` check, or of the first wanted check.
std::vector<Record> failed_case(const Subject& subject, const Case& one, const RunOptions& options, const std::string& op,
                                const std::string& reason);

/// The records of a case that was not made.
std::vector<Record> skipped_case(const Subject& subject, const Case& one, const RunOptions& options, const std::string& reason);

}  // namespace abn::verify
