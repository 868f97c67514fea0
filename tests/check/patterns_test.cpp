// Every bit pattern through activation, inverse and derivative: a right kernel passes, one that is
// wrong for a single pattern does not.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <set>
#include <string>

#include "verify/check/patterns.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::check;

const abn_variant& right() {
  return expect::reference_variant(expect::ReferenceArithmetic::f32, ABN_IN_PLACE_1);
}

/// The right kernel with one fault: `spoil` sees the element of a call's input that a channel
/// starts from and the one that it ends in.
struct Fault {
  int dtype = ABN_F16;
  std::function<void(std::uint64_t x, std::byte* z)> forward = [](std::uint64_t, std::byte*) {};
  std::function<void(std::uint64_t z, float& dgamma, float& dbeta)> backward =
      [](std::uint64_t, float&, float&) {};
};
Fault fault;

std::uint64_t bits_at(const void* tensor, std::int64_t c) {
  std::uint64_t bits = 0;
  const auto bytes = static_cast<std::size_t>(problem::format_of(fault.dtype).bytes);
  std::memcpy(&bits, static_cast<const std::byte*>(tensor) + static_cast<std::size_t>(c) * bytes,
              bytes);
  return bits;
}

int faulty_forward(const abn_problem* p, const abn_forward_args* a) {
  const int status = right().forward(p, a);
  const auto bytes = static_cast<std::int64_t>(problem::format_of(fault.dtype).bytes);
  for (std::int64_t c = 0; c < p->c; ++c)
    fault.forward(bits_at(a->x, c), static_cast<std::byte*>(a->z) + c * bytes);
  return status;
}
int faulty_backward(const abn_problem* p, const abn_backward_args* a) {
  const int status = right().backward(p, a);
  for (std::int64_t c = 0; c < p->c; ++c) {
    float* const dgamma = static_cast<float*>(a->dgamma) + c;
    float* const dbeta = static_cast<float*>(a->dbeta) + c;
    float g, b;  // of any alignment
    std::memcpy(&g, dgamma, sizeof g), std::memcpy(&b, dbeta, sizeof b);
    fault.backward(bits_at(a->z, c), g, b);
    std::memcpy(dgamma, &g, sizeof g), std::memcpy(dbeta, &b, sizeof b);
  }
  return status;
}

std::set<std::string> failing(const Fault& planted) {
  fault = planted;
  abn_variant variant = right();
  variant.name = "faulty";
  variant.forward = faulty_forward, variant.backward = faulty_backward;
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  std::vector<data::Case> cases = pattern_checks.cases(data::Tier::smoke, 1);
  std::erase_if(cases, [](const data::Case& one) { return one.problem.dtype != fault.dtype; });
  std::set<std::string> failed;
  for (const results::Record& record :
       run::run(pattern_checks, {&subject, 1}, cases, {.threads = 1})) {
    EXPECT_EQ(record.tally.elements, 65536u * (record.cases - record.skipped_cases) *
                                         (record.check == "derivative" ? 2 : 1))
        << record.id;
    if (record.verdict != results::Verdict::pass) failed.insert(record.check);
  }
  return failed;
}

TEST(Patterns, ARightKernelPassesThemAll) {
  for (const int dtype : {ABN_F16, ABN_BF16}) {
    Fault none;
    none.dtype = dtype;
    EXPECT_EQ(failing(none), std::set<std::string>()) << problem::dtype_name(dtype);
  }
}

TEST(Patterns, AnActivationThatIsWrongForOnePatternFails) {
  Fault one;
  one.forward = [](std::uint64_t x, std::byte* z) {
    if (x == 0x3c01) z[0] ^= std::byte{1};
  };
  EXPECT_EQ(failing(one), std::set<std::string>{"activation"});
}

