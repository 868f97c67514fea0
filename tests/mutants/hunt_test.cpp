// The hunt: finds a bug that ordinary data do not show, never accuses a right kernel, and is the
// same for the same seed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/mutants/kernel.hpp"
#include "tests/mutants/mutants.hpp"
#include "verify/call/device.hpp"
#include "verify/check/outputs.hpp"
#include "verify/command/commands.hpp"
#include "verify/data/given.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/results/results.hpp"
#include "verify/run/hunt.hpp"
#include "verify/run/hunt_step.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using abn::mutants::Bug;
using abn::mutants::Plan;
using abn::mutants::Summation;

call::Subject on_host(const abn_variant& variant) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  return subject;
}

const abn_variant& mutant(const std::string& id) {
  for (const abn::mutants::Group& group : abn::mutants::groups())
    for (const abn::mutants::Mutant& one : group.mutants)
      if (id == one.id) return abn::mutants::variant_of(one);
  throw std::out_of_range(id);
}

run::HuntResult hunted(const abn_variant& variant, const std::string& pattern, std::uint64_t steps,
                       std::uint64_t seed = 1, int threads = 1) {
  const call::Subject subject = on_host(variant);
  check::RunOptions options;
  options.pattern = pattern;
  options.threads = threads;
  run::HuntOptions hunting;
  hunting.budget.steps = steps;
  hunting.seed = seed;
  return run::hunt(std::span(&subject, 1), options, hunting);
}

double largest(const std::vector<results::Record>& records) {
  double ratio = 0;
  for (const results::Record& record : records)
    if (record.kind == results::CheckKind::numbers) ratio = std::max(ratio, record.tally.max_ratio);
  return ratio;
}

// Right kernels of different classes.
constexpr abn_variant clean =
    abn::mutants::variant_of<Plan{Bug::none, {}}>("clean", "without a bug");
constexpr abn_variant clean_other = abn::mutants::variant_of<Plan{
    Bug::none, {ABN_IN_PLACE_2, ABN_WELFORD, ABN_FOLDED, Summation::sequential, true}}>(
    "clean_other", "fma");

/// The largest ratio of a mutant on the recipe that a first test would use, in shapes like those of
/// a hunt.
double usual(const abn_variant& variant, const std::string& pattern, int dtype) {
  const call::Subject subject = on_host(variant);
  check::RunOptions options;
  options.threads = 1;
  options.pattern = pattern;
  double ratio = 0;
  constexpr std::uint64_t cases = 30;
  for (std::uint64_t k = 0; k < cases; ++k) {
    const data::Case one = data::drawn_case({4, 3, 16}, dtype, ABN_NCHW, static_cast<int>(k % 3),
                                            "standard", data::Stream(k));
    ratio = std::max(ratio, largest(run::run(check::output_checks, std::span(&subject, 1),
                                             std::span(&one, 1), options)));
  }
  return ratio;
}

struct Weak {
  const char* id;
  const char* pattern;
  int dtype;
};

TEST(Hunt, FindsWhatOrdinaryDataDoNotShow) {
  constexpr std::uint64_t steps = 2048;
  const Weak weak[] = {{"variance_one_pass", "*/forward/f32/nchw/variance", ABN_F32},
                       {"branch_by_comparison", "*/backward/f16/nchw/*", ABN_F16},
                       {"elu_log_of_sum", "*/backward/f32/nchw/*", ABN_F32},
                       {"gamma_floored", "*/backward/f32/nchw/dgamma", ABN_F32}};
  for (const Weak& one : weak) {
    const abn_variant& variant = mutant(one.id);
    EXPECT_LE(usual(variant, one.pattern, one.dtype), 1) << one.id;
    const run::HuntResult found = hunted(variant, one.pattern, steps);
    EXPECT_GT(largest(found.records), 1) << one.id;
    EXPECT_TRUE(
        std::any_of(found.records.begin(), found.records.end(),
                    [](const results::Record& r) { return r.verdict == results::Verdict::fail; }))
        << one.id;
    EXPECT_EQ(found.steps, steps);
  }
}

/// From ordinary data, in one problem and without any recipe: it is the climb that finds it.
TEST(Hunt, ClimbsFromOrdinaryDataToABug) {
  const call::Subject subject = on_host(mutant("variance_one_pass"));
  check::RunOptions options;
  options.threads = 1;
  options.pattern = "*/forward/f32/nchw/variance";
  const abn_problem problem = problem::parse_problem("n2c1s16,f32,identity");
  const data::Case start = run::given_case(problem, data::make_inputs(problem, "standard", 1), 1);
  const double before = largest(
      run::run(check::output_checks, std::span(&subject, 1), std::span(&start, 1), options));
  run::HuntOptions hunting;
  hunting.budget.steps = 512;
  hunting.start = &start;
  const run::HuntResult found = run::hunt(std::span(&subject, 1), options, hunting);
  EXPECT_LT(before, 1);
  EXPECT_GT(largest(found.records), 1);
  for (const results::Record& record : found.records)
    for (const results::Witness& witness : record.witnesses)
      EXPECT_EQ(witness.problem, problem::to_string(problem));
}

