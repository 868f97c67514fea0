// Every property on generated cases: for the reference in 50 digits, f64 and f32, for every in-tree
// variant on the emulator, and on a GPU.
#include <gtest/gtest.h>

#include <string>

#include "cuda/host_code.h"
#include "cuda/registry.h"
#include "tests/check/property/support.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::check;
using namespace abn::verify::check::property;
using namespace property_tests;

constexpr int cases_of_reference = 40, cases_of_kernel = 40;

/// Holds, and was compared in a share of the cases that makes it more than luck.
void expect_held(const Property& property, const call::Subject& subject, int cases) {
  const Outcome outcome = outcome_of(property, subject, cases);
  EXPECT_TRUE(outcome.held) << subject.variant->name << ": " << outcome.text;
  constexpr int one_in = 5;
  EXPECT_GE(outcome.compared, cases / one_in)
      << subject.variant->name << ": " << property.name << " compared next to nothing";
}

class Properties : public testing::TestWithParam<const char*> {
 protected:
  const Property& property() const { return *property_named(GetParam()); }
  /// Is it about finding xhat again, which only schemes in place do?
  bool inverts() const {
    const std::string name = GetParam();
    return name == "round_trip" || name == "recovery";
  }
};

bool works_in_place(const abn_variant& variant) {
  return problem::is_in_place(
      problem::claims_of(variant, problem::example_problem(ABN_F32, ABN_NCHW, ABN_TRAINING))
          .claims);
}

TEST_P(Properties, HoldForTheReference) {
  // The five schemes take turns; each property meets each arithmetic. What is not in place has
  // nothing to invert.
  int turn = static_cast<int>(&property() - properties().data());
  for (const auto arithmetic :
       {expect::ReferenceArithmetic::digits50, expect::ReferenceArithmetic::f64,
        expect::ReferenceArithmetic::f32}) {
    const int scheme = inverts() ? ABN_IN_PLACE_1 + turn++ % 2 : turn++ % (ABN_IN_PLACE_2 + 1);
    expect_held(property(), on_host(expect::reference_variant(arithmetic, scheme)),
                cases_of_reference);
  }
}

TEST_P(Properties, HoldForEveryVariantOnTheProcessor) {
  for (std::uint32_t index = 0; const abn_variant* const variant = abn_in_tree_variant(index);
       ++index)
    if (variant->memory == ABN_MEMORY_HOST && (!inverts() || works_in_place(*variant)))
      expect_held(property(), on_host(*variant, abn_is_host_code(variant) == 0), cases_of_kernel);
}

class PropertiesOnAGpu : public Properties {};

TEST_P(PropertiesOnAGpu, HoldForEveryVariant) {
  std::string unavailable;
  const std::shared_ptr<call::Device> gpu = call::cuda_device(0, unavailable);
  if (gpu == nullptr) GTEST_SKIP() << unavailable;
  for (std::uint32_t index = 0; const abn_variant* const variant = abn_in_tree_variant(index);
       ++index) {
    if (variant->memory != ABN_MEMORY_CUDA || (inverts() && !works_in_place(*variant))) continue;
    call::Subject subject;
    subject.variant = variant;
    subject.device = gpu;
    expect_held(property(), subject, cases_of_kernel);
  }
}

std::vector<const char*> names() {
  std::vector<const char*> out;
  for (const Property& one : properties()) out.push_back(one.name);
  return out;
}

INSTANTIATE_TEST_SUITE_P(All, PropertiesOnAGpu, testing::ValuesIn(names()),
                         [](const auto& each) { return std::string(each.param); });
INSTANTIATE_TEST_SUITE_P(All, Properties, testing::ValuesIn(names()),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
