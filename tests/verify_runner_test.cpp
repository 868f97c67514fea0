// Trials and records: every contract check is broken once by a variant that breaks that contract only.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <set>

#include "verify/case_records.hpp"
#include "verify/claims.hpp"
#include "verify/error.hpp"
#include "verify/judge.hpp"
#include "verify/problem.hpp"
#include "verify/runner.hpp"
#include "verify/trial.hpp"

// A right kernel to break: the sample plug-in itself, under another name for its entry.
#define SAMPLE_NAME "right"
#define abn_plugin right_variant_of_runner_test
#include "tests/plugins/sample_kernel.cpp"
#undef abn_plugin

using namespace abn::verify;

namespace {

// ---- variants that break one contract each, around the right kernel ---------------------------------------------------------------

/// What a broken variant does besides computing the right thing; plain functions reach it through these.
struct Breakage {
  std::function<int(const abn_problem&, const abn_forward_args&)> forward = [](const abn_problem& p, const abn_forward_args& a) { return ::forward(&p, &a); };
  std::function<int(const abn_problem&, const abn_backward_args&)> backward = [](const abn_problem& p, const abn_backward_args& a) { return ::backward(&p, &a); };
  std::function<void(abn_claims&)> claims = [](abn_claims&) {};
};
Breakage breakage;

int broken_claims(const abn_problem* p, abn_claims* out) {
  const int status = ::claims(p, out);
  if (status == ABN_OK) breakage.claims(*out);
  return status;
}
int broken_forward(const abn_problem* p, const abn_forward_args* a) { return breakage.forward(*p, *a); }
int broken_backward(const abn_problem* p, const abn_backward_args* a) { return breakage.backward(*p, *a); }
size_t some_workspace(const abn_problem*, int) { return 96; }

const abn_variant broken_variant = {ABN_ABI_VERSION, sizeof(abn_variant), "broken",       "breaks what the test says", ABN_MEMORY_HOST, 0, broken_claims,
                                    some_workspace,  broken_forward,      broken_backward};

Subject subject_of(const abn_variant& which) {
  Subject subject;
  subject.variant = &which;
  subject.device = host_device();
  return subject;
}

std::map<std::string, Record> run_one(const std::string& problem, const std::string& data = "standard", std::uint64_t seed = 4, const std::string& pattern = "*") {
  const std::vector<Subject> subjects{subject_of(broken_variant)};
  const std::vector<Case> cases{replay(problem, data, seed)};
  RunOptions options;
  options.pattern = pattern;
  options.threads = 1;
  std::map<std::string, Record> by_check;
  for (Record& record : run(subjects, cases, options)) by_check[record.op + "/" + record.check] = record;
  return by_check;
}

/// Runs with this breakage over several seeds (placements and poison differ) and expects that exactly the named checks fail.
void expect_failures(const Breakage& planted, const std::set<std::string>& expected, const std::string& problem = "n3c4s7,f32", std::uint64_t seeds = 6) {
  breakage = planted;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    std::set<std::string> failed;
    for (const auto& [check, record] : run_one(problem, "standard", seed))
      if (record.verdict != Verdict::pass && record.verdict != Verdict::skip) {
        failed.insert(check);
        EXPECT_FALSE(record.witnesses.empty()) << check;
        for (const Witness& witness : record.witnesses) EXPECT_NE(witness.reproduce.find(record.id), std::string::npos) << check;
      }
    EXPECT_EQ(failed, expected) << "seed " << seed;
  }
  breakage = {};
}

class Runner : public testing::Test {
 protected:
  void SetUp() override { breakage = {}; }
};

}  // namespace

// ---- claims -----------------------------------------------------------------------------------------------------------------------

TEST(Claims, ThatContradictThemselvesAreNamed) {
  const abn_problem problem = parse_problem("n3c4s7,f32");
  abn_claims right{};
  ASSERT_EQ(::claims(&problem, &right), ABN_OK);
  EXPECT_EQ(nonsense_in(right, problem), "");
  const std::vector<std::function<void(abn_claims&)>> wrong = {
      [](abn_claims& c) { c.scheme = 5; },          [](abn_claims& c) { c.statistics = -1; },    [](abn_claims& c) { c.normalise = 2; },
      [](abn_claims& c) { c.accumulate = 4; },      [](abn_claims& c) { c.saves = 64; },         [](abn_claims& c) { c.saves = 0; },
      [](abn_claims& c) { c.materialises = 256; },  [](abn_claims& c) { c.alignment = 24; },     [](abn_claims& c) { c.alignment = 4096; },
      [](abn_claims& c) { c.z_may_alias_x = 2; },   [](abn_claims& c) { c.depth_backward = 0; }, [](abn_claims& c) { c.function_ulp = -1; },
      [](abn_claims& c) { c.function_ulp = NAN; },  [](abn_claims& c) { c.deterministic = -1; }, [](abn_claims& c) { c.scheme = ABN_CHECKPOINT_XHAT; },
      [](abn_claims& c) { c.scheme = ABN_STANDARD; }};
  for (const auto& spoil : wrong) {
    abn_claims claims = right;
    spoil(claims);
    EXPECT_NE(nonsense_in(claims, problem), "");
  }
}

