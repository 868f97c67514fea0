// Files in the conventions of other frameworks (fixtures/conventions): what is declared passes,
// what is not declared or is wrong does not, and the reason says why.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "verify/judge/tensor_file_records.hpp"
#include "verify/results/results.hpp"

using namespace abn::verify;

namespace {

std::vector<results::Record> judged(const std::string& name) {
  const char* folder = std::getenv("ABN_SOURCE_DIR");
#ifdef ABN_SOURCE_DIR
  if (folder == nullptr) folder = ABN_SOURCE_DIR;
#endif
  return judge::check_file(std::string(folder != nullptr ? folder : ".") +
                           "/fixtures/conventions/" + name + ".safetensors");
}

/// The checks with this verdict, in order.
std::vector<std::string> with(const std::vector<results::Record>& records,
                              results::Verdict verdict) {
  std::vector<std::string> checks;
  for (const results::Record& record : records)
    if (record.verdict == verdict) checks.push_back(record.check);
  return checks;
}

using Checks = std::vector<std::string>;

struct Right {
  const char* name;
  std::size_t checks;
};
class RightFiles : public testing::TestWithParam<Right> {};

TEST_P(RightFiles, Pass) {
  const auto records = judged(GetParam().name);
  EXPECT_EQ(records.size(), GetParam().checks);
  for (const results::Record& record : records)
    EXPECT_EQ(record.verdict, results::Verdict::pass)
        << record.id << ": " << results::failure_text(record);
}
std::string name_of(const testing::TestParamInfo<Right>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(
    Conventions, RightFiles,
    testing::Values(Right{"kink_left", 8}, Right{"kink_right", 8}, Right{"parameters_f16", 8},
                    Right{"parameters_f16_widened", 8}, Right{"parameters_bf16", 8},
                    Right{"parameters_bf16_widened", 8}, Right{"out_f32_of_bf16", 8},
                    Right{"out_f32_of_bf16_unsaid", 8}, Right{"out_f16_of_f32", 8},
                    Right{"running_biased", 8}, Right{"rank", 6}, Right{"gamma_alone", 7},
                    Right{"beta_alone", 7}, Right{"parameters_f16_statistics_f32", 8},
                    Right{"parameters_bf16_statistics_f32", 8}, Right{"cumulative", 8},
                    Right{"invstd", 8}, Right{"shift_apart_as_folded_apart", 1},
                    Right{"packed", 3}),
    name_of);

struct Wrong {
  const char* name;
  Checks fails;
};
class WrongFiles : public testing::TestWithParam<Wrong> {};

TEST_P(WrongFiles, FailWhereTheyAreWrongAndNowhereElse) {
  EXPECT_EQ(with(judged(GetParam().name), results::Verdict::fail), GetParam().fails);
}
std::string wrong_name(const testing::TestParamInfo<Wrong>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(
    Conventions, WrongFiles,
    testing::Values(
        Wrong{"kink_mixed", {"dbeta"}}, Wrong{"kink_left_as_right", {"dbeta", "dgamma", "dx"}},
        Wrong{"running_biased_unsaid", {"running_var"}}, Wrong{"rank_wrong_dx", {"dx"}},
        Wrong{"rank_unsaid", {"dx", "mean", "running_mean", "running_var", "variance", "z"}},
        Wrong{"invstd_as_variance", {"dgamma", "dx", "variance"}},
        Wrong{"shift_apart_as_direct", {"z"}}, Wrong{"masked", {"mean", "variance", "z"}},
        Wrong{"parameters_f16_widened_unsaid",
              {"dbeta", "dgamma", "dx", "mean", "running_mean", "running_var", "variance"}},
        Wrong{"one_sample_nan", {"running_var"}}),
    wrong_name);

// What other frameworks computed themselves (fixtures/conventions/frameworks.py).
TEST(Frameworks, StepsOfOthersPassByTheConventionsThatTheyDeclare) {
  const Right files[] = {{"onnx_example", 1},
                         {"onnx_example_training_mode", 3},
                         {"onnx_epsilon", 1},
                         {"onnx_epsilon_training_mode", 3},
                         {"onnxruntime_relu_inference", 1},
                         {"flax_relu", 6},
                         {"flax_relu_frozen", 4},
                         {"flax_leaky_relu", 6},
                         {"flax_leaky_relu_bf16", 6},
                         {"flax_elu", 6},
                         {"keras_relu", 6},
                         {"keras_leaky_relu", 6},
                         {"keras_identity_frozen", 4}};
  for (const Right& file : files) {
    const auto records = judged(std::string("frameworks/") + file.name);
    EXPECT_EQ(records.size(), file.checks) << file.name;
    for (const results::Record& record : records)
      EXPECT_EQ(record.verdict, results::Verdict::pass)
          << record.id << ": " << results::failure_text(record);
  }
}

TEST(Frameworks, StepsOfOthersFailByAnotherConvention) {
  const Wrong files[] = {{"onnx_example_training_mode_as_unbiased", {"running_var"}},
                         {"onnx_epsilon_training_mode_as_unbiased", {"running_var"}},
                         {"flax_elu_as_right", {"dbeta", "dx"}}};
  for (const Wrong& file : files) {
    const auto records = judged(std::string("frameworks/") + file.name);
    EXPECT_EQ(with(records, results::Verdict::fail), file.fails) << file.name;
    for (const results::Record& record : records)
      if (record.verdict == results::Verdict::fail) {
        EXPECT_NE(results::failure_text(record).find("undeclared_"), std::string::npos)
            << results::failure_text(record);
      }
  }
}

TEST(Conventions, ARankWithoutTheSumsOfAllIsJudgedButForDx) {
  const auto records = judged("rank_without_sums");
  EXPECT_EQ(with(records, results::Verdict::fail), Checks{});
  EXPECT_EQ(with(records, results::Verdict::skip), Checks{"dx"});
  EXPECT_EQ(with(records, results::Verdict::pass).size(), 5u);
}

struct Named {
  const char *name, *words;
};
class AdvisedFiles : public testing::TestWithParam<Named> {};

TEST_P(AdvisedFiles, SayWhatTheyWouldPassAs) {
  for (const results::Record& record : judged(GetParam().name))
    if (record.verdict == results::Verdict::fail) {
      EXPECT_NE(results::failure_text(record).find(GetParam().words), std::string::npos)
          << results::failure_text(record);
    }
}
std::string named_name(const testing::TestParamInfo<Named>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Conventions, AdvisedFiles,
                         testing::Values(Named{"masked", "n1cCsM"},
                                         Named{"invstd_as_variance", "saved_invstd"},
                                         Named{"running_biased_unsaid", "abn.running_variance"},
                                         Named{"kink_left_as_right", "abn.kink"},
                                         Named{"parameters_f16_widened_unsaid", "param:f16"}),
                         named_name);

TEST(Conventions, ASingleSampleIsNamed) {
  const auto records = judged("one_sample_nan");
  const auto at = std::find_if(records.begin(), records.end(), [](const results::Record& record) {
    return record.check == "running_var";
  });
  ASSERT_NE(at, records.end());
  EXPECT_NE(results::failure_text(*at).find("m/(m-1)"), std::string::npos)
      << results::failure_text(*at);
}

TEST(Conventions, AConstantUpstreamGradientIsSaidToBeOne) {
  const auto records = judged("ones_gradient");
  EXPECT_EQ(with(records, results::Verdict::fail), Checks{});
  EXPECT_EQ(with(records, results::Verdict::inconclusive), (Checks{"dx"}));
  for (const results::Record& record : records)
    if (record.check == "dx") {
      EXPECT_NE(record.reason.find("dz is the same"), std::string::npos) << record.reason;
    }
}

}  // namespace
