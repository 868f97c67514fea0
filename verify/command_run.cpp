// The verbs run, check and report: from arguments to records, a summary on the terminal and files.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "abn_build.hpp"
#include "verify/case_records.hpp"
#include "verify/check_file.hpp"
#include "verify/commands.hpp"
#include "verify/error.hpp"
#include "verify/patterns.hpp"
#include "verify/report.hpp"
#include "verify/runner.hpp"

namespace abn::verify {
namespace {

namespace fs = std::filesystem;

/// The named files, and the .safetensors files of the named folders in order of name.
std::vector<std::string> tensor_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const auto& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(path, error))
      if (entry.path().extension() == ".safetensors") found.push_back(entry.path().string());
    if (found.empty()) throw UsageError(fmt::format("The folder {} holds no .safetensors file; name one that does, or a file", path));
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

/// A long run must not end in a file that cannot be written: looked at before it begins.
void require_writable(const std::string& path) {
  if (path.empty()) return;
  const fs::path parent = fs::path(path).has_parent_path() ? fs::path(path).parent_path() : fs::path(".");
  if (fs::is_directory(path)) throw UsageError(fmt::format("{} is a folder; give --out the name of a file", path));
  if (!fs::is_directory(parent) || access(parent.c_str(), W_OK) != 0)
    throw UsageError(fmt::format("{} cannot be written; make the folder {} first, or choose another --out", path, parent.string()));
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Provenance provenance_of(const Invocation& invocation) {
  Provenance provenance;
  provenance.version = build::version;
  provenance.git = build::git;
  provenance.dirty = build::dirty;
  provenance.command = invocation.command;
  provenance.compiler = build::compiler;
  provenance.cuda = build::cuda;
  provenance.time = now_utc();
  return provenance;
}

/// Prints what a person needs, writes what a program needs.
int finish(const Results& results, const std::string& out, bool quiet) {
  if (!out.empty()) write_file_atomically(out, to_json(results));
  for (const auto& record : results.records)
    if (record.verdict != Verdict::pass && record.verdict != Verdict::skip) fmt::print("{}\n", failure_text(record));
  if (!quiet) fmt::print("{}\n", summary_table(results));
  fmt::print("{}\n", headline(results));
  if (!out.empty() && !quiet) fmt::print("Results: {}\n", out);
  return exit_code(results);
}

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in || fs::is_directory(path)) throw UsageError(fmt::format("{} cannot be read; name a file that run or check wrote with --out", path));
  return text;
}

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
  std::vector<Plugin> plugins;
  for (const auto& path : arguments.plugins) plugins.push_back(load_plugin(path));
  refuse_equal_names(plugins);
  if (arguments.only_plugins && plugins.empty()) throw UsageError("--only-plugins without a plug-in leaves nothing to run; add --plugin libmine.so");
  const DeviceChoice device = choose_device(arguments.device);
  const auto subjects = subjects_of(device, plugins, arguments.only_plugins);

  const Stopwatch stopwatch;
  Results results;
  const RunOptions options{
      .pattern = pattern_of(arguments.pattern), .threads = arguments.threads, .progress = isatty(STDERR_FILENO) == 1, .device = arguments.device};
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

int check_command(const CheckArguments& arguments, const Invocation& invocation) {
  require_writable(arguments.out);
  const Stopwatch stopwatch;
  Results results;
  const bool one_file = arguments.files.size() == 1 && !fs::is_directory(arguments.files.front());
  std::size_t without_outputs = 0;
  for (const auto& file : tensor_files(arguments.files)) {
    if (!one_file && read_tensor_file(file).outputs.empty()) {  // in a folder, files that hold inputs only are there for run
      ++without_outputs;
      continue;
    }
    auto records = check_file(file);
    results.records.insert(results.records.end(), std::make_move_iterator(records.begin()), std::make_move_iterator(records.end()));
    results.variants.push_back(describe_file(file));
  }
  if (results.records.empty())
    throw UsageError("None of these files holds an output to judge; add outputs such as z or dx, or run kernels on their inputs with abn-verify run --tensors");
  std::stable_sort(results.records.begin(), results.records.end(), [](const Record& a, const Record& b) { return a.id < b.id; });
  results.provenance = provenance_of(invocation);
  results.provenance.seconds = stopwatch.seconds();
  results.provenance.tier = "tensor files";
  results.provenance.device = "as recorded in the files";
  results.provenance.driver = "none";
  if (without_outputs > 0) fmt::print("{} files hold inputs only and were left out; run kernels on them with abn-verify run --tensors.\n", without_outputs);
  return finish(results, arguments.out, arguments.quiet);
}

int report_command(const ReportArguments& arguments) {
  Results all;
  std::map<std::string, Record> records;
  std::map<std::string, VariantInfo> variants;
  bool first = true;
  for (const auto& path : arguments.files) {
    Results one;
    try {
      one = results_from_json(read_text(path));
    } catch (const UsageError& wrong) {
      throw UsageError(fmt::format("{}: {}", path, wrong.what()));
    }
    for (auto& record : one.records) {
      const auto [at, added] = records.try_emplace(record.id, record);
      if (!added) merge(at->second, record), conclude(at->second);
    }
    for (auto& variant : one.variants) variants.try_emplace(variant.name, variant);
    if (first) {
      all.provenance = one.provenance;
    } else {
      all.provenance.command += "; " + one.provenance.command;
      all.provenance.seconds += one.provenance.seconds;
      if (all.provenance.device != one.provenance.device) all.provenance.device += "; " + one.provenance.device;
      if (all.provenance.tier != one.provenance.tier) all.provenance.tier += "; " + one.provenance.tier;
      all.provenance.dirty |= one.provenance.dirty;
    }
    first = false;
  }
  for (auto& [id, record] : records) all.records.push_back(std::move(record));
  for (auto& [name, variant] : variants) all.variants.push_back(std::move(variant));
  write_report(all, arguments.out);
  write_file_atomically((fs::path(arguments.out) / "results.json").string(), to_json(all));
  fmt::print("{}\n{}\nReport: {}\n", summary_table(all), headline(all), (fs::path(arguments.out) / "index.html").string());
  return 0;
}

}  // namespace abn::verify
