// A group of checks, and the line that every case of every group goes along: pattern, claims,
// records.
//
// A group says which checks a variant has for a problem, which cases a tier gives it, and how a
// case becomes records. What is the same for all of them (a variant that is not there, that does
// not support the problem, that contradicts itself or throws) is here.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "verify/call/subject.hpp"
#include "verify/data/cases.hpp"
#include "verify/judge/judge.hpp"
#include "verify/problem/word.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::check {

/// Which cases of a tier are run, and in which order.
enum class Choice : std::uint8_t {
  all,
  quick,     ///< few and small ones, those that are worth most
  by_worth,  ///< all, those first that are worth most, for a run that has to end at some time
};

/// Elements that a case of the quick tier has at most.
inline constexpr std::int64_t quick_elements = 4096;

struct RunOptions {
  std::string pattern = "*";  ///< glob on check ids
  int threads = 0;            ///< 0: one a core
  bool progress = false;      ///< percentages on stderr, if it is a terminal
  /// look for what explains failed numbers; takes far longer than to find them
  bool diagnose = false;
  /// the cases are a tier's: those that a variant does not support are moved to where it does
  /// (verify/check/moved.hpp)
  bool moves_cases = false;
  Choice choice = Choice::all;  ///< of a tier's cases (verify/check/chosen.hpp)
  /// witnesses of numbers show their channels also where nothing failed
  bool per_channel = false;
  std::string device = "auto";  ///< as given, for reproduce lines
  /// the optional outputs that calls/optional leaves out, with commas; empty: every set of them
  std::string without{};
  /// of the run that the case belongs to (verify/results/witnesses_kept.hpp)
  results::WorstRatios* worst = nullptr;
};

struct CheckName {
  const char* op;     ///< second part of the id: "forward", "backward", "property", ...
  const char* check;  ///< last part of the id
  results::CheckKind kind;
};

/// A check that a group can have, with what it demands.
struct KnownCheck {
  const char* op;
  problem::Word check;
};

/// All that a group is given to make the records of one case.
struct Work {
  const call::Subject& subject;
  const data::Case& one;
  const abn_claims& claims;
  const RunOptions& options;
  const std::vector<CheckName>& wanted;  ///< its checks whose ids match the pattern; never empty
  /// for records and witnesses; its reproduce line names exactly one case
  judge::Origin origin;
};

struct CheckGroup {
  const char* verb;  ///< of the command line, for reproduce lines
  /// The checks that a problem has for a variant that makes these claims.
  std::vector<CheckName> (*checks)(const call::Subject& subject, const abn_claims& claims,
                                   const abn_problem& problem);
  /// for the quick tier those that it is chosen from
  std::vector<data::Case> (*cases)(data::Tier tier, std::uint64_t seed);
  /// The wanted records. What it throws becomes an error record.
  std::vector<results::Record> (*make)(const Work& work);
  /// why no check of the group can run on a subject; empty: they can. May be null
  std::string (*refuses)(const call::Subject& subject) = nullptr;
  /// options without which the command line does not run the group: " --sanitize", for reproduce
  /// lines
  const char* flags = "";
  /// all checks that it can have for any variant and problem; null for groups of the tool itself
  std::vector<KnownCheck> (*known)() = nullptr;
  /// whether the group has records for such a case; null: for any
  bool (*suits)(const data::Case& one) = nullptr;
  /// cases that only a variant with certain claims has, beside those of a tier; may be null
  std::vector<data::Case> (*of_claims)(const call::Subject& subject,
                                       std::span<const data::Case> cases) = nullptr;
  /// whether it has records of cases whose tensors do not fit into memory as doubles
  bool streams = false;
  /// how many cases the quick tier has of it at most
  std::size_t quick_cases = 16;
  /// whether its cases are run on Subject::alternatives, too
  bool on_alternatives = false;
};

/// The checks that a group has for a problem, of what the variant gives (worker::LeftOut). One that
/// leaves anything out has those of its single calls alone: what others relate may be missing.
std::vector<CheckName> given_checks(const CheckGroup& group, const call::Subject& subject,
                                    const abn_claims& claims, const abn_problem& problem);

/// What a variant leaves out and what is not judged for it, one sentence without its full stop;
/// empty where it gives all.
std::string left_out_text(const call::Subject& subject);

/// The second parts of check ids, with what their checks are about.
std::span<const problem::Word> op_words();

/// The ids of all checks that a group has for a variant, sorted: every type and layout that it
/// supports, found by asking it about all kinds of problems and about those of `cases`.
std::vector<std::string> check_ids(const CheckGroup& group, const call::Subject& subject,
                                   std::span<const data::Case> cases = {});

/// All wanted records of a case. Does not throw: what goes wrong is an error record.
std::vector<results::Record> run_case(const CheckGroup& group, const call::Subject& subject,
                                      const data::Case& one, const RunOptions& options);

/// The record of a case that did not come to an end: an error of the operation's `status` check, or
/// of the first wanted check.
std::vector<results::Record> failed_case(const CheckGroup& group, const call::Subject& subject,
                                         const data::Case& one, const RunOptions& options,
                                         const std::string& op, const std::string& reason);

results::Record skip_record(const judge::Origin& origin, const CheckName& name,
                            const std::string& reason);

}  // namespace abn::verify::check
