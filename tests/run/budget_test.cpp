// A run that has no time for all cases says how many it left out, and misses no part altogether.
#define ABN_ENTRY_OF_THIS_TEST right_variant_of_budget_test
#include "verify/run/budget.hpp"

#include <thread>

#include "tests/call/broken_variant.hpp"

namespace {

using RunBudget = BrokenVariant;

std::vector<data::Case> some_cases() {
  std::vector<data::Case> cases;
  for (std::uint64_t seed = 1; seed <= 6; ++seed)
    cases.push_back(data::replay("n2c3s5,f32,leaky_relu", "standard", seed));
  return cases;
}

std::uint64_t cases_of(const std::vector<results::Record>& records) {
  std::uint64_t most = 0;
  for (const results::Record& record : records) most = std::max(most, record.cases);
  return most;
}

TEST_F(RunBudget, RunsOneCaseOfEachPartWhereNoTimeIsLeft) {
  const std::vector<Subject> subjects{subject_of(broken_variant)};
  const std::vector<data::Case> cases = some_cases();
  run::Budget budget(1e-9, 12);
  for (int part = 0; part < 2; ++part)
    EXPECT_EQ(cases_of(run::run(check::output_checks, subjects, cases, {}, nullptr, &budget)), 1u);
  const std::string said = budget.left_out("smoke");
  EXPECT_NE(said.find("no pass of the smoke tier: 10 of its 12 cases"), std::string::npos) << said;
}

TEST_F(RunBudget, WithTimeForAllLeavesNothingOut) {
  const std::vector<Subject> subjects{subject_of(broken_variant)};
  for (const double seconds : {0.0, 1e6}) {
    run::Budget budget(seconds, 6);
    EXPECT_EQ(
        cases_of(run::run(check::output_checks, subjects, some_cases(), {}, nullptr, &budget)), 6u);
    EXPECT_EQ(budget.left_out("smoke"), "");
  }
}

TEST_F(RunBudget, EndsAPartWhenItsShareIsUsed) {
  run::Budget budget(0.2, 10);
  budget.begin_part(5);  // half of the time
  EXPECT_FALSE(budget.is_used_up());
  std::this_thread::sleep_for(std::chrono::milliseconds(110));
  EXPECT_TRUE(budget.is_used_up());
  budget.begin_part(5);  // all that is left
  EXPECT_FALSE(budget.is_used_up());
  std::this_thread::sleep_for(std::chrono::milliseconds(110));
  EXPECT_TRUE(budget.is_used_up());
}

}  // namespace
