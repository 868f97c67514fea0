// The verb bench: times of kernels beside the pace of the memory.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "verify/bench/judge_speed.hpp"
#include "verify/bench/speed_study.hpp"
#include "verify/call/device.hpp"
#include "verify/call/parallel.hpp"
#include "verify/call/plugin.hpp"
#include "verify/command/out_file.hpp"
#include "verify/command/parts.hpp"
#include "verify/data/cases.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/problem/suggest.hpp"
#include "verify/run/runner.hpp"
#include "verify/worker/remote_timing.hpp"

namespace abn::verify::command {

std::vector<bench::SpeedProblem> problems_of(const std::vector<std::string>& given,
                                             const std::string& set) {
  std::vector<bench::SpeedProblem> problems;
  for (const std::string& text : given) problems.push_back({"", problem::parse_problem(text)});
  for (const bench::SpeedProblem& one : problems)
    if (problem::element_count(one.problem) == 0)
      throw problem::UsageError(
          fmt::format("{} has no elements, so there is nothing to time; make it larger",
                      problem::to_string(one.problem)));
  return given.empty() ? bench::speed_problems(set) : problems;
}

namespace {

constexpr int nothing_ran = 77;

/// Those whose names match, wherever they can run. Throws UsageError if there are none.
std::vector<call::Subject> subjects_named(const BenchArguments& arguments,
                                          const call::DeviceChoice& choice,
                                          std::span<const call::Plugin> plugins) {
  std::vector<call::Subject> subjects = call::subjects_of(choice, plugins, arguments.only_plugins);
  std::vector<std::string> names;
  for (const call::Subject& subject : subjects) names.emplace_back(subject.variant->name);
  std::erase_if(subjects, [&](const call::Subject& subject) {
    return !data::matches(arguments.what, subject.variant->name);
  });
  if (subjects.empty())
    throw problem::UsageError(
        fmt::format("\"{}\" matches no variant; the nearest name is {} (abn-verify list --names), "
                    "and judge and emulator measure the tool itself",
                    arguments.what, problem::nearest(arguments.what, names)));
  return subjects;
}

/// What failed outside of the variants, such as memory that ran out: a row that says so, for the
/// other problems are still to be timed.
bench::SpeedGroup measured_or_reason(bench::TimingDevice& device,
                                     const bench::SpeedProblem& problem, int direction,
                                     std::span<const call::Subject> subjects, int gpu,
                                     const BenchArguments& arguments) {
  // Each variant of a plug-in has a worker of its own.
  std::vector<std::unique_ptr<bench::TimingDevice>> workers;
  std::vector<bench::Contender> contenders;
  for (const call::Subject& subject : subjects) {
    contenders.push_back({subject.variant});
    if (subject.workers == nullptr) continue;
    workers.push_back(worker::remote_timing_device(device, *subject.workers, gpu));
    contenders.back().device = workers.back().get();
  }
  try {
    return bench::measure_speed(device, problem, direction, contenders, arguments.seconds,
                                arguments.seed);
  } catch (const call::DeviceError& wrong) {
    bench::SpeedGroup group;
    group.subject = problem, group.direction = direction;
    group.failed = true;
    group.skipped = wrong.what();
    return group;
  }
}

void show_progress(std::size_t done, std::size_t total) {
  if (isatty(STDERR_FILENO) != 1) return;
  if (done == total)
    fmt::print(stderr, "\r{:6}\r", "");
  else
    fmt::print(stderr, "\r{:>3} %", done * 100 / total);
  std::fflush(stderr);
}

}  // namespace

int bench_command(const BenchArguments& arguments, const CommandLine& command_line) {
  if (arguments.what == "judge") return bench::bench_judge();
  if (arguments.what == "emulator") return bench::bench_emulator();
  const std::vector<bench::SpeedProblem> problems = problems_of(arguments.problems, arguments.set);
  if (arguments.list) {
    for (const bench::SpeedProblem& one : problems)
      fmt::print("{}\n", problem::to_string(one.problem));
    return 0;
  }
  require_writable(arguments.out);
  const std::vector<call::Plugin> plugins = load_plugins(arguments.plugins, arguments.limits);
  refuse_failures(plugins);
  const call::DeviceChoice choice = call::choose_device(arguments.device);
  std::vector<call::Subject> subjects = subjects_named(arguments, choice, plugins);
  if (choice.cuda == nullptr && arguments.device != "emulator") {
    fmt::print("Kernels are timed on a GPU, and {}.\n", choice.unavailable);
    return nothing_ran;
  }
  if (choice.cuda == nullptr && arguments.problems.empty())
    throw problem::UsageError(
        "On the emulator a set of problems takes days and says nothing; name a small one, such as "
        "--problem n2c8s16,leaky_relu");
  const std::unique_ptr<bench::TimingDevice> device =
      choice.cuda != nullptr ? bench::cuda_timing_device(choice.cuda_index)
                             : bench::host_timing_device();
  std::erase_if(subjects, [&](const call::Subject& subject) {
    return subject.device == nullptr || subject.device->memory() != device->memory();
  });
  if (subjects.empty())
    throw problem::UsageError(fmt::format(
        "The variants that match \"{}\" do not run on {}; choose their device with --device",
        arguments.what, device->name()));

  if (!arguments.quiet) fmt::print("{}\n", device->describe());
  if (arguments.drawn_seed && !arguments.quiet)
    fmt::print("Seed {}, drawn; --seed {} draws the same data again\n", arguments.seed,
               arguments.seed);
  std::vector<bench::SpeedGroup> groups;
  const auto study_so_far = [&] {
    return bench::speed_study({device->describe(), command_line.command, arguments.seed, groups});
  };
  const auto keep = [&](const study::Study& study) {
    if (!arguments.out.empty())
      results::write_file_atomically(arguments.out, study::study_to_json(study));
  };
  // seconds: a run that is cut off leaves what it has measured
  constexpr double between_writes = 10;
  call::Stopwatch since_write;
  bool measured = false, failed = false;
  for (const bench::SpeedProblem& problem : problems)
    for (const int direction : {ABN_FORWARD, ABN_BACKWARD}) {
      if (direction == ABN_BACKWARD && problem.problem.mode == ABN_INFERENCE) continue;
      groups.push_back(measured_or_reason(*device, problem, direction, subjects,
                                          choice.cuda != nullptr ? choice.cuda_index : -1,
                                          arguments));
      if (!arguments.quiet) fmt::print("{}", bench::speed_text(groups.back()));
      show_progress(groups.size(), 2 * problems.size());
      failed |= groups.back().failed;
      for (const bench::SpeedRow& row : groups.back().rows)
        measured |= row.measured, failed |= row.failed;
      if (since_write.seconds() > between_writes)
        keep(study_so_far()), since_write = call::Stopwatch();
    }
  show_progress(1, 1);
  const study::Study study = study_so_far();
  keep(study);
  for (const std::string& sentence : study.conclusions) fmt::print("{}\n", sentence);
  if (!arguments.out.empty())
    fmt::print("Times: {} (abn-verify report makes tables of it)\n", arguments.out);
  return failed ? 1 : measured ? 0 : nothing_ran;
}

}  // namespace abn::verify::command
