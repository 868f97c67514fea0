// The verbs run and grad: from arguments to subjects, cases and records, family by family.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "verify/call/parallel.hpp"
#include "verify/check/exact/family.hpp"
#include "verify/check/gradient/kernel_gradients.hpp"
#include "verify/check/gradient/reference_check.hpp"
#include "verify/check/gradient/reference_jacobian.hpp"
#include "verify/check/outputs.hpp"
#include "verify/check/patterns.hpp"
#include "verify/check/property/property.hpp"
#include "verify/check/sanitize/family.hpp"
#include "verify/command/parts.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/case_list.hpp"
#include "verify/run/claim_audit.hpp"
#include "verify/run/diagnose.hpp"
#include "verify/run/hunt.hpp"
#include "verify/run/hunt_step.hpp"

namespace abn::verify {
namespace {

/// A variant's bare name stands for all of its checks.
std::string pattern_of(const std::string& text) {
  return text.find_first_of("/*?[") == std::string::npos ? text + "/*" : text;
}

bool is_one_case(const RunArguments& arguments) {
  return !arguments.problem.empty() || !arguments.data.empty();
}

bool is_hunt(const RunArguments& arguments) {
  return arguments.hunt > 0 || arguments.hunt_steps > 0;
}

bool sanitizes(const RunArguments& arguments) {
  return arguments.sanitize || arguments.only_sanitize;
}

/// The cases of one family: the tier's, or the one that the arguments name; and tensor files for
/// those that judge outputs.
std::vector<Case> cases_of(const Family& family, const RunArguments& arguments) {
  const bool one_case = is_one_case(arguments);
  std::vector<Case> cases;
  if (!arguments.cases.empty())
    cases = &family == &output_family ? read_case_list(arguments.cases) : std::vector<Case>{};
  else if (one_case)
    cases = {replay(arguments.problem, arguments.data, arguments.seed)};
  else
    cases = family.cases(tier_from_name(arguments.tier), arguments.seed);
  if (&family == &pattern_family && !one_case && !arguments.patterns.empty())
    keep_range(cases, parse_pattern_range(arguments.patterns));
  if (&family == &output_family)
    for (const auto& file : tensor_files(arguments.tensors))
      cases.push_back(replay("", file, arguments.seed));
  return cases;
}

/// What is looked at before anything runs, so that a mistake is known at once; and the variants
/// that it is about.
struct Setup {
  RunOptions options;
  std::vector<Plugin> plugins;
  DeviceChoice device;
  std::vector<Subject> subjects;
};
Setup set_up(const RunArguments& arguments) {
  require_writable(arguments.out);
  tier_from_name(arguments.tier);  // even where it is not used
  Setup setup;
  for (const auto& path : arguments.plugins) setup.plugins.push_back(load_plugin(path));
  refuse_equal_names(setup.plugins);
  if (arguments.only_plugins && setup.plugins.empty())
    throw UsageError(
        "--only-plugins without a plug-in leaves nothing to run; add --plugin libmine.so");
  setup.device = choose_device(arguments.device);
  if (sanitizes(arguments) && !setup.device.emulator)
    throw UsageError(
        fmt::format("The sanitiser runs kernels on the emulator, not on {}; add --device emulator",
                    arguments.device));
  setup.subjects = subjects_of(setup.device, setup.plugins, arguments.only_plugins);
  setup.options = {.pattern = pattern_of(arguments.pattern),
                   .threads = arguments.threads,
                   .progress = isatty(STDERR_FILENO) == 1,
                   .per_channel = is_one_case(arguments),
                   .device = arguments.device};
  return setup;
}

std::vector<std::string> ids_of(const std::vector<const Family*>& families,
                                const std::vector<Subject>& subjects) {
  std::vector<std::string> ids;
  for (const Family* const family : families)
    for (const Subject& subject : subjects)
      for (auto& id : check_ids(*family, subject)) ids.push_back(std::move(id));
  return ids;
}

void add(std::vector<Record>& all, std::vector<Record> records) {
  std::move(records.begin(), records.end(), std::back_inserter(all));
}

/// Results from records, with all that a reader has to know of where they come from.
int report_records(std::vector<Record> records, const Setup& setup, const Stopwatch& stopwatch,
                   const RunArguments& arguments, const Invocation& invocation,
                   const std::vector<std::vector<std::string>>& unneeded = {}) {
  Results results;
  results.records = std::move(records);
  std::sort(results.records.begin(), results.records.end(),
            [](const Record& a, const Record& b) { return a.id < b.id; });
  for (std::size_t i = 0; i < setup.subjects.size(); ++i) {
    results.variants.push_back(describe(setup.subjects[i]));
    if (i < unneeded.size()) results.variants.back().unneeded = unneeded[i];
  }
  results.provenance = provenance_of(invocation);
  results.provenance.seconds = stopwatch.seconds();
  results.provenance.seed = arguments.seed;
  results.provenance.tier = is_hunt(arguments)         ? "hunt"
                            : is_one_case(arguments)   ? "one case"
                            : !arguments.cases.empty() ? "case list"
                                                       : arguments.tier;
  const DeviceChoice& device = setup.device;
  results.provenance.device = device.cuda       ? device.cuda->describe()
                              : device.emulator ? "emulator"
                                                : arguments.device + " (not available)";
  results.provenance.driver = device.cuda ? cuda_status().driver : "none";
  return finish(results, arguments.out, arguments.quiet);
}

/// Per subject the claims that it did not need; of those whose outputs were all asked for, and
/// right, on the cases of a tier.
std::vector<std::vector<std::string>> unneeded_claims(const std::vector<Record>& records,
                                                      const Setup& setup,
                                                      const RunArguments& arguments) {
  std::vector<std::vector<std::string>> all(setup.subjects.size());
  if (is_one_case(arguments) || !arguments.cases.empty()) return all;
  const std::vector<Case> cases = cases_of(output_family, arguments);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Subject& subject = setup.subjects[i];
    const auto ids = check_ids(output_family, subject);
    const bool asked = std::all_of(ids.begin(), ids.end(), [&](const std::string& id) {
      return matches(setup.options.pattern, id);
    });
    const bool right = std::none_of(records.begin(), records.end(), [&](const Record& record) {
      return record.variant == subject.variant->name &&
             (record.verdict == Verdict::fail || record.verdict == Verdict::error);
    });
    if (asked && right) all[i] = unneeded_claims(subject, cases, setup.options);
  }
  return all;
}

/// The Jacobian of the reference: of the one case, or of the problem that other checkers are timed
/// on.
std::vector<Record> reference_jacobian(const RunArguments& arguments, const std::string& pattern) {
  constexpr const char* usual = "n8c32s64,f64,leaky_relu";
  const Case one =
      replay(arguments.problem.empty() ? usual : arguments.problem, arguments.data, arguments.seed);
  // else a problem that is for kernels only is no mistake
  const bool asked = arguments.pattern.starts_with("reference");
  if (!asked && one.problem.dtype != ABN_F64) return {};
  const Inputs inputs = inputs_of(one);
  const Stopwatch stopwatch;
  auto records = check_reference_jacobian(inputs, one.data, one.seed, pattern);
  if (!arguments.quiet && !records.empty())
    fmt::print("{}: the full Jacobian of the reference in {:.3f} s\n", to_string(one.problem),
               stopwatch.seconds());
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
    return std::any_of(ids.begin(), ids.end(),
                       [&](const std::string& id) { return matches(setup.options.pattern, id); });
  };
  if (any(ids_of({&sanitize_family}, setup.subjects)) &&
      !any(ids_of({&output_family, &property_family, &pattern_family, &exact_family},
                  setup.subjects)))
    throw UsageError(
        fmt::format("\"{}\" matches only checks that see every memory access; add --sanitize",
                    arguments.pattern));
}

