// The common line of all groups.
#include "verify/check/group.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <set>
#include <string_view>
#include <utility>

#include "verify/check/supported.hpp"
#include "verify/data/affine_part.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check {
namespace {

judge::Origin origin_of(const CheckGroup& group, const call::Subject& subject,
                        const data::Case& one, const RunOptions& options) {
  judge::Origin origin;
  origin.variant = subject.variant->name;
  origin.problem = one.problem;
  origin.data = one.data;
  origin.seed = one.seed;
  origin.command_head = fmt::format("abn-verify {} ", group.verb);
  origin.command_tail =
      fmt::format(" --problem {} --data {} --seed {}", problem::to_string(one.problem),
                  judge::shell_word(one.data), one.seed);
  origin.per_channel = options.per_channel;
  origin.worst = options.worst;
  const worker::Program program =
      subject.workers == nullptr ? worker::Program{} : subject.workers->program();
  if (!subject.plugin.empty())
    origin.command_tail += fmt::format(" {} {}", program.option, judge::shell_word(subject.plugin));
  origin.command_tail += group.flags;
  const std::string& device = subject.device_word.empty() ? options.device : subject.device_word;
  if (device != "auto") origin.command_tail += " --device " + judge::shell_word(device);
  if (program.of_session) {
    origin.command_head = fmt::format("abn_verify.judge({}, \"", subject.plugin);
    origin.command_tail = fmt::format("\", problem=\"{}\", data=\"{}\", seed={})",
                                      problem::to_string(one.problem), one.data, one.seed);
  }
  return origin;
}

/// Bits of LeftOut.
std::uint32_t left_out(const call::Subject& subject) {
  return subject.workers == nullptr ? 0 : subject.workers->leaves_out(*subject.variant);
}

/// What a variant claims, or the least that any claims where it supports nothing of the kind. That
/// is deterministic: the checks of other kernels are those that such a kernel has, and more.
abn_claims claims_or_none(const call::Subject& subject, const abn_problem& problem) {
  const problem::Claimed claimed = problem::claims_of(*subject.variant, problem);
  if (claimed.status == ABN_OK && claimed.nonsense.empty()) return claimed.claims;
  abn_claims least{};
  least.deterministic = 1;
  return least;
}

/// The checks of a case whose ids match the pattern; those of no claims in particular where the
/// variant does not support the problem.
std::vector<CheckName> wanted_checks(const CheckGroup& group, const call::Subject& subject,
                                     const data::Case& one, const RunOptions& options) {
  std::vector<CheckName> checks =
      given_checks(group, subject, claims_or_none(subject, one.problem), one.problem);
  std::erase_if(checks, [&](const CheckName& name) {
    return !data::matches(options.pattern,
                          judge::id_of(subject.variant->name, one.problem, name.op, name.check));
  });
  return checks;
}

/// Data that leave out one of gamma and beta.
bool is_partial(const data::Case& one) {
  if (one.given) return one.given->unit_scale || one.given->zero_shift;
  return data::partial_data(one.data).recipe != one.data;
}

std::vector<results::Record> skipped_case(const std::vector<CheckName>& wanted,
                                          const judge::Origin& origin, const std::string& reason) {
  std::vector<results::Record> records;
  for (const CheckName& name : wanted) records.push_back(skip_record(origin, name, reason));
  return records;
}

}  // namespace

std::vector<CheckName> given_checks(const CheckGroup& group, const call::Subject& subject,
                                    const abn_claims& claims, const abn_problem& problem) {
  std::vector<CheckName> checks = group.checks(subject, claims, problem);
  const std::uint32_t missing = left_out(subject);
  if (missing == 0) return checks;
  std::erase_if(checks, [&](const CheckName& name) {
    const std::string_view op = name.op, check = name.check;
    const bool running = check.starts_with("running_"),
               spread = check == "variance" || check == "invstd";
    return (op != "forward" && op != "backward") ||
           (op == "backward" && (missing & worker::leaves_out_backward) != 0) ||
           (check == "mean" && (missing & worker::leaves_out_mean) != 0) ||
           (spread && (missing & worker::leaves_out_variance) != 0) ||
           (running && (missing & worker::leaves_out_running) != 0);
  });
  return checks;
}

std::string left_out_text(const call::Subject& subject) {
  std::vector<const char*> names;
  const auto add = [&](worker::LeftOut what, const char* name) {
    if ((left_out(subject) & what) != 0) names.push_back(name);
  };
  add(worker::leaves_out_backward, "backward"), add(worker::leaves_out_mean, "mean");
  add(worker::leaves_out_variance, "variance");
  add(worker::leaves_out_running, "running statistics");
  if (names.empty()) return {};
  return fmt::format(
      "it gives no {}, which are not judged, and nor are the checks that relate "
      "results of several calls to each other",
      fmt::join(names, ", no "));
}

