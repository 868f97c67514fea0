// The command line abn-verify: parses the arguments, calls the verb, turns what went wrong into a
// sentence and an exit code.
#include <fmt/format.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "abn_build.hpp"
#include "verify/bench/problems.hpp"
#include "verify/command/commands.hpp"
#include "verify/command/exit_codes.hpp"
#include "verify/command/parts.hpp"
#include "verify/command/resume.hpp"
#include "verify/command/streams.hpp"
#include "verify/data/case.hpp"
#include "verify/judge/judge.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/printable.hpp"
#include "verify/problem/suggest.hpp"
#include "verify/worker/pool.hpp"

namespace {

using abn::verify::command::exit_codes;
using abn::verify::command::usage_error;

std::string footer() {
  std::string text = "Exit codes:";
  for (const auto& code : exit_codes) text += fmt::format("\n  {:<3} {}", code.name, code.sentence);
  return text;
}

const CLI::Validator is_seed(
    [](std::string& text) {
      const bool whole =
          !text.empty() && text.size() <= 19 &&
          std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
      return whole ? std::string()
                   : fmt::format("\"{}\" is not a whole number of up to 19 digits", text);
    },
    "NUMBER", "seed");

/// Unlike CLI::Range, which lets NaN pass.
CLI::Validator is_between(double least, double most) {
  return {[least, most](std::string& text) {
            double value = 0;
            const bool number = CLI::detail::lexical_cast(text, value);
            return number && value >= least && value <= most
                       ? std::string()
                       : fmt::format("{} is no number from {:g} to {:g}", text, least, most);
          },
          fmt::format("FLOAT from {:g} to {:g}", least, most)};
}

/// An option whose value is empty was meant to have one, as in --problem "$problem".
void refuse_empty(const CLI::App& verb) {
  for (const CLI::Option* const option : verb.get_options())
    for (const std::string& value : option->results())
      if (value.empty())
        throw abn::verify::problem::UsageError(
            fmt::format("{} is given as an empty text; leave it out, or say what you mean",
                        option->get_name()));
}

/// What CLI11 says of a command line that is wrong. It names a word that is missing before an
/// option that nobody knows, which is more often the mistake.
std::string complaint_of(const CLI::ParseError& wrong, const CLI::App* verb) {
  if (verb != nullptr)
    for (const std::string& word : verb->remaining())
      if (word.starts_with("-"))
        return fmt::format("{} has no option {}; see abn-verify {} --help", verb->get_name(), word,
                           verb->get_name());
  return fmt::format("{}; see abn-verify {}--help", wrong.what(),
                     verb == nullptr ? "" : verb->get_name() + " ");
}

/// `help` and `help VERB`, as other programs have them.
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (!words.empty() && words.front() == "help") {
    words.erase(words.begin());
    words.resize(std::min<std::size_t>(words.size(), 1));
    words.emplace_back("--help");
  }
  return words;
}

/// Nine digits at most, as in all reproduce lines.
std::uint64_t drawn_seed() {
  std::random_device device;
  constexpr std::uint64_t least = 2;  // 1 is the seed that everybody knows
  return std::uniform_int_distribution<std::uint64_t>(
      least, abn::verify::data::readable_seeds - 1)(device);
}

const CLI::Validator is_file_name(
    [](std::string& text) {
      if (text.empty())
        return std::string("\"\" is no name of a file; leave --out away, or name one");
      if (text == "-")
        return std::string(
            "\"-\" is no name of a file, and standard output is where the verdicts are printed; "
            "name one");
      return std::string();
    },
    "FILE", "file");

int parse_and_call(const std::vector<std::string>& words,
                   const abn::verify::command::Resumed* resumed = nullptr);

int resume(const CLI::App& verb, const abn::verify::command::RunArguments& asked) {
  std::vector<std::string> given;
  for (const CLI::Option* const option : verb.get_options())
    if (option->count() > 0) given.push_back(option->get_name());
  const abn::verify::command::Resumed resumed =
      abn::verify::command::resumed_run(verb.get_name(), asked, given);
  return parse_and_call(resumed.words, &resumed);
}