int hunt_command(const RunArguments& arguments, const Invocation& invocation) {
  if (sanitizes(arguments))
    throw UsageError(
        "A hunt looks at numbers only; run --sanitize without --hunt and --hunt-steps");
  require_writable(arguments.keep);
  if (!arguments.tensors.empty() || !arguments.patterns.empty() || !arguments.cases.empty())
    throw UsageError(
        "A hunt makes its own data; leave --tensors, --patterns and --cases out, or start it from "
        "a file with --data FILE");
  const Setup setup = set_up(arguments);
  require_match(setup.options.pattern, ids_of({&output_family}, setup.subjects));
  HuntOptions options{{arguments.hunt, arguments.hunt_steps}, arguments.seed, nullptr, {}};
  Case start;
  if (is_one_case(arguments)) {
    start = replay(arguments.problem, arguments.data, arguments.seed);
    if (element_count(start.problem) == 0 || element_count(start.problem) > hunt_elements)
      throw UsageError(
          fmt::format("{} has {} elements, and a hunt starts from 1 to {}, which fit into a "
                      "command line; make it smaller",
                      to_string(start.problem), element_count(start.problem), hunt_elements));
    Inputs inputs = for_oracle(inputs_of(start));
    if (inputs.dz.empty())
      throw UsageError("The file has no dz, which a hunt changes too; start from one that has");
    start = given_case(start.problem, std::move(inputs), start.seed);
    options.start = &start;
  }
  if (setup.options.progress) options.progress = show_hunt;
  const Stopwatch stopwatch;
  HuntResult result = hunt(setup.subjects, setup.options, options);
  if (setup.options.progress) fmt::print(stderr, "\r{:76}\r", "");
  if (!arguments.quiet)
    fmt::print("{}{} cases in {:.1f} s\n\n", hunt_text(result), result.steps, stopwatch.seconds());
  if (!arguments.keep.empty())
    write_file_atomically(arguments.keep, case_list_text(result.records));
  suggest_claims(result.records, setup.subjects, setup.options);
  return report_records(std::move(result.records), setup, stopwatch, arguments, invocation);
}

}  // namespace

