// The verb study: inversion, the sharpness of the bounds, the eps convention of one variant, or
// rules side by side.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "verify/call/plugin.hpp"
#include "verify/command/out_file.hpp"
#include "verify/command/parts.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/suggest.hpp"
#include "verify/run/runner.hpp"
#include "verify/study/bounds_study.hpp"
#include "verify/study/conventions.hpp"
#include "verify/study/inversion_study.hpp"
#include "verify/study/judges.hpp"

namespace abn::verify::command {
namespace {

/// Percentages on a terminal, and nothing in a file.
study::StudyProgress progress_on_terminal() {
  if (isatty(STDERR_FILENO) != 1) return {};
  return [](std::size_t done, std::size_t total) {
    if (done == total)
      fmt::print(stderr, "\r{:6}\r", "");
    else
      fmt::print(stderr, "\r{:>3} %", done * 100 / total);
    std::fflush(stderr);
  };
}

study::Study evaluation_plan(const StudyArguments& arguments) {
  if (!arguments.variant.empty())
    throw problem::UsageError(fmt::format(
        "study judges looks at all variants of a plug-in and takes no name; leave {} out",
        arguments.variant));
  std::vector<std::string> paths = arguments.plugins;
  if (paths.empty()) paths.push_back(study::planted_bugs_beside_program());
  const std::vector<call::Plugin> plugins = load_plugins(paths, arguments.limits);
  refuse_failures(plugins);
  const std::vector<call::Subject> kernels =
      call::subjects_of(call::choose_device(arguments.device), plugins, true);
  return study::judges_study(kernels, arguments.seed, arguments.threads, progress_on_terminal());
}

study::Study conventions_of(const StudyArguments& arguments) {
  if (arguments.variant.empty())
    throw problem::UsageError(
        "study conventions looks at one variant; name it, such as abn-verify study conventions "
        "two_sweep (abn-verify list --names has all)");
  const std::vector<call::Plugin> plugins = load_plugins(arguments.plugins, arguments.limits);
  refuse_failures(plugins);
  const auto subjects = call::subjects_of(call::choose_device(arguments.device), plugins, false);
  std::vector<std::string> names;
  for (const call::Subject& subject : subjects) {
    if (arguments.variant == subject.variant->name)
      return study::conventions_study(subject, arguments.seed);
    names.emplace_back(subject.variant->name);
  }
  throw problem::UsageError(
      fmt::format("There is no variant \"{}\"; did you mean {}? abn-verify list --names has all, "
                  "and --plugin adds yours",
                  arguments.variant, problem::nearest(arguments.variant, names)));
}

}  // namespace

int study_command(const StudyArguments& arguments, const CommandLine&) {
  require_writable(arguments.out);
  if (arguments.channels != 0 && arguments.what != "bounds")
    throw problem::UsageError(fmt::format(
        "--channels belongs to study bounds; leave it out for study {}", arguments.what));
  if (!arguments.variant.empty() && (arguments.what == "inversion" || arguments.what == "bounds"))
    throw problem::UsageError(
        fmt::format("study {} measures the {} and takes no variant; leave {} out, or ask for study "
                    "conventions {}",
                    arguments.what, arguments.what == "bounds" ? "bounds" : "method",
                    arguments.variant, arguments.variant));
  study::Study study;
  bool holds = true;
  if (arguments.what == "inversion") {
    study = study::inversion_study(arguments.seed, arguments.threads, progress_on_terminal());
  } else if (arguments.what == "bounds") {
    const std::uint64_t channels =
        arguments.channels != 0 ? arguments.channels : study::bounds_channels;
    const std::vector<study::BoundsResult> results =
        study::bounds_results(channels, arguments.seed, arguments.threads, progress_on_terminal());
    study = study::bounds_study(results, channels, arguments.seed);
    holds = study::all_within(results);
  } else if (arguments.what == "conventions") {
    study = conventions_of(arguments);
  } else if (arguments.what == "judges") {
    study = evaluation_plan(arguments);
  } else {
    throw problem::UsageError(
        fmt::format("There is no study \"{}\"; ask for inversion, bounds, conventions or judges",
                    arguments.what));
  }
  // Before the file, so that a disk that is full costs the file and not what it would say.
  say(study::study_text(study, arguments.quiet));
  std::fflush(stdout);
  if (!arguments.out.empty())
    results::write_file_atomically(arguments.out, study::study_to_json(study));
  if (!arguments.out.empty() && !arguments.quiet) fmt::print("Study: {}\n", arguments.out);
  return holds ? 0 : 1;
}

}  // namespace abn::verify::command