std::vector<std::string> check_ids(const CheckGroup& group, const call::Subject& subject,
                                   std::span<const data::Case> cases) {
  std::set<std::string> ids;
  const auto add = [&](const abn_problem& problem) {
    const problem::Claimed claimed = problem::claims_of(*subject.variant, problem);
    if (claimed.status == ABN_ERROR_UNSUPPORTED) return;
    for (const CheckName& name : given_checks(group, subject, claimed.claims, problem))
      ids.insert(judge::id_of(subject.variant->name, problem, name.op, name.check));
  };
  for (const int dtype : problem::storage_types)
    for (const int layout : problem::layouts)
      for (const abn_problem& problem : supported_problems(subject, dtype, layout)) add(problem);
  for (const data::Case& one : cases) add(one.problem);
  return {ids.begin(), ids.end()};
}

std::span<const problem::Word> op_words() {
  static constexpr problem::Word words[] = {
      {"forward", "The outputs of the forward pass against exact values, and what its calls do."},
      {"backward", "The gradients against exact values, and what the calls of backward do."},
      {"property", "Facts that need no exact value: they relate results of the kernel."},
      {"exact", "Data on which every sum is exact, so that every bit of a result is known."},
      {"patterns", "Every bit pattern of a storage type, one in a channel of its own."},
      {"calls",
       "Ordinary numbers in calls that are not: outputs left out, other addresses, after other "
       "calls, several threads."},
      {"sync", "A batch that is sharded over ranks, by the halves that the variant offers."},
      {"gradient",
       "The kernel's backward against its own forward, and against exact adjoints "
       "(abn-verify grad)."},
  };
  return words;
}

results::Record skip_record(const judge::Origin& origin, const CheckName& name,
                            const std::string& reason) {
  results::Record record = judge::blank_record(origin, name.op, name.check, name.kind);
  record.verdict = results::Verdict::skip;
  record.skipped_cases = 1;
  record.reason = reason;
  return record;
}

std::vector<results::Record> run_case(const CheckGroup& group, const call::Subject& subject,
                                      const data::Case& one, const RunOptions& options) {
  const std::vector<CheckName> wanted = wanted_checks(group, subject, one, options);
  if (wanted.empty()) return {};
  const judge::Origin origin = origin_of(group, subject, one, options);
  if (subject.device == nullptr) return skipped_case(wanted, origin, subject.unavailable);
  if (const std::string why = group.refuses != nullptr ? group.refuses(subject) : ""; !why.empty())
    return skipped_case(wanted, origin, why);
  const auto failed = [&](const std::string& reason) {
    return failed_case(group, subject, one, options, wanted.front().op, reason);
  };
  try {
    const problem::Claimed claimed = problem::claims_of(*subject.variant, one.problem);
    if (claimed.status == ABN_ERROR_UNSUPPORTED)
      return skipped_case(wanted, origin, problem::unsupported_text(*subject.variant, one.problem));
    if (!group.streams && data::is_streamed(one))
      return skipped_case(wanted, origin,
                          fmt::format("cases of more than {} elements have their outputs judged, "
                                      "and no more; take fewer elements for this check",
                                      data::most_in_doubles));
    if (!claimed.nonsense.empty()) return failed("the claims make no sense: " + claimed.nonsense);
    if (is_partial(one) && claimed.claims.affine_apart != 1)
      return skipped_case(wanted, origin,
                          "one of gamma and beta is missing, and the variant does not claim "
                          "affine_apart for this problem");
    judge::Origin with_claims = origin;
    with_claims.claims = claimed.claims;
    return group.make({subject, one, claimed.claims, options, wanted, std::move(with_claims)});
  } catch (const worker::CallLost& lost) {
    return failed_case(group, subject, one, options, lost.operation, lost.what());
  } catch (const std::exception& wrong) {
    return failed(wrong.what());
  }
}

std::vector<results::Record> failed_case(const CheckGroup& group, const call::Subject& subject,
                                         const data::Case& one, const RunOptions& options,
                                         const std::string& op, const std::string& reason) {
  const std::vector<CheckName> wanted = wanted_checks(group, subject, one, options);
  if (wanted.empty()) return {};
  const auto status = std::find_if(wanted.begin(), wanted.end(), [&](const CheckName& name) {
    return op == name.op && std::string_view(name.check) == "status";
  });
  const CheckName& name = status != wanted.end() ? *status : wanted.front();
  const judge::Origin origin = origin_of(group, subject, one, options);
  results::Record record = judge::blank_record(origin, name.op, name.check, name.kind);
  record.verdict = results::Verdict::error;
  record.failed_cases = 1;
  record.reason = reason;
  results::Witness witness = judge::blank_witness(origin, record.id);
  witness.where = op;
  witness.reason = reason;
  record.witnesses.push_back(std::move(witness));
  return {std::move(record)};
}

}  // namespace abn::verify::check
