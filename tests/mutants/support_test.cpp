// Kernels that do few problems are judged on as many cases as any other; claims that crash cost an
// error; claims that allow everything for a kind of case are implausible.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/mutants/arithmetic.hpp"
#include "tests/mutants/kernel.hpp"
#include "verify/call/device.hpp"
#include "verify/check/moved.hpp"
#include "verify/check/outputs.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using abn::mutants::Bug;
using abn::mutants::Plan;

constexpr abn_variant right =
    abn::mutants::variant_of<Plan{Bug::none, {}}>("right_where_it_is", "no bug");

using Condition = bool (*)(const abn_problem& p);
Condition supported = nullptr;
void (*changed)(abn_claims& claims, const abn_problem& p) = nullptr;
bool doubled = false;

int narrow_claims(const abn_problem* p, abn_claims* out) {
  if (supported != nullptr && !supported(*p)) return ABN_ERROR_UNSUPPORTED;
  const int status = right.claims(p, out);
  if (status == ABN_OK && changed != nullptr) changed(*out, *p);
  return status;
}

bool is_long(const abn_problem& p) { return p.mode == ABN_TRAINING && p.n * p.s >= 1024; }

void multiply(int dtype, void* values, std::int64_t count, double factor) {
  if (values == nullptr) return;
  for (std::int64_t i = 0; i < count; ++i)
    abn::mutants::store(dtype,
                        abn::mutants::rounded(dtype, factor * abn::mutants::load(dtype, values, i)),
                        values, i);
}

int maybe_doubled_forward(const abn_problem* p, const abn_forward_args* a) {
  const int status = right.forward(p, a);
  if (status != ABN_OK || !doubled || !is_long(*p)) return status;
  multiply(p->dtype, a->z, p->n * p->c * p->s, 2);
  multiply(p->param_dtype, a->mean, p->c, 2);
  multiply(p->param_dtype, a->var, p->c, 2);
  return status;
}
int maybe_doubled_backward(const abn_problem* p, const abn_backward_args* a) {
  const int status = right.backward(p, a);
  if (status != ABN_OK || !doubled || !is_long(*p)) return status;
  multiply(p->dtype, a->dx, p->n * p->c * p->s, -1);
  multiply(p->param_dtype, a->dgamma, p->c, 2);
  multiply(p->param_dtype, a->dbeta, p->c, 2);
  return status;
}

const abn_variant& narrow() {
  static const abn_variant variant = [] {
    abn_variant out = right;
    out.name = "narrow";
    out.claims = narrow_claims;
    out.forward = maybe_doubled_forward, out.backward = maybe_doubled_backward;
    return out;
  }();
  return variant;
}

class Narrow : public testing::Test {
 protected:
  void SetUp() override {
    supported = nullptr, changed = nullptr, doubled = false;
    subject.variant = &narrow();
    subject.device = call::host_device();
    options.moves_cases = true;
  }

  /// The tier's small cases in f32 and NCHW.
  static std::vector<data::Case> cases() {
    constexpr std::int64_t small = 700;
    std::vector<data::Case> all = data::cases_of(data::Tier::smoke, 1);
    std::erase_if(all, [](const data::Case& one) {
      return one.problem.dtype != ABN_F32 || one.problem.layout != ABN_NCHW ||
             problem::element_count(one.problem) > small;
    });
    return all;
  }

  std::map<std::string, results::Record> run(const std::vector<data::Case>& over) const {
    std::map<std::string, results::Record> by_id;
    for (results::Record& record :
         run::run(check::output_checks, std::span(&subject, 1), over, options))
      by_id[record.op + "/" + record.check] = std::move(record);
    return by_id;
  }

  call::Subject subject;
  check::RunOptions options;
};

struct Region {
  const char* what;
  Condition has;
};
const Region regions[] = {
    {"abs_eps", [](const abn_problem& p) { return p.scale == ABN_SCALE_ABS_EPS; }},
    {"s = 1", [](const abn_problem& p) { return p.s == 1; }},
    {"c <= 32", [](const abn_problem& p) { return p.c <= 32; }},
    {"m <= 512", [](const abn_problem& p) { return p.n * p.s <= 512; }},
    {"momentum 0.01", [](const abn_problem& p) { return p.momentum == double{0.01F}; }},
    {"momentum 0.03", [](const abn_problem& p) { return p.momentum == double{0.03F}; }},
    {"eps 1e-4", [](const abn_problem& p) { return p.eps == double{1e-4F}; }},
    {"slope 0.3",
     [](const abn_problem& p) {
       return p.activation == ABN_LEAKY_RELU && p.activation_parameter == double{0.3F};
     }},
    {"c a multiple of 64", [](const abn_problem& p) { return p.c % 64 == 0 && p.c > 0; }},
    {"training", [](const abn_problem& p) { return p.mode == ABN_TRAINING; }},
    {"abs_eps, c <= 32, momentum 0.01, eps 1e-3",
     [](const abn_problem& p) {
       return p.scale == ABN_SCALE_ABS_EPS && p.c <= 32 && p.momentum == double{0.01F} &&
              p.eps == double{1e-3F};
     }},
    {"n1c64s49 and elu:1 alone",
     [](const abn_problem& p) {
       return p.n == 1 && p.c == 64 && p.s == 49 && p.activation == ABN_ELU &&
              p.activation_parameter == 1;
     }},
};