TEST(Hunt, NeverAccusesARightKernel) {
  constexpr std::uint64_t steps = 2048;
  for (const abn_variant* const variant : {&clean, &clean_other}) {
    const run::HuntResult found = hunted(*variant, "*", steps);
    EXPECT_EQ(found.steps, steps);
    EXPECT_GT(found.records.size(), 100u);
    for (const results::Record& record : found.records)
      EXPECT_EQ(record.verdict, results::Verdict::pass) << results::failure_text(record);
    EXPECT_LE(largest(found.records), 1);
    EXPECT_GT(largest(found.records), 0.9);  // and it comes close
  }
}

std::string json_of(const run::HuntResult& found) {
  results::Results results;
  results.records = found.records;
  return results::to_json(results);
}

TEST(Hunt, IsTheSameForTheSameSeedAndAnyNumberOfThreads) {
  const std::string once = json_of(hunted(clean, "*/backward/*", 256, 7));
  EXPECT_EQ(once, json_of(hunted(clean, "*/backward/*", 256, 7, 3)));
  EXPECT_NE(once, json_of(hunted(clean, "*/backward/*", 256, 8)));
}

TEST(Hunt, AShorterOneIsTheBeginningOfALongerOne) {
  const auto few = hunted(clean, "*/forward/*", 128).records,
             many = hunted(clean, "*/forward/*", 512).records;
  ASSERT_EQ(few.size(), many.size());
  double gained = 0;
  for (std::size_t i = 0; i < few.size(); ++i) {
    EXPECT_LE(few[i].tally.max_ratio, many[i].tally.max_ratio) << few[i].id;
    gained += few[i].tally.max_ratio < many[i].tally.max_ratio ? 1 : 0;
  }
  EXPECT_GT(gained, 10);
}

/// What the reproduce line says, run again, has the ratio that the hunt reports.
TEST(Hunt, WhatItFindsCanBeReplayed) {
  const call::Subject subject = on_host(clean);
  std::size_t replayed = 0;
  const run::HuntResult found = hunted(clean, "*", 512);
  for (const results::Record& record : found.records) {
    if (record.kind != results::CheckKind::numbers || record.witnesses.empty()) continue;
    const results::Witness& witness = record.witnesses.front();
    EXPECT_NE(witness.reproduce.find("abn-verify run " + record.id + " --problem " +
                                     witness.problem + " --data 'given:x="),
              std::string::npos);
    EXPECT_NE(run::hunt_text(found).find(witness.reproduce), std::string::npos);
    const data::Case again = data::replay(witness.problem, witness.data, witness.seed);
    check::RunOptions options;
    options.pattern = record.id;
    options.threads = 1;
    const auto records =
        run::run(check::output_checks, std::span(&subject, 1), std::span(&again, 1), options);
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(records.front().tally.max_ratio, record.tally.max_ratio) << record.id;
    ++replayed;
  }
  EXPECT_GT(replayed, 50u);
}

TEST(Hunt, EveryStepIsACaseThatAKernelMayBeAsked) {
  data::Case one = run::fresh_case(ABN_F16, ABN_NHWC, data::Stream(3));
  for (std::uint64_t k = 0; k < 3000; ++k) {
    one = k % 100 == 0 ? run::fresh_case(static_cast<int>(k / 100 % 4), ABN_NCHW, data::Stream(k))
                       : run::changed_case(one, k % 2 == 0, data::Stream(k));
    EXPECT_NO_THROW(problem::validate(one.problem));
    EXPECT_LE(problem::element_count(one.problem), run::hunt_elements);
    // throws for values that their type does not hold
    const problem::Inputs back = data::parse_given(one.data, one.problem);
    EXPECT_EQ(data::given_text(back), one.data);
  }
}

TEST(HuntCommand, FailsAndPrintsTheWorstOfEachCheck) {
  command::RunArguments arguments;
  arguments.pattern = "naive/forward/f32/*";
  arguments.hunt_steps = 64;
  arguments.device = "emulator";
  testing::internal::CaptureStdout();
  EXPECT_EQ(command::run_command(arguments, {}), 0);
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_NE(said.find("naive/forward/f32/nchw/z"), std::string::npos);
  EXPECT_NE(said.find("64 cases"), std::string::npos)
      << said.substr(said.size() > 2000 ? said.size() - 2000 : 0);
  const auto refusal = [](const command::RunArguments& wrong) -> std::string {
    try {
      command::run_command(wrong, {});
    } catch (const problem::UsageError& refused) {
      return refused.what();
    }
    return "";
  };
  arguments.patterns = "0x0-0x1";
  EXPECT_NE(refusal(arguments).find("A hunt makes its own data"), std::string::npos);
  arguments.patterns.clear();
  arguments.problem = "n64c64s64,f32,leaky_relu";
  EXPECT_NE(refusal(arguments).find("make it smaller"), std::string::npos);
}

}  // namespace