TEST(Claims, DepthsAreCutToTheNumberOfSamples) {
  breakage = {};
  breakage.claims = [](abn_claims& c) { c.depth_statistics = 1'000'000'000; };
  EXPECT_EQ(claims_of(broken_variant, parse_problem("n3c4s7,f32")).claims.depth_statistics, 21);
  breakage = {};
}

// ---- trials -----------------------------------------------------------------------------------------------------------------------

TEST_F(Runner, ARightVariantPassesEveryCheckThatItHas) {
  const auto records = run_one("n3c4s7,f32");
  const std::set<std::string> expected = {"backward/alias",  "backward/dbeta",  "backward/dgamma",     "backward/dx",         "backward/guards", "backward/inputs",
                                          "backward/repeat", "backward/status", "backward/unwritten",  "forward/alias",       "forward/guards",  "forward/inputs",
                                          "forward/mean",    "forward/repeat",  "forward/running_mean", "forward/running_var", "forward/status",  "forward/unwritten",
                                          "forward/variance", "forward/z"};
  std::set<std::string> found;
  int aliased = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed)
    for (const auto& [check, record] : run_one("n3c4s7,f32", "standard", seed)) {
      EXPECT_EQ(record.verdict, Verdict::pass) << check << " " << record.reason;
      found.insert(check);
      aliased += check == "forward/alias";
    }
  EXPECT_EQ(found, expected);
  EXPECT_GT(aliased, 3);
  EXPECT_LT(aliased, 12) << "where every buffer has its own offset there is nothing to compare with";
  EXPECT_TRUE(records.at("backward/dx").has_end_to_end);
}

TEST_F(Runner, AStatusThatIsNotOkFailsAndNothingElseIsMade) {
  Breakage planted;
  planted.backward = [](const abn_problem&, const abn_backward_args&) -> int { return ABN_ERROR_WORKSPACE; };
  expect_failures(planted, {"backward/status"});
  breakage = planted;
  const auto records = run_one("n3c4s7,f32");
  EXPECT_EQ(records.count("backward/dx"), 0u);
  EXPECT_NE(records.at("backward/status").reason.find("ABN_ERROR_WORKSPACE"), std::string::npos);
  planted.backward = Breakage{}.backward;
  planted.forward = [](const abn_problem&, const abn_forward_args&) -> int { return 42; };
  expect_failures(planted, {"forward/status"});
  breakage = planted;
  EXPECT_EQ(run_one("n3c4s7,f32").at("backward/dx").verdict, Verdict::skip) << "backward is not made, and says so";
}

TEST_F(Runner, AWriteBehindOrBeforeABufferBreaksItsGuard) {
  for (const std::int64_t where : {-1, 84}) {  // 3*4*7 elements
    Breakage planted;
    planted.forward = [where](const abn_problem& p, const abn_forward_args& a) {
      const int status = ::forward(&p, &a);
      static_cast<float*>(a.z)[where] = 0;
      return status;
    };
    expect_failures(planted, {"forward/guards"});
    breakage = planted;
    EXPECT_EQ(run_one("n3c4s7,f32").at("forward/guards").witnesses.front().where, "z[" + std::to_string(where) + "]");
  }
  Breakage planted;
  planted.backward = [](const abn_problem& p, const abn_backward_args& a) {
    static_cast<char*>(a.workspace)[a.workspace_bytes] = 1;
    return ::backward(&p, &a);
  };
  expect_failures(planted, {"backward/guards"});
}

TEST_F(Runner, AChangedInputIsNamed) {
  Breakage planted;
  planted.backward = [](const abn_problem& p, const abn_backward_args& a) {
    const int status = ::backward(&p, &a);
    const_cast<float*>(static_cast<const float*>(a.beta))[2] += 1;
    return status;
  };
  expect_failures(planted, {"backward/inputs"});
  breakage = planted;
  EXPECT_EQ(run_one("n3c4s7,f32").at("backward/inputs").witnesses.front().where, "beta[c 2]");
}

