// Records and runs: skips, errors, witnesses, the cost of in-place, patterns and threads.
#include <algorithm>
#include <cmath>

#define ABN_ENTRY_OF_THIS_TEST right_variant_of_runner_test
#include "tests/call/broken_variant.hpp"
#include "verify/call/contract.hpp"
#include "verify/check/outputs.hpp"
#include "verify/judge/judge.hpp"
#include "verify/problem/error.hpp"
#include "verify/run/runner.hpp"

using Runner = BrokenVariant;

TEST_F(Runner, UnsupportedIsASkipAndNonsenseAnError) {
  const auto skipped = run_one("n3c4s7,f16,leaky_relu", "standard", 1, "broken/*/f32/*");
  EXPECT_TRUE(skipped.empty());
  const std::vector<call::Subject> subjects{subject_of(broken_variant)};
  const std::vector<data::Case> cases{data::replay("n3c4s7,f16,leaky_relu", "standard", 1)};
  for (const results::Record& record :
       check::run_case(check::output_checks, subjects[0], cases[0], {}))
    EXPECT_EQ(record.verdict, results::Verdict::skip) << record.id;

  breakage.claims = [](abn_claims& c) { c.scheme = 17; };
  const auto records = run_one("n3c4s7,f32,leaky_relu");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records.begin()->second.verdict, results::Verdict::error);
  EXPECT_NE(records.begin()->second.reason.find("scheme"), std::string::npos);
}

TEST_F(Runner, AVariantWithoutADeviceIsSkippedWithItsReason) {
  call::Subject subject = subject_of(broken_variant);
  subject.device = nullptr;
  subject.unavailable = "this machine has no GPU; use --device emulator";
  const auto records = check::run_case(check::output_checks, subject,
                                       data::replay("n3c4s7,f32,leaky_relu", "standard", 1), {});
  EXPECT_GT(records.size(), 10u);
  for (const results::Record& record : records) {
    EXPECT_EQ(record.verdict, results::Verdict::skip);
    EXPECT_EQ(record.reason, subject.unavailable);
  }
}

TEST_F(Runner, AWrongNumberHasAWitnessWithItsInputsBitsAndTerms) {
  breakage.backward = [](const abn_problem& p, const abn_backward_args& a) {
    const int status = ::backward(&p, &a);
    // n 1, c 2, s 3 in NCHW
    if (a.dx != nullptr) static_cast<float*>(a.dx)[4 * 7 + 2 * 7 + 3] += 0.5f;
    return status;
  };
  const results::Record record = run_one("n3c4s7,f32,leaky_relu").at("backward/dx");
  EXPECT_EQ(record.verdict, results::Verdict::fail);
  EXPECT_EQ(record.tally.failed, 1u);
  ASSERT_FALSE(record.witnesses.empty());
  const results::Witness& witness = record.witnesses.front();
  EXPECT_EQ(witness.where, "dx[n 1, c 2, s 3]");
  EXPECT_NEAR(witness.error, 0.5, 1e-4);
  EXPECT_GT(witness.ratio, 1000);
  EXPECT_EQ(witness.got_bits.size(), 10u);
  EXPECT_EQ(witness.reproduce,
            "abn-verify run broken/backward/f32/nchw/dx --problem n3c4s7,nchw,f32,leaky_relu:0.01 "
            "--data standard --seed 4");
  std::map<std::string, double> inputs(witness.inputs.begin(), witness.inputs.end());
  for (const char* name : {"z", "dz", "gamma", "beta"}) EXPECT_EQ(inputs.count(name), 1u) << name;
  ASSERT_FALSE(witness.terms.empty());
  double sum = 0;
  for (const auto& [name, share] : witness.terms) sum += share;
  EXPECT_NEAR(sum, 1, 0.1);
}

TEST_F(Runner, PlacesAreNamedInBothLayouts) {
  const abn_problem nchw = problem::parse_problem("n3c4s7,leaky_relu"),
                    nhwc = problem::parse_problem("n3c4s7,nhwc,leaky_relu");
  for (std::int64_t n = 0; n < 3; ++n)
    for (std::int64_t c = 0; c < 4; ++c)
      for (std::int64_t s = 0; s < 7; ++s) {
        const std::string name = "z[n " + std::to_string(n) + ", c " + std::to_string(c) + ", s " +
                                 std::to_string(s) + "]";
        EXPECT_EQ(problem::place_of(nchw, "z", true, problem::element_offset(nchw, n, c, s)), name);
        EXPECT_EQ(problem::place_of(nhwc, "z", true, problem::element_offset(nhwc, n, c, s)), name);
      }
}

TEST_F(Runner, ASchemeThatLosesTheSignalInPlaceIsUnsafeAndPasses) {
  const results::Record fine = run_one("n8c4s16,f32,leaky_relu", "standard").at("backward/dx"),
                        lost =
                            run_one("n8c4s16,f32,leaky_relu", "large_beta").at("backward/dgamma");
  EXPECT_EQ(fine.verdict, results::Verdict::pass);
  EXPECT_LT(fine.end_to_end_cost, 1e-4);
  EXPECT_EQ(fine.unsafe_cases, 0u);
  EXPECT_EQ(lost.verdict, results::Verdict::pass);
  EXPECT_GT(lost.end_to_end_cost, fine.end_to_end_cost);
}

