// Gradient checks without differences: what they certify, what they refuse, and objectives that
// would see nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "cuda/registry.h"
#include "tests/check/gradient/planted.hpp"
#include "verify/call/evaluator.hpp"
#include "verify/check/gradient/probes.hpp"
#include "verify/data/recipes.hpp"
#include "verify/expect/expect.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::check;
using namespace abn::verify::check::gradient;

constexpr const char* small = "n2c4s64,f32,leaky_relu";     // 128 samples a channel
constexpr const char* large = "n4c1s16384,f32,leaky_relu";  // 65,536

std::set<std::string> failed(const std::map<std::string, results::Record>& records) {
  std::set<std::string> names;
  for (const auto& [check, record] : records)
    if (record.verdict == results::Verdict::fail || record.verdict == results::Verdict::error)
      names.insert(check);
  return names;
}

void expect_certified(const std::map<std::string, results::Record>& records) {
  for (const char* check :
       {"probe_ones", "probe_xhat", "probe_units", "probe_rademacher", "adjoint"}) {
    const auto at = records.find(check);
    ASSERT_NE(at, records.end()) << check;
    EXPECT_EQ(at->second.verdict, results::Verdict::pass) << check << ": " << at->second.reason;
  }
  EXPECT_TRUE(failed(records).empty());
}

const abn_variant& in_tree(const std::string& name) {
  for (const call::Subject& subject : call::subjects_of(call::choose_device("emulator"), {}, false))
    if (subject.variant->name == name) return *subject.variant;
  throw std::logic_error("there is no variant " + name);
}

}  // namespace

TEST(GradientProbes, CertifyARightKernelAtBothSizes) {
  expect_certified(grad(planted_variant<Planted::none>(), small));
  expect_certified(grad(planted_variant<Planted::none>(), large));
}

TEST(GradientProbes, RefuseWrongBackwardsAtBothSizes) {
  for (const char* problem : {small, large}) {
    const std::set<std::string> all{"probe_ones", "probe_units", "probe_xhat"};
    EXPECT_EQ(failed(grad(planted_variant<Planted::dx_zero>(), problem, "*probe_[oux]*")), all)
        << problem;
    EXPECT_EQ(failed(grad(planted_variant<Planted::missing_rstd>(), problem, "*probe_[oux]*")), all)
        << problem;
    EXPECT_EQ(failed(grad(planted_variant<Planted::missing_mean>(), problem, "*probe_[oux]*")), all)
        << problem;
    EXPECT_EQ(failed(grad(planted_variant<Planted::missing_xhat>(), problem, "*probe_[oux]*")), all)
        << problem;
  }
}

TEST(GradientProbes, RandomSignsRefuseThemToo) {
  EXPECT_TRUE(
      failed(grad(planted_variant<Planted::dx_zero>(), small)).contains("probe_rademacher"));
  EXPECT_TRUE(
      failed(grad(planted_variant<Planted::missing_mean>(), small)).contains("probe_rademacher"));
  EXPECT_TRUE(
      failed(grad(planted_variant<Planted::dgamma_negated>(), small)).contains("probe_rademacher"));
  EXPECT_TRUE(
      failed(grad(planted_variant<Planted::dbeta_halved>(), small)).contains("probe_rademacher"));
}

TEST(GradientProbes, SayWhatTheyMiss) {
  const auto records = grad(planted_variant<Planted::none>(), small, "*rademacher");
  std::map<std::string, double> shown;
  for (const auto& [name, value] : records.at("probe_rademacher").witnesses.at(0).inputs)
    shown[name] = value;
  EXPECT_NEAR(shown.at("missed at most, one channel"), std::pow(13.0 / 16, 16), 1e-12);
  EXPECT_NEAR(shown.at("missed at most, all channels"), std::pow(13.0 / 16, 64), 1e-12);
}

TEST(GradientProbes, StandAtTheEdgesOfTiles) {
  EXPECT_EQ(unit_positions(34), (std::vector<std::int64_t>{0, 1, 31, 32, 33}));
  EXPECT_EQ(unit_positions(1100),
            (std::vector<std::int64_t>{0, 1, 31, 32, 33, 255, 256, 257, 1023, 1024, 1099}));
}

TEST(GradientAdjoint, RefusesABackwardThatIsNotSelfAdjoint) {
  EXPECT_TRUE(failed(grad(planted_variant<Planted::sum_of_dz>(), small)).contains("adjoint"));
  EXPECT_TRUE(failed(grad(planted_variant<Planted::sum_of_dz>(), "n2c4s64,f64,elu", "*adjoint"))
                  .contains("adjoint"));
}

TEST(GradientDifference, RefusesWrongBackwardsInF32) {
  for (const char* problem : {small, large}) {
    EXPECT_TRUE(failed(grad(planted_variant<Planted::dx_zero>(), problem, "*difference"))
                    .contains("difference"))
        << problem;
    EXPECT_TRUE(failed(grad(planted_variant<Planted::missing_rstd>(), problem, "*difference"))
                    .contains("difference"))
        << problem;
    EXPECT_EQ(
        grad(planted_variant<Planted::none>(), problem, "*difference").at("difference").verdict,
        results::Verdict::pass)
        << problem;
  }
}