TEST_F(Narrow, KernelsAreJudgedOnAsManyCasesAsAnyOther) {
  const std::vector<data::Case> tier = cases();
  const results::Record everywhere = run(tier).at("forward/z");
  ASSERT_GT(everywhere.cases, 60u);
  for (const Region& region : regions) {
    SCOPED_TRACE(region.what);
    supported = region.has;
    EXPECT_FALSE(check::check_ids(check::output_checks, subject).empty());
    const auto records = run(tier);
    ASSERT_EQ(records.count("forward/z"), 1u);
    const results::Record& z = records.at("forward/z");
    // an empty problem has no z, and may have to be moved to one that has
    EXPECT_GE(z.cases - z.skipped_cases, everywhere.cases);
    EXPECT_EQ(z.verdict, results::Verdict::pass) << results::failure_text(z);
    for (const auto& [name, record] : records)
      EXPECT_TRUE(record.verdict == results::Verdict::pass) << results::failure_text(record);
  }
}

TEST_F(Narrow, CasesThatAreSupportedStayAsTheyAre) {
  supported = [](const abn_problem& p) { return p.scale == ABN_SCALE_SIGNED; };
  const std::vector<data::Case> tier = cases();
  const check::MovedCases moved = check::moved_cases(check::output_checks, subject, tier);
  ASSERT_EQ(moved.cases.size(), tier.size());
  std::size_t changed_cases = 0;
  for (std::size_t i = 0; i < tier.size(); ++i) {
    EXPECT_EQ(moved.cases[i].seed, tier[i].seed);
    abn_problem as_was = tier[i].problem;
    if (problem::to_string(moved.cases[i].problem) == problem::to_string(as_was)) continue;
    ++changed_cases;
    // a kernel in place has none of these, and gets another activation
    if (!problem::activation_of(as_was).has_inverse()) continue;
    as_was.scale = ABN_SCALE_SIGNED;  // the nearest there is
    EXPECT_EQ(problem::to_string(moved.cases[i].problem), problem::to_string(as_was));
  }
  EXPECT_EQ(changed_cases, moved.moved);
  EXPECT_GT(moved.moved, 20u);
}

TEST_F(Narrow, AModeThatNoStartHasIsReachedOnTheWay) {
  // inference at one alpha alone, which no list of problems asks for; and eps = 1e-3
  constexpr double alpha = 0.71875, eps = double{1e-3F};
  supported = [](const abn_problem& p) {
    return p.eps == eps && (p.mode != ABN_INFERENCE ||
                            (p.activation == ABN_ELU && p.activation_parameter == alpha));
  };
  const data::Case one = data::replay("n2c3s5,f32,elu:0.71875,inference,eps:0.1", "standard", 1);
  const check::MovedCases moved =
      check::moved_cases(check::output_checks, subject, std::span(&one, 1));
  ASSERT_EQ(moved.moved, 1u);
  EXPECT_EQ(moved.cases[0].problem.mode, ABN_INFERENCE);
  EXPECT_EQ(moved.cases[0].problem.eps, eps);
}

TEST_F(Narrow, AKernelWithoutEpsGetsDataWithAVariance) {
  supported = [](const abn_problem& p) { return p.eps == 0; };
  const data::Case one = data::replay("n2c3s5,f32,leaky_relu", "constant", 1);
  const check::MovedCases moved =
      check::moved_cases(check::output_checks, subject, std::span(&one, 1));
  ASSERT_EQ(moved.moved, 1u);
  EXPECT_EQ(moved.cases[0].problem.eps, 0);
  EXPECT_EQ(moved.cases[0].data, "standard");
}

