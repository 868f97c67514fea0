// Claims that a kernel does not need are named, claims that it does need are not, and a failed
// check says which claim would do.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/mutants/kernel.hpp"
#include "verify/call/device.hpp"
#include "verify/check/outputs.hpp"
#include "verify/problem/problem.hpp"
#include "verify/results/results.hpp"
#include "verify/run/claim_audit.hpp"

namespace {

using namespace abn::verify;
using abn::mutants::Bug;
using abn::mutants::Plan;
using abn::mutants::Summation;

constexpr abn_variant honest =
    abn::mutants::variant_of<Plan{Bug::none, {}}>("honest", "claims what it does");
constexpr abn_variant one_pass =
    abn::mutants::variant_of<Plan{Bug::none, {.statistics = ABN_ONE_PASS}}>(
        "one_pass", "one pass, and says so");

/// The honest kernel under other claims.
template <auto change>
abn_variant claiming(const abn_variant& kernel, const char* name) {
  static const abn_variant* const base = &kernel;
  abn_variant out = kernel;
  out.name = name;
  out.claims = [](const abn_problem* p, abn_claims* claims) {
    const int status = base->claims(p, claims);
    if (status == ABN_OK) change(*claims, *p);
    return status;
  };
  return out;
}

call::Subject on_host(const abn_variant& variant) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  return subject;
}

/// Every other case of the smoke tier that is small, of the activations of the first walk.
std::vector<data::Case> some_cases() {
  constexpr std::size_t every = 2;
  constexpr std::int64_t small = 1 << 15;
  std::vector<data::Case> out;
  const std::vector<data::Case> all = data::cases_of(data::Tier::smoke, 1);
  for (std::size_t i = 0; i < all.size(); i += every)
    if (problem::element_count(all[i].problem) <= small && all[i].problem.activation < ABN_CELU)
      out.push_back(all[i]);
  return out;
}

std::string unneeded(const abn_variant& variant) {
  std::string text;
  check::RunOptions options;
  options.threads = 1;
  for (const std::string& sentence : run::unneeded_claims(on_host(variant), some_cases(), options))
    text += sentence + "\n";
  return text;
}

TEST(UnneededClaims, AreNoneWhereAKernelClaimsWhatItDoes) { EXPECT_EQ(unneeded(honest), ""); }

TEST(UnneededClaims, AreNotThoseThatTheErrorsNeed) {
  EXPECT_EQ(unneeded(one_pass).find("two_pass"), std::string::npos) << unneeded(one_pass);
}

TEST(UnneededClaims, AreNamed) {
  const abn_variant generous = claiming<[](abn_claims& c, const abn_problem& p) {
    c.statistics = ABN_ONE_PASS;
    c.normalise = ABN_FOLDED;
    c.accumulate = p.dtype == ABN_F64 ? ABN_F32 : ABN_TF32;
    c.materialises = ABN_MATERIALISES_DY;
    c.function_ulp = 1000;
  }>(honest, "generous");
  // One at a time: where several are generous the others still hide what one of them would not
  // need.
  const std::string all = unneeded(generous);
  for (const char* const word : {"claims one_pass for statistics; everything passes with two_pass",
                                 "claims folded for normalise",
                                 "1000 ulp for exp, expm1 and log1p; everything passes with 4"})
    EXPECT_NE(all.find(word), std::string::npos) << word << "\n" << all;
  const abn_variant narrow = claiming<[](abn_claims& c, const abn_problem& p) {
    if (p.dtype != ABN_F64) c.accumulate = ABN_TF32;
  }>(honest, "narrow");
  EXPECT_NE(unneeded(narrow).find("claims tf32 for accumulate; everything passes with"),
            std::string::npos)
      << unneeded(narrow);
  const abn_variant stored =
      claiming<[](abn_claims& c, const abn_problem&) { c.materialises = ABN_MATERIALISES_DY; }>(
          honest, "stored");
  EXPECT_NE(unneeded(stored).find("dy is rounded to the storage type"), std::string::npos)
      << unneeded(stored);
}

TEST(UnneededClaims, AreDepthsFarAboveWhatTheErrorsNeed) {
  const abn_variant deep = claiming<[](abn_claims& c, const abn_problem& p) {
    c.depth_statistics = c.depth_backward = problem::sample_count(p);
  }>(honest, "deep");
  const std::string text = unneeded(deep);
  EXPECT_NE(text.find("for statistics; everything passes with ceil(m/256) + 8"), std::string::npos)
      << text;
  EXPECT_NE(text.find("for the sums of backward"), std::string::npos) << text;
}

/// All failed records of one case, with what was suggested.
std::vector<results::Record> failures(const abn_variant& variant, const data::Case& one) {
  const call::Subject subject = on_host(variant);
  check::RunOptions options;
  options.threads = 1;
  std::vector<results::Record> records =
      run::run(check::output_checks, std::span(&subject, 1), std::span(&one, 1), options);
  run::suggest_claims(records, std::span(&subject, 1), options);
  std::erase_if(records, [](const results::Record& record) {
    return record.verdict != results::Verdict::fail;
  });
  return records;
}