int run_command(const RunArguments& arguments, const Invocation& invocation) {
  if (is_hunt(arguments)) return hunt_command(arguments, invocation);
  if (!arguments.keep.empty())
    throw UsageError("--keep belongs to a hunt; add --hunt SECONDS, or leave it out");
  if (!arguments.cases.empty() && is_one_case(arguments))
    throw UsageError("--cases has problems and data of its own; leave --problem and --data out");
  std::vector<const Family*> families;
  if (!arguments.only_sanitize)
    families = {&output_family, &property_family, &pattern_family, &exact_family};
  if (sanitizes(arguments)) families.push_back(&sanitize_family);
  const Setup setup = set_up(arguments);
  require_no_option(setup, arguments);
  require_match(setup.options.pattern, ids_of(families, setup.subjects));
  const Stopwatch stopwatch;
  std::vector<Record> records;
  for (const Family* const family : families) {
    const std::vector<Case> cases = cases_of(*family, arguments);
    std::vector<Record> found = run(*family, setup.subjects, cases, setup.options);
    if (family == &output_family) look_again(found, *family, setup.subjects, cases, setup.options);
    add(records, std::move(found));
  }
  suggest_claims(records, setup.subjects, setup.options);
  const auto unneeded = arguments.only_sanitize ? std::vector<std::vector<std::string>>{}
                                                : unneeded_claims(records, setup, arguments);
  return report_records(std::move(records), setup, stopwatch, arguments, invocation, unneeded);
}

int grad_command(const RunArguments& arguments, const Invocation& invocation) {
  const Setup setup = set_up(arguments);
  const std::string& pattern = setup.options.pattern;
  const auto matched = [&](const std::vector<std::string>& ids) {
    return std::any_of(ids.begin(), ids.end(),
                       [&](const std::string& id) { return matches(pattern, id); });
  };
  const auto of_kernels = ids_of({&gradient_family}, setup.subjects),
             of_reference = reference_gradient_ids(), jacobian = reference_jacobian_ids();
  std::vector<std::string> all = of_kernels;
  for (const auto* const ids : {&of_reference, &jacobian})
    all.insert(all.end(), ids->begin(), ids->end());
  require_match(pattern, all);
  const Stopwatch stopwatch;
  std::vector<Record> records;
  if (matched(of_kernels)) {
    const std::vector<Case> cases = cases_of(gradient_family, arguments);
    add(records, run(gradient_family, setup.subjects, cases, setup.options));
    Evaluations work;
    for (const Record& record : records) work += record.evaluations;
    if (!arguments.quiet && work.forward > 0)
      fmt::print("{}: {} forward and {} backward evaluations in {:.1f} s\n",
                 cases.size() == 1 ? to_string(cases.front().problem)
                                   : fmt::format("{} cases", cases.size()),
                 work.forward, work.backward, stopwatch.seconds());
  }
  if (matched(of_reference))
    add(records, check_reference_gradients(pattern, arguments.seed, arguments.threads));
  if (matched(jacobian)) add(records, reference_jacobian(arguments, pattern));
  return report_records(std::move(records), setup, stopwatch, arguments, invocation);
}

}  // namespace abn::verify
