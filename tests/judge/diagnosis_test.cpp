// Diagnosis: predictions without a change are the reference's, evidence adds up in any grouping,
// and what is named is said in words.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>
#include <vector>

#include "tests/bound/data.hpp"
#include "verify/expect/expect.hpp"
#include "verify/judge/diagnosis/diagnosis.hpp"
#include "verify/judge/diagnosis/simulate.hpp"
#include "verify/results/results.hpp"

namespace {

using namespace abn::tests;
using namespace abn::verify::judge;
using diagnosis::BackwardPrediction;
using diagnosis::ForwardPrediction;
using diagnosis::Given;
using diagnosis::MistakeAt;
using diagnosis::Simulation;

/// What the oracle expects of an output.
const compare::Expectation& of(const std::vector<compare::Expectation>& all,
                               compare::Output output) {
  return *compare::find_output(all, output);
}

TEST(Diagnosis, APredictionWithoutAChangeIsTheReference) {
  constexpr double close = 0x1p-40;  // of the largest of the channel: double against 50 digits
  for (const int activation : {ABN_IDENTITY, ABN_LEAKY_RELU, ABN_ELU})
    for (const int mode : {ABN_TRAINING, ABN_FROZEN})
      for (const int scale : {ABN_SCALE_SIGNED, ABN_SCALE_ABS_EPS})
        for (const int scheme : {ABN_STANDARD, ABN_CHECKPOINT_X, ABN_IN_PLACE_1, ABN_IN_PLACE_2}) {
          abn_problem p = make_problem(3, 2, 7, ABN_F64, activation, 0.25);
          p.mode = mode, p.scale = scale;
          const problem::Inputs inputs = make_inputs(p, Recipe{}, 7);
          const abn_claims claims = plain_claims(scheme, ABN_F64, 21);
          const auto forward = expect::expect_forward(inputs, claims);
          problem::Saved saved;
          for (const compare::Point& point : of(forward, compare::Output::z).points)
            saved.z.push_back(point.hi);
          if (mode == ABN_TRAINING)
            for (std::size_t c = 0; c < 2; ++c)
              saved.mean.push_back(of(forward, compare::Output::mean).points[c].hi),
                  saved.variance.push_back(of(forward, compare::Output::variance).points[c].hi);
          const auto backward = expect::expect_backward(inputs, saved, claims);
          for (std::size_t c = 0; c < 2; ++c) {
            diagnosis::Given<long double> in;
            in.problem = &p, in.scheme = scheme;
            in.gamma = inputs.gamma[c], in.beta = inputs.beta[c];
            in.running_mean = inputs.running_mean[c], in.running_var = inputs.running_var[c];
            if (mode == ABN_TRAINING)
              in.kept_mean = saved.mean[c], in.kept_variance = saved.variance[c];
            std::vector<std::size_t> at;
            for (std::int64_t i = 0; i < 21; ++i)
              at.push_back(static_cast<std::size_t>(
                  problem::sample_offset(p, static_cast<std::int64_t>(c), i)));
            for (const std::size_t i : at)
              in.x.push_back(inputs.x[i]), in.dz.push_back(inputs.dz[i]),
                  in.z.push_back(saved.z[i]);
            const MistakeAt unchanged;
            diagnosis::ForwardPrediction<long double> y;
            ASSERT_TRUE(diagnosis::Simulation<long double>(in, unchanged).forward(y));
            diagnosis::BackwardPrediction<long double> b;
            ASSERT_TRUE(diagnosis::Simulation<long double>(in, unchanged).backward(b));
            const std::string where =
                problem::to_string(p) + " scheme " + problem::scheme_name(scheme);
            for (std::size_t i = 0; i < at.size(); ++i) {
              EXPECT_NEAR(static_cast<double>(y.z[i]),
                          of(forward, compare::Output::z).points[at[i]].hi, close * 10)
                  << where;
              EXPECT_NEAR(static_cast<double>(b.dx[i]),
                          of(backward, compare::Output::dx).points[at[i]].hi, close * 100)
                  << where;
            }
            EXPECT_NEAR(static_cast<double>(b.dgamma),
                        of(backward, compare::Output::dgamma).points[c].hi, close * 100)
                << where;
            EXPECT_NEAR(static_cast<double>(b.dbeta),
                        of(backward, compare::Output::dbeta).points[c].hi, close * 100)
                << where;
            if (mode != ABN_TRAINING) continue;
            EXPECT_NEAR(static_cast<double>(y.variance),
                        of(forward, compare::Output::variance).points[c].hi, close * 10)
                << where;
            EXPECT_NEAR(static_cast<double>(y.running_var),
                        of(forward, compare::Output::running_var).points[c].hi, close * 10)
                << where;
            EXPECT_NEAR(static_cast<double>(y.running_mean),
                        of(forward, compare::Output::running_mean).points[c].hi, close * 10)
                << where;
          }
        }
}

TEST(Diagnosis, RightOutputsHaveNothingToExplain) {
  const abn_problem p = make_problem(2, 3, 5, ABN_F32, ABN_LEAKY_RELU, 0.25);
  const problem::Inputs inputs = make_inputs(p, Recipe{}, 1);
  const abn_claims claims = plain_claims(ABN_IN_PLACE_1, ABN_F32, 10);
  const auto expected = expect::expect_forward(inputs, claims);
  std::vector<compare::Stored> outputs;
  for (const compare::Expectation& one : expected) {
    outputs.push_back({one.output, {}});
    for (const compare::Point& point : one.points)
      outputs.back().values.push_back(problem::round_to(problem::format_of(one.dtype), point.hi));
  }
  EXPECT_EQ(diagnosis::diagnose({inputs, nullptr, claims, false, expected, outputs}).cases, 0U);
  // One wrong element is a failure that no formula explains.
  for (compare::Stored& one : outputs)
    if (one.output == compare::Output::z) one.values[4] += 1;
  const results::Diagnosis odd =
      diagnosis::diagnose({inputs, nullptr, claims, false, expected, outputs});
  EXPECT_EQ(odd.cases, 1U);
  EXPECT_TRUE(odd.likely().empty());
}

results::Explanation explanation(const char* name, std::uint64_t cases, double bits) {
  results::Explanation one;
  one.name = name, one.sentence = std::string("the ") + name, one.cases = cases, one.bits = bits,
  one.numbers = 1;
  return one;
}

TEST(Diagnosis, AddsUpInAnyGrouping) {
  EXPECT_TRUE(rc::check("(a + b) + c == a + (b + c)", [] {
    const auto any = [] {
      results::Diagnosis d;
      d.cases = 1;
      for (const char* const name : {"a", "b", "c"})
        if (*rc::gen::inRange(0, 2) == 1)
          d.explanations.push_back(explanation(name, 1, *rc::gen::inRange(0, 100)));
      return d;
    };
    const results::Diagnosis a = any(), b = any(), c = any();
    results::Diagnosis left = a, right = b, both = a;
    left += b, left += c, right += c, both += right;
    RC_ASSERT(left.cases == both.cases && left.explanations.size() == both.explanations.size());
    for (std::size_t i = 0; i < left.explanations.size(); ++i)
      RC_ASSERT(left.explanations[i].name == both.explanations[i].name &&
                left.explanations[i].bits == both.explanations[i].bits);
  }));
}

TEST(Diagnosis, NamesWhatExplainsAllCallsAndSaysHowSureItIs) {
  results::Diagnosis d;
  d.cases = 6;
  d.explanations = {explanation("best", 6, 100), explanation("weaker", 6, 50),
                    explanation("refuted", 4, 1000)};
  EXPECT_EQ(results::diagnosis_text(d), "matches the reference with the best (best)");
  d.explanations = {explanation("one", 6, 100), explanation("other", 6, 99)};
  EXPECT_EQ(results::diagnosis_text(d),
            "resembles the reference with the one (one), or the other (other)");
  d.explanations = {explanation("doubted", 5, 100)};
  EXPECT_EQ(results::diagnosis_text(d),
            "resembles the reference with the doubted (doubted, in 5 of 6 calls looked at)");
  d.explanations = {explanation("a", 6, 100), explanation("b", 6, 100), explanation("c", 6, 100)};
  EXPECT_EQ(results::diagnosis_text(d), "") << "three that are as good say nothing";
  d.explanations = {explanation("chance", 6, 5)};
  EXPECT_EQ(results::diagnosis_text(d), "") << "too few bits";
}

TEST(Diagnosis, SurvivesTheFile) {
  results::Results results;
  results::Record record;
  record.id = "v/forward/f32/nchw/z", record.variant = "v", record.op = "forward",
  record.dtype = "f32", record.layout = "nchw", record.check = "z";
  record.kind = results::CheckKind::numbers, record.verdict = results::Verdict::fail,
  record.reason = "wrong", record.cases = record.failed_cases = 1;
  record.diagnosis.cases = 6;
  record.diagnosis.explanations = {explanation("best", 6, 100.5)};
  results.records = {record};
  const std::string text = results::to_json(results);
  EXPECT_EQ(results::to_json(results::results_from_json(text)), text);
  EXPECT_NE(results::failure_text(results::results_from_json(text).records.front())
                .find("likely    matches the reference with the best (best)"),
            std::string::npos);
}

}  // namespace
