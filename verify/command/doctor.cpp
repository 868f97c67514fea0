// The verbs doctor and list: what this machine and this build can do, and what there is to run.
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "abn_build.hpp"
#include "verify/check/exact/checks.hpp"
#include "verify/check/gradient/kernel_gradients.hpp"
#include "verify/check/gradient/reference_check.hpp"
#include "verify/check/gradient/reference_jacobian.hpp"
#include "verify/check/outputs.hpp"
#include "verify/check/patterns.hpp"
#include "verify/check/property/property.hpp"
#include "verify/check/sanitize/checks.hpp"
#include "verify/command/commands.hpp"
#include "verify/run/runner.hpp"

namespace abn::verify::command {
namespace {

bool runs(const char* command) {
  const int status = std::system(fmt::format("{} >/dev/null 2>&1", command).c_str());
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void line(const char* what, const std::string& value) { fmt::print("{:<12} {}\n", what, value); }

}  // namespace

int doctor_command(const DoctorArguments& arguments) {
  line("abn-verify",
       fmt::format("{} ({}{})", build::version, build::git, build::dirty ? ", modified" : ""));
  line("compiler", build::compiler);
  const call::CudaStatus cuda = call::cuda_status();
  line("CUDA", cuda.built ? fmt::format("built with {}, runtime {}", build::cuda, cuda.runtime)
                          : "CPU-only build");
  line("driver", cuda.driver.empty() ? "none" : cuda.driver);
  for (const auto& device : cuda.devices) line("GPU", device);
  line(
      "oracle",
      fmt::format("double, then long double ({} bits), then 50 decimal digits; 100 for derivatives",
                  std::numeric_limits<long double>::digits));
  line("plots", runs("gnuplot --version")
                    ? "gnuplot"
                    : "none: gnuplot is not on PATH, reports have tables only");
  for (const auto& subject : call::subjects_of(call::choose_device("auto"), {}, false))
    line("variant", fmt::format("{} on {}", subject.variant->name,
                                subject.device ? subject.device->describe()
                                               : "nothing: " + subject.unavailable));
  const bool gpu = !cuda.devices.empty();
  line("skipped", gpu ? "nothing" : fmt::format("checks on a GPU: {}", cuda.unavailable));
  return arguments.require_gpu && !gpu ? 1 : 0;
}

int list_command(const ListArguments& arguments) {
  std::vector<call::Plugin> plugins;
  for (const auto& path : arguments.plugins) plugins.push_back(call::load_plugin(path));
  call::refuse_equal_names(plugins);
  const auto subjects = call::subjects_of(call::choose_device("emulator"), plugins, false);
  if (arguments.names) {
    for (const auto& subject : subjects) fmt::print("{}\n", subject.variant->name);
    return 0;
  }
  std::vector<std::string> all;
  for (const auto& subject : subjects)
    for (const check::CheckGroup* const group :
         {&check::output_checks, &check::property::property_checks, &check::pattern_checks,
          &check::exact::exact_checks, &check::gradient::gradient_checks,
          &check::sanitize::sanitize_checks})
      for (auto& id : check::check_ids(*group, subject)) all.push_back(std::move(id));
  for (const auto& ids :
       {check::gradient::reference_gradient_ids(), check::gradient::reference_jacobian_ids()})
    all.insert(all.end(), ids.begin(), ids.end());
  std::sort(all.begin(), all.end());
  data::require_match(arguments.pattern, all);
  std::erase_if(all, [&](const std::string& id) { return !data::matches(arguments.pattern, id); });

  if (arguments.json) {
    auto variants = nlohmann::ordered_json::array();
    for (const auto& subject : subjects) {
      const results::VariantInfo info = run::describe(subject);
      auto claims = nlohmann::ordered_json::object();
      for (const auto& [name, value] : info.claims) claims[name] = value;
      variants.push_back({{"name", info.name},
                          {"summary", info.summary},
                          {"memory", info.memory},
                          {"claims", claims}});
    }
    fmt::print("{}\n", nlohmann::ordered_json{{"variants", variants}, {"checks", all}}.dump(2));
    return 0;
  }
  for (const auto& subject : subjects) {
    const results::VariantInfo info = run::describe(subject);
    fmt::print("{} ({}): {}\n", info.name, info.memory, info.summary);
    for (const auto& [name, value] : info.claims) fmt::print("    {:<24} {}\n", name, value);
  }
  fmt::print("\n");
  for (const auto& id : all) fmt::print("{}\n", id);
  return 0;
}

}  // namespace abn::verify::command
