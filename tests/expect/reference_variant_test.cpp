// The reference as a kernel is held to what every kernel is held to.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "verify/check/outputs.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::expect;

call::Subject subject_of(const abn_variant& variant) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  return subject;
}

TEST(ReferenceVariants, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const abn_variant* const variant : reference_variants())
    EXPECT_TRUE(names.insert(variant->name).second) << variant->name;
  EXPECT_EQ(names.size(), 15u);
  EXPECT_EQ(std::string(reference_variant(ReferenceArithmetic::digits50, ABN_IN_PLACE_2).name),
            "reference_digits50_in_place_2");
}

TEST(ReferenceVariants, StayWithinTheBoundsAndKeepTheContracts) {
  std::vector<data::Case> all = data::cases_of(data::Tier::smoke, 7);
  std::erase_if(all, [](const data::Case& one) { return one.sampled; });  // large ones
  std::size_t turn = 0;
  for (const abn_variant* const variant : reference_variants()) {
    // Every 15th case, another 15th for each variant; the 50 digits take the small ones.
    const bool slow = std::string(variant->name).find("digits50") != std::string::npos;
    std::vector<data::Case> cases;
    for (std::size_t i = turn++; i < all.size(); i += 15)
      if (!slow || problem::element_count(all[i].problem) < 600) cases.push_back(all[i]);
    const call::Subject subject = subject_of(*variant);
    std::uint64_t passed = 0;
    for (const results::Record& record :
         run::run(check::output_checks, {&subject, 1}, cases, {.threads = 1})) {
      // A single case may hold data that tell nothing; none may be wrong.
      EXPECT_TRUE(record.verdict == results::Verdict::pass ||
                  record.verdict == results::Verdict::skip ||
                  record.verdict == results::Verdict::inconclusive)
          << failure_text(record);
      passed += record.verdict == results::Verdict::pass;
    }
    EXPECT_GT(passed, 30u) << variant->name;
  }
}

}  // namespace
