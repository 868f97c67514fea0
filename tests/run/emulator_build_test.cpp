// The check that a kernel gives the same bits on a GPU and on the emulator; tried without a GPU, by
// giving a variant an emulator build.
#include <gtest/gtest.h>

#include <algorithm>

#include "verify/check/outputs.hpp"
#include "verify/run/runner.hpp"

using namespace abn::verify;
using namespace abn::verify::run;

namespace {

std::vector<results::Record> run_with_emulator_build(const std::string& variant,
                                                     const std::string& emulator_build,
                                                     const std::string& problem) {
  const auto all = call::subjects_of(call::choose_device("emulator"), {}, false);
  const auto named = [&](const std::string& name) {
    return *std::find_if(all.begin(), all.end(),
                         [&](const call::Subject& s) { return s.variant->name == name; });
  };
  call::Subject subject = named(variant);
  subject.emulator_build = named(emulator_build).variant;
  const data::Case one = data::replay(problem, "standard", 3);
  check::RunOptions options;
  options.pattern = variant + "/*/emulator";
  return run::run(check::output_checks, {&subject, 1}, {&one, 1}, options);
}

}  // namespace

TEST(Twin, TheSameSourceHasTheSameBits) {
  const auto records =
      run_with_emulator_build("two_sweep", "two_sweep", "n3c5s700,bf16,leaky_relu:0.01");
  ASSERT_EQ(records.size(), 2u);  // forward and backward
  for (const auto& record : records)
    EXPECT_EQ(record.verdict, results::Verdict::pass) << record.id << record.reason;
}

TEST(Twin, AnotherOrderOfSummationIsFoundAndNamed) {
  const auto records = run_with_emulator_build("two_sweep", "naive", "n3c5s700,f32,identity");
  ASSERT_EQ(records.size(), 2u);
  for (const auto& record : records) {
    EXPECT_EQ(record.verdict, results::Verdict::fail) << record.id;
    ASSERT_FALSE(record.witnesses.empty());
    EXPECT_NE(record.witnesses.front().where, "");
  }
}

TEST(Twin, EluIsLeftOutForItsFunctionsComeFromTwoLibraries) {
  EXPECT_TRUE(run_with_emulator_build("two_sweep", "naive", "n3c5s700,f32,elu:1").empty());
}
