// Each way of calling a kernel: a right one passes every check, and each planted mistake fails the
// check that is for it, on the cases of the smoke tier.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/check/calls/kernel.hpp"
#include "verify/call/device.hpp"
#include "verify/check/calls/checks.hpp"
#include "verify/check/cases_of_claims.hpp"
#include "verify/check/groups.hpp"
#include "verify/check/outputs.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using abn::calls_tests::CallBug;
using abn::calls_tests::CalledKernel;

call::Subject on_host(const abn_variant& variant) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  return subject;
}

/// The smoke tier of the group as a run with one thread has it.
std::vector<results::Record> records_of(const abn_variant& variant,
                                        const std::string& pattern = "*") {
  const call::Subject subject = on_host(variant);
  check::RunOptions options;
  options.threads = 1, options.moves_cases = true, options.pattern = pattern;
  return run::run(check::calls::call_checks, std::span(&subject, 1),
                  check::calls::call_checks.cases(data::Tier::smoke, 1), options);
}

/// The cases that only such claims have, with the checks of outputs.
std::vector<results::Record> records_of_claims(const abn_variant& variant) {
  const call::Subject subject = on_host(variant);
  check::RunOptions options;
  options.threads = 1;
  static const std::vector<data::Case> tier = data::cases_of(data::Tier::smoke, 1);
  return run::run(check::output_checks, std::span(&subject, 1),
                  check::cases_of_claims(subject, tier), options);
}

bool is_wrong(const results::Record& record) {
  return record.verdict == results::Verdict::fail || record.verdict == results::Verdict::error;
}

std::set<std::string> wrong_in(const std::vector<results::Record>& records) {
  std::set<std::string> checks;
  for (const results::Record& record : records)
    if (is_wrong(record)) checks.insert(record.check);
  return checks;
}

template <CallBug bug>
void expect_caught(const char* check) {
  const auto records =
      records_of(CalledKernel<bug>::variant, fmt::format("*/@(f32|bf16)/*/{}", check));
  const std::set<std::string> wrong = wrong_in(records);
  EXPECT_TRUE(wrong.contains(check))
      << "bug " << static_cast<int>(bug) << ": " << fmt::format("{}", fmt::join(wrong, " "));
  for (const results::Record& record : records)
    if (is_wrong(record) && record.check == check) {
      EXPECT_FALSE(results::diagnosis_text(record.diagnosis).empty());
      ASSERT_FALSE(record.witnesses.empty());
      EXPECT_FALSE(record.witnesses.front().reproduce.empty());
    }
}

template <CallBug bug>
void expect_caught_by_output(std::set<std::string> checks) {
  const std::set<std::string> wrong = wrong_in(records_of_claims(CalledKernel<bug>::variant));
  EXPECT_TRUE(std::any_of(checks.begin(), checks.end(),
                          [&](const std::string& one) { return wrong.contains(one); }))
      << "bug " << static_cast<int>(bug) << ": " << fmt::format("{}", fmt::join(wrong, " "));
}

void expect_clean(const std::vector<results::Record>& records) {
  EXPECT_FALSE(records.empty());
  for (const results::Record& record : records)
    EXPECT_TRUE(record.verdict == results::Verdict::pass) << results::failure_text(record);
}

TEST(Calls, ARightKernelPasses) {
  expect_clean(records_of(CalledKernel<CallBug::none>::variant));
  expect_clean(records_of(CalledKernel<CallBug::none, false>::variant));
  expect_clean(records_of_claims(CalledKernel<CallBug::none>::variant));
  expect_clean(records_of_claims(CalledKernel<CallBug::none, false>::variant));
}

TEST(Calls, AnOutputThatIsLeftOutChangesNoOther) {
  expect_caught<CallBug::running_mean_needs_var>("optional");
  expect_caught<CallBug::running_var_needs_mean>("optional");
  expect_caught<CallBug::running_mean_replaced>("optional");
  expect_caught<CallBug::mean_needs_var>("optional");
  expect_caught<CallBug::var_needs_mean>("optional");
  expect_caught<CallBug::variance_kept_in_var>("optional");
  expect_caught<CallBug::dgamma_needs_dbeta>("optional");
  expect_caught<CallBug::dbeta_needs_dgamma>("optional");
  expect_caught<CallBug::gradients_need_dx>("optional");
  expect_caught<CallBug::sum_kept_in_dgamma>("optional");
  expect_caught<CallBug::gradient_in_the_other>("optional");
  expect_caught<CallBug::nothing_asked_refused>("optional");
  expect_caught<CallBug::statistics_need_affine>("optional");
}

TEST(Calls, ASmallWorkspaceIsRefusedAndNothingIsWritten) {
  expect_caught<CallBug::workspace_unchecked>("workspace");
  expect_caught<CallBug::workspace_only_null>("workspace");
  expect_caught<CallBug::workspace_other_status>("workspace");
  expect_caught<CallBug::workspace_late>("workspace");
}

TEST(Calls, WhereBuffersLieDecidesNothing) {
  expect_caught<CallBug::order_by_address_of_dz>("elsewhere");
  expect_caught<CallBug::order_by_page_of_x>("elsewhere");
}

TEST(Calls, TheCallsBeforeDecideNothing) {
  expect_caught<CallBug::statistics_by_address>("sequence");
  expect_caught<CallBug::gamma_by_address>("sequence");
  expect_caught<CallBug::z_by_size>("sequence");
  expect_caught<CallBug::hundredth_call>("sequence");
  expect_caught<CallBug::every_64th_backward>("sequence");
  expect_caught<CallBug::left_by_larger_problem>("sequence");
}

TEST(Calls, ThreadsDoNotMeet) {
  expect_caught<CallBug::static_scratch>("threads");
  expect_caught<CallBug::static_scratch_backward>("threads");
  expect_caught<CallBug::first_thread_only>("threads");
}