TEST_F(Runner, TheNumberOfThreadsLeavesNoTrace) {
  const std::vector<call::Subject> subjects{subject_of(broken_variant)};
  std::vector<data::Case> cases = data::cases_of(data::Tier::smoke, 3);
  std::erase_if(cases, [](const data::Case& one) {
    return one.problem.dtype != ABN_F32 || problem::element_count(one.problem) > 1000;
  });
  const auto json = [&](int threads) {
    check::RunOptions options;
    options.threads = threads;
    results::Results results;
    results.records = run::run(check::output_checks, subjects, cases, options);
    return results::to_json(results);
  };
  const std::string one = json(1);
  EXPECT_EQ(one, json(2));
  EXPECT_EQ(one, json(5));
}

TEST_F(Runner, APatternSelectsRecordsAndTheCasesThatTheyNeed) {
  int backward_calls = 0;
  breakage.backward = [&](const abn_problem& p, const abn_backward_args& a) {
    ++backward_calls;
    return ::backward(&p, &a);
  };
  EXPECT_EQ(run_one("n3c4s7,f32,leaky_relu", "standard", 1, "broken/forward/*").count("forward/z"),
            1u);
  EXPECT_EQ(backward_calls, 0) << "forward alone was asked for";
  const auto records = run_one("n3c4s7,f32,leaky_relu", "standard", 1, "*/dx");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records.begin()->first, "backward/dx");
  EXPECT_TRUE(run_one("n3c4s7,f32,leaky_relu", "standard", 1, "*/dy").empty());
}

TEST_F(Runner, DescribesWhatAVariantSaysOfItself) {
  const results::VariantInfo info = run::describe(subject_of(broken_variant));
  EXPECT_EQ(info.name, "broken");
  EXPECT_EQ(info.memory, "host");
  const std::map<std::string, std::string> claims(info.claims.begin(), info.claims.end());
  EXPECT_EQ(claims.at("scheme"), "in_place_1");
  EXPECT_EQ(claims.at("saves"), "z, variance");
  EXPECT_EQ(claims.at("depth at m = 1024"), "1024 forward, 1024 backward");
  EXPECT_EQ(claims.at("function_ulp"), "0");
  EXPECT_EQ(claims.at("other types of z and dz"), "nothing");
  const auto ids = check::check_ids(check::output_checks, subject_of(broken_variant));
  EXPECT_EQ(ids.size(), 20u) << "one type, one layout";
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
}

TEST_F(Runner, WordsThatAShellWouldTakeApartAreQuoted) {
  EXPECT_EQ(judge::shell_word("n2c3s4,leaky_relu:0.01"), "n2c3s4,leaky_relu:0.01");
  EXPECT_EQ(judge::shell_word("my file's"), "'my file'\\''s'");
  EXPECT_EQ(judge::shell_word(""), "''");
}

TEST(InTreeVariants, PassASliceOfTheSmokeTierOnTheEmulator) {
  call::DeviceChoice choice = call::choose_device("emulator");
  const auto subjects = call::subjects_of(choice, {}, false);
  ASSERT_FALSE(subjects.empty());
  std::vector<data::Case> cases = data::cases_of(data::Tier::smoke, 11);
  std::erase_if(cases, [](const data::Case& one) { return one.not_emulated; });
  std::vector<data::Case> slice;
  for (std::size_t i = 0; i < cases.size(); i += 9) slice.push_back(cases[i]);
  check::RunOptions options;
  options.device = "emulator";
  for (const results::Record& record : run::run(check::output_checks, subjects, slice, options))
    EXPECT_TRUE(record.verdict == results::Verdict::pass ||
                record.verdict == results::Verdict::inconclusive)
        << results::failure_text(record);
}

TEST(InTreeVariants, AWrongDeviceWordIsRefused) {
  for (const char* word : {"gpu", "cuda", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", ""})
    EXPECT_THROW(call::choose_device(word), problem::UsageError) << word;
}

TEST_F(BrokenVariant, ACallThatFailsIsHeardOfByWhoeverAskedForNumbersOnly) {
  breakage.forward = [](const abn_problem&, const abn_forward_args&) { return ABN_ERROR_LAUNCH; };
  const auto records = run_one("n3c4s7,f32,leaky_relu", "standard", 4, "*/z");
  ASSERT_EQ(records.count("forward/z"), 1u);
  EXPECT_EQ(records.at("forward/z").verdict, results::Verdict::error);
  EXPECT_NE(records.at("forward/z").reason.find("ABN_ERROR_LAUNCH"), std::string::npos);
  EXPECT_EQ(run_one("n3c4s7,f32,leaky_relu", "standard", 4, "broken/forward/*")
                .at("forward/status")
                .verdict,
            results::Verdict::fail);
}