TEST_F(Runner, RunningStatisticsAreReadOnlyOutsideTraining) {
  Breakage planted;
  planted.forward = [](const abn_problem& p, const abn_forward_args& a) {
    const int status = ::forward(&p, &a);
    static_cast<float*>(a.running_mean)[1] *= 0.5f;
    return status;
  };
  for (const char* mode : {"inference", "frozen"}) expect_failures(planted, {"forward/inputs"}, std::string("n3c4s7,f32,") + mode);
}

TEST_F(Runner, AnElementThatNobodyWroteIsNamed) {
  Breakage planted;
  planted.backward = [](const abn_problem& p, const abn_backward_args& a) {
    if (a.dgamma == nullptr) return ::backward(&p, &a);
    std::vector<float> kept(static_cast<float*>(a.dgamma), static_cast<float*>(a.dgamma) + p.c);
    const int status = ::backward(&p, &a);
    static_cast<float*>(a.dgamma)[3] = kept[3];
    return status;
  };
  breakage = planted;
  int named = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const auto records = run_one("n3c4s7,f32", "standard", seed);
    EXPECT_EQ(records.at("backward/dgamma").verdict, Verdict::fail);
    EXPECT_EQ(records.at("backward/repeat").verdict, Verdict::pass) << "what nobody wrote is not also called unstable";
    if (records.at("backward/unwritten").verdict != Verdict::fail) continue;  // the second call asked for no dgamma
    EXPECT_EQ(records.at("backward/unwritten").witnesses.front().where, "dgamma[c 3]");
    ++named;
  }
  EXPECT_GT(named, 4);
}

TEST_F(Runner, AResultThatDependsOnWhatWasInMemoryIsUnstable) {
  Breakage planted;
  planted.forward = [](const abn_problem& p, const abn_forward_args& a) {
    float found;
    std::memcpy(&found, a.workspace, sizeof found);
    const int status = ::forward(&p, &a);
    static_cast<float*>(a.z)[5] *= found > 1 ? 1 + 0x1p-23f : 1;  // far below every bound
    return status;
  };
  expect_failures(planted, {"forward/repeat"});
}

TEST_F(Runner, InPlaceMustGiveTheSameBits) {
  Breakage planted;
  planted.forward = [](const abn_problem& p, const abn_forward_args& a) {
    const bool in_place = a.x == a.z;
    const int status = ::forward(&p, &a);
    if (in_place) static_cast<float*>(a.z)[0] *= 1 + 0x1p-23f;
    return status;
  };
  breakage = planted;
  int caught = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const auto records = run_one("n3c4s7,f32", "standard", seed);
    EXPECT_EQ(records.at("forward/repeat").verdict, Verdict::pass);
    if (records.count("forward/alias") == 0) continue;
    EXPECT_EQ(records.at("forward/alias").verdict, Verdict::fail);
    ++caught;
  }
  EXPECT_GT(caught, 3);
}

TEST_F(Runner, WithoutAClaimToDeterminismInPlaceIsJudgedByTheBound) {
  Breakage planted;
  planted.claims = [](abn_claims& c) { c.deterministic = 0; };
  float error = 0x1p-23f;
  planted.backward = [&error](const abn_problem& p, const abn_backward_args& a) {
    const bool in_place = a.dx == a.dz;
    const int status = ::backward(&p, &a);
    if (in_place) static_cast<float*>(a.dx)[0] *= 1 + error;
    return status;
  };
  const auto outcomes = [&] {
    breakage = planted;
    std::set<Verdict> verdicts;
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      const auto records = run_one("n3c4s7,f32", "standard", seed);
      EXPECT_EQ(records.count("backward/repeat"), 0u);
      if (records.count("backward/alias") != 0) verdicts.insert(records.at("backward/alias").verdict);
    }
    return verdicts;
  };
  EXPECT_EQ(outcomes(), std::set<Verdict>{Verdict::pass});
  error = 0.01f;
  EXPECT_EQ(outcomes(), std::set<Verdict>{Verdict::fail});
}

