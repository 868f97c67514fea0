// The verbs run and grad: from arguments to subjects, cases and records, group by group.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "verify/call/parallel.hpp"
#include "verify/check/calls/checks.hpp"
#include "verify/check/gradient/kernel_gradients.hpp"
#include "verify/check/gradient/reference_check.hpp"
#include "verify/check/gradient/reference_jacobian.hpp"
#include "verify/check/groups.hpp"
#include "verify/check/moved.hpp"
#include "verify/check/outputs.hpp"
#include "verify/check/patterns.hpp"
#include "verify/check/sanitize/checks.hpp"
#include "verify/command/parts.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/case_list.hpp"
#include "verify/run/claim_audit.hpp"
#include "verify/run/diagnose.hpp"
#include "verify/run/hunt.hpp"
#include "verify/run/hunt_step.hpp"

namespace abn::verify::command {
namespace {

bool is_one_case(const RunArguments& arguments) {
  return !arguments.problem.empty() || !arguments.data.empty();
}

bool is_hunt(const RunArguments& arguments) {
  return arguments.hunt > 0 || arguments.hunt_steps > 0;
}

bool sanitizes(const RunArguments& arguments) {
  return arguments.sanitize || arguments.only_sanitize;
}

/// The cases of one group: the tier's, or the one that the arguments name; and tensor files for
/// those that judge outputs.
std::vector<data::Case> cases_of(const check::CheckGroup& group, const RunArguments& arguments) {
  const bool one_case = is_one_case(arguments);
  std::vector<data::Case> cases;
  if (!arguments.cases.empty())
    cases = &group == &check::output_checks ? run::read_case_list(arguments.cases)
                                            : std::vector<data::Case>{};
  else if (one_case)
    cases = {data::replay(arguments.problem, arguments.data, arguments.seed)};
  else
    cases = group.cases(data::tier_from_name(arguments.tier), arguments.seed);
  if (&group == &check::pattern_checks && !one_case && !arguments.patterns.empty()) {
    const data::PatternRange range = data::parse_pattern_range(arguments.patterns);
    check::keep_range(cases, range);
    for (data::Case& one : cases) data::cut_to(range, one.problem, one.data);
  }
  if (&group == &check::output_checks)
    for (const auto& file : tensor_files(arguments.tensors))
      cases.push_back(data::replay("", file, arguments.seed));
  return cases;
}

/// What is looked at before anything runs, so that a mistake is known at once; and the variants
/// that it is about.
struct Setup {
  check::RunOptions options;
  std::vector<call::Plugin> plugins;
  call::DeviceChoice device;
  std::vector<call::Subject> subjects;
  const char* verb = "run";
};
Setup set_up(const RunArguments& arguments) {
  require_writable(arguments.out);
  data::tier_from_name(arguments.tier);  // even where it is not used
  Setup setup;
  setup.plugins = load_plugins(arguments.plugins, arguments.limits);
  if (arguments.only_plugins && setup.plugins.empty())
    throw problem::UsageError(
        "--only-plugins without a plug-in leaves nothing to run; add --plugin libmine.so");
  setup.device = call::choose_device(arguments.device);
  if (sanitizes(arguments) && !setup.device.emulator)
    throw problem::UsageError(
        fmt::format("The sanitiser runs kernels on the emulator, not on {}; add --device emulator",
                    arguments.device));
  setup.subjects = call::subjects_of(setup.device, setup.plugins, arguments.only_plugins);
  setup.options = {.pattern = pattern_of(arguments.pattern),
                   .threads = arguments.threads,
                   .progress = isatty(STDERR_FILENO) == 1,
                   .moves_cases = !is_one_case(arguments) && arguments.cases.empty(),
                   .per_channel = is_one_case(arguments),
                   .device = arguments.device,
                   .without = arguments.without};
  check::calls::parse_without(arguments.without);  // says what is wrong
  return setup;
}

std::vector<std::string> ids_of(const std::vector<const check::CheckGroup*>& groups,
                                const std::vector<call::Subject>& subjects,
                                std::span<const data::Case> cases = {}) {
  std::vector<std::string> ids;
  for (const check::CheckGroup* const group : groups)
    for (const call::Subject& subject : subjects)
      for (auto& id : check::check_ids(*group, subject, cases)) ids.push_back(std::move(id));
  return ids;
}

/// A plug-in that could not be loaded has no checks that a pattern could match, and a record of its
/// own.
void require_match(const Setup& setup, const std::vector<std::string>& ids) {
  const bool any_failed =
      std::any_of(setup.plugins.begin(), setup.plugins.end(),
                  [](const call::Plugin& plugin) { return !plugin.failure.empty(); });
  if (!any_failed) data::require_match(setup.options.pattern, ids);
}

void add(std::vector<results::Record>& all, std::vector<results::Record> records) {
  std::move(records.begin(), records.end(), std::back_inserter(all));
}

std::string huge_problem(const std::vector<data::Case>& cases) {
  const auto one = std::find_if(cases.begin(), cases.end(),
                                [](const data::Case& each) { return each.needs_gpu; });
  return one == cases.end() ? "" : problem::to_string(one->problem);
}

/// How many of a tier's cases a variant does not do, and what became of them; empty where it does
/// all that are of its types and layouts.
std::string moved_text(const Setup& setup, const call::Subject& subject,
                       const RunArguments& arguments) {
  if (!setup.options.moves_cases || is_hunt(arguments) || subject.device == nullptr) return {};
  const std::vector<data::Case> cases = cases_of(check::output_checks, arguments);
  const check::MovedCases moved = check::moved_cases(check::output_checks, subject, cases);
  std::string text;
  if (moved.moved > 0)
    text = fmt::format(
        "{} of the tier's {} problems are none that it does; others that it does, as near to them "
        "as they come, stand in for them",
        moved.moved, cases.size());
  if (moved.left_out > 0)
    text += fmt::format(
        "{}{} of the tier's large cases are left to GPUs and host code, as the emulator would take "
        "minutes (abn-verify explain ranges)",
        text.empty() ? "" : "; ", moved.left_out);
  if (moved.left_to_gpus > 0)
    text += fmt::format(
        "{}{} of the tier's cases, beyond 2^31 elements, are left to GPUs; --problem {} runs one "
        "here",
        text.empty() ? "" : "; ", moved.left_to_gpus, huge_problem(cases));
  return text;
}

/// A variant whose calls kept their contracts and of which not one number was compared has not been
/// judged: its checks of numbers, all skipped, become inconclusive.
void require_numbers(std::vector<results::Record>& records, const std::string& variant) {
  const auto any = [&](const auto& holds) {
    return std::any_of(records.begin(), records.end(), [&](const results::Record& record) {
      return record.variant == variant && holds(record);
    });
  };
  const bool passes = any([](const results::Record& record) {
    return record.kind == results::CheckKind::contract && record.verdict == results::Verdict::pass;
  });
  const bool compared = any([](const results::Record& record) {
    return record.kind == results::CheckKind::numbers && record.verdict != results::Verdict::skip;
  });
  if (!passes || compared) return;
  for (results::Record& record : records)
    if (record.variant == variant && record.kind == results::CheckKind::numbers) {
      record.verdict = results::Verdict::inconclusive;
      record.reason = "calls were made, and in none of them was a number compared (" +
                      record.reason + "); let claims() support problems that have elements";
    }
}

/// Results from records, with all that a reader has to know of where they come from.
int report_records(std::vector<results::Record> records, const Setup& setup,
                   const call::Stopwatch& stopwatch, const RunArguments& arguments,
                   const CommandLine& command_line,
                   const std::vector<std::vector<std::string>>& unneeded = {}) {
  results::Results results;
  results.records = std::move(records);
  for (std::size_t i = 0; i < setup.subjects.size(); ++i) {
    results.variants.push_back(run::describe(setup.subjects[i]));
    require_numbers(results.records, setup.subjects[i].variant->name);
    if (i >= unneeded.size()) continue;  // neither a tier of outputs nor a case of them
    results.variants.back().unneeded = unneeded[i];
    results.variants.back().moved = moved_text(setup, setup.subjects[i], arguments);
  }
  add(results.records, plugin_records(setup.plugins, setup.verb));
  std::sort(results.records.begin(), results.records.end(),
            [](const results::Record& a, const results::Record& b) { return a.id < b.id; });
  results.provenance = provenance_of(command_line);
  results.provenance.seconds = stopwatch.seconds();
  results.provenance.seed = arguments.seed;
  results.provenance.tier = is_hunt(arguments)         ? "hunt"
                            : is_one_case(arguments)   ? "one case"
                            : !arguments.cases.empty() ? "case list"
                                                       : arguments.tier;
  const call::DeviceChoice& device = setup.device;
  results.provenance.device = device.cuda       ? device.cuda->describe()
                              : device.emulator ? "emulator"
                                                : arguments.device + " (not available)";
  results.provenance.driver = device.cuda ? call::cuda_status().driver : "none";
  return finish(results, arguments.out, arguments.quiet);
}

/// Per subject the claims that it did not need; of those whose outputs were all asked for, and
/// right, on the cases of a tier.
std::vector<std::vector<std::string>> unneeded_claims(const std::vector<results::Record>& records,
                                                      const Setup& setup,
                                                      const RunArguments& arguments) {
  std::vector<std::vector<std::string>> all(setup.subjects.size());
  if (is_one_case(arguments) || !arguments.cases.empty()) return all;
  const std::vector<data::Case> cases = cases_of(check::output_checks, arguments);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const call::Subject& subject = setup.subjects[i];
    const auto ids = check::check_ids(check::output_checks, subject);
    const bool asked = std::all_of(ids.begin(), ids.end(), [&](const std::string& id) {
      return data::matches(setup.options.pattern, id);
    });
    const bool right =
        std::none_of(records.begin(), records.end(), [&](const results::Record& record) {
          return record.variant == subject.variant->name &&
                 (record.verdict == results::Verdict::fail ||
                  record.verdict == results::Verdict::error);
        });
    if (asked && right) all[i] = run::unneeded_claims(subject, cases, setup.options);
  }
  return all;
}

/// The Jacobian of the reference: of the one case, or of the problem that other checkers are timed
/// on.
std::vector<results::Record> reference_jacobian(const RunArguments& arguments,
                                                const std::string& pattern) {
  constexpr const char* usual = "n8c32s64,f64,leaky_relu";
  const data::Case one = data::replay(arguments.problem.empty() ? usual : arguments.problem,
                                      arguments.data, arguments.seed);
  // else a problem that is for kernels only is no mistake
  const bool asked = arguments.pattern.starts_with("reference");
  if (!asked && one.problem.dtype != ABN_F64) return {};
  const problem::Inputs inputs = data::inputs_of(one);
  const call::Stopwatch stopwatch;
  auto records = check::gradient::check_reference_jacobian(inputs, one.data, one.seed, pattern);
  if (!arguments.quiet && !records.empty())
    fmt::print("{}: the full Jacobian of the reference in {:.3f} s\n",
               problem::to_string(one.problem), stopwatch.seconds());
  return records;
}

/// What a terminal shows while a hunt is on.
void show_hunt(const char* variant, std::uint64_t steps, double largest) {
  constexpr std::uint64_t often = 256;
  if (steps % often != 0) return;
  fmt::print(stderr, "\r{:<24.24} {:>9} cases, largest ratio {:<10.4g}", variant, steps, largest);
  std::fflush(stderr);
}

/// A pattern for checks that only an option turns on names the option.
void require_no_option(const Setup& setup, const RunArguments& arguments) {
  if (sanitizes(arguments)) return;
  const auto any = [&](const std::vector<std::string>& ids) {
    return std::any_of(ids.begin(), ids.end(), [&](const std::string& id) {
      return data::matches(setup.options.pattern, id);
    });
  };
  if (any(ids_of({&check::sanitize::sanitize_checks}, setup.subjects)) &&
      !any(ids_of(check::groups_of("run"), setup.subjects)))
    throw problem::UsageError(
        fmt::format("\"{}\" matches only checks that see every memory access; add --sanitize",
                    arguments.pattern));
}

int hunt_command(const RunArguments& arguments, const CommandLine& command_line) {
  if (sanitizes(arguments))
    throw problem::UsageError(
        "A hunt looks at numbers only; run --sanitize without --hunt and --hunt-steps");
  require_writable(arguments.keep);
  if (!arguments.tensors.empty() || !arguments.patterns.empty() || !arguments.cases.empty())
    throw problem::UsageError(
        "A hunt makes its own data; leave --tensors, --patterns and --cases out, or start it from "
        "a file with --data FILE");
  const Setup setup = set_up(arguments);
  require_match(setup, ids_of({&check::output_checks}, setup.subjects));
  run::HuntOptions options{{arguments.hunt, arguments.hunt_steps}, arguments.seed, nullptr, {}};
  data::Case start;
  if (is_one_case(arguments)) {
    start = data::replay(arguments.problem, arguments.data, arguments.seed);
    if (problem::element_count(start.problem) == 0 ||
        problem::element_count(start.problem) > run::hunt_elements)
      throw problem::UsageError(
          fmt::format("{} has {} elements, and a hunt starts from 1 to {}, which fit into a "
                      "command line; make it smaller",
                      problem::to_string(start.problem), problem::element_count(start.problem),
                      run::hunt_elements));
    problem::Inputs inputs = judge::for_oracle(data::inputs_of(start));
    if (inputs.dz.empty())
      throw problem::UsageError(
          "The file has no dz, which a hunt changes too; start from one that has");
    start = run::given_case(start.problem, std::move(inputs), start.seed);
    options.start = &start;
  }
  if (setup.options.progress) options.progress = show_hunt;
  const call::Stopwatch stopwatch;
  run::HuntResult result = run::hunt(setup.subjects, setup.options, options);
  if (setup.options.progress) fmt::print(stderr, "\r{:76}\r", "");
  if (!arguments.quiet)
    fmt::print("{}{} cases in {:.1f} s\n\n", run::hunt_text(result), result.steps,
               stopwatch.seconds());
  if (!arguments.keep.empty())
    results::write_file_atomically(arguments.keep, run::case_list_text(result.records));
  run::suggest_claims(result.records, setup.subjects, setup.options);
  return report_records(std::move(result.records), setup, stopwatch, arguments, command_line);
}

}  // namespace