TEST_F(Narrow, AHostIsAskedForNoCaseThatNeedsAGpu) {
  std::vector<data::Case> tier = cases();
  tier.resize(2);
  tier.back().needs_gpu = true;
  const check::MovedCases moved = check::moved_cases(check::output_checks, subject, tier);
  EXPECT_EQ(moved.cases.size(), 1u);
  EXPECT_EQ(moved.left_to_gpus, 1u);
}

TEST_F(Narrow, WhatIsSupportedNowhereIsSaid) {
  supported = [](const abn_problem& p) { return p.layout == ABN_NHWC; };
  const std::vector<data::Case> tier = cases();
  const check::MovedCases moved = check::moved_cases(check::output_checks, subject, tier);
  EXPECT_EQ(moved.unsupported, tier.size());
  for (const auto& [name, record] : run({tier.begin(), tier.begin() + 20}))
    EXPECT_EQ(record.verdict, results::Verdict::skip) << name;
}

TEST_F(Narrow, ClaimsThatCrashCostAnError) {
  supported = [](const abn_problem& p) __attribute__((no_sanitize("undefined"))) {
    const volatile std::int64_t zero = p.c - 3;
    return p.n / zero < 1'000'000;
  };
  const std::vector<data::Case> tier = cases();
  const auto records = run(tier);
  std::size_t errors = 0;
  for (const auto& [name, record] : records)
    if (record.verdict == results::Verdict::error) {
      ++errors;
      EXPECT_NE(record.reason.find("claims() crashed with signal 8"), std::string::npos)
          << record.reason;
    } else {
      EXPECT_EQ(record.verdict, results::Verdict::pass) << results::failure_text(record);
    }
  EXPECT_EQ(errors, 1u) << "the status of forward";
  EXPECT_GT(records.at("forward/z").cases, 60u);

  supported = [](const abn_problem&) -> bool { abort(); };
  EXPECT_NE(problem::claims_of(narrow(), problem::example_problem(ABN_F32, 0, 0))
                .nonsense.find("signal 6"),
            std::string::npos);
  supported = [](const abn_problem& p) {
    return *reinterpret_cast<const volatile char*>(p.c - p.c + 8) != 0;
  };
  EXPECT_NE(problem::claims_of(narrow(), problem::example_problem(ABN_F32, 0, 0))
                .nonsense.find("signal 11"),
            std::string::npos);
}

/// The tier's cases in a type and NCHW that are not too large for one test.
std::vector<data::Case> long_and_short_cases(int dtype) {
  constexpr std::int64_t large = 9000;
  std::vector<data::Case> all = data::cases_of(data::Tier::smoke, 1);
  std::erase_if(all, [&](const data::Case& one) {
    return one.problem.dtype != dtype || one.problem.layout != ABN_NCHW ||
           problem::element_count(one.problem) > large;
  });
  return all;
}

TEST_F(Narrow, ClaimsThatAllowEverythingForManySamplesAreImplausible) {
  changed = [](abn_claims& claims, const abn_problem& p) {
    claims.accumulate = ABN_BF16;
    claims.depth_statistics = claims.depth_backward = std::max<std::int64_t>(p.n * p.s, 1);
  };
  doubled = true;
  for (const int dtype : {ABN_F16, ABN_BF16}) {  // in f32 bf16 is no plausible claim at all
    const auto records = run(long_and_short_cases(dtype));
    for (const char* const name : {"forward/z", "forward/mean", "forward/variance", "backward/dx",
                                   "backward/dgamma", "backward/dbeta"}) {
      const results::Record& record = records.at(name);
      SCOPED_TRACE(record.id + ": " + record.reason);
      EXPECT_EQ(record.verdict, results::Verdict::inconclusive);
      EXPECT_NE(record.reason.find("training with m from"), std::string::npos);
      EXPECT_NE(record.reason.find("implausible"), std::string::npos);
      EXPECT_NE(record.reason.find("accumulate bf16, depth"), std::string::npos);
      ASSERT_FALSE(record.kinds.empty());
      for (const results::CaseKind& kind : record.kinds) EXPECT_TRUE(kind.is_empty());
      results::Results all;
      all.records.push_back(record);
      const std::string json = results::to_json(all);
      EXPECT_EQ(results::to_json(results::results_from_json(json)), json);
      EXPECT_NE(json.find("\"kinds\""), std::string::npos);
      EXPECT_EQ(results::exit_code(all), 1);
    }
  }
}

TEST_F(Narrow, ClaimsThatAllowLittleAreNone) {
  const auto records = run(long_and_short_cases(ABN_F32));
  for (const auto& [name, record] : records) {
    EXPECT_EQ(record.verdict, results::Verdict::pass) << results::failure_text(record);
    EXPECT_TRUE(record.kinds.empty());
  }
}

}  // namespace