TEST_F(Runner, NothingMayBeWrittenWhereThereIsNoWork) {
  for (const char* problem : {"n0c4s7,f32", "n3c4s0,f32", "n2c0s3,f32"}) expect_failures({}, {}, problem);
  Breakage planted;
  planted.forward = [](const abn_problem& p, const abn_forward_args& a) {
    if (a.running_var != nullptr && p.c > 0) static_cast<float*>(a.running_var)[0] *= 0.9f;
    return ::forward(&p, &a);
  };
  breakage = planted;
  const Record record = run_one("n0c4s7,f32").at("forward/guards");
  EXPECT_EQ(record.verdict, Verdict::fail);
  EXPECT_EQ(record.witnesses.front().where, "running_var[c 0]");
}

TEST_F(Runner, OptionalOutputsAreLeftOutNowAndThen) {
  std::set<std::string> left_out;
  Breakage planted;
  planted.forward = [&](const abn_problem& p, const abn_forward_args& a) {
    if (a.running_mean == nullptr) left_out.insert("running");
    if (a.mean == nullptr) left_out.insert("mean");
    EXPECT_NE(a.var, nullptr) << "saved for backward, so never left out";
    return ::forward(&p, &a);
  };
  planted.backward = [&](const abn_problem& p, const abn_backward_args& a) {
    if (a.dx == nullptr) left_out.insert("dx");
    if (a.dgamma == nullptr) left_out.insert("dgamma");
    if (a.dbeta == nullptr) left_out.insert("dbeta");
    return ::backward(&p, &a);
  };
  expect_failures(planted, {}, "n3c4s7,f32", 60);
  EXPECT_EQ(left_out, (std::set<std::string>{"running", "dx", "dgamma", "dbeta"}));
}

TEST_F(Runner, UnsupportedIsASkipAndNonsenseAnError) {
  const auto skipped = run_one("n3c4s7,f16", "standard", 1, "broken/*/f32/*");
  EXPECT_TRUE(skipped.empty());
  const std::vector<Subject> subjects{subject_of(broken_variant)};
  const std::vector<Case> cases{replay("n3c4s7,f16", "standard", 1)};
  for (const Record& record : run_case(subjects[0], cases[0], {})) EXPECT_EQ(record.verdict, Verdict::skip) << record.id;

  breakage.claims = [](abn_claims& c) { c.scheme = 17; };
  const auto records = run_one("n3c4s7,f32");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records.begin()->second.verdict, Verdict::error);
  EXPECT_NE(records.begin()->second.reason.find("scheme"), std::string::npos);
}

TEST_F(Runner, AVariantWithoutADeviceIsSkippedWithItsReason) {
  Subject subject = subject_of(broken_variant);
  subject.device = nullptr;
  subject.unavailable = "this machine has no GPU; use --device emulator";
  const auto records = run_case(subject, replay("n3c4s7,f32", "standard", 1), {});
  EXPECT_GT(records.size(), 10u);
  for (const Record& record : records) {
    EXPECT_EQ(record.verdict, Verdict::skip);
    EXPECT_EQ(record.reason, subject.unavailable);
  }
}

TEST_F(Runner, AWrongNumberHasAWitnessWithItsInputsBitsAndTerms) {
  breakage.backward = [](const abn_problem& p, const abn_backward_args& a) {
    const int status = ::backward(&p, &a);
    if (a.dx != nullptr) static_cast<float*>(a.dx)[4 * 7 + 2 * 7 + 3] += 0.5f;  // n 1, c 2, s 3 in NCHW
    return status;
  };
  const Record record = run_one("n3c4s7,f32").at("backward/dx");
  EXPECT_EQ(record.verdict, Verdict::fail);
  EXPECT_EQ(record.tally.failed, 1u);
  ASSERT_FALSE(record.witnesses.empty());
  const Witness& witness = record.witnesses.front();
  EXPECT_EQ(witness.where, "dx[n 1, c 2, s 3]");
  EXPECT_NEAR(witness.error, 0.5, 1e-4);
  EXPECT_GT(witness.ratio, 1000);
  EXPECT_EQ(witness.got_bits.size(), 10u);
  EXPECT_EQ(witness.reproduce, "abn-verify run broken/backward/f32/nchw/dx --problem n3c4s7,nchw,f32,leaky_relu:0.01 --data standard --seed 4");
  std::map<std::string, double> inputs(witness.inputs.begin(), witness.inputs.end());
  for (const char* name : {"z", "dz", "gamma", "beta"}) EXPECT_EQ(inputs.count(name), 1u) << name;
  ASSERT_FALSE(witness.terms.empty());
  double sum = 0;
  for (const auto& [name, share] : witness.terms) sum += share;
  EXPECT_NEAR(sum, 1, 0.1);
}