int parse_and_call(const std::vector<std::string>& words,
                   const abn::verify::command::Resumed* resumed) {
  using namespace abn::verify;
  using namespace abn::verify::command;
  CLI::App app("Does a batch norm + activation kernel compute the right numbers?", "abn-verify");
  app.footer(footer());
  app.require_subcommand(1);
  app.set_version_flag("--version", fmt::format("abn-verify {} ({}{})", build::version, build::git,
                                                build::dirty ? ", modified" : ""));
  app.option_defaults()->always_capture_default();

  DoctorArguments doctor;
  auto* doctor_verb =
      app.add_subcommand("doctor", "Toolchain, device, driver, and what would be skipped and why");
  doctor_verb->add_flag("--require-gpu", doctor.require_gpu,
                        "End with exit code 1 where no GPU can be used");

  const auto add_limits = [](CLI::App* verb, LimitArguments& limits) {
    verb->add_option("--call-seconds", limits.call_seconds,
                     "How long one call of a plug-in may take, or loading it")
        ->check(is_between(0.05, 1e6));
    verb->add_option("--memory", limits.memory_mb,
                     "Megabytes that the processes of a plug-in may use; 0 for half of the "
                     "machine's, and at least 4096")
        ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1'000'000'000}));
  };
  ListArguments list;
  auto* list_verb = app.add_subcommand(
      "list", "Variants and their checks, by operation; or the ids of the checks");
  list_verb->add_option("GLOB", list.pattern,
                        "Only the ids that match; a variant's name stands for all of its checks");
  list_verb
      ->add_option("--plugin", list.plugins,
                   "A shared object with variants of your own (may be repeated)")
      ->allow_extra_args(false);
  list_verb
      ->add_option("--python", list.pythons,
                   "A Python file with kernels, or FILE:NAME (may be repeated)")
      ->allow_extra_args(false);
  add_limits(list_verb, list.limits);
  list_verb->add_flag("--json", list.json, "As JSON");
  list_verb->add_flag("--ids", list.ids, "Only the ids of the checks, one a line");
  list_verb->add_flag("--names", list.names, "Only the names of the variants");

  ExplainArguments explained;
  auto* explain_verb = app.add_subcommand(
      "explain", "What a word means: a check, data recipe, claim, verdict, known mistake, ...");
  explain_verb->add_option("WORD", explained.words,
                           "The word, or the id of a check; without it all words are listed");

  const auto add_run_options = [&add_limits](CLI::App* verb, RunArguments& arguments) {
    verb->add_option("GLOB", arguments.pattern,
                     "Only checks whose id matches; a variant's name stands for all of its checks");
    verb->add_option("--plugin", arguments.plugins,
                     "A shared object with variants of your own (may be repeated)")
        ->allow_extra_args(false);
    verb->add_option("--python", arguments.pythons,
                     "A Python file with kernels of your own, or FILE:NAME for one of them (may be "
                     "repeated)")
        ->allow_extra_args(false);
    verb->add_option("--host", arguments.host)->group("");  // for abn_verify.judge alone
    verb->add_flag("--only-plugins", arguments.only_plugins, "Leave the in-tree variants out");
    verb->add_option("--device", arguments.device, "auto, cuda:N, emulator or ptx");
    verb->add_option("--tier", arguments.tier, "quick, smoke, full or exhaustive");
    verb->add_option("--seconds", arguments.seconds,
                     "Run the cases of the tier that are worth most, until so many seconds are "
                     "used; 0 for all cases")
        ->check(is_between(0, 1e7));
    verb->add_option("--seed", arguments.seed,
                     "Decides data, buffers and schedules; where there is a --plugin and no --seed "
                     "it is drawn, so that no kernel can be made for it")
        ->check(is_seed);
    verb->add_option("--problem", arguments.problem,
                     "Run one case: its problem, such as n2c64s12,nhwc,bf16,leaky_relu:0.01");
    verb->add_option("--data", arguments.data,
                     "Run one case: its data recipe, its numbers (given:x=...), or a tensor file");
    verb->add_option("--threads", arguments.threads, "Cases at a time; 0 for one a core")
        ->check(CLI::Range(0, 1024));
    add_limits(verb, arguments.limits);
    verb->add_option(
            "--out", arguments.out,
            "Write the results to this file; until the run has ended, what it has found is "
            "in FILE.journal, which report reads")
        ->check(is_file_name);
    verb->add_option("--resume", arguments.resume,
                     "Go on with a run that was cut off, by the FILE of its --out; its options are "
                     "kept, so give none of them");
    verb->add_flag("--quiet", arguments.quiet, "Print failures only");
  };
  RunArguments run;
  auto* run_verb = app.add_subcommand("run", "Run variants and judge their numbers");
  add_run_options(run_verb, run);
  run_verb
      ->add_option("--tensors", run.tensors,
                   "Also run on the inputs in these tensor files or folders")
      ->allow_extra_args(false);
  run_verb
      ->add_option("--hunt", run.hunt,
                   "Search this many seconds for the data that use most of the bounds, instead of "
                   "running a tier")
      ->check(is_between(0, 1e6));
  run_verb
      ->add_option("--hunt-steps", run.hunt_steps,
                   "The same for this many cases a variant, which is the same search every time")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1'000'000'000}));
  run_verb->add_option("--keep", run.keep,
                       "Write the worst cases of a hunt to this file, which --cases takes");
  run_verb->add_option("--cases", run.cases, "Run the cases in this file instead of a tier");
  run_verb->add_option("--without", run.without,
                       "The outputs that calls/optional leaves out, such as mean,dgamma; without "
                       "this, every set of them");
  run_verb->add_option(
      "--patterns", run.patterns,
      "Only these bit patterns of patterns/ checks, such as 0x3f800000-0x3fffffff");

  run_verb->add_flag("--sanitize", run.sanitize,
                     "Also see every memory access on the emulator: races, unwritten reads, "
                     "overruns, barriers, traffic");
  run_verb->add_flag("--only-sanitize", run.only_sanitize,
                     "The same, and leave all other checks out");

  TrafficArguments traffic;
  auto* traffic_verb = app.add_subcommand(
      "traffic", "Bytes and sectors that variants move, counted by the emulator, beside the floor");
  traffic_verb->add_option(
      "GLOB", traffic.pattern,
      "Only variant/op that match; a variant's name stands for its forward and backward");
  traffic_verb
      ->add_option("--problem", traffic.problem,
                   "What to run, such as n2c64s12,nhwc,bf16,leaky_relu:0.01")
      ->required();
  traffic_verb->add_option("--data", traffic.data,
                           "Its data recipe, its numbers (given:x=...), or a tensor file");
  traffic_verb
      ->add_option("--plugin", traffic.plugins,
                   "A shared object that abn_add_kernel() built (may be repeated)")
      ->allow_extra_args(false);
  traffic_verb
      ->add_option("--device", traffic.device,
                   "emulator, or ptx: kernels as compiled, with their instructions")
      ->capture_default_str();
  traffic_verb->add_flag("--only-plugins", traffic.only_plugins, "Leave the in-tree variants out");
  traffic_verb->add_option("--seed", traffic.seed, "Decides data, where buffers lie, and schedules")
      ->check(is_seed);
  add_limits(traffic_verb, traffic.limits);
  traffic_verb->add_option("--out", traffic.out, "Write the counts to this file, as JSON")
      ->check(is_file_name);

  RunArguments grad;
  auto* grad_verb = app.add_subcommand(
      "grad", "Check the gradients of the reference, or of a variant against its own forward");
  add_run_options(grad_verb, grad);

  StudyArguments study;
  auto* study_verb = app.add_subcommand(
      "study",
      "Where in-place is safe (inversion), how sharp the bounds are (bounds), "
      "which eps convention a variant "
      "implements (conventions), what the rules of other projects catch (judges)");
  study_verb->add_option("WHAT", study.what, "inversion, bounds, conventions or judges")
      ->required();
  study_verb->add_option("VARIANT", study.variant, "For conventions: the variant to look at");
  study_verb
      ->add_option("--plugin", study.plugins,
                   "A shared object with variants of your own (may be repeated)")
      ->allow_extra_args(false);
  study_verb->add_option("--device", study.device, "auto, cuda:N or emulator");
  study_verb->add_option("--seed", study.seed, "Decides the data")->check(is_seed);
  study_verb
      ->add_option("--channels", study.channels,
                   "For bounds: channels of every class; 0 for those of a full run, 100,000")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1'000'000'000}));
  study_verb->add_option("--threads", study.threads, "0 for one a core")
      ->check(CLI::Range(0, 1024));
  add_limits(study_verb, study.limits);
  study_verb->add_option("--out", study.out, "Write the study to this file, which report takes")
      ->check(is_file_name);
  study_verb->add_flag("--quiet", study.quiet, "Print conclusions only");

  CheckArguments check;
  auto* check_verb = app.add_subcommand(
      "check", "Judge tensors that a framework dumped (fixtures/README.md has the format)");
  check_verb->add_option("FILE", check.files, "Files, or folders of .safetensors files")
      ->required();
  check_verb->add_option("--out", check.out, "Write the results to this file")->check(is_file_name);
  check_verb->add_flag("--quiet", check.quiet, "Print failures only");

  BoundArguments bounds;
  auto* bound_verb = app.add_subcommand(
      "bound", "Write the exact outputs of a tensor file's inputs, and how far off each may be");
  bound_verb->add_option("FILE", bounds.file, "The file, with the claims of how it is computed")
      ->required();
  bound_verb
      ->add_option("--out", bounds.out,
                   "Write to this file, as safetensors: NAME and NAME.low, which add up to the "
                   "exact values, and NAME.bound")
      ->required()
      ->check(is_file_name);

  ReportArguments report;
  auto* report_verb = app.add_subcommand(
      "report", "Turn results into index.html, report.md, report.csv and one results.json");
  report_verb
      ->add_option("FILE", report.files, "Results that run, grad and check wrote, and studies")
      ->required();
  report_verb->add_option("--out", report.out, "The folder to write to")->check(is_file_name);

  std::string sets = "Problems by name:";
  for (const bench::SpeedSet& set : bench::speed_sets())
    sets += fmt::format("\n  {:<10} {}", set.name, set.what);
  BenchArguments bench;
  auto* bench_verb = app.add_subcommand("bench",
                                        "Time kernels on a GPU beside the pace of its memory; or "
                                        "judge, or emulator: the tool itself");
  bench_verb->footer(sets);
  bench_verb->add_option("WHAT", bench.what,
                         "Names of variants, as a pattern; or judge, or emulator");
  bench_verb
      ->add_option("--plugin", bench.plugins,
                   "A shared object with variants of your own (may be repeated)")
      ->allow_extra_args(false);
  bench_verb->add_flag("--only-plugins", bench.only_plugins, "Leave the in-tree variants out");
  add_limits(bench_verb, bench.limits);
  bench_verb->add_option("--device", bench.device,
                         "auto, cuda:N, or emulator for a dry run whose times say nothing");
  bench_verb->add_option("--shapes", bench.set, "The set of problems");
  bench_verb
      ->add_option("--problem", bench.problems,
                   "A problem instead of a set, such as n32c256s3136,nhwc,bf16 (may be repeated)")
      ->allow_extra_args(false);
  bench_verb
      ->add_option("--seconds", bench.seconds, "For each problem and direction, at least 11 rounds")
      ->check(is_between(0, 1e4));
  bench_verb->add_option("--seed", bench.seed, "Decides the data")->check(is_seed);
  bench_verb->add_flag("--list", bench.list, "Print the problems and stop");
  bench_verb
      ->add_option("--out", bench.out,
                   "Write the times to this file, which report and plan --measured take")
      ->check(is_file_name);
  bench_verb->add_flag("--quiet", bench.quiet, "Print conclusions only");

  PlanArguments plan;
  auto* plan_verb = app.add_subcommand(
      "plan",
      "What the variant auto chooses for a problem and why: candidates, bytes, predicted time");
  plan_verb->footer(sets);
  plan_verb->add_option("--shapes", plan.set, "The set of problems");
  plan_verb
      ->add_option("--problem", plan.problems,
                   "A problem instead of a set, with all of its candidates (may be repeated)")
      ->allow_extra_args(false);
  plan_verb->add_option(
      "--measured", plan.measured,
      "Show the times in this file, which bench wrote, beside the predicted ones");
  plan_verb->add_option("--device", plan.device,
                        "ptx: count the instructions of the chosen kernels on the executor, too");
  plan_verb
      ->add_option("--out", plan.out,
                   "Write choices and candidates to this file, which report takes")
      ->check(is_file_name);

  if (!words.empty() && !words.front().starts_with('-')) {
    const std::vector<std::string> verbs{"doctor", "list",  "explain", "run",    "traffic", "grad",
                                         "study",  "check", "bound",   "report", "bench",   "plan"};
    if (std::find(verbs.begin(), verbs.end(), words.front()) == verbs.end())
      throw problem::UsageError(fmt::format(
          "\"{}\" is not a verb of abn-verify; did you mean {}? abn-verify --help lists all",
          words.front(), problem::nearest(words.front(), verbs)));
  }
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // as CLI11 takes them
    refuse_empty(*app.get_subcommands().front());
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& wrong) {
    const auto verbs = app.get_subcommands();
    throw problem::UsageError(complaint_of(wrong, verbs.empty() ? nullptr : verbs.front()));
  }

  for (const auto& [verb, arguments] : {std::pair{run_verb, &run}, std::pair{grad_verb, &grad}}) {
    if (!*verb || arguments->resume.empty()) continue;
    if (resumed == nullptr) return resume(*verb, *arguments);
    throw problem::UsageError(
        "A run that was resumed cannot be resumed as another; start it again");
  }
  if (resumed != nullptr)
    for (RunArguments* const arguments : {&run, &grad}) {
      arguments->resume = resumed->journal, arguments->seed = resumed->seed;
      if (resumed->threads) arguments->threads = *resumed->threads;
      arguments->quiet |= resumed->quiet;
    }
  for (auto& [verb, arguments] : {std::pair{run_verb, &run}, std::pair{grad_verb, &grad}})
    if (*verb && resumed == nullptr && verb->get_option("--seed")->empty() &&
        !(arguments->plugins.empty() && arguments->pythons.empty()))
      arguments->seed = drawn_seed(), arguments->drawn_seed = true;
  if (*bench_verb && bench_verb->get_option("--seed")->empty() && !bench.plugins.empty())
    bench.seed = drawn_seed(), bench.drawn_seed = true;
  if (!*list_verb && !*explain_verb && !*doctor_verb) outlive_readers();

  CommandLine command_line{"abn-verify", words};
  for (const std::string& word : words) command_line.command += " " + judge::shell_word(word);
  if (*doctor_verb) return doctor_command(doctor);
  if (*list_verb) return list_command(list);
  if (*explain_verb) return explain_command(explained);
  if (*run_verb) return run_command(run, command_line);
  if (*traffic_verb) return traffic_command(traffic, command_line);
  if (*grad_verb) return grad_command(grad, command_line);
  if (*study_verb) return study_command(study, command_line);
  if (*check_verb) return check_command(check, command_line);
  if (*bound_verb) return bound_command(bounds);
  if (*bench_verb) return bench_command(bench, command_line);
  if (*plan_verb) return plan_command(plan);
  return report_command(report);
}

