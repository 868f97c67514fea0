// The verb run: from arguments to subjects, cases and records, family by family.
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "verify/case_records.hpp"
#include "verify/command_parts.hpp"
#include "verify/error.hpp"
#include "verify/patterns.hpp"

namespace abn::verify {
namespace {

/// A variant's bare name stands for all of its checks.
std::string pattern_of(const std::string& text) { return text.find_first_of("/*?[") == std::string::npos ? text + "/*" : text; }

/// The cases of one family: the tier's, or the one that the arguments name; and tensor files for those that judge outputs.
std::vector<Case> cases_of(const Family& family, const RunArguments& arguments) {
  const bool one_case = !arguments.problem.empty() || !arguments.data.empty();
  std::vector<Case> cases;
  if (one_case)
    cases = {replay(arguments.problem, arguments.data, arguments.seed)};
  else
    cases = family.cases(tier_from_name(arguments.tier), arguments.seed);
  if (&family == &pattern_family && !one_case && !arguments.patterns.empty()) keep_range(cases, parse_pattern_range(arguments.patterns));
  if (&family == &output_family)
    for (const auto& file : tensor_files(arguments.tensors)) cases.push_back(replay("", file, arguments.seed));
  return cases;
}

/// Runs the variants that the arguments name through families of checks.
int run_families(const std::vector<const Family*>& families, const RunArguments& arguments, const Invocation& invocation) {
  require_writable(arguments.out);
  tier_from_name(arguments.tier);  // says what is wrong with it, even where it is not used
  std::vector<Plugin> plugins;
  for (const auto& path : arguments.plugins) plugins.push_back(load_plugin(path));
  refuse_equal_names(plugins);
  if (arguments.only_plugins && plugins.empty())
    throw UsageError("--only-plugins without a plug-in leaves nothing to run; add --plugin libmine.so");
  const DeviceChoice device = choose_device(arguments.device);
  const auto subjects = subjects_of(device, plugins, arguments.only_plugins);

  const Stopwatch stopwatch;
  Results results;
  const RunOptions options{.pattern = pattern_of(arguments.pattern),
                           .threads = arguments.threads,
                           .progress = isatty(STDERR_FILENO) == 1,
                           .device = arguments.device};
  std::vector<std::string> ids;
  for (const Family* const family : families)
    for (const Subject& subject : subjects)
      for (auto& id : check_ids(*family, subject)) ids.push_back(std::move(id));
  require_match(options.pattern, ids);
  for (const Family* const family : families) {
    auto records = run(*family, subjects, cases_of(*family, arguments), options);
    std::move(records.begin(), records.end(), std::back_inserter(results.records));
  }
  std::sort(results.records.begin(), results.records.end(), [](const Record& a, const Record& b) { return a.id < b.id; });
  for (const auto& subject : subjects) results.variants.push_back(describe(subject));
  results.provenance = provenance_of(invocation);
  results.provenance.seconds = stopwatch.seconds();
  results.provenance.seed = arguments.seed;
  results.provenance.tier = arguments.problem.empty() && arguments.data.empty() ? arguments.tier : "one case";
  results.provenance.device = device.cuda ? device.cuda->describe() : device.emulator ? "emulator" : arguments.device + " (not available)";
  results.provenance.driver = device.cuda ? cuda_status().driver : "none";
  return finish(results, arguments.out, arguments.quiet);
}

}  // namespace

int run_command(const RunArguments& arguments, const Invocation& invocation) {
  return run_families({&output_family, &pattern_family}, arguments, invocation);
}

}  // namespace abn::verify
