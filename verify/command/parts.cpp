// The shared parts of the verbs.
#include "verify/command/parts.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <set>

#include "abn_build.hpp"
#include "verify/command/exit_codes.hpp"
#include "verify/judge/judge.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/printable.hpp"

namespace abn::verify::command {
namespace {

namespace fs = std::filesystem;

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

worker::Limits limits_of(const LimitArguments& arguments) {
  worker::Limits limits;
  limits.call_seconds = arguments.call_seconds;
  limits.memory = arguments.memory_mb << 20;
  return limits;
}

/// An error that belongs to a plug-in as a whole and to none of its variants.
results::Record plugin_record(const call::Plugin& plugin, const std::string& verb,
                              const char* check, const std::string& reason) {
  results::Record record;
  record.variant = fs::path(plugin.path).stem().string();
  std::replace_if(
      record.variant.begin(), record.variant.end(),
      [](unsigned char c) { return std::isalnum(c) == 0 && c != '_' && c != '-'; }, '_');
  record.op = "plugin", record.dtype = record.layout = "any", record.check = check;
  record.id = fmt::format("{}/plugin/any/any/{}", record.variant, check);
  record.kind = results::CheckKind::contract;
  record.verdict = results::Verdict::error;
  record.reason = reason;
  record.cases = record.failed_cases = 1;
  results::Witness witness;
  witness.where = check, witness.reason = reason;
  witness.reproduce =
      fmt::format("abn-verify {} {} {} --only-plugins", verb,
                  plugin.workers == nullptr ? "--plugin" : plugin.workers->program().option,
                  judge::shell_word(plugin.path));
  record.witnesses.push_back(std::move(witness));
  return record;
}

/// What stands in for cases that variants do not do, or was left out, in one line for all variants
/// of which the same is true; of those that have a check.
std::string moved_lines(const results::Results& results) {
  std::map<std::string, std::string> names;  // by text
  for (const results::VariantInfo& variant : results.variants) {
    const bool has_check =
        std::any_of(results.records.begin(), results.records.end(),
                    [&](const results::Record& record) { return record.variant == variant.name; });
    if (variant.moved.empty() || !has_check) continue;
    std::string& all = names[variant.moved];
    all += (all.empty() ? "" : ", ") + variant.name;
  }
  std::string text;
  for (const auto& [moved, variants] : names)
    text += wrapped(fmt::format("{}: {}", variants, moved), "        ", "cases   ");
  return text;
}

/// What plug-ins wrote while they were judged and which libraries they brought, once for all
/// variants of one.
std::string plugin_lines(const results::Results& results) {
  std::set<std::string> said;
  std::string text;
  for (const results::VariantInfo& variant : results.variants) {
    const std::string libraries = fmt::format("{}", fmt::join(variant.libraries, ", "));
    if (!variant.printed.empty() && said.insert(variant.printed).second)
      text += wrapped(problem::printable(
                          fmt::format("the plug-in of {} wrote {}", variant.name, variant.printed)),
                      "        ", "printed ");
    if (!libraries.empty() && said.insert(libraries).second)
      text += wrapped(
          problem::printable(fmt::format("the plug-in of {} brought {}", variant.name, libraries)),
          "        ", "library ");
  }
  return text;
}

}  // namespace

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
    if (found.empty())
      throw problem::UsageError(fmt::format(
          "The folder {} holds no .safetensors file; name one that does, or a file", path));
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

std::string pattern_of(const std::string& text) {
  return text.find_first_of("/*?[") == std::string::npos ? text + "/*" : text;
}

std::vector<std::string> parts_of(const std::string& id) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= id.size();) {
    const std::size_t end = std::min(id.find('/', at), id.size());
    parts.push_back(id.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string wrapped(const std::string& text, const std::string& indent, const std::string& head) {
  constexpr std::size_t columns = 100;
  std::string out, line = head;
  std::size_t begin = head.size();  // of the words in the line
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    if (line.size() > begin && line.size() + 1 + word.size() > columns) {
      out += line + "\n";
      line = indent, begin = indent.size();
    }
    line += (line.size() > begin ? " " : "") + word;
  }
  return out + line + "\n";
}

std::vector<call::Plugin> load_plugins(const std::vector<std::string>& paths,
                                       const LimitArguments& arguments, Unusable unusable,
                                       worker::Execution executed, bool in_tree) {
  const worker::Limits limits = limits_of(arguments);
  std::vector<call::Plugin> plugins;
  if (executed != worker::Execution::none && in_tree)
    if (const std::string own = call::compiled_variants(); !own.empty()) {
      plugins.push_back(call::load_plugin(own, limits, executed));
      plugins.back().in_tree = true;
    }
  for (const auto& path : paths) try {
      plugins.push_back(call::load_plugin(path, limits, executed));
    } catch (const problem::UsageError& wrong) {
      if (unusable == Unusable::refused || paths.size() == 1) throw;
      plugins.emplace_back();
      plugins.back().path = path, plugins.back().failure = wrong.what();
    }
  call::refuse_equal_names(plugins);
  return plugins;
}

void add_pythons(std::vector<call::Plugin>& plugins, const std::vector<std::string>& places,
                 int host, const LimitArguments& arguments) {
  for (const std::string& place : places)
    plugins.push_back(host >= 0 ? call::attach_python(place, host, limits_of(arguments))
                                : call::load_python(place, limits_of(arguments)));
  call::refuse_equal_names(plugins);
}

void refuse_failures(const std::vector<call::Plugin>& plugins) {
  for (const call::Plugin& plugin : plugins)
    if (!plugin.failure.empty())
      throw problem::UsageError(fmt::format(
          "{}; a plug-in has to load without that, abn-verify run shows it too", plugin.failure));
}

std::vector<results::Record> plugin_records(const std::vector<call::Plugin>& plugins,
                                            const std::string& verb) {
  std::vector<results::Record> records;
  for (const call::Plugin& plugin : plugins) {
    if (!plugin.failure.empty())
      records.push_back(plugin_record(plugin, verb, "loads", plugin.failure));
    if (plugin.workers == nullptr) continue;
    if (const std::string how = plugin.workers->end(); !how.empty())
      records.push_back(plugin_record(plugin, verb, "ends",
                                      fmt::format("{} was to end and {}", plugin.path, how)));
  }
  return records;
}

results::Provenance provenance_of(const CommandLine& command_line) {
  results::Provenance provenance;
  provenance.version = build::version;
  provenance.git = build::git;
  provenance.dirty = build::dirty;
  provenance.command = command_line.command;
  provenance.compiler = build::compiler;
  provenance.cuda = build::cuda;
  provenance.time = now_utc();
  return provenance;
}

void say(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void complain(const std::string& text) { std::fputs(text.c_str(), stderr); }

void print_verdicts(const results::Results& results, bool quiet) {
  for (const auto& record : results.records)
    if (record.verdict != results::Verdict::pass && record.verdict != results::Verdict::skip)
      say(problem::printable_lines(results::failure_text(record)) + "\n");
  if (!quiet) say(problem::printable_lines(results::summary_table(results)) + "\n");
  if (!quiet) say(moved_lines(results) + plugin_lines(results));
  for (const auto& variant : results.variants)
    for (const auto& sentence : variant.unneeded)
      if (!quiet) say(fmt::format("advice  {}, {}\n", variant.name, sentence));
  say(problem::printable(results::headline(results)) + "\n");
  std::fflush(stdout);
}

int finish(const results::Results& results, const std::string& out, bool quiet,
           results::Journal* journal) {
  // Before the file, so that a disk that is full costs the file and not what it would say.
  print_verdicts(results, quiet);
  const int code = results::exit_code(results);
  if (out.empty()) return code;
  try {
    results::write_file_atomically(out, results::to_json(results));
  } catch (const problem::UsageError& wrong) {
    std::string next;
    if (journal != nullptr && !journal->path().empty())
      next = fmt::format("; then --resume {} goes on from {}", out, journal->path());
    complain(fmt::format("abn-verify: {}{}\n", wrong.what(), next));
    return code == 1 ? code : usage_error;
  }
  if (journal != nullptr) journal->remove();
  if (!quiet) say(fmt::format("Results: {}\n", out));
  return code;
}

}  // namespace abn::verify::command
