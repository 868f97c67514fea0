// What run and grad look at before anything runs: variants, cases, and whether a check matches.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "verify/call/subject.hpp"
#include "verify/check/group.hpp"
#include "verify/command/commands.hpp"
#include "verify/data/cases.hpp"

namespace abn::verify::command {

bool is_one_case(const RunArguments& arguments);
bool is_hunt(const RunArguments& arguments);
/// Its cases are those of a tier, and not the ones that the arguments name.
bool is_tier(const RunArguments& arguments);
check::Choice choice_of(const RunArguments& arguments);
bool sanitizes(const RunArguments& arguments);

/// The cases of one group: the tier's, or the one that the arguments name; and tensor files for
/// those that judge outputs.
std::vector<data::Case> cases_of(const check::CheckGroup& group, const RunArguments& arguments);

/// What is looked at before anything runs, so that a mistake is known at once; and the variants
/// that it is about.
struct Setup {
  check::RunOptions options;
  std::vector<call::Plugin> plugins;
  call::DeviceChoice device;
  std::vector<call::Subject> subjects;
  const char* verb = "run";
};
/// Throws UsageError, so that a mistake is known at once.
Setup set_up(const RunArguments& arguments);

/// The ids of all checks that these groups have for these variants; a pattern leaves out the
/// variants of which it names none.
std::vector<std::string> ids_of(const std::vector<const check::CheckGroup*>& groups,
                                const std::vector<call::Subject>& subjects,
                                std::span<const data::Case> cases = {},
                                const std::string& pattern = "*");

/// A plug-in that could not be loaded has no checks that a pattern could match, and a record of its
/// own.
void require_match(const Setup& setup, const std::vector<std::string>& ids);

/// A pattern for checks that only an option turns on names the option.
void require_no_option(const Setup& setup, const RunArguments& arguments);

}  // namespace abn::verify::command
