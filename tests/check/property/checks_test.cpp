// The property checks of `run`: they hold for the reference and for every in-tree variant, on every
// recipe, and none of them is idle.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "cuda/host_code.h"
#include "cuda/registry.h"
#include "verify/check/property/property.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::check;
using namespace abn::verify::check::property;

call::Subject on_host(const abn_variant& variant, bool emulated) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  subject.emulated = emulated;
  return subject;
}

std::set<std::string> held(const std::vector<results::Record>& records) {
  std::set<std::string> names;
  for (const results::Record& record : records) {
    EXPECT_TRUE(record.verdict == results::Verdict::pass ||
                record.verdict == results::Verdict::skip)
        << results::failure_text(record);
    EXPECT_EQ(record.kind, results::CheckKind::property);
    if (record.verdict == results::Verdict::pass) names.insert(record.check);
  }
  return names;
}

TEST(PropertyFamily, HoldsForTheReference) {
  const std::vector<data::Case> all = property_checks.cases(data::Tier::smoke, 20261123);
  std::set<std::string> names;
  std::size_t turn = 0;
  for (const abn_variant* const variant : expect::reference_variants()) {
    std::vector<data::Case> cases;
    for (std::size_t i = turn++ % 5; i < all.size(); i += 5) cases.push_back(all[i]);
    const call::Subject subject = on_host(*variant, false);
    names.merge(held(run::run(property_checks, {&subject, 1}, cases, {.threads = 1})));
  }
  EXPECT_EQ(names.size(), properties().size());
}

TEST(PropertyFamily, HoldsForTheInTreeVariants) {
  const std::vector<data::Case> cases = property_checks.cases(data::Tier::smoke, 1);
  std::set<std::string> names;
  for (std::uint32_t index = 0; const abn_variant* const variant = abn_in_tree_variant(index);
       ++index) {
    if (variant->memory != ABN_MEMORY_HOST) continue;
    const call::Subject subject = on_host(*variant, abn_is_host_code(variant) == 0);
    names.merge(held(run::run(property_checks, {&subject, 1}, cases, {.threads = 1})));
  }
  EXPECT_EQ(names.size(), properties().size());
}

}  // namespace