constexpr const char* lost_output =
    "abn-verify: standard output could not be written to; give it a file or a pipe that takes all "
    "of it\n";

// The tensors of one case are freed before those of the next are made: memory that goes back to the
// system in between comes in again page by page, zeroed, which takes a fifth of all the time that
// judging takes.
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that there is
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

std::string complaint(const std::string& what, const char* what_next = "") {
  return "abn-verify: " + abn::verify::problem::printable(what) + what_next + "\n";
}

}  // namespace

int main(int argc, char** argv) {
  using abn::verify::command::complain;
  keep_freed_memory();
  abn::verify::command::open_standard_streams();
  try {
    const int code = parse_and_call(words_of(argc, argv));
    // What nobody could read is no verdict.
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
    complain(lost_output);
    return code == 1 || code > 128 ? code : usage_error;
  } catch (const abn::verify::problem::UsageError& wrong) {
    complain(complaint(wrong.what()));
  } catch (const abn::verify::worker::CallLost& lost) {  // in a verb that has no records
    complain(complaint(lost.what(), "; mend the plug-in, abn-verify run shows the case"));
  } catch (const std::filesystem::filesystem_error& wrong) {
    complain(complaint(wrong.path1().string() + ": " + wrong.code().message(), "; check the path"));
  } catch (const std::bad_alloc&) {
    complain(complaint("there is not enough memory",
                       "; take smaller problems or files, or fewer --threads"));
  } catch (const std::exception& wrong) {
    complain(std::ferror(stdout) != 0
                 ? std::string(lost_output)
                 : complaint(wrong.what(),
                             "; this is a fault of the tool or of the machine, abn-verify doctor "
                             "may show which"));
  }
  return usage_error;
}
