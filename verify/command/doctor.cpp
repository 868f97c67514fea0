// The verb doctor: what this machine and this build can do.
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdlib>
#include <limits>

#include "abn_build.hpp"
#include "verify/call/subject.hpp"
#include "verify/command/commands.hpp"
#include "verify/worker/process.hpp"
#include "verify/worker/supervise.hpp"

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
  line("in-tree", "called by abn-verify itself; seed 1, unless --seed gives another");
  line("plug-ins", "called in worker processes; their seed is drawn, unless --seed gives one");
  line("limits", worker::limits_text(worker::Limits{}) + " (--call-seconds, --memory)");
  line("confined", worker::can_confine()
                       ? "a worker has a process namespace of its own, so it can signal nobody else"
                       : "no: this system gives no process namespaces, so a worker can signal the "
                         "processes of this user");
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

}  // namespace abn::verify::command
