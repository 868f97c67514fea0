// The rules of other projects stand where they say, the plain implementation is right, and what is
// committed is reproduced.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "verify/call/device.hpp"
#include "verify/call/plugin.hpp"
#include "verify/expect/expect.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/study/judges.hpp"
#include "verify/study/judges_plain.hpp"
#include "verify/study/judges_rules.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::study;

// ---- the rules
// -------------------------------------------------------------------------------------------------

const JudgeRule& rule_named(std::string_view name) {
  for (const JudgeRule& rule : judge_rules())
    if (name == rule.name) return rule;
  throw std::out_of_range(std::string(name));
}

/// The first of two elements is off by `error`, the second is exact.
bool passes(std::string_view rule, compare::Output output, int dtype, double exact, double plain,
            double error, double second) {
  const std::vector<double> got{exact + error, second}, truth{exact, second}, other{plain, second};
  return rule_named(rule).passes({output, dtype, dtype, got, truth, other});
}

struct Threshold {
  const char* rule;
  compare::Output output;
  int dtype;
  double exact, inside, outside;  ///< errors of the first element
  double second = 0;              ///< the other element, which is exact
  double plain_error = 0;
};

// Where two thresholds meet, the comment says what was solved.
const Threshold thresholds[] = {
    {"PyTorch assert_close", compare::Output::z, ABN_F16, 1, 1.00e-3, 1.02e-3},
    {"PyTorch assert_close", compare::Output::dx, ABN_BF16, 1, 1.600e-2, 1.602e-2},
    {"PyTorch assert_close", compare::Output::mean, ABN_F32, 1, 1.12e-5, 1.14e-5},
    {"PyTorch assert_close", compare::Output::z, ABN_F64, 1, 1.99e-7, 2.01e-7},
    {"FlashAttention, twice", compare::Output::z, ABN_F32, 0, 1.99e-3, 2.01e-3, 0, 1e-3},
    // 1 + 0.3 - 0.3 is 1 - 2^-8 in bf16, and twice that is 2^-7
    {"FlashAttention, twice", compare::Output::dx, ABN_BF16, 1, 7.80e-3, 7.82e-3},
    {"FlashAttention, twice", compare::Output::dgamma, ABN_F32, 1, 1.99e-5, 2.01e-5},
    {"benchdnn bnorm", compare::Output::z, ABN_F32, 1, 1.9e-6, 2.1e-6},
    {"benchdnn bnorm", compare::Output::z, ABN_F32, 0x1p-20, 1.9e-6, 2.1e-6},
    {"benchdnn bnorm", compare::Output::z, ABN_F16, 1, 1.6e-2, 1.7e-2},  // 2e-6 2^13
    {"benchdnn bnorm", compare::Output::mean, ABN_F32, 1, 0.9e-7, 1.1e-7},
    {"benchdnn bnorm", compare::Output::running_var, ABN_F32, 1, 4.9e-7, 5.1e-7},
    {"benchdnn bnorm", compare::Output::dx, ABN_F32, 3, 2.9e-6, 3.1e-6, 4},  // 6e-7 of the norm 5
    {"benchdnn bnorm", compare::Output::dbeta, ABN_F32, 3, 2.4e-5, 2.6e-5, 4},
    {"KernelBench, first", compare::Output::z, ABN_F32, 1, 1.99e-2, 2.01e-2},
    {"KernelBench", compare::Output::z, ABN_F32, 1, 1.99e-4, 2.01e-4},
    {"KernelBench", compare::Output::z, ABN_F16, 1, 1.99e-2, 2.01e-2},
    // error = sqrt(2) 1e-4 (1 + error)
    {"MIOpenDriver", compare::Output::z, ABN_F32, 1, 1.41e-4, 1.42e-4, 1},
    {"MIOpenDriver", compare::Output::z, ABN_F16, 1, 2.83e-3, 2.84e-3, 1},  // with 2e-3
    {"MIOpenDriver", compare::Output::dx, ABN_F32, 1, 0.164, 0.166, 1},     // with 0.1
    // error = 0.05 (2 + error)
    {"CUTLASS profiler", compare::Output::z, ABN_F32, 1, 0.105, 0.106},
    {"CUTLASS profiler", compare::Output::z, ABN_F32, 0x1p-12, 1.95e-4, 1.96e-4},  // 0.05/256
    {"CUTLASS unit tests", compare::Output::z, ABN_F32, 1, 0, 0x1p-23},
    {"TransformerEngine", compare::Output::z, ABN_F32, 1, 4.9e-6, 5.1e-6},
    {"TransformerEngine", compare::Output::z, ABN_F32, 0x1p-20, 4.9e-7, 5.1e-7},
    {"TransformerEngine", compare::Output::z, ABN_F16, 1, 0.99e-3, 1.01e-3},
    {"TransformerEngine", compare::Output::z, ABN_BF16, 1, 0.99e-2, 1.01e-2},
    {"TransformerEngine", compare::Output::variance, ABN_F32, 1, 4.9e-5, 5.1e-5},
    {"TransformerEngine", compare::Output::dgamma, ABN_F32, 1, 4.9e-4, 5.1e-4},
    // a neighbour in bf16 passes whatever the tolerance
    {"TransformerEngine", compare::Output::dx, ABN_BF16, 1, 0x1p-7, 0x1p-6},
    {"cuDNN frontend", compare::Output::z, ABN_F16, 1, 1.99e-3, 2.01e-3},
    {"ONNX backend test", compare::Output::z, ABN_F32, 1, 1.0000e-3, 1.0002e-3},
    {"ONNX backend test", compare::Output::dx, ABN_F32, 0, 0.9e-7, 1.1e-7},
};

