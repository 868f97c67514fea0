// Every planted bug has to be caught by the judge, on the cases of the smoke tier and by nothing
// but what a user's run does.
//
// The cases of a mutant are those of the tier in its storage types, and of them one after the
// other, from all over the tier, until a check of its operation fails. The caught ones are printed
// with the check and its ratio; one that escapes is a hole in the judge.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/mutants/mutants.hpp"
#include "verify/call/device.hpp"
#include "verify/check/calls/checks.hpp"
#include "verify/check/outputs.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/diagnose.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using namespace abn::mutants;

constexpr std::uint64_t tier_seed = 1;
constexpr std::int64_t largest_usual = 1 << 17;

/// The tier in an order that meets every mode, activation and recipe early.
const std::vector<data::Case>& shuffled_cases() {
  static const std::vector<data::Case> cases = [] {
    std::vector<data::Case> all = data::cases_of(data::Tier::smoke, tier_seed);
    // sizes_test.cpp has bugs for those that are there for their sizes
    std::erase_if(all, [](const data::Case& one) { return one.sampled; });
    const std::size_t stride = run::mixing_stride(all.size());
    std::vector<data::Case> out;
    for (std::size_t i = 0; i < all.size(); ++i) out.push_back(all[i * stride % all.size()]);
    return out;
  }();
  return cases;
}

struct Finding {
  bool caught = false;
  int cases = 0;  ///< until then
  std::string check, problem, data;
  double ratio = 0;
};

Finding look_for(const Mutant& mutant) {
  call::Subject subject;
  subject.variant = &variant_of(mutant);
  subject.device = call::host_device();
  check::RunOptions options;
  options.threads = 1;
  options.pattern = fmt::format("*/{}/*", mutant.op);
  Finding found;
  for (const data::Case& one : shuffled_cases()) {
    // so few that they stand for all types
    const bool large = problem::element_count(one.problem) > largest_usual;
    if (!large && std::find(mutant.types.begin(), mutant.types.end(), one.problem.dtype) ==
                      mutant.types.end())
      continue;
    ++found.cases;
    for (const results::Record& record :
         run::run(check::output_checks, std::span(&subject, 1), std::span(&one, 1), options)) {
      if (record.verdict != results::Verdict::fail) continue;
      const double ratio = record.witnesses.empty() ? 0 : record.witnesses.front().ratio;
      if (found.caught && !(ratio > found.ratio)) continue;
      found = {true, found.cases, record.id, problem::to_string(one.problem), one.data, ratio};
    }
    if (found.caught) break;
  }
  if (found.caught || found.cases == 0) return found;
  // What no usual call shows: the calls of the group `calls`, of which this is one.
  options.pattern = "*";
  for (const data::Case& one : check::calls::call_checks.cases(data::Tier::smoke, tier_seed)) {
    ++found.cases;
    for (const results::Record& record :
         run::run(check::calls::call_checks, std::span(&subject, 1), std::span(&one, 1), options))
      if (record.verdict == results::Verdict::fail)
        return {true, found.cases, record.id, problem::to_string(one.problem), one.data, 0};
  }
  return found;
}

TEST(MutationScore, EveryPlantedBugIsCaught) {
  std::size_t planted = 0, caught = 0;
  for (const Group& group : groups()) {
    fmt::print("{}\n", group.name);
    for (const Mutant& mutant : group.mutants) {
      const Finding found = look_for(mutant);
      ++planted, caught += found.caught;
      if (found.caught)
        fmt::print("  caught   {:<32} {:<52} ratio {:<9.3g} case {:>3}  {} {}\n", mutant.id,
                   found.check, found.ratio, found.cases, found.problem, found.data);
      else
        fmt::print("  ESCAPED  {:<32} in {} cases; exposed by: {}\n", mutant.id, found.cases,
                   mutant.exposed_by);
      std::fflush(stdout);
      EXPECT_TRUE(found.caught) << mutant.id << ": " << mutant.what;
    }
  }
  fmt::print("caught {} / planted {}\n", caught, planted);
  EXPECT_EQ(caught, planted);
}

TEST(MutationScore, WhatCannotBeSeenIsNotSeen) {
  for (const Mutant& mutant : invisible()) {
    const Finding found = look_for(mutant);
    EXPECT_FALSE(found.caught) << mutant.id << " by " << found.check << " on " << found.problem
                               << " " << found.data;
  }
}

TEST(MutantTable, HasEachBugOnceAndSaysAllOfIt) {
  constexpr std::size_t least = 80;
  std::set<std::string> ids;
  std::set<Bug> bugs;
  const auto take = [&](const Mutant& mutant) {
    EXPECT_TRUE(ids.insert(mutant.id).second) << mutant.id;
    EXPECT_TRUE(bugs.insert(mutant.bug).second) << mutant.id;
    for (const char* const text : {mutant.what, mutant.incident, mutant.exposed_by})
      EXPECT_FALSE(std::string(text).empty()) << mutant.id;
    EXPECT_STREQ(variant_of(mutant).name, mutant.id);
  };
  for (const Group& group : groups())
    std::for_each(group.mutants.begin(), group.mutants.end(), take);
  EXPECT_GE(ids.size(), least);
  for (const Mutant& mutant : invisible()) take(mutant);
  EXPECT_EQ(bugs.size(), static_cast<std::size_t>(Bug::count) - 1);  // all but none
}

}  // namespace
