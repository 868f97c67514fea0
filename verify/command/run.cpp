// The verbs run and grad: from arguments to subjects, cases and records, group by group.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <set>
#include <utility>

#include "verify/call/parallel.hpp"
#include "verify/check/gradient/kernel_gradients.hpp"
#include "verify/check/gradient/reference_check.hpp"
#include "verify/check/gradient/reference_jacobian.hpp"
#include "verify/check/groups.hpp"
#include "verify/check/moved.hpp"
#include "verify/check/outputs.hpp"
#include "verify/check/sanitize/checks.hpp"
#include "verify/command/exit_codes.hpp"
#include "verify/command/file_hashes.hpp"
#include "verify/command/keeping.hpp"
#include "verify/command/out_file.hpp"
#include "verify/command/parts.hpp"
#include "verify/command/run_setup.hpp"
#include "verify/data/patterns.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/case_list.hpp"
#include "verify/run/claim_audit.hpp"
#include "verify/run/diagnose.hpp"
#include "verify/run/hunt.hpp"
#include "verify/run/hunt_step.hpp"
#include "verify/worker/interruption.hpp"

namespace abn::verify::command {
namespace {

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
  std::string text = check::left_out_text(subject);
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  const std::vector<data::Case> cases = cases_of(check::output_checks, arguments);
  const check::MovedCases moved = check::moved_cases(check::output_checks, subject, cases);
  if (moved.moved > 0)
    add(fmt::format(
        "{} of the tier's {} problems are none that it does; others that it does, as near to them "
        "as they come, stand in for them",
        moved.moved, cases.size()));
  if (moved.left_out > 0)
    add(fmt::format(
        "{} of the tier's large cases are left to GPUs and host code, as the emulator would take "
        "minutes (abn-verify explain ranges)",
        moved.left_out));
  if (moved.left_to_gpus > 0)
    add(fmt::format(
        "{} of the tier's cases, beyond 2^31 elements, are left to GPUs; --problem {} runs one "
        "here",
        moved.left_to_gpus, huge_problem(cases)));
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

/// The files that hold kernels: plug-ins, and Python files without the names behind them.
std::vector<std::string> files_of(const RunArguments& arguments) {
  std::vector<std::string> files = arguments.plugins;
  std::error_code error;
  for (const std::string& place : arguments.pythons)
    for (const std::string& path : {place, place.substr(0, place.rfind(':'))})
      if (std::filesystem::is_regular_file(path, error)) files.push_back(path);
  return files;
}

/// All that a reader has to know of where the results come from, but the time that they took.
results::Provenance provenance_of(const Setup& setup, const RunArguments& arguments,
                                  const CommandLine& command_line) {
  results::Provenance provenance = command::provenance_of(command_line);
  provenance.seed = arguments.seed;
  provenance.tier = is_hunt(arguments)         ? "hunt"
                    : is_one_case(arguments)   ? "one case"
                    : !arguments.cases.empty() ? "case list"
                                               : arguments.tier;
  if (arguments.seconds > 0) provenance.tier += fmt::format(", {:g} s", arguments.seconds);
  const call::DeviceChoice& device = setup.device;
  provenance.device = device.cuda                                  ? device.cuda->describe()
                      : device.executed != worker::Execution::none ? device.asked
                      : device.emulator                            ? "emulator"
                                        : arguments.device + " (not available)";
  provenance.driver = device.cuda ? call::cuda_status().driver : "none";
  if (!arguments.out.empty()) provenance.files = file_hashes(files_of(arguments));
  return provenance;
}

/// What has to be kept of a run for it to be gone on with.
results::JournalHeader header_of(const Setup& setup, const RunArguments& arguments,
                                 const CommandLine& command_line, std::vector<std::string> parts) {
  results::JournalHeader header;
  header.arguments = command_line.words;
  std::error_code error;
  header.folder = std::filesystem::current_path(error).string();
  header.provenance = provenance_of(setup, arguments, command_line);
  std::vector<std::string> inputs = tensor_files(arguments.tensors);
  for (const std::string& file : {arguments.cases, arguments.data})
    if (std::filesystem::is_regular_file(file, error)) inputs.push_back(file);
  if (!arguments.out.empty()) header.inputs = input_hashes(inputs);
  for (const call::Subject& subject : setup.subjects)
    header.variants.push_back(run::describe(subject));
  header.parts = std::move(parts);
  header.resumable = !is_hunt(arguments) && arguments.seconds == 0 && arguments.host < 0;
  return header;
}

/// The time that a run may take, for as many cases as its groups have for its variants.
run::Budget budget_of(const std::vector<const check::CheckGroup*>& groups, const Setup& setup,
                      const RunArguments& arguments) {
  std::uint64_t cases = 0;
  if (arguments.seconds > 0)
    for (const check::CheckGroup* const group : groups)
      cases += cases_of(*group, arguments).size() * setup.subjects.size();
  return {arguments.seconds, cases};
}

/// A check of which a part of a tier has no case is skipped, and not absent.
void add_missing(std::vector<results::Record>& records,
                 const std::vector<const check::CheckGroup*>& groups, const Setup& setup,
                 const run::Budget& budget) {
  if (budget.left_out("").empty()) return;
  std::set<std::string> known;
  for (const results::Record& record : records) known.insert(record.id);
  for (const std::string& id : ids_of(groups, setup.subjects, {}, setup.options.pattern)) {
    if (!data::matches(setup.options.pattern, id) || !known.insert(id).second) continue;
    const std::vector<std::string> parts = parts_of(id);
    results::Record& record = records.emplace_back();
    record.id = id, record.variant = parts.at(0), record.op = parts.at(1);
    record.dtype = parts.at(2), record.layout = parts.at(3), record.check = parts.at(4);
    record.verdict = results::Verdict::skip;
    record.reason = "none of its cases is among those that ran";
  }
}

/// Results from records, printed and written.
int report_records(std::vector<results::Record> records, const Setup& setup, KeptRun& kept,
                   const RunArguments& arguments, const run::Budget& budget,
                   const std::vector<std::vector<std::string>>& unneeded = {}) {
  results::Results results;
  results.records = std::move(records);
  results.left_out = budget.left_out(arguments.tier == "quick" ? "smoke" : arguments.tier);
  results.variants = kept.journal().contents().header.variants;
  for (std::size_t i = 0; i < setup.subjects.size(); ++i) {
    require_numbers(results.records, setup.subjects[i].variant->name);
    if (i >= unneeded.size()) continue;  // neither a tier of outputs nor a case of them
    results.variants[i].unneeded = unneeded[i];
    results.variants[i].moved = moved_text(setup, setup.subjects[i], arguments);
  }
  add(results.records, plugin_records(setup.plugins, setup.verb));
  for (std::size_t i = 0; i < setup.subjects.size(); ++i)
    if (const auto& workers = setup.subjects[i].workers; workers != nullptr) {
      results.variants[i].printed = workers->printed();
      results.variants[i].libraries = workers->libraries();
    }
  std::sort(results.records.begin(), results.records.end(),
            [](const results::Record& a, const results::Record& b) { return a.id < b.id; });
  results.provenance = kept.journal().contents().header.provenance;
  results.provenance.seconds = kept.seconds();
  worker::end_at_once_again();
  return finish(results, arguments.out, arguments.quiet, &kept.journal());
}

/// What `work` returns; where a signal ends it, what there is until then is printed.
template <class Work>
int in_order(KeptRun& kept, const RunArguments& arguments, const Work& work) {
  try {
    return work();
  } catch (const std::exception&) {  // a signal also breaks off what a plug-in is being asked
    if (worker::interrupted() == 0) throw;
    return kept.end_interrupted(worker::interrupted(), arguments.quiet);
  }
}

/// Per subject the claims that it did not need; of those whose outputs were all asked for, and
/// right, on the cases of a tier.
std::vector<std::vector<std::string>> unneeded_claims(const std::vector<results::Record>& records,
                                                      const Setup& setup,
                                                      const RunArguments& arguments) {
  std::vector<std::vector<std::string>> all(setup.subjects.size());
  if (!is_tier(arguments) || setup.options.choice != check::Choice::all) return all;
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
    say(fmt::format("{}: the full Jacobian of the reference in {:.3f} s\n",
                    problem::to_string(one.problem), stopwatch.seconds()));
  return records;
}

/// What a terminal shows while a hunt is on.
void show_hunt(const char* variant, std::uint64_t steps, double largest) {
  constexpr std::uint64_t often = 256;
  if (steps % often != 0) return;
  complain(
      fmt::format("\r{:<24.24} {:>9} cases, largest ratio {:<10.4g}", variant, steps, largest));
  std::fflush(stderr);
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
  const std::vector<const check::CheckGroup*> groups{&check::output_checks};
  KeptRun kept(header_of(setup, arguments, command_line,
                         parts_of_run(groups, setup.subjects, {}, setup.options.pattern)),
               arguments, setup.plugins);
  kept.begin(check::output_checks);
  options.keeper = &kept;
  return in_order(kept, arguments, [&] {
    run::HuntResult result = run::hunt(setup.subjects, setup.options, options);
    if (setup.options.progress) complain(fmt::format("\r{:76}\r", ""));
    if (!arguments.quiet)
      say(fmt::format("{}{} cases in {:.1f} s\n\n", run::hunt_text(result), result.steps,
                      kept.seconds()));
    const std::string worst = run::case_list_text(result.records);
    run::suggest_claims(result.records, setup.subjects, setup.options);
    const int code =
        report_records(std::move(result.records), setup, kept, arguments, run::Budget(0, 0));
    if (arguments.keep.empty()) return code;
    try {
      results::write_file_atomically(arguments.keep, worst);
    } catch (const problem::UsageError& wrong) {
      complain(fmt::format("abn-verify: {}\n", wrong.what()));
      return code == 1 ? code : usage_error;
    }
    return code;
  });
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
  const std::string& pattern = setup.options.pattern;
  const std::vector<std::string> named_ids = ids_of(groups, setup.subjects, named, pattern);
  const bool any = std::any_of(named_ids.begin(), named_ids.end(),
                               [&](const std::string& id) { return data::matches(pattern, id); });
  if (!any) require_match(setup, ids_of(groups, setup.subjects, named));  // says what is near
  KeptRun kept(header_of(setup, arguments, command_line,
                         parts_of_run(groups, setup.subjects, named, setup.options.pattern)),
               arguments, setup.plugins);
  return in_order(kept, arguments, [&] {
    std::vector<results::Record> records;
    run::Budget budget = budget_of(groups, setup, arguments);
    for (const check::CheckGroup* const group : groups) {
      const std::vector<data::Case> cases = cases_of(*group, arguments);
      kept.begin(*group);
      std::vector<results::Record> found =
          run::run(*group, setup.subjects, cases, setup.options, &kept, &budget);
      if (group == &check::output_checks)
        run::diagnose_failures(found, *group, setup.subjects, cases, setup.options);
      add(records, std::move(found));
    }
    run::suggest_claims(records, setup.subjects, setup.options);
    add_missing(records, groups, setup, budget);
    const auto unneeded = arguments.only_sanitize ? std::vector<std::vector<std::string>>{}
                                                  : unneeded_claims(records, setup, arguments);
    return report_records(std::move(records), setup, kept, arguments, budget, unneeded);
  });
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
  const std::vector<const check::CheckGroup*> groups{&check::gradient::gradient_checks};
  KeptRun kept(
      header_of(setup, arguments, command_line, parts_of_run(groups, setup.subjects, {}, pattern)),
      arguments, setup.plugins);
  return in_order(kept, arguments, [&] {
    std::vector<results::Record> records;
    run::Budget budget = budget_of(groups, setup, arguments);
    if (matched(of_kernels)) {
      const std::vector<data::Case> cases = cases_of(check::gradient::gradient_checks, arguments);
      kept.begin(check::gradient::gradient_checks);
      add(records, run::run(check::gradient::gradient_checks, setup.subjects, cases, setup.options,
                            &kept, &budget));
      add_missing(records, groups, setup, budget);
      call::Evaluations work;
      for (const results::Record& record : records) work += record.evaluations;
      if (!arguments.quiet && work.forward > 0)
        say(fmt::format("{}: {} forward and {} backward evaluations in {:.1f} s\n",
                        cases.size() == 1 ? problem::to_string(cases.front().problem)
                                          : fmt::format("{} cases", cases.size()),
                        work.forward, work.backward, kept.seconds()));
    }
    worker::end_at_once_again();  // the rest is of one piece, and not long
    if (matched(of_reference))
      add(records,
          check::gradient::check_reference_gradients(pattern, arguments.seed, arguments.threads));
    if (matched(jacobian)) add(records, reference_jacobian(arguments, pattern));
    return report_records(std::move(records), setup, kept, arguments, budget);
  });
}

}  // namespace abn::verify::command