TEST(Calls, GammaOrBetaAloneIsJudgedInBothDirections) {
  expect_caught_by_output<CallBug::no_affine_without_beta>({"z"});
  expect_caught_by_output<CallBug::no_affine_without_beta_backward>({"dx", "dgamma"});
  expect_caught_by_output<CallBug::beta_lost_without_gamma>({"z"});
  expect_caught_by_output<CallBug::beta_lost_without_gamma_backward>({"dx"});
  expect_caught_by_output<CallBug::eps_added_without_gamma>({"z"});
  expect_caught_by_output<CallBug::eps_added_without_gamma_backward>({"dx"});
  expect_caught_by_output<CallBug::gradients_need_both>({"dbeta", "dgamma"});
  expect_caught_by_output<CallBug::apart_refused>({"status"});
}

TEST(Calls, ZAndDzOfAnotherTypeAreJudgedInBothDirections) {
  expect_caught_by_output<CallBug::z_rounded_to_dtype>({"z"});
  expect_caught_by_output<CallBug::z_stored_as_dtype>({"z"});
  expect_caught_by_output<CallBug::z_read_as_dtype>({"dx"});
  expect_caught_by_output<CallBug::dz_read_as_dtype>({"dx", "dbeta"});
  expect_caught_by_output<CallBug::dz_rounded_to_dtype>({"dx", "dbeta"});
  expect_caught_by_output<CallBug::dx_rounded_to_out_type>({"dx"});
}

TEST(Calls, AVariantIsAskedForNothingThatItDoesNotClaim) {
  abn_variant plain = CalledKernel<CallBug::none>::variant;
  plain.claims = [](const abn_problem* p, abn_claims* out) {
    EXPECT_EQ(p->out_type, 0);
    const int status = CalledKernel<CallBug::none>::claims(p, out);
    out->affine_apart = 0, out->other_out_types = 0;
    return status;
  };
  plain.forward = [](const abn_problem* p, const abn_forward_args* a) {
    EXPECT_EQ(p->out_type, 0);
    EXPECT_EQ(a->gamma == nullptr, a->beta == nullptr);
    return CalledKernel<CallBug::none>::forward(p, a);
  };
  const call::Subject subject = on_host(plain);
  EXPECT_TRUE(check::cases_of_claims(subject, data::cases_of(data::Tier::smoke, 1)).empty());
  expect_clean(records_of(plain));
  for (const auto& [problem, data] : {std::pair{"n2c3s5,bf16,out:f32,identity", "standard"},
                                      std::pair{"n2c3s5,f32,identity", "standard,no_beta"}})
    for (const results::Record& record : run::run(check::output_checks, std::span(&subject, 1),
                                                  std::vector{data::replay(problem, data, 1)}, {}))
      EXPECT_EQ(record.verdict, results::Verdict::skip) << record.id;
}

TEST(Calls, TheReproduceLineNamesWhatIsMissingAndFailsWithTheSameWords) {
  const auto records =
      records_of(CalledKernel<CallBug::dbeta_needs_dgamma>::variant, "*/f32/nchw/optional");
  ASSERT_EQ(records.size(), 1u);
  const results::Witness& witness = records[0].witnesses.front();
  const std::string& line = witness.reproduce;
  const std::size_t option = line.find(" --without ");
  ASSERT_NE(option, std::string::npos) << line;
  EXPECT_NE(line.find("dgamma", option), std::string::npos);
  check::RunOptions options;
  options.without = line.substr(option + 11);
  const call::Subject subject = on_host(CalledKernel<CallBug::dbeta_needs_dgamma>::variant);
  const data::Case one = data::replay(witness.problem, witness.data, witness.seed);
  const auto again =
      run::run(check::calls::call_checks, std::span(&subject, 1), std::span(&one, 1), options);
  const auto same = std::find_if(again.begin(), again.end(), [](const results::Record& record) {
    return record.check == "optional";
  });
  ASSERT_NE(same, again.end());
  EXPECT_EQ(same->verdict, results::Verdict::fail);
  EXPECT_EQ(same->witnesses.front().reason, witness.reason);
  EXPECT_EQ(same->witnesses.front().where, witness.where);
}

TEST(Calls, WhatACallMayBeWithoutIsNamed) {
  EXPECT_EQ(check::calls::parse_without("mean,dgamma"),
            (std::vector<std::string>{"mean", "dgamma"}));
  EXPECT_TRUE(check::calls::parse_without("").empty());
  EXPECT_THROW(check::calls::parse_without("dgama"), problem::UsageError);
}

TEST(Calls, AWorkspaceOfNoBytesIsNothingToLookAt) {
  abn_variant plain = CalledKernel<CallBug::workspace_unchecked>::variant;
  plain.workspace_bytes = [](const abn_problem*, int) -> std::size_t { return 0; };
  plain.forward = [](const abn_problem* p, const abn_forward_args* a) {
    std::vector<double> own(static_cast<std::size_t>(2 * p->c));
    abn_forward_args given = *a;
    given.workspace = own.data();
    return CalledKernel<CallBug::workspace_unchecked>::forward(p, &given);
  };
  plain.backward = [](const abn_problem* p, const abn_backward_args* a) {
    std::vector<double> own(static_cast<std::size_t>(2 * p->c));
    abn_backward_args given = *a;
    given.workspace = own.data();
    return CalledKernel<CallBug::workspace_unchecked>::backward(p, &given);
  };
  for (const results::Record& record : records_of(plain))
    EXPECT_EQ(record.verdict,
              record.check == "workspace" ? results::Verdict::skip : results::Verdict::pass)
        << results::failure_text(record);
}

}  // namespace
