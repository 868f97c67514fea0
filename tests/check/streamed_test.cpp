// Cases that are judged channel by channel: on small ones the verdicts are those of the ordinary
// way, and what a kernel does wrong is seen.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string_view>

#include "tests/call/broken_variant.hpp"
#include "verify/check/streamed.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"

namespace {

std::map<std::string, results::Record> streamed(const std::string& problem,
                                                const std::string& data = "standard") {
  const Subject subject = subject_of(broken_variant);
  const data::Case one = data::replay(problem, data, 4);
  const abn_claims claims = problem::claims_of(broken_variant, one.problem).claims;
  check::RunOptions options;
  options.threads = 2;
  const auto wanted = check::output_checks.checks(subject, claims, one.problem);
  judge::Origin origin;
  origin.variant = "broken";
  origin.problem = one.problem;
  std::map<std::string, results::Record> by_check;
  for (results::Record& record :
       check::streamed_records({subject, one, claims, options, wanted, origin})) {
    results::conclude(record);
    by_check[record.op + "/" + record.check] = record;
  }
  return by_check;
}

std::vector<std::string> failing(const std::map<std::string, results::Record>& records) {
  std::vector<std::string> names;
  for (const auto& [name, record] : records)
    if (record.verdict == results::Verdict::fail) names.push_back(name);
  return names;
}

/// Where the error is the largest part of its bound, and which terms make up that bound.
std::string shares(const results::Record& record) {
  if (record.witnesses.empty()) return "";
  std::string text = record.witnesses.front().where;
  for (const auto& [term, share] : record.witnesses.front().terms)
    text += fmt::format(" {} {:.6f}", term, share);
  return text;
}

class Streamed : public testing::Test {
 protected:
  void SetUp() override { breakage = {}; }
};

constexpr const char* training = "n3c130s5,nchw,f32,leaky_relu:0.01";

TEST_F(Streamed, SeesTheSameNumbersAsTheOrdinaryWay) {
  for (const char* problem : {training, "n3c130s5,nchw,f32,leaky_relu:0.01,frozen",
                              "n2c70s6,nchw,f32,identity", "n3c130s5,nchw,f32,identity,inference"})
    for (const char* data : {"standard", "mixed_gamma", "no_affine", "special"}) {
      SCOPED_TRACE(std::string(problem) + " " + data);
      const auto ours = streamed(problem, data), ordinary = run_one(problem, data);
      std::size_t numbers = 0;
      for (const auto& [name, record] : ordinary) {
        if (record.kind != results::CheckKind::numbers) continue;
        ++numbers;
        const auto at = ours.find(name);
        if (at == ours.end()) {
          ADD_FAILURE() << name << " has no record";
          continue;
        }
        EXPECT_EQ(at->second.verdict, record.verdict) << name;
        EXPECT_EQ(at->second.cases, 1u) << name;
        EXPECT_EQ(at->second.tally.elements, record.tally.elements) << name;
        EXPECT_EQ(at->second.tally.failed, record.tally.failed) << name;
        EXPECT_EQ(at->second.tally.max_ratio, record.tally.max_ratio) << name;
        EXPECT_EQ(at->second.tally.ratio_histogram, record.tally.ratio_histogram) << name;
        EXPECT_EQ(shares(at->second), shares(record)) << name;
      }
      EXPECT_GT(numbers, 0u);
      EXPECT_EQ(failing(ours), failing(ordinary));
    }
}

TEST_F(Streamed, NamesTheElementThatIsWrong) {
  breakage.forward = [](const abn_problem& p, const abn_forward_args& a) {
    const int status = ::forward(&p, &a);
    static_cast<float*>(a.z)[problem::element_offset(p, 2, 129, 4)] += 1;
    return status;
  };
  const auto records = streamed(training);
  const auto at = records.find("forward/z");
  ASSERT_NE(at, records.end());
  EXPECT_EQ(at->second.verdict, results::Verdict::fail);
  EXPECT_EQ(at->second.tally.failed, 1u);
  ASSERT_FALSE(at->second.witnesses.empty());
  EXPECT_NE(at->second.witnesses.front().where.find("n 2, c 129, s 4"), std::string::npos)
      << at->second.witnesses.front().where;
}

TEST_F(Streamed, SeesWhatACallDoesBesides) {
  breakage.forward = [](const abn_problem& p, const abn_forward_args& a) {
    const int status = ::forward(&p, &a);
    static_cast<float*>(a.mean)[p.c] = 0;  // behind its end
    return status;
  };
  EXPECT_EQ(failing(streamed(training)), std::vector<std::string>{"forward/guards"});

  breakage = {};
  breakage.backward = [](const abn_problem& p, const abn_backward_args& a) {
    const int status = ::backward(&p, &a);
    static_cast<float*>(const_cast<void*>(a.z))[7] += 1;
    return status;
  };
  const auto touched = failing(streamed(training));
  EXPECT_NE(std::find(touched.begin(), touched.end(), "backward/inputs"), touched.end());

  breakage = {};
  breakage.forward = [](const abn_problem&, const abn_forward_args&) -> int {
    return ABN_ERROR_LAUNCH;
  };
  const auto records = streamed(training);
  EXPECT_EQ(failing(records), std::vector<std::string>{"forward/status"});
  EXPECT_EQ(records.count("forward/z"), 0u);
  ASSERT_EQ(records.count("backward/dx"), 1u);
  EXPECT_EQ(records.at("backward/dx").verdict, results::Verdict::skip);
}

TEST_F(Streamed, SeesWhatNobodyWrote) {
  breakage.backward = [](const abn_problem& p, const abn_backward_args& a) {
    abn_backward_args less = a;
    std::vector<float> sums(static_cast<std::size_t>(p.c));
    less.dgamma = sums.data();
    return ::backward(&p, &less);
  };
  EXPECT_EQ(failing(streamed(training)), std::vector<std::string>{"backward/dgamma"});
}

TEST_F(Streamed, MemoryThatIsNotThereIsSaid) {
  // 2^50 elements: refused before anything is allocated
  EXPECT_THROW(data::replay("n1c1048576s1073741824,nchw,f32,identity", "standard", 1),
               problem::UsageError);
  data::Case one = data::replay(training, "standard", 1);
  one.problem.s = std::int64_t{1} << 40;
  const Subject subject = subject_of(broken_variant);
  const abn_claims claims = problem::claims_of(broken_variant, one.problem).claims;
  check::RunOptions options;
  const auto wanted = check::output_checks.checks(subject, claims, one.problem);
  judge::Origin origin;
  origin.problem = one.problem;
  const auto records = check::streamed_records({subject, one, claims, options, wanted, origin});
  ASSERT_FALSE(records.empty());
  for (const results::Record& record : records) {
    EXPECT_EQ(record.verdict, results::Verdict::skip) << record.id;
    EXPECT_NE(record.reason.find("GiB"), std::string::npos) << record.reason;
  }
}

TEST_F(Streamed, OnlyRecipesBeyondTheLimitGoThisWay) {
  EXPECT_FALSE(data::is_streamed(data::replay(training, "standard", 1)));
  // replay() would refuse it where the memory for it is not free
  const auto is_streamed = [](const char* problem) {
    data::Case one;
    one.problem = problem::parse_problem(problem);
    return data::is_streamed(one);
  };
  EXPECT_TRUE(is_streamed("n1c4096s32769,nchw,f32,identity"));
  EXPECT_FALSE(is_streamed("n1c4096s32768,nchw,f32,identity"));
}

}  // namespace