TEST(SuggestedClaims, SayWhichClaimWouldDo) {
  const abn_variant tight =
      claiming<[](abn_claims& c, const abn_problem&) { c.statistics = ABN_TWO_PASS; }>(one_pass,
                                                                                       "tight");
  const auto records = failures(tight, data::replay("n2c3s64,f32,identity", "large_mean", 1));
  ASSERT_FALSE(records.empty());
  EXPECT_TRUE(std::any_of(records.begin(), records.end(), [](const results::Record& record) {
    return record.reason.find("; its worst case passes if it declared statistics one_pass") !=
           std::string::npos;
  })) << results::failure_text(records.front());
}

std::string reasons(const std::vector<results::Record>& records) {
  std::string text;
  for (const results::Record& record : records) text += record.id + ": " + record.reason + "\n";
  return text;
}

/// The honest kernel with a variance that loses digits where one sample is far away, more than any
/// class allows for: sums about a shift that is farther still. For NCHW and f32.
int forward_about_an_outlier(const abn_problem* p, const abn_forward_args* a) {
  const int status = honest.forward(p, a);
  constexpr float far_away = 20, lost = 0x1p-12F;
  for (std::int64_t c = 0; c < p->c && a->var != nullptr && status == ABN_OK; ++c) {
    const float mean = static_cast<const float*>(a->mean)[c];
    float &variance = static_cast<float*>(a->var)[c], largest = 0;
    for (std::int64_t n = 0; n < p->n; ++n)
      for (std::int64_t s = 0; s < p->s; ++s) {
        const float off = static_cast<const float*>(a->x)[(n * p->c + c) * p->s + s] - mean;
        largest = std::max(largest, off * off);
      }
    if (largest > far_away * variance) variance *= 1 + lost;
  }
  return status;
}

TEST(SuggestedClaims, DoNotTakeWhatCancelsForANarrowType) {
  abn_variant outlier = honest;
  outlier.name = "outlier", outlier.forward = forward_about_an_outlier;
  // Out of place only: the honest kernel's x is gone where z takes its place.
  outlier.claims = [](const abn_problem* p, abn_claims* claims) {
    const int status = honest.claims(p, claims);
    claims->z_may_alias_x = 0;
    return status;
  };
  const auto records = failures(outlier, data::replay("n2c3s64,f32,identity", "spikes", 1));
  ASSERT_FALSE(records.empty());
  const std::string text = reasons(records);
  EXPECT_NE(text.find("right on well-conditioned data of this size"), std::string::npos) << text;
  EXPECT_NE(text.find("(spikes, kappa "), std::string::npos) << text;
  EXPECT_NE(text.find("something cancels, and more than one_pass and folded allow for, as "
                      "E[(x-k)^2] - (mu-k)^2"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("declared accumulate"), std::string::npos) << text;
}

TEST(SuggestedClaims, DoubtThatASumIsDeeperWhereOnlyHardDataNeedIt) {
  static constexpr abn_variant shifted =
      abn::mutants::variant_of<Plan{Bug::shift_is_first_sample, {.summation = Summation::wide}}>(
          "shifted", "sums about the first sample");
  const auto records = failures(shifted, data::replay("n2c3s512,f32,identity", "spikes", 1));
  ASSERT_FALSE(records.empty());
  const std::string text = reasons(records);
  EXPECT_NE(
      text.find("if it declared depth 256, but it is right on well-conditioned data as declared"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("something cancels in its worst case (spikes, kappa "), std::string::npos)
      << text;
  EXPECT_NE(text.find("where the shift k is an outlier"), std::string::npos) << text;
}

TEST(SuggestedClaims, SayWhereTheTypeIsNarrow) {
  static constexpr abn_variant narrow =
      abn::mutants::variant_of<Plan{Bug::accumulate_bf16, {}}>("narrow_sums", "sums in bf16");
  for (const char* const data : {"standard", "large_mean"}) {
    const std::string text =
        reasons(failures(narrow, data::replay("n2c3s64,f32,identity", data, 1)));
    EXPECT_NE(text.find("look for a sum, a product or a buffer in f16 or bf16"), std::string::npos)
        << data << "\n"
        << text;
    EXPECT_EQ(text.find("something cancels"), std::string::npos) << data << "\n" << text;
  }
}

TEST(SuggestedClaims, AreNoneForWhatIsSimplyWrong) {
  static constexpr abn_variant wrong =
      abn::mutants::variant_of<Plan{Bug::dx_zero, {}}>("wrong", "dx is 0");
  const auto records = failures(wrong, data::replay("n2c3s64,f32,identity", "standard", 1));
  ASSERT_FALSE(records.empty());
  for (const results::Record& record : records)
    EXPECT_EQ(record.reason.find("if it declared"), std::string::npos) << record.reason;
}

}  // namespace
