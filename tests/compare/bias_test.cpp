// Bias: errors that lean to one side are named although each is below its bound, those of correct
// kernels are not.
#include <gtest/gtest.h>

#include "tests/bound/data.hpp"
#include "verify/compare/bias.hpp"
#include "verify/compare/compare.hpp"
#include "verify/expect/expect.hpp"
#include "verify/results/results.hpp"
#include "verify/study/simulate.hpp"

namespace abn::tests {
namespace {

using namespace verify::compare;
using study::Bug;

struct Leaning {
  Bias z, dx;
  double max_ratio = 0;
};

/// `cases` problems in f32 by a kernel that computes in double, claims f32 and stores as the bug
/// says.
Leaning leaning_of(Bug bug, std::uint64_t cases, std::uint64_t first_seed) {
  Leaning out;
  study::SimulatedKernel kernel;
  kernel.bug = bug;
  for (std::uint64_t seed = first_seed; seed < first_seed + cases; ++seed) {
    const abn_problem p = make_problem(4, 3, 20, ABN_F32, ABN_LEAKY_RELU, 0.25);
    const problem::Inputs inputs = make_inputs(p, Recipe{}, seed);
    kernel.declared.scheme = ABN_IN_PLACE_1;
    kernel.declared.accumulate = ABN_F32;
    const abn_claims claims = study::claims_of(kernel.declared, p);
    kernel.declared.accumulate = ABN_F64;
    const study::KernelOutputs got = study::simulate(inputs, kernel);
    const auto observe = [&](const std::vector<Expectation>& all, Output output, Bias& bias) {
      for (const Expectation& one : all) {
        if (one.output != output) continue;
        bias += bias_of(one, got.of(output));
        out.max_ratio = std::max(out.max_ratio, compare_all(one, got.of(output)).max_ratio);
      }
    };
    observe(expect::expect_forward(inputs, claims), Output::z, out.z);
    observe(expect::expect_backward(inputs, got.saved, claims), Output::dx, out.dx);
  }
  return out;
}

TEST(Bias, OfResultsThatAreCutOffIsNamedBelowTheBound) {
  const Leaning cut = leaning_of(Bug::truncated_store, 40, 1);
  EXPECT_LT(cut.max_ratio, 1);  // no element is wrong
  EXPECT_EQ(bias_text(cut.z).rfind("errors lean towards zero, 0.", 0), 0u) << bias_text(cut.z);
  EXPECT_EQ(bias_text(cut.dx).rfind("errors lean towards zero, 0.", 0), 0u) << bias_text(cut.dx);
  EXPECT_NEAR(cut.z.outward.sum / static_cast<double>(cut.z.cases), -0.5, 0.05);
}

TEST(Bias, OfACorrectKernelIsNotNamed) {
  for (std::uint64_t seed = 1; seed < 2000; seed += 100) {
    const Leaning right = leaning_of(Bug::none, 40, seed);
    EXPECT_EQ(bias_text(right.z), "") << seed;
    EXPECT_EQ(bias_text(right.dx), "") << seed;
  }
}

TEST(Bias, TakesManyCasesAndLooksAtBothSides) {
  const auto observed = [](std::uint64_t cases, double up, double outward) {
    Bias bias;
    for (std::uint64_t k = 0; k < cases; ++k) {
      const double wobble = k % 2 == 0 ? 0.01 : -0.01;
      const auto one = [&](double mean) {
        return Lean{mean + wobble, (mean + wobble) * (mean + wobble)};
      };
      bias += Bias{1, one(up), one(outward)};
    }
    return bias_text(bias);
  };
  EXPECT_EQ(observed(Bias::least_cases, -0.25, 0),
            "errors lean towards -infinity, 0.25 ulp on average over 16 cases");
  EXPECT_EQ(observed(40, 0.25, 0.1),
            "errors lean towards +infinity, 0.25 ulp on average over 40 cases");
  EXPECT_EQ(observed(40, 0.1, 0.3), "errors lean away from zero, 0.3 ulp on average over 40 cases");
  EXPECT_EQ(observed(Bias::least_cases - 1, -0.25, 0), "");
  EXPECT_EQ(observed(1000, 0.04, 0.04), "");
}

TEST(Bias, IsInTheReasonTheHeadlineAndTheFile) {
  results::Record record;
  record.id = "k/forward/f32/nchw/z", record.variant = "k", record.op = "forward",
  record.check = "z", record.kind = results::CheckKind::numbers;
  record.cases = record.discriminating_cases = 40;
  record.tally.elements = 40;
  record.bias = leaning_of(Bug::truncated_store, 40, 1).z;
  results::conclude(record);
  EXPECT_EQ(record.verdict, results::Verdict::pass);
  EXPECT_NE(record.reason.find("; errors lean towards zero"), std::string::npos) << record.reason;
  results::Results results;
  results.records = {record};
  EXPECT_NE(results::headline(results).find("1 is biased"), std::string::npos)
      << results::headline(results);
  const results::Results read = results::results_from_json(results::to_json(results));
  EXPECT_EQ(bias_text(read.records.at(0).bias), bias_text(record.bias));
}

}  // namespace
}  // namespace abn::tests