TEST(JudgesRules, PassOnOneSideOfTheirThresholdsAndFailOnTheOther) {
  std::set<std::string> seen;
  for (const Threshold& one : thresholds) {
    const auto at = [&](double error) {
      return passes(one.rule, one.output, one.dtype, one.exact, one.exact + one.plain_error, error,
                    one.second);
    };
    for (const double sign : {1.0, -1.0}) {
      const bool sided = std::string_view(one.rule) == "MIOpenDriver" ||
                         std::string_view(one.rule) == "CUTLASS profiler" ||
                         std::string_view(one.rule) == "TransformerEngine";
      // the size of the wrong value, or its distance to its neighbours, takes part
      if (sided && sign < 0) continue;
      EXPECT_TRUE(at(sign * one.inside))
          << one.rule << ' ' << compare::output_name(one.output) << ' ' << one.inside;
      EXPECT_FALSE(at(sign * one.outside))
          << one.rule << ' ' << compare::output_name(one.output) << ' ' << one.outside;
    }
    seen.insert(one.rule);
  }
  EXPECT_EQ(seen.size(), judge_rules().size());
}

TEST(JudgesRules, RefuseNaNInfinityAndPassWhatIsExact) {
  for (const JudgeRule& rule : judge_rules())
    for (const compare::Output output :
         {compare::Output::z, compare::Output::mean, compare::Output::variance, compare::Output::dx,
          compare::Output::dgamma}) {
      const int dtype = compare::is_tensor(output) ? ABN_BF16 : ABN_F32;
      const auto at = [&](double error) {
        return passes(rule.name, output, dtype, 0.5, 0.5, error, 2);
      };
      EXPECT_TRUE(at(0)) << rule.name << ' ' << compare::output_name(output);
      EXPECT_FALSE(at(std::nan(""))) << rule.name << ' ' << compare::output_name(output);
      EXPECT_FALSE(at(std::numeric_limits<double>::infinity()))
          << rule.name << ' ' << compare::output_name(output);
    }
}

TEST(JudgesRules, CompareWithTheReferenceInTheTypeOfTheOutput) {
  const std::vector<double> got{1}, exact{1 + 0x1p-30};
  EXPECT_TRUE(rule_named("CUTLASS unit tests")
                  .passes({compare::Output::z, ABN_F32, ABN_F32, got, exact, got}));
  EXPECT_FALSE(rule_named("CUTLASS unit tests")
                   .passes({compare::Output::z, ABN_F64, ABN_F64, got, exact, got}));
}

// ---- the data and the plain implementation
// -------------------------------------------------------------------------------------

