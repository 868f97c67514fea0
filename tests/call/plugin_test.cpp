// Plug-ins: what the loader refuses, what a crash leaves of a run, and that each planted bug is
// found and found again.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "cuda/registry.h"
#include "verify/call/plugin.hpp"
#include "verify/check/outputs.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

using namespace abn::verify;
using namespace abn::verify::call;

namespace {

std::string plugin_path(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "plugins" /
          (name + ".so"))
      .string();
}

/// A file that is gone after the test.
struct Scratch {
  std::string path =
      (std::filesystem::temp_directory_path() / ("abn-plugin-" + std::to_string(getpid()) + ".so"))
          .string();
  ~Scratch() { std::filesystem::remove(path); }
};

std::vector<data::Case> small_cases(std::uint64_t seed) {
  std::vector<data::Case> cases = data::cases_of(data::Tier::smoke, seed);
  std::erase_if(cases, [](const data::Case& one) {
    return one.problem.dtype != ABN_F32 || one.problem.n * one.problem.c * one.problem.s > 2000;
  });
  return cases;
}

std::map<std::string, results::Record> run_plugin(const std::string& name,
                                                  std::span<const data::Case> cases,
                                                  const std::string& pattern = "*",
                                                  int threads = 2) {
  const std::vector<Plugin> plugins{load_plugin(plugin_path(name))};
  auto subjects = subjects_of(choose_device("emulator"), plugins, true);
  // of a plug-in with many variants only the one that the pattern begins with
  std::erase_if(subjects, [&](const Subject& one) {
    return pattern != "*" && pattern.rfind(std::string(one.variant->name) + "/", 0) != 0;
  });
  check::RunOptions options;
  options.pattern = pattern;
  options.threads = threads;
  std::map<std::string, results::Record> by_id;
  for (results::Record& record : run::run(check::output_checks, subjects, cases, options))
    by_id[record.id] = std::move(record);
  return by_id;
}

std::string refusal(const std::string& path) {
  try {
    load_plugin(path);
  } catch (const problem::UsageError& refused) {
    return refused.what();
  }
  return "";
}

/// The word behind `option` in a reproduce line.
std::string word_after(const std::string& line, const std::string& option) {
  const auto at = line.find(option + " ");
  if (at == line.npos) return {};
  const auto begin = at + option.size() + 1;
  return line.substr(begin, line.find(' ', begin) - begin);
}

}  // namespace

