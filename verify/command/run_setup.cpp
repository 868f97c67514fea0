// From arguments to subjects and cases.
#include "verify/command/run_setup.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "verify/check/calls/checks.hpp"
#include "verify/check/groups.hpp"
#include "verify/check/outputs.hpp"
#include "verify/check/patterns.hpp"
#include "verify/check/sanitize/checks.hpp"
#include "verify/command/out_file.hpp"
#include "verify/command/parts.hpp"
#include "verify/problem/error.hpp"
#include "verify/run/case_list.hpp"

namespace abn::verify::command {

bool is_one_case(const RunArguments& arguments) {
  return !arguments.problem.empty() || !arguments.data.empty();
}

bool is_hunt(const RunArguments& arguments) {
  return arguments.hunt > 0 || arguments.hunt_steps > 0;
}

bool sanitizes(const RunArguments& arguments) {
  return arguments.sanitize || arguments.only_sanitize;
}

bool is_tier(const RunArguments& arguments) {
  return !is_one_case(arguments) && arguments.cases.empty();
}

check::Choice choice_of(const RunArguments& arguments) {
  if (!is_tier(arguments)) return check::Choice::all;
  if (data::tier_from_name(arguments.tier) == data::Tier::quick) return check::Choice::quick;
  return arguments.seconds > 0 ? check::Choice::by_worth : check::Choice::all;
}

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

namespace {

/// Plug-ins once more, in workers of their own, for each other choice of what the ISA leaves open.
void add_alternatives(Setup& setup, const RunArguments& arguments) {
  for (const std::string& word : setup.device.others) {
    const call::DeviceChoice device = call::choose_device(word);
    const std::vector<call::Plugin> plugins =
        load_plugins(arguments.plugins, arguments.limits, Unusable::a_record, device.executed,
                     !arguments.only_plugins);
    for (call::Subject& other : call::subjects_of(device, plugins, arguments.only_plugins)) {
      const auto same = std::find_if(
          setup.subjects.begin(), setup.subjects.end(), [&](const call::Subject& subject) {
            return std::string_view(subject.variant->name) == other.variant->name;
          });
      if (same == setup.subjects.end() || other.device == nullptr) continue;
      same->device_word = "ptx", other.device_word = word;
      same->alternatives.push_back(std::move(other));
    }
  }
}

}  // namespace

Setup set_up(const RunArguments& arguments) {
  require_writable(arguments.out);
  if (arguments.seconds > 0 && (!is_tier(arguments) || is_hunt(arguments)))
    throw problem::UsageError(
        "--seconds chooses among the cases of a tier; leave it out where --problem, --data or "
        "--cases names the cases, and give a hunt its seconds by --hunt");
  data::tier_from_name(arguments.tier);  // even where it is not used
  Setup setup;
  setup.device = call::choose_device(arguments.device);
  setup.plugins = load_plugins(arguments.plugins, arguments.limits, Unusable::a_record,
                               setup.device.executed, !arguments.only_plugins);
  if (!arguments.pythons.empty() && setup.device.executed != worker::Execution::none)
    throw problem::UsageError(
        "--device ptx runs kernels as nvcc compiled them, and a kernel of Python is none; leave "
        "--device or --python out");
  add_pythons(setup.plugins, arguments.pythons, arguments.host, arguments.limits);
  if (arguments.only_plugins && setup.plugins.empty())
    throw problem::UsageError(
        "--only-plugins without a plug-in leaves nothing to run; add --plugin libmine.so or "
        "--python mine.py");
  if (sanitizes(arguments) && !setup.device.emulator)
    throw problem::UsageError(
        fmt::format("The sanitiser runs kernels on the emulator, not on {}; add --device emulator",
                    arguments.device));
  setup.subjects = call::subjects_of(setup.device, setup.plugins, arguments.only_plugins);
  add_alternatives(setup, arguments);
  setup.options = {.pattern = pattern_of(arguments.pattern),
                   .threads = arguments.threads,
                   .progress = isatty(STDERR_FILENO) == 1,
                   .moves_cases = is_tier(arguments),
                   .choice = choice_of(arguments),
                   .per_channel = is_one_case(arguments),
                   .device = arguments.device,
                   .without = arguments.without};
  check::calls::parse_without(arguments.without);  // says what is wrong
  if (arguments.drawn_seed && !arguments.quiet)
    say(fmt::format("Seed {}, drawn; --seed {} draws the same cases again\n", arguments.seed,
                    arguments.seed));
  return setup;
}

std::vector<std::string> ids_of(const std::vector<const check::CheckGroup*>& groups,
                                const std::vector<call::Subject>& subjects,
                                std::span<const data::Case> cases, const std::string& pattern) {
  std::vector<std::string> ids;
  for (const check::CheckGroup* const group : groups)
    for (const call::Subject& subject : subjects)
      if (data::may_match(pattern, subject.variant->name))
        for (auto& id : check::check_ids(*group, subject, cases)) ids.push_back(std::move(id));
  return ids;
}

void require_match(const Setup& setup, const std::vector<std::string>& ids) {
  const bool any_failed =
      std::any_of(setup.plugins.begin(), setup.plugins.end(),
                  [](const call::Plugin& plugin) { return !plugin.failure.empty(); });
  if (!any_failed) data::require_match(setup.options.pattern, ids);
}

void require_no_option(const Setup& setup, const RunArguments& arguments) {
  if (sanitizes(arguments)) return;
  const auto any = [&](const std::vector<std::string>& ids) {
    return std::any_of(ids.begin(), ids.end(), [&](const std::string& id) {
      return data::matches(setup.options.pattern, id);
    });
  };
  const std::string& pattern = setup.options.pattern;
  if (any(ids_of({&check::sanitize::sanitize_checks}, setup.subjects, {}, pattern)) &&
      !any(ids_of(check::groups_of("run"), setup.subjects, {}, pattern)))
    throw problem::UsageError(
        fmt::format("\"{}\" matches only checks that see every memory access; add --sanitize",
                    arguments.pattern));
}

}  // namespace abn::verify::command