TEST_F(Runner, PlacesAreNamedInBothLayouts) {
  const abn_problem nchw = parse_problem("n3c4s7"), nhwc = parse_problem("n3c4s7,nhwc");
  for (std::int64_t n = 0; n < 3; ++n)
    for (std::int64_t c = 0; c < 4; ++c)
      for (std::int64_t s = 0; s < 7; ++s) {
        const std::string name = "z[n " + std::to_string(n) + ", c " + std::to_string(c) + ", s " + std::to_string(s) + "]";
        EXPECT_EQ(place_of(nchw, "z", true, element_offset(nchw, n, c, s)), name);
        EXPECT_EQ(place_of(nhwc, "z", true, element_offset(nhwc, n, c, s)), name);
      }
}

TEST_F(Runner, ASchemeThatLosesTheSignalInPlaceIsUnsafeAndPasses) {
  const Record fine = run_one("n8c4s16,f32", "standard").at("backward/dx"), lost = run_one("n8c4s16,f32", "large_beta").at("backward/dgamma");
  EXPECT_EQ(fine.verdict, Verdict::pass);
  EXPECT_LT(fine.end_to_end_cost, 1e-4);
  EXPECT_EQ(fine.unsafe_cases, 0u);
  EXPECT_EQ(lost.verdict, Verdict::pass);
  EXPECT_GT(lost.end_to_end_cost, fine.end_to_end_cost);
}

// ---- runs -------------------------------------------------------------------------------------------------------------------------

TEST_F(Runner, TheNumberOfThreadsLeavesNoTrace) {
  const std::vector<Subject> subjects{subject_of(broken_variant)};
  std::vector<Case> cases = cases_of(Tier::smoke, 3);
  std::erase_if(cases, [](const Case& one) { return one.problem.dtype != ABN_F32 || element_count(one.problem) > 1000; });
  const auto json = [&](int threads) {
    RunOptions options;
    options.threads = threads;
    Results results;
    results.records = run(subjects, cases, options);
    return to_json(results);
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
  EXPECT_EQ(run_one("n3c4s7,f32", "standard", 1, "broken/forward/*").count("forward/z"), 1u);
  EXPECT_EQ(backward_calls, 0) << "forward alone was asked for";
  const auto records = run_one("n3c4s7,f32", "standard", 1, "*/dx");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records.begin()->first, "backward/dx");
  EXPECT_THROW(run_one("n3c4s7,f32", "standard", 1, "*/dy"), UsageError);
}

TEST_F(Runner, DescribesWhatAVariantSaysOfItself) {
  const VariantInfo info = describe(subject_of(broken_variant));
  EXPECT_EQ(info.name, "broken");
  EXPECT_EQ(info.memory, "host");
  const std::map<std::string, std::string> claims(info.claims.begin(), info.claims.end());
  EXPECT_EQ(claims.at("scheme"), "in_place_1");
  EXPECT_EQ(claims.at("saves"), "z, variance");
  EXPECT_EQ(claims.at("depth at m = 1024"), "1024 forward, 1024 backward");
  const auto ids = check_ids(subject_of(broken_variant));
  EXPECT_EQ(ids.size(), 2u * 2u * 20u) << "two types, two layouts, twenty checks";
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
}

TEST_F(Runner, WordsThatAShellWouldTakeApartAreQuoted) {
  EXPECT_EQ(shell_word("n2c3s4,leaky_relu:0.01"), "n2c3s4,leaky_relu:0.01");
  EXPECT_EQ(shell_word("my file's"), "'my file'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(InTreeVariants, PassASliceOfTheSmokeTierOnTheEmulator) {
  DeviceChoice choice = choose_device("emulator");
  const auto subjects = subjects_of(choice, {}, false);
  ASSERT_FALSE(subjects.empty());
  std::vector<Case> cases = cases_of(Tier::smoke, 11);
  std::vector<Case> slice;
  for (std::size_t i = 0; i < cases.size(); i += 9) slice.push_back(cases[i]);
  RunOptions options;
  options.device = "emulator";
  for (const Record& record : run(subjects, slice, options))
    EXPECT_TRUE(record.verdict == Verdict::pass || record.verdict == Verdict::inconclusive) << failure_text(record);
}

TEST(InTreeVariants, AWrongDeviceWordIsRefused) {
  for (const char* word : {"gpu", "cuda", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", ""}) EXPECT_THROW(choose_device(word), UsageError) << word;
}