TEST(PluginLoader, RefusesWhatItCannotUseWithOneSentence) {
  const std::map<std::string, std::string> says = {{"no_symbol", "does not export abn_plugin"},
                                                   {"bad_abi_version", "ABI version 2"},
                                                   {"short_struct", "struct_size"},
                                                   {"null_function", "null backward"},
                                                   {"null_name", "no usable name"},
                                                   {"illegal_name", "no usable name"},
                                                   {"no_variant", "returned NULL"}};
  for (const auto& [name, part] : says) {
    const std::string text = refusal(plugin_path(name));
    EXPECT_NE(text.find(part), std::string::npos) << name << ": " << text;
    EXPECT_NE(text.find("; "), std::string::npos) << "says what to do: " << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
  EXPECT_NE(refusal("./no/such.so").find("no plug-in"), std::string::npos);
  Scratch scratch;
  std::ofstream(scratch.path) << "this is no shared object";
  EXPECT_NE(refusal(scratch.path).find("cannot be loaded"), std::string::npos);
  EXPECT_NE(refusal(std::filesystem::temp_directory_path().string()).find("cannot be loaded"),
            std::string::npos);
}

TEST(PluginLoader, RefusesEqualNames) {
  const std::vector<Plugin> twice{load_plugin(plugin_path("correct")),
                                  load_plugin(plugin_path("correct"))};
  EXPECT_THROW(refuse_equal_names(twice), problem::UsageError);
  refuse_equal_names(std::span(twice).first(1));
  abn_variant impostor = *twice[0].variants[0];
  impostor.name = abn_in_tree_variant(0)->name;
  std::vector<Plugin> in_tree(1);
  in_tree[0].path = "impostor.so", in_tree[0].variants = {&impostor};
  EXPECT_THROW(refuse_equal_names(in_tree), problem::UsageError);
}

TEST(PluginRun, TheCorrectOnePassesAndAnotherProcessLeavesNoTrace) {
  auto cases = small_cases(2);
  const Plugin correct = load_plugin(plugin_path("correct"));
  std::erase_if(cases, [&](const data::Case& one) {
    return problem::claims_of(*correct.variants[0], one.problem).status != ABN_OK;
  });
  const auto records = run_plugin("correct", cases);
  EXPECT_EQ(records.size(), 20u);
  for (const auto& [id, record] : records)
    EXPECT_EQ(record.verdict, results::Verdict::pass) << results::failure_text(record);

  // The same variant in this process, as if it were no plug-in: equal but for the path in the
  // reproduce lines.
  void* const library = dlopen(plugin_path("correct").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  std::vector<Subject> subjects(1);
  subjects[0].variant = reinterpret_cast<abn_plugin_function>(dlsym(library, ABN_PLUGIN_SYMBOL))(0);
  subjects[0].device = host_device();
  results::Results here, there;
  here.records = run::run(check::output_checks, subjects, cases, {});
  for (const auto& [id, record] : records) there.records.push_back(record);
  for (results::Results* const results : {&here, &there})
    for (results::Record& record : results->records)
      for (results::Witness& witness : record.witnesses) witness.reproduce.clear();
  EXPECT_EQ(results::to_json(here), results::to_json(there));
}

struct PlantedFault {
  const char *plugin, *name;
  const char* id_tail;  ///< of the check that has to fail
};

class PlantedBugs : public testing::TestWithParam<PlantedFault> {};

TEST_P(PlantedBugs, AreFoundAndFoundAgainByTheirReproduceLines) {
  const auto [plugin, name, id_tail] = GetParam();
  const auto records = run_plugin(plugin, small_cases(3), std::string(name) + "/*");
  const std::string id = std::string(name) + id_tail;
  ASSERT_EQ(records.count(id), 1u);
  const results::Record& record = records.at(id);
  EXPECT_EQ(record.verdict, results::Verdict::fail) << record.reason;
  ASSERT_FALSE(record.witnesses.empty());
  EXPECT_FALSE(record.witnesses.front().where.empty());
  const std::string line = record.witnesses.front().reproduce;
  EXPECT_EQ(word_after(line, "run"), id);
  EXPECT_EQ(word_after(line, "--plugin"), plugin_path(plugin));
  const data::Case again = data::replay(word_after(line, "--problem"), word_after(line, "--data"),
                                        std::stoull(word_after(line, "--seed")));
  const auto repeated = run_plugin(plugin, std::vector{again}, id);
  ASSERT_EQ(repeated.size(), 1u);
  EXPECT_EQ(repeated.begin()->second.verdict, results::Verdict::fail);
  EXPECT_EQ(repeated.begin()->second.witnesses.front().where, record.witnesses.front().where);
}

INSTANTIATE_TEST_SUITE_P(
    Samples, PlantedBugs,
    testing::Values(PlantedFault{"mutants", "eps_outside_root", "/forward/f32/nchw/z"},
                    PlantedFault{"mutants", "eps_outside_root", "/backward/f32/nhwc/dx"},
                    PlantedFault{"mutants", "dx_missing_xhat_term", "/backward/f32/nchw/dx"},
                    PlantedFault{"nan_in_one", "nan_in_one", "/forward/f32/nchw/z"},
                    PlantedFault{"last_element_unwritten", "last_element_unwritten",
                                 "/forward/f32/nchw/unwritten"},
                    PlantedFault{"input_overwritten", "input_overwritten",
                                 "/backward/f32/nchw/inputs"}),
    [](const auto& p) {
      std::string text = std::string(p.param.name) + p.param.id_tail;
      std::replace(text.begin(), text.end(), '/', '_');
      return text;
    });

TEST(PluginRun, ACrashIsAnErrorOfItsCaseAndTheOthersAreJudged) {
  std::vector<data::Case> cases;
  for (const char* problem : {"n2c3s5,f32,frozen,leaky_relu", "n2c3s5,f32,leaky_relu",
                              "n2c3s7,f32,inference,leaky_relu", "n3c2s4,f32,frozen,leaky_relu"})
    cases.push_back(data::replay(problem, "standard", 1));
  for (const int threads : {1, 3}) {  // it crashes in training
    const auto records = run_plugin("crash", cases, "*", threads);
    const results::Record& status = records.at("crash/forward/f32/nchw/status");
    EXPECT_EQ(status.verdict, results::Verdict::error);
    EXPECT_NE(status.reason.find("signal 11"), std::string::npos) << status.reason;
    EXPECT_EQ(status.witnesses.front().problem, problem::to_string(cases[1].problem));
    EXPECT_EQ(status.cases, 4u);
    EXPECT_EQ(status.failed_cases, 1u);
    EXPECT_EQ(records.at("crash/forward/f32/nchw/z").cases, 3u);
    EXPECT_EQ(records.at("crash/backward/f32/nchw/dx").cases, 2u);
    EXPECT_EQ(records.at("crash/backward/f32/nchw/dx").verdict, results::Verdict::pass);
    results::Results results;
    for (const auto& [id, record] : records) results.records.push_back(record);
    EXPECT_EQ(results::exit_code(results), 1);
  }
}

TEST(PluginRun, AfterThreeCrashesTheRestIsNotTried) {
  std::vector<data::Case> cases;
  for (std::uint64_t seed = 0; seed < 5; ++seed)
    cases.push_back(data::replay("n2c3s5,f32,leaky_relu", "standard", seed));
  const auto records = run_plugin("crash", cases, "*", 1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records.begin()->second.verdict, results::Verdict::error);
  EXPECT_EQ(records.begin()->second.failed_cases, 5u);
}

TEST(PluginRun, ACudaVariantWithoutAGpuIsSkippedWithTheReason) {
  const Plugin correct = load_plugin(plugin_path("correct"));
  abn_variant elsewhere = *correct.variants[0];
  elsewhere.memory = ABN_MEMORY_CUDA;
  std::vector<Plugin> plugins(1);
  plugins[0].path = "elsewhere.so", plugins[0].variants = {&elsewhere};
  const auto subjects = subjects_of(choose_device("emulator"), plugins, true);
  const std::vector<data::Case> cases{data::replay("n2c3s5,f32,leaky_relu", "standard", 1)};
  results::Results results;
  results.records = run::run(check::output_checks, subjects, cases, {});
  EXPECT_GT(results.records.size(), 10u);
  EXPECT_EQ(results::exit_code(results), 77);
  EXPECT_NE(results.records.front().reason.find("emulator"), std::string::npos)
      << results.records.front().reason;
}
