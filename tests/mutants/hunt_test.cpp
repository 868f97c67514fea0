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

namespace {

using namespace abn::verify;
using abn::mutants::Bug;
using abn::mutants::Plan;
using abn::mutants::Summation;

Subject on_host(const abn_variant& variant) {
  Subject subject;
  subject.variant = &variant;
  subject.device = host_device();
  return subject;
}

const abn_variant& mutant(const std::string& id) {
  for (const abn::mutants::Group& group : abn::mutants::groups())
    for (const abn::mutants::Mutant& one : group.mutants)
      if (id == one.id) return abn::mutants::variant_of(one);
  throw std::out_of_range(id);
}

HuntResult hunted(const abn_variant& variant, const std::string& pattern, std::uint64_t steps,
                  std::uint64_t seed = 1, int threads = 1) {
  const Subject subject = on_host(variant);
  RunOptions options;
  options.pattern = pattern;
  options.threads = threads;
  HuntOptions hunting;
  hunting.budget.steps = steps;
  hunting.seed = seed;
  return hunt(std::span(&subject, 1), options, hunting);
}

double largest(const std::vector<Record>& records) {
  double ratio = 0;
  for (const Record& record : records)
    if (record.kind == "numbers") ratio = std::max(ratio, record.tally.max_ratio);
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
  const Subject subject = on_host(variant);
  RunOptions options;
  options.threads = 1;
  options.pattern = pattern;
  double ratio = 0;
  constexpr std::uint64_t cases = 30;
  for (std::uint64_t k = 0; k < cases; ++k) {
    const Case one =
        drawn_case({4, 3, 16}, dtype, ABN_NCHW, static_cast<int>(k % 3), "standard", Stream(k));
    ratio = std::max(
        ratio, largest(run(output_family, std::span(&subject, 1), std::span(&one, 1), options)));
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
    const HuntResult found = hunted(variant, one.pattern, steps);
    EXPECT_GT(largest(found.records), 1) << one.id;
    EXPECT_TRUE(std::any_of(found.records.begin(), found.records.end(), [](const Record& r) {
      return r.verdict == Verdict::fail;
    })) << one.id;
    EXPECT_EQ(found.steps, steps);
  }
}

/// From ordinary data, in one problem and without any recipe: it is the climb that finds it.
TEST(Hunt, ClimbsFromOrdinaryDataToABug) {
  const Subject subject = on_host(mutant("variance_one_pass"));
  RunOptions options;
  options.threads = 1;
  options.pattern = "*/forward/f32/nchw/variance";
  const abn_problem problem = parse_problem("n2c1s16,f32,identity");
  const Case start = given_case(problem, make_inputs(problem, "standard", 1), 1);
  const double before =
      largest(run(output_family, std::span(&subject, 1), std::span(&start, 1), options));
  HuntOptions hunting;
  hunting.budget.steps = 512;
  hunting.start = &start;
  const HuntResult found = hunt(std::span(&subject, 1), options, hunting);
  EXPECT_LT(before, 1);
  EXPECT_GT(largest(found.records), 1);
  for (const Record& record : found.records)
    for (const Witness& witness : record.witnesses) EXPECT_EQ(witness.problem, to_string(problem));
}

TEST(Hunt, NeverAccusesARightKernel) {
  constexpr std::uint64_t steps = 2048;
  for (const abn_variant* const variant : {&clean, &clean_other}) {
    const HuntResult found = hunted(*variant, "*", steps);
    EXPECT_EQ(found.steps, steps);
    EXPECT_GT(found.records.size(), 100u);
    for (const Record& record : found.records)
      EXPECT_EQ(record.verdict, Verdict::pass) << failure_text(record);
    EXPECT_LE(largest(found.records), 1);
    EXPECT_GT(largest(found.records), 0.9);  // and it comes close
  }
}

std::string json_of(const HuntResult& found) {
  Results results;
  results.records = found.records;
  return to_json(results);
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
  const Subject subject = on_host(clean);
  std::size_t replayed = 0;
  const HuntResult found = hunted(clean, "*", 512);
  for (const Record& record : found.records) {
    if (record.kind != "numbers" || record.witnesses.empty()) continue;
    const Witness& witness = record.witnesses.front();
    EXPECT_NE(witness.reproduce.find("abn-verify run " + record.id + " --problem " +
                                     witness.problem + " --data 'given:x="),
              std::string::npos);
    EXPECT_NE(hunt_text(found).find(witness.reproduce), std::string::npos);
    const Case again = replay(witness.problem, witness.data, witness.seed);
    RunOptions options;
    options.pattern = record.id;
    options.threads = 1;
    const auto records = run(output_family, std::span(&subject, 1), std::span(&again, 1), options);
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(records.front().tally.max_ratio, record.tally.max_ratio) << record.id;
    ++replayed;
  }
  EXPECT_GT(replayed, 50u);
}

TEST(Hunt, EveryStepIsACaseThatAKernelMayBeAsked) {
  Case one = fresh_case(ABN_F16, ABN_NHWC, Stream(3));
  for (std::uint64_t k = 0; k < 3000; ++k) {
    one = k % 100 == 0 ? fresh_case(static_cast<int>(k / 100 % 4), ABN_NCHW, Stream(k))
                       : changed_case(one, k % 2 == 0, Stream(k));
    EXPECT_NO_THROW(validate(one.problem));
    EXPECT_LE(element_count(one.problem), hunt_elements);
    // throws for values that their type does not hold
    const Inputs back = parse_given(one.data, one.problem);
    EXPECT_EQ(given_text(back), one.data);
  }
}

TEST(HuntCommand, FailsAndPrintsTheWorstOfEachCheck) {
  RunArguments arguments;
  arguments.pattern = "naive/forward/f32/*";
  arguments.hunt_steps = 64;
  arguments.device = "emulator";
  testing::internal::CaptureStdout();
  EXPECT_EQ(run_command(arguments, {}), 0);
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_NE(said.find("naive/forward/f32/nchw/z"), std::string::npos);
  EXPECT_NE(said.find("64 cases"), std::string::npos)
      << said.substr(said.size() > 2000 ? said.size() - 2000 : 0);
  const auto refusal = [](const RunArguments& wrong) -> std::string {
    try {
      run_command(wrong, {});
    } catch (const UsageError& refused) {
      return refused.what();
    }
    return "";
  };
  arguments.patterns = "0x0-0x1";
  EXPECT_NE(refusal(arguments).find("A hunt makes its own data"), std::string::npos);
  arguments.patterns.clear();
  arguments.problem = "n64c64s64,f32";
  EXPECT_NE(refusal(arguments).find("make it smaller"), std::string::npos);
}

}  // namespace