TEST(JudgesData, HasTheGradesThatItSays) {
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32}) {
    for (const problem::Inputs& one : graded_cases(Grade::easy, dtype, 1)) {
      EXPECT_TRUE(
          std::all_of(one.gamma.begin(), one.gamma.end(), [](double gamma) { return gamma == 1; }));
      EXPECT_TRUE(
          std::all_of(one.beta.begin(), one.beta.end(), [](double beta) { return beta == 0; }));
    }
    for (const problem::Inputs& one : graded_cases(Grade::realistic, dtype, 1)) {
      for (const double dz : one.dz) EXPECT_LT(std::fabs(dz), 1e-5);
      for (const double gamma : one.gamma)
        EXPECT_TRUE(std::fabs(gamma) >= 0.1 && std::fabs(gamma) <= 1);
    }
    double ratio = 0, kappa = 0, least = 1;
    for (const problem::Inputs& one : graded_cases(Grade::ill_conditioned, dtype, 1))
      for (std::size_t c = 0; c < one.gamma.size(); ++c) {
        ratio = std::max(ratio, std::fabs(one.beta[c] / one.gamma[c]));
        least = std::min(least, std::fabs(one.gamma[c]));
        kappa = std::max(kappa, std::fabs(one.running_mean[c]) / std::sqrt(one.running_var[c]));
      }
    EXPECT_GT(ratio, 200);
    EXPECT_LT(least, 0x1p-9);
    EXPECT_GT(kappa, dtype == ABN_F32 ? 900 : dtype == ABN_F16 ? 230 : 28);
  }
}

/// The largest |plain - exact| in units of the largest |exact|.
double largest_error(const compare::Expectation& expectation, const std::vector<double>& plain) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    error = std::max(error, std::fabs(plain[i] - expectation.points[i].hi));
    size = std::max(size, std::fabs(expectation.points[i].hi));
  }
  return error / size;
}

abn_claims claims_for(const problem::Inputs& inputs, int scheme) {
  abn_claims claims{};
  claims.struct_size = sizeof claims;
  claims.scheme = scheme;
  claims.accumulate = ABN_F32;
  claims.depth_statistics = claims.depth_backward = problem::sample_count(inputs.problem);
  claims.function_ulp = 2;
  return claims;
}

TEST(JudgesPlain, IsRightInF32ForEveryScheme) {
  constexpr double enough = 1e-5;  // of the largest value: f32 with m up to 2501
  int compared = 0;
  for (const Grade grade : {Grade::easy, Grade::realistic})
    for (const problem::Inputs& inputs : graded_cases(grade, ABN_F32, 1)) {
      const Numbers forward = plain_forward(inputs);
      for (const compare::Expectation& expectation :
           expect::expect_forward(inputs, claims_for(inputs, ABN_STANDARD)))
        EXPECT_LT(largest_error(expectation, forward.at(expectation.output)), enough)
            << problem::to_string(inputs.problem) << ' '
            << compare::output_name(expectation.output);
      if (inputs.problem.mode == ABN_INFERENCE) continue;
      for (const int scheme :
           {ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT, ABN_IN_PLACE_1}) {
        problem::Saved saved;
        if (scheme == ABN_STANDARD || scheme == ABN_IN_PLACE_1)
          saved.z = forward.at(compare::Output::z);
        if (scheme == ABN_CHECKPOINT_XHAT) saved.xhat = forward.at(compare::Output::xhat);
        if (inputs.problem.mode == ABN_TRAINING)
          saved.mean = forward.at(compare::Output::mean),
          saved.variance = forward.at(compare::Output::variance);
        const Numbers backward = plain_backward(inputs, saved, scheme == ABN_IN_PLACE_1);
        for (const compare::Expectation& expectation :
             expect::expect_backward(inputs, saved, claims_for(inputs, scheme))) {
          EXPECT_LT(largest_error(expectation, backward.at(expectation.output)), 10 * enough)
              << problem::to_string(inputs.problem) << ' ' << scheme << ' '
              << compare::output_name(expectation.output);
          ++compared;
        }
      }
    }
  EXPECT_GT(compared, 200);
}

// ---- the study
// -------------------------------------------------------------------------------------------------

const std::vector<call::Subject>& kernels() {
  static const call::Plugin plugin = call::load_plugin(planted_bugs_beside_program());
  static const std::vector<call::Subject> all =
      call::subjects_of(call::choose_device("emulator"), std::span(&plugin, 1), true);
  return all;
}