TEST(Patterns, AnInverseThatIsWrongForOneSubnormalFails) {
  Fault one;
  one.dtype = ABN_BF16;
  one.backward = [](std::uint64_t z, float& dgamma, float&) {
    if (z == 0x0001) dgamma = 0;
  };
  EXPECT_EQ(failing(one), std::set<std::string>{"inverse"});
}

TEST(Patterns, ADerivativeThatAsksForBelowZeroInsteadOfTheSignBitFails) {
  Fault minus_zero;
  minus_zero.backward = [](std::uint64_t z, float&, float& dbeta) {
    if (z == 0x8000) dbeta = 1;
  };
  EXPECT_EQ(failing(minus_zero), std::set<std::string>{"derivative"});
}

TEST(Patterns, SaturationWithoutAGuardFails) {
  Fault unguarded;
  unguarded.backward = [](std::uint64_t z, float& dgamma, float&) {
    if (z == 0xbc00) dgamma = NAN;  // -1 = -alpha: 0 times infinity
  };
  EXPECT_EQ(failing(unguarded), std::set<std::string>{"inverse"});
}

/// Activations whose patterns of f32 are gone through: all but the identity.
std::uint64_t with_a_parameter() {
  return static_cast<std::uint64_t>(
      std::count_if(problem::activation_table.begin(), problem::activation_table.end(),
                    [](const problem::Activation& row) { return row.has_parameter(); }));
}

TEST(Patterns, TheExhaustiveTierHasEachPatternOfSinglePrecisionOncePerActivation) {
  std::set<std::string> seen;
  std::uint64_t patterns = 0;
  for (const data::Case& one : pattern_checks.cases(data::Tier::exhaustive, 1)) {
    if (one.problem.dtype != ABN_F32) continue;
    EXPECT_TRUE(seen.insert(problem::to_string(one.problem) + one.data).second);
    patterns += static_cast<std::uint64_t>(one.problem.c);
  }
  EXPECT_EQ(patterns, with_a_parameter() * (std::uint64_t{1} << 32));
}

TEST(Patterns, ARangePicksTheCasesThatHoldIt) {
  std::vector<data::Case> cases = pattern_checks.cases(data::Tier::exhaustive, 1);
  std::erase_if(cases, [](const data::Case& one) { return one.problem.dtype != ABN_F32; });
  const std::size_t all = cases.size();
  auto lower = cases, upper = cases;
  keep_range(lower, data::parse_pattern_range("0x0-0x3fffffff"));
  keep_range(upper, data::parse_pattern_range("0x40000000-4294967295"));
  EXPECT_EQ(lower.size() + upper.size(), all);
  EXPECT_EQ(lower.size() * 4, all);
  keep_range(cases, data::parse_pattern_range("0x3f800000-0x3f800000"));
  EXPECT_EQ(cases.size(), with_a_parameter());
  for (const char* wrong : {"", "0x3f", "1-", "-2", "5-4", "0x1-0xg", "1-2,"})
    EXPECT_THROW(data::parse_pattern_range(wrong), problem::UsageError) << wrong;
}

TEST(Patterns, DataThatDoNotFitAreRefused) {
  const abn_problem good = problem::parse_problem("n1c16s1,f16,frozen,leaky_relu");
  EXPECT_EQ(data::pattern_inputs(good, "patterns:0x3c00").x[1], 1 + 0x1p-10);
  for (const char* wrong :
       {"patterns:", "patterns:x", "patterns:0x10000", "patterns:0xfff1", "patterns:1z"})
    EXPECT_THROW(data::first_pattern(good, wrong), problem::UsageError) << wrong;
  for (const char* wrong : {"n1c16s1,f16,leaky_relu", "n2c16s1,f16,frozen,leaky_relu",
                            "n1c16s1,f64,frozen,leaky_relu", "n1c16s3,f16,frozen,leaky_relu"})
    EXPECT_THROW(data::first_pattern(problem::parse_problem(wrong), "patterns:0"),
                 problem::UsageError)
        << wrong;
}

}  // namespace