TEST(GradientDifference, SaysHowManyDigitsItSees) {
  const auto digits = [](const std::string& problem) {
    const auto records = grad(planted_variant<Planted::none>(), problem, "*difference");
    double seen = 0;
    for (const results::Witness& witness : records.at("difference").witnesses)
      for (const auto& [name, value] : witness.inputs)
        if (name == "decimal digits seen") seen = value;
    return seen;
  };
  const double in_f64 = digits("n2c4s64,f64,elu"), in_f32 = digits("n2c4s64,f32,elu");
  EXPECT_GT(in_f32, 1.5);
  EXPECT_GT(in_f64, in_f32 + 2);
}

TEST(GradientFamily, CertifiesF16AndBf16AndRefusesNarrowSums) {
  for (const char* type : {"f16", "bf16"}) {
    const std::string problem = std::string("n2c4s550,leaky_relu,") + type;
    expect_certified(grad(in_tree("two_sweep"), problem));
    expect_certified(grad(planted_variant<Planted::none>(), problem));
    EXPECT_FALSE(failed(grad(planted_variant<Planted::narrow_sums>(), problem)).empty()) << type;
  }
}

TEST(GradientFamily, SmokeTierPassesOnTheInTreeKernels) {
  const std::vector<data::Case> cases = gradient_checks.cases(data::Tier::smoke, 1);
  EXPECT_GE(cases.size(), 24U);
  EXPECT_LE(cases.size(), 40U);
  RunOptions options;
  options.threads = 1;
  const auto subjects = call::subjects_of(call::choose_device("emulator"), {}, false);
  const auto records = run::run(gradient_checks, subjects, cases, options);
  EXPECT_GE(records.size(), 100U);
  std::size_t skipped = 0;
  for (const results::Record& record : records) {
    skipped += record.verdict == results::Verdict::skip ? 1 : 0;
    EXPECT_TRUE(record.verdict == results::Verdict::pass ||
                (record.verdict == results::Verdict::skip && record.check == "difference"))
        << record.id << ": " << record.reason;
  }
  EXPECT_LE(skipped, 4U);  // differences in a type too narrow for them
  call::Evaluations all;
  for (const results::Record& record : records) all += record.evaluations;
  EXPECT_GT(all.forward, 0U);
  EXPECT_GT(all.backward, 0U);
}

TEST(GradientFamily, HasNoChecksForInference) {
  EXPECT_TRUE(grad(planted_variant<Planted::none>(), "n2c4s64,f32,inference,leaky_relu").empty());
}

// Batch norm's output has sum beta m and sum of squares about (beta^2 + g^2 v/(v+eps)) m whatever x
// is, so objectives made of them have next to no gradient, and a backward that writes zeros passes
// any test by them.
TEST(GradientObjectives, SumAndHalfSumOfSquaresSeeNothing) {
  for (const char* name : {"naive", "two_sweep"}) {
    call::Subject subject;
    subject.variant = &in_tree(name);
    subject.device = call::host_device();
    problem::Inputs inputs = data::inputs_of(data::replay("n2c4s64,f64,identity", "standard", 3));
    abn_claims claims{};
    claims.struct_size = sizeof claims;
    ASSERT_EQ(subject.variant->claims(&inputs.problem, &claims), ABN_OK);
    inputs.gamma.assign(4, 1.0), inputs.beta.assign(4, 0.0);
    const call::Evaluator evaluator(subject, claims, 1);
    const call::ForwardNumbers forward = evaluator.forward(inputs);
    const problem::Saved saved = evaluator.saved(inputs.problem, forward);
    // The largest gradient beside its size before anything cancels, |g| r max|dz|.
    const auto relative_gradient = [&](const std::vector<double>& dz) {
      inputs.dz = dz;
      const std::vector<double> dx = evaluator.backward(inputs, saved).dx;
      double largest = 0;
      for (std::size_t i = 0; i < dx.size(); ++i) {
        const double r = 1 / std::sqrt(forward.variance[i / 64 % 4] + inputs.problem.eps);
        double widest = 0;
        for (const double one : dz) widest = std::max(widest, std::fabs(one));
        largest = std::max(largest, std::fabs(dx[i]) / (r * widest));
      }
      return largest;
    };
    double smallest_variance = forward.variance[0];
    for (const double variance : forward.variance)
      smallest_variance = std::min(smallest_variance, variance);
    const double of_sum = relative_gradient(std::vector<double>(inputs.x.size(), 1.0)),
                 of_squares = relative_gradient(forward.z);
    EXPECT_LT(of_sum, 1e-13) << name;  // rounding alone
    // xhat eps/(v + eps)
    EXPECT_LE(of_squares, 1.01 * inputs.problem.eps / smallest_variance) << name;
    RecordProperty(std::string(name) + "_sum", fmt::format("{:.2g}", of_sum));
    RecordProperty(std::string(name) + "_half_sum_of_squares", fmt::format("{:.2g}", of_squares));
    EXPECT_GT(relative_gradient(data::make_inputs(inputs.problem, "standard", 5).dz), 0.1) << name;
  }
}