std::string text_of(const std::string& file) {
  const char* const root = std::getenv("ABN_SOURCE_DIR");
  const std::string path = std::string(root != nullptr ? root : ".") + "/" + file;
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

const Study& committed() {
  static const Study study = study_from_json(text_of("fixtures/studies/judges.json"));
  return study;
}

TEST(JudgesStudy, RefusesKernelsThatCannotBeCompared) {
  std::vector<call::Subject> right;
  for (const call::Subject& kernel : kernels())
    if (is_right_kernel(*kernel.variant)) right.push_back(kernel);
  EXPECT_EQ(right.size(), 13u);
  EXPECT_EQ(kernels().size(), 180u);
  EXPECT_THROW(judges_study(right, 1, 1), problem::UsageError);
  EXPECT_THROW(judges_study({}, 1, 1), problem::UsageError);
}

/// One cell of the study in each grade and type: a third of its time.
TEST(JudgesStudy, ReproducesWhatIsCommitted) {
  const struct {
    Grade grade;
    int dtype;
  } cells[] = {
      {Grade::easy, ABN_F32}, {Grade::realistic, ABN_BF16}, {Grade::ill_conditioned, ABN_F16}};
  // counts: other C libraries round expm1 and log1p differently, which decides for a bug near a
  // threshold
  constexpr double band = 2;
  const Table& types = table_of(committed(), "types");
  for (const auto& [grade, dtype] : cells) {
    const std::vector<Verdicts> verdicts =
        verdicts_of(grade, dtype, kernels(), committed().seed, 2);
    for (const auto& row : detail_rows(grade, dtype, kernels(), verdicts)) {
      const auto same = [&](const auto& other) {
        return other[0] == row[0] && other[1] == row[1] && other[2] == row[2];
      };
      const auto old = std::find_if(types.rows.begin(), types.rows.end(), same);
      ASSERT_NE(old, types.rows.end());
      for (std::size_t c = 3; c < row.size(); ++c)
        EXPECT_NEAR(std::get<double>((*old)[c]), std::get<double>(row[c]), band)
            << show_cell(row[0]) << ' ' << show_cell(row[1]) << ' ' << show_cell(row[2]) << ", "
            << types.columns[c].name;
      if (std::get<std::string>(row[2]) != rule_name(own_rule())) continue;
      EXPECT_EQ(std::get<double>(row[6]), 0) << "a right kernel is refused";
      EXPECT_GE(std::get<double>(row[4]), 0.9 * std::get<double>(row[3]))
          << "a tenth of the visible bugs escapes";
    }
  }
}

TEST(JudgesStudy, IsTheSameForAnyNumberOfThreads) {
  // The kernels that remember earlier calls, and a few others.
  std::vector<call::Subject> some;
  for (const call::Subject& kernel : kernels()) {
    const std::string_view name = kernel.variant->name;
    if (name == "twin_in_place_1" || name == "stale_output" || name == "every_other_call_off" ||
        name == "sums_in_order_of_arrival" || name == "dx_zero" || name == "workspace_not_cleared")
      some.push_back(kernel);
  }
  ASSERT_EQ(some.size(), 6u);
  const auto one =
      detail_rows(Grade::easy, ABN_F32, some, verdicts_of(Grade::easy, ABN_F32, some, 1, 1));
  EXPECT_EQ(one,
            detail_rows(Grade::easy, ABN_F32, some, verdicts_of(Grade::easy, ABN_F32, some, 1, 4)));
  // A bug that is seen by what a call returns, and one that only the contract checks see.
  const auto caught = [&](std::size_t rule) { return std::get<double>(one[rule][4]); };
  EXPECT_GE(caught(own_rule()), 2);
  EXPECT_GE(caught(own_rule() + 1), caught(own_rule()));
}

TEST(JudgesStudy, TheEvidenceShowsTheCommittedTable) {
  const std::string evidence = text_of("EVIDENCE.md");
  for (const auto& row : table_of(committed(), "judges").rows) {
    std::string line = fmt::format("| {} |", std::get<std::string>(row[0]));
    for (std::size_t c = 1; c < row.size(); ++c)
      line += fmt::format(" {:.0f} |", std::get<double>(row[c]));
    EXPECT_NE(evidence.find(line), std::string::npos) << line;
  }
}

}  // namespace