int run_command(const RunArguments& arguments, const CommandLine& command_line) {
  if (is_hunt(arguments)) return hunt_command(arguments, command_line);
  if (!arguments.keep.empty())
    throw problem::UsageError("--keep belongs to a hunt; add --hunt SECONDS, or leave it out");
  if (!arguments.cases.empty() && is_one_case(arguments))
    throw problem::UsageError(
        "--cases has problems and data of its own; leave --problem and --data out");
  if (!arguments.patterns.empty()) {
    data::parse_pattern_range(arguments.patterns);  // says what is wrong
    if (is_one_case(arguments) || !arguments.cases.empty())
      throw problem::UsageError(
          "--patterns chooses from the patterns/ checks of a tier; leave it out where --problem, "
          "--data or --cases names the cases");
  }
  std::vector<const check::CheckGroup*> groups =
      check::groups_of("run", sanitizes(arguments) ? check::sanitize::sanitize_checks.flags : "");
  if (arguments.only_sanitize) groups = {&check::sanitize::sanitize_checks};
  const Setup setup = set_up(arguments);
  require_no_option(setup, arguments);
  const std::vector<data::Case> named = is_one_case(arguments)
                                            ? cases_of(check::output_checks, arguments)
                                            : std::vector<data::Case>{};
  require_match(setup, ids_of(groups, setup.subjects, named));
  const call::Stopwatch stopwatch;
  std::vector<results::Record> records;
  for (const check::CheckGroup* const group : groups) {
    const std::vector<data::Case> cases = cases_of(*group, arguments);
    std::vector<results::Record> found = run::run(*group, setup.subjects, cases, setup.options);
    if (group == &check::output_checks)
      run::diagnose_failures(found, *group, setup.subjects, cases, setup.options);
    add(records, std::move(found));
  }
  run::suggest_claims(records, setup.subjects, setup.options);
  const auto unneeded = arguments.only_sanitize ? std::vector<std::vector<std::string>>{}
                                                : unneeded_claims(records, setup, arguments);
  return report_records(std::move(records), setup, stopwatch, arguments, command_line, unneeded);
}

