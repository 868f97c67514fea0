// How many of the planted bugs the quick tier catches, with its at most 200 small cases for each.
//
// Fewer than the smoke tier, which catches all: a bug that bites in large tensors, or at one end of
// one range, may meet none of them. The number is printed, and a choice of cases that catches
// clearly fewer fails. Every eighth bug is tried, with ABN_TIER=full each of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/mutants/mutants.hpp"
#include "verify/call/device.hpp"
#include "verify/check/chosen.hpp"
#include "verify/check/groups.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using namespace abn::mutants;

struct Tries {
  bool caught = false;
  std::size_t cases = 0;  ///< of the quick tier, until then
};

Tries quick(const Mutant& mutant, std::uint64_t seed) {
  call::Subject subject;
  subject.variant = &variant_of(mutant);
  subject.device = call::host_device();
  Tries tries;
  for (const check::CheckGroup* const group : check::groups_of("run")) {
    check::RunOptions options;
    options.threads = 1, options.moves_cases = true, options.choice = check::Choice::quick;
    const std::vector<data::Case> cases =
        check::chosen_cases(*group, subject, group->cases(data::Tier::quick, seed), options).cases;
    options.moves_cases = false, options.choice = check::Choice::all;
    for (const data::Case& one : cases) {
      ++tries.cases;
      for (const results::Record& record :
           run::run(*group, std::span(&subject, 1), std::span(&one, 1), options))
        tries.caught |= record.verdict == results::Verdict::fail;
      if (tries.caught) return tries;
    }
  }
  return tries;
}

TEST(QuickScore, CatchesNearlyAllPlantedBugs) {
  constexpr std::uint64_t seed = 1;
  constexpr std::size_t most_cases = 200;
  const char* const tier = std::getenv("ABN_TIER");
  const std::size_t step = tier != nullptr && std::string(tier) == "full" ? 1 : 8;
  std::size_t planted = 0, caught = 0, cases = 0, at = 0;
  for (const Group& group : groups())
    for (const Mutant& mutant : group.mutants) {
      if (at++ % step != 0) continue;
      const Tries tries = quick(mutant, seed);
      ++planted, caught += tries.caught ? 1 : 0, cases += tries.cases;
      EXPECT_LE(tries.cases, most_cases) << mutant.id;
      if (!tries.caught)
        fmt::print("  escaped  {:<32} {}; exposed by: {}\n", mutant.id, group.name,
                   mutant.exposed_by);
    }
  fmt::print("caught {} / planted {}, after {:.1f} cases on average\n", caught, planted,
             static_cast<double>(cases) / static_cast<double>(planted));
  EXPECT_GE(20 * caught, 17 * planted) << "85 of 100";
}

}  // namespace
