// The verbs of the command line, as functions of their parsed arguments; main.cpp only parses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace abn::verify::command {

/// What the process was asked, as one line that a shell would take; set by main before a verb runs.
struct CommandLine {
  std::string command;
  std::vector<std::string> words;  ///< from the verb on
};

struct DoctorArguments {
  bool require_gpu = false;
};

/// What plug-ins may use up; each call, and each of their worker processes.
struct LimitArguments {
  double call_seconds = 120;
  std::uint64_t memory_mb = 0;  ///< 0: half of the machine's, and at least 4 GiB
};

struct ListArguments {
  std::string pattern = "*";
  std::vector<std::string> plugins, pythons;
  LimitArguments limits;
  bool json = false, names = false, ids = false;
};

struct ExplainArguments {
  std::vector<std::string> words;  ///< of one name; none: list them all
};

struct RunArguments {
  std::string pattern = "*";
  std::vector<std::string> plugins;
  std::vector<std::string> pythons;  ///< FILE or FILE:NAME
  int host = -1;  ///< a socket to the Python process that has what `pythons` names
  LimitArguments limits;
  bool only_plugins = false;
  std::string device = "auto", tier = "smoke";
  std::uint64_t seed = 1;
  bool drawn_seed = false;           ///< it is nobody's choice
  double seconds = 0;                ///< for the cases of a tier; 0: all of them
  std::string problem, data;         ///< both empty: the tier; else exactly one case
  std::vector<std::string> tensors;  ///< files or folders of tensor files, run beside the tier
  /// FIRST-LAST: only these bit patterns; empty: all of the tier
  std::string patterns;
  /// seconds to search for the worst data instead of running a tier; 0: no limit of time
  double hunt = 0;
  std::uint64_t hunt_steps = 0;  ///< cases of that search; both 0: no search
  std::string keep;              ///< file for the worst cases of that search
  std::string cases;             ///< file of such cases to run instead of a tier
  std::string without;           ///< the only outputs that calls/optional leaves out; empty: all
  /// the checks that see every memory access, too; or nothing else
  bool sanitize = false, only_sanitize = false;
  int threads = 0;
  std::string out;
  bool quiet = false;
  std::string
      resume;  ///< the journal of a run that was cut off, whose arguments these are; or none
};

struct TrafficArguments {
  std::string pattern = "*";
  std::vector<std::string> plugins;
  LimitArguments limits;
  bool only_plugins = false;
  std::string device = "emulator";  ///< or ptx
  std::string problem, data;
  std::uint64_t seed = 1;
  std::string out;
};

struct StudyArguments {
  std::string what;     ///< "inversion", "bounds", "conventions" or "judges"
  std::string variant;  ///< whose conventions are named
  std::vector<std::string> plugins;
  LimitArguments limits;
  std::string device = "emulator";
  std::uint64_t seed = 1;
  std::uint64_t channels = 0;  ///< of every class of `bounds`; 0: those of a full run
  int threads = 0;
  std::string out;
  bool quiet = false;
};

struct CheckArguments {
  std::vector<std::string> files;  ///< files, or folders of .safetensors files
  std::string out;
  bool quiet = false;
};

struct BoundArguments {
  std::string file, out;
};

struct ReportArguments {
  std::vector<std::string> files;
  std::string out = "report";
};

struct BenchArguments {
  std::string what = "*";  ///< "judge" or "emulator", or a pattern of variants' names
  std::vector<std::string> plugins;
  LimitArguments limits;
  bool only_plugins = false;
  std::string device = "auto";
  std::string set = "all";  ///< of problems, where none is given
  std::vector<std::string> problems;
  double seconds = 0.2;  ///< for a problem in one direction
  std::uint64_t seed = 1;
  bool drawn_seed = false;  ///< it is nobody's choice
  bool list = false, quiet = false;
  std::string out;
};

struct PlanArguments {
  std::string set = "all";
  std::vector<std::string> problems;
  std::string measured;  ///< file that bench wrote; empty: predictions only
  std::string device;    ///< the executor, to count on it; empty: no counts
  std::string out;
};

// Each returns the exit code and throws UsageError for what the user can mend.
int doctor_command(const DoctorArguments& arguments);
int list_command(const ListArguments& arguments);
int explain_command(const ExplainArguments& arguments);
int run_command(const RunArguments& arguments, const CommandLine& command_line);
int traffic_command(const TrafficArguments& arguments, const CommandLine& command_line);
int grad_command(const RunArguments& arguments, const CommandLine& command_line);
int study_command(const StudyArguments& arguments, const CommandLine& command_line);
int check_command(const CheckArguments& arguments, const CommandLine& command_line);
int bound_command(const BoundArguments& arguments);
int report_command(const ReportArguments& arguments);
int bench_command(const BenchArguments& arguments, const CommandLine& command_line);
int plan_command(const PlanArguments& arguments);

}  // namespace abn::verify::command
