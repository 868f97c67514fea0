// The verbs check and report: tensors that others computed, and pages from files of results.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "verify/call/parallel.hpp"
#include "verify/command/file_hashes.hpp"
#include "verify/command/out_file.hpp"
#include "verify/command/parts.hpp"
#include "verify/judge/judge.hpp"
#include "verify/judge/tensor_file_records.hpp"
#include "verify/problem/bounded_file.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/printable.hpp"
#include "verify/report/report.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::command {
namespace {

namespace fs = std::filesystem;

/// A file among others that cannot be judged costs itself.
results::Record unusable_file(const std::string& file, const std::string& reason) {
  results::Record record;
  record.variant = fs::path(file).stem().string();
  record.op = "file", record.dtype = record.layout = "any", record.check = "reads";
  record.id = fmt::format("{}/file/any/any/reads", record.variant);
  record.kind = results::CheckKind::contract;
  record.verdict = results::Verdict::error;
  record.reason = reason;
  record.cases = record.failed_cases = 1;
  results::Witness witness;
  witness.where = file, witness.reason = reason;
  witness.reproduce = "abn-verify check " + judge::shell_word(file);
  record.witnesses.push_back(std::move(witness));
  return record;
}

/// The results in a file, or those of a run that was cut off.
results::Results results_of(const std::string& path, const std::string& text) {
  std::error_code error;
  if (results::is_journal(text))
    return results::unfinished_results(results::journal_from_text(text, path), path);
  if (const std::string journal = results::journal_of(path);
      journal != path && fs::exists(journal, error))
    complain(
        fmt::format("abn-verify: beside {} lies {}, of a run that is not in it; name that one "
                    "to see how far it came\n",
                    path, journal));
  try {
    return results::results_from_json(text);
  } catch (const problem::UsageError& wrong) {
    throw problem::UsageError(fmt::format("{}: {}", path, wrong.what()));
  }
}

/// The texts of the files, each once: what is named twice must not count twice. Where a file is not
/// there and its journal is, that.
std::vector<std::pair<std::string, std::string>> different_texts(
    const std::vector<std::string>& paths) {
  std::vector<std::pair<std::string, std::string>> texts;  // by path
  for (const std::string& path : paths) {
    std::error_code error;
    const std::string journal = results::journal_of(path);
    const std::string& readable =
        !fs::exists(path, error) && fs::exists(journal, error) ? journal : path;
    std::string text = problem::read_bounded(readable, problem::own_json);
    const auto same = std::find_if(texts.begin(), texts.end(),
                                   [&](const auto& one) { return one.second == text; });
    if (same == texts.end())
      texts.emplace_back(readable, std::move(text));
    else
      say(fmt::format("{} holds the same as {} and is counted once.\n", problem::printable(path),
                      problem::printable(same->first)));
  }
  return texts;
}

}  // namespace

int check_command(const CheckArguments& arguments, const CommandLine& command_line) {
  require_writable(arguments.out);
  const call::Stopwatch stopwatch;
  results::Results results;
  std::error_code error;
  const bool one_file =
      arguments.files.size() == 1 && !fs::is_directory(arguments.files.front(), error);
  std::size_t without_outputs = 0;
  for (const auto& file : tensor_files(arguments.files)) {
    try {
      // in a folder, files that hold inputs only are there for run
      if (!one_file && data::read_tensor_file(file).outputs.empty()) {
        ++without_outputs;
        continue;
      }
      auto records = judge::check_file(file);
      results.variants.push_back(judge::describe_file(file));
      results.records.insert(results.records.end(), std::make_move_iterator(records.begin()),
                             std::make_move_iterator(records.end()));
    } catch (const problem::UsageError& wrong) {
      if (one_file) throw;
      results.records.push_back(unusable_file(file, wrong.what()));
    }
  }
  if (results.records.empty())
    throw problem::UsageError(
        "None of these files holds an output to judge; add outputs such as z or dx, or run kernels "
        "on their inputs with abn-verify run "
        "--tensors");
  std::stable_sort(results.records.begin(), results.records.end(),
                   [](const results::Record& a, const results::Record& b) { return a.id < b.id; });
  results.provenance = provenance_of(command_line);
  results.provenance.seconds = stopwatch.seconds();
  if (!arguments.out.empty()) results.provenance.files = file_hashes();
  results.provenance.tier = "tensor files";
  results.provenance.device = "as recorded in the files";
  results.provenance.driver = "none";
  if (without_outputs > 0)
    say(fmt::format(
        "{} files hold inputs only and were left out; run kernels on them with abn-verify run "
        "--tensors.\n",
        without_outputs));
  return finish(results, arguments.out, arguments.quiet);
}

int report_command(const ReportArguments& arguments) {
  results::Results all;
  std::map<std::string, results::Record> records;
  std::map<std::string, results::VariantInfo> variants;
  std::vector<study::Study> studies;
  std::vector<results::FileHash> files;
  bool first = true;
  for (const auto& [path, text] : different_texts(arguments.files)) {
    if (study::is_study(text)) {
      try {
        studies.push_back(study::study_from_json(text));
      } catch (const problem::UsageError& wrong) {
        throw problem::UsageError(fmt::format("{}: {}", path, wrong.what()));
      }
      continue;
    }
    results::Results one = results_of(path, text);
    if (!one.unfinished.empty())
      all.unfinished += (all.unfinished.empty() ? "" : " ") + one.unfinished;
    if (!one.left_out.empty()) all.left_out += (all.left_out.empty() ? "" : " ") + one.left_out;
    for (const results::FileHash& file : one.provenance.files)
      if (std::find(files.begin(), files.end(), file) == files.end()) files.push_back(file);
    for (auto& record : one.records) {
      const auto [at, added] = records.try_emplace(record.id, record);
      if (!added) results::merge(at->second, record), results::conclude(at->second);
    }
    for (auto& variant : one.variants) variants.try_emplace(variant.name, variant);
    if (first) {
      all.provenance = one.provenance;
    } else {
      all.provenance.command += "; " + one.provenance.command;
      all.provenance.seconds += one.provenance.seconds;
      if (all.provenance.device != one.provenance.device)
        all.provenance.device += "; " + one.provenance.device;
      if (all.provenance.tier != one.provenance.tier)
        all.provenance.tier += "; " + one.provenance.tier;
      all.provenance.dirty |= one.provenance.dirty;
    }
    first = false;
  }
  all.provenance.files = std::move(files);
  for (auto& [id, record] : records) all.records.push_back(std::move(record));
  for (auto& [name, variant] : variants) all.variants.push_back(std::move(variant));
  report::write_report(all, arguments.out, studies);
  results::write_file_atomically((fs::path(arguments.out) / "results.json").string(),
                                 results::to_json(all));
  if (!all.records.empty() || studies.empty())
    fmt::print("{}\n{}\n", results::summary_table(all), results::headline(all));
  fmt::print("Report: {}\n", (fs::path(arguments.out) / "index.html").string());
  return first ? 0 : results::exit_code(all);  // studies alone have no verdicts
}

}  // namespace abn::verify::command
