// The verb plan: what auto chooses and predicts, and beside it what was measured, or what the
// executor counts of the kernels that auto launches.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "verify/bench/plan_study.hpp"
#include "verify/command/out_file.hpp"
#include "verify/command/pace.hpp"
#include "verify/command/parts.hpp"
#include "verify/problem/bounded_file.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::command {
namespace {

study::Study measured_in(const std::string& file) {
  const std::string text = problem::read_bounded(file, problem::own_json);
  if (!study::is_study(text))
    throw problem::UsageError(
        fmt::format("{} holds no times; make some with abn-verify bench auto --out FILE", file));
  return study::study_from_json(text);
}

/// What auto executes for each problem, out of place, on standard data.
bench::CountsByCall counted_for(const std::vector<bench::SpeedProblem>& problems,
                                const PlanArguments& arguments) {
  constexpr std::uint64_t seed = 1;
  const call::DeviceChoice device = call::choose_device(arguments.device);
  if (device.executed == worker::Execution::none)
    throw problem::UsageError(fmt::format(
        "plan counts instructions on the executor, not on {}; use --device ptx", arguments.device));
  if (arguments.problems.empty())
    throw problem::UsageError(
        "The executor takes hours for a set of problems; name one with --problem, such as "
        "n8c64s196,nhwc,bf16");
  const std::vector<call::Plugin> plugins =
      load_plugins({}, LimitArguments{}, Unusable::refused, device.executed, true);
  refuse_failures(plugins);
  const auto subjects = call::subjects_of(device, plugins, false);
  const auto chosen = std::find_if(
      subjects.begin(), subjects.end(),
      [](const call::Subject& subject) { return subject.variant->name == std::string("auto"); });
  if (chosen == subjects.end() || !chosen->unavailable.empty())
    throw problem::UsageError(chosen == subjects.end()
                                  ? "There is no variant auto here; leave out --device"
                                  : chosen->unavailable);
  bench::CountsByCall counts;
  for (const bench::SpeedProblem& one : problems) {
    const std::string name = problem::to_string(one.problem);
    const problem::Claimed claimed = problem::claims_of(*chosen->variant, one.problem);
    if (claimed.status == ABN_ERROR_UNSUPPORTED)
      throw problem::UsageError(problem::unsupported_text(*chosen->variant, one.problem) +
                                "; name another problem");
    for (const check::sanitize::MovedBy& call :
         check::sanitize::moved_by(*chosen, data::replay(name, "standard", seed), claimed.claims)) {
      if (!call.trouble.empty())
        throw problem::UsageError(
            fmt::format("auto/{} of {} cannot be counted: {}; try abn-verify "
                        "run auto --device ptx --problem {}",
                        call.op, name, call.trouble, name));
      if (call.in_place) continue;
      const Pace pace = pace_of(call, call.instructions);
      counts[name + " " + call.op] = {pace.instructions, pace.budget, call.divergences,
                                      call.replays};
    }
  }
  return counts;
}

}  // namespace

int plan_command(const PlanArguments& arguments) {
  const std::vector<bench::SpeedProblem> problems = problems_of(arguments.problems, arguments.set);
  require_writable(arguments.out);
  study::Study measured;
  if (!arguments.measured.empty()) measured = measured_in(arguments.measured);
  const bool counts = !arguments.device.empty();
  const bench::CountsByCall counted =
      counts ? counted_for(problems, arguments) : bench::CountsByCall{};
  const study::Study study =
      bench::plan_study(problems, arguments.measured.empty() ? nullptr : &measured, counted);
  if (!arguments.out.empty())
    results::write_file_atomically(arguments.out, study::study_to_json(study));
  // Candidates are many: shown where somebody asked for few problems.
  for (const char* const table : {"candidates", "choices"})
    if (arguments.problems.empty() ? table == std::string("choices")
                                   : counts || table == std::string("candidates"))
      fmt::print("{}\n", study::table_text(study::table_of(study, table)));
  for (const std::string& sentence : study.conclusions) fmt::print("{}\n", sentence);
  if (!arguments.out.empty())
    fmt::print("Plan: {} (abn-verify report makes tables of it)\n", arguments.out);
  return 0;
}

}  // namespace abn::verify::command
