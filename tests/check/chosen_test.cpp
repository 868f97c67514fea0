// The quick tier: few small cases, and every check that the smoke tier has, for every variant.
#include "verify/check/chosen.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "cuda/registry.h"
#include "verify/call/device.hpp"
#include "verify/check/groups.hpp"
#include "verify/check/outputs.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using check::ChosenCases, check::CheckGroup;

const abn_variant* any_variant() { return abn_in_tree_variant(0); }

ChosenCases chosen(const CheckGroup& group, const call::Subject& subject, check::Choice choice,
                   std::uint64_t seed) {
  check::RunOptions options;
  options.moves_cases = true, options.choice = choice;
  const data::Tier tier = choice == check::Choice::quick ? data::Tier::quick : data::Tier::smoke;
  return check::chosen_cases(group, subject, group.cases(tier, seed), options);
}

std::set<std::string> ids_of(const CheckGroup& group, const call::Subject& subject,
                             const std::vector<data::Case>& cases) {
  std::set<std::string> ids;
  for (const data::Case& one : cases) {
    const problem::Claimed claimed = problem::claims_of(*subject.variant, one.problem);
    if (claimed.status == ABN_ERROR_UNSUPPORTED) continue;
    if (group.suits != nullptr && !group.suits(one)) continue;
    for (const check::CheckName& name : group.checks(subject, claimed.claims, one.problem))
      ids.insert(judge::id_of(subject.variant->name, one.problem, name.op, name.check));
  }
  return ids;
}

TEST(QuickTier, HasFewSmallCasesAndEveryCheckOfTheSmokeTier) {
  constexpr std::size_t most = 200;
  for (const call::Subject& subject : call::subjects_of(call::choose_device("emulator"), {}, false))
    for (const std::uint64_t seed : {1u, 20261130u, 3u}) {
      std::size_t all = 0;
      for (const CheckGroup* const group : check::groups_of("run", " --sanitize")) {
        const ChosenCases quick = chosen(*group, subject, check::Choice::quick, seed),
                          smoke = chosen(*group, subject, check::Choice::all, seed);
        EXPECT_LE(quick.cases.size(), group->quick_cases);
        EXPECT_EQ(smoke.left_out, 0u);
        if (group->cases(data::Tier::quick, seed).size() ==
            group->cases(data::Tier::smoke, seed).size()) {
          EXPECT_EQ(quick.cases.size() + quick.left_out, smoke.cases.size());
        }
        for (const data::Case& one : quick.cases)
          EXPECT_LE(problem::element_count(one.problem), check::quick_elements)
              << problem::to_string(one.problem);
        EXPECT_EQ(ids_of(*group, subject, quick.cases), ids_of(*group, subject, smoke.cases))
            << subject.variant->name << ", seed " << seed;
        all += quick.cases.size();
      }
      EXPECT_LE(all, most) << subject.variant->name;
    }
}

int claims_of_large_ones(const abn_problem* problem, abn_claims* claims) {
  if (problem->c < 8192 || problem->dtype != ABN_F32) return ABN_ERROR_UNSUPPORTED;
  return any_variant()->claims(problem, claims);
}

TEST(QuickTier, TakesTheSmallestOfAVariantThatHasNoSmallCases) {
  abn_variant large = *any_variant();
  large.name = "large", large.claims = claims_of_large_ones;
  call::Subject subject;
  subject.variant = &large, subject.device = call::host_device();
  const ChosenCases quick = chosen(check::output_checks, subject, check::Choice::quick, 1);
  std::size_t supported = 0;
  for (const data::Case& one : quick.cases)
    if (one.problem.c >= 8192 && one.problem.dtype == ABN_F32) ++supported;
  EXPECT_GT(supported, 0u);
}

TEST(QuickTier, LeavesNoFileOut) {
  call::Subject subject;
  subject.variant = any_variant(), subject.device = call::host_device();
  check::RunOptions options;
  options.moves_cases = true, options.choice = check::Choice::quick;
  std::vector<data::Case> cases = check::output_checks.cases(data::Tier::quick, 1);
  cases.push_back(data::replay("n100c3s40,f32,leaky_relu", "standard", 1));
  cases.back().given = std::make_shared<const problem::Inputs>(data::inputs_of(cases.back()));
  const ChosenCases quick = check::chosen_cases(check::output_checks, subject, cases, options);
  EXPECT_EQ(quick.cases.size(), check::output_checks.quick_cases + 1);
  EXPECT_NE(quick.cases.front().given, nullptr);
}

TEST(ByWorth, HasEveryCaseOfTheTier) {
  call::Subject subject;
  subject.variant = any_variant(), subject.device = call::host_device();
  const ChosenCases all = chosen(check::output_checks, subject, check::Choice::all, 1),
                    sorted = chosen(check::output_checks, subject, check::Choice::by_worth, 1);
  EXPECT_EQ(sorted.cases.size(), all.cases.size());
  EXPECT_EQ(sorted.left_out, 0u);
  EXPECT_NE(problem::to_string(sorted.cases[1].problem), problem::to_string(all.cases[1].problem));
}

}  // namespace