int grad_command(const RunArguments& arguments, const CommandLine& command_line) {
  Setup setup = set_up(arguments);
  setup.verb = "grad";
  const std::string& pattern = setup.options.pattern;
  const auto matched = [&](const std::vector<std::string>& ids) {
    return std::any_of(ids.begin(), ids.end(),
                       [&](const std::string& id) { return data::matches(pattern, id); });
  };
  const auto of_kernels = ids_of({&check::gradient::gradient_checks}, setup.subjects),
             of_reference = check::gradient::reference_gradient_ids(),
             jacobian = check::gradient::reference_jacobian_ids();
  std::vector<std::string> all = of_kernels;
  for (const auto* const ids : {&of_reference, &jacobian})
    all.insert(all.end(), ids->begin(), ids->end());
  require_match(setup, all);
  const call::Stopwatch stopwatch;
  std::vector<results::Record> records;
  if (matched(of_kernels)) {
    const std::vector<data::Case> cases = cases_of(check::gradient::gradient_checks, arguments);
    add(records, run::run(check::gradient::gradient_checks, setup.subjects, cases, setup.options));
    call::Evaluations work;
    for (const results::Record& record : records) work += record.evaluations;
    if (!arguments.quiet && work.forward > 0)
      fmt::print("{}: {} forward and {} backward evaluations in {:.1f} s\n",
                 cases.size() == 1 ? problem::to_string(cases.front().problem)
                                   : fmt::format("{} cases", cases.size()),
                 work.forward, work.backward, stopwatch.seconds());
  }
  if (matched(of_reference))
    add(records,
        check::gradient::check_reference_gradients(pattern, arguments.seed, arguments.threads));
  if (matched(jacobian)) add(records, reference_jacobian(arguments, pattern));
  return report_records(std::move(records), setup, stopwatch, arguments, command_line);
}

}  // namespace abn::verify::command
