// The contract checks: each is broken once by a variant that breaks that contract only.
#include <cmath>
#include <cstring>

#define ABN_ENTRY_OF_THIS_TEST right_variant_of_contract_test
#include "tests/call/broken_variant.hpp"
#include "verify/problem/claims.hpp"

using ContractChecks = BrokenVariant;

TEST(Claims, ThatContradictThemselvesAreNamed) {
  const abn_problem problem = problem::parse_problem("n3c4s7,f32,leaky_relu");
  abn_claims right{};
  ASSERT_EQ(::claims(&problem, &right), ABN_OK);
  EXPECT_EQ(problem::nonsense_in(right, problem), "");
  const std::vector<std::function<void(abn_claims&)>> wrong = {
      [](abn_claims& c) { c.scheme = 5; },
      [](abn_claims& c) { c.statistics = -1; },
      [](abn_claims& c) { c.normalise = 3; },
      [](abn_claims& c) { c.accumulate = 5; },
      [](abn_claims& c) { c.kink = 3; },
      [](abn_claims& c) { c.running_variance = -1; },
      [](abn_claims& c) { c.saves = 64; },
      [](abn_claims& c) { c.saves = ABN_SAVES_Z | ABN_SAVES_INVSTD; },
      [](abn_claims& c) { c.saves = 0; },
      [](abn_claims& c) { c.materialises = 256; },
      [](abn_claims& c) { c.alignment = 24; },
      [](abn_claims& c) { c.alignment = 4096; },
      [](abn_claims& c) { c.z_may_alias_x = 2; },
      [](abn_claims& c) { c.depth_backward = 0; },
      [](abn_claims& c) { c.function_ulp = -1; },
      [](abn_claims& c) { c.function_ulp = NAN; },
      [](abn_claims& c) { c.accumulate = ABN_BF16; },
      [](abn_claims& c) { c.deterministic = -1; },
      [](abn_claims& c) { c.affine_apart = 2; },
      [](abn_claims& c) { c.other_out_types = 1U << ABN_F64; },
      [](abn_claims& c) { c.scheme = ABN_CHECKPOINT_XHAT; },
      [](abn_claims& c) { c.scheme = ABN_STANDARD; }};
  for (const auto& spoil : wrong) {
    abn_claims claims = right;
    spoil(claims);
    EXPECT_NE(problem::nonsense_in(claims, problem), "");
  }
}

TEST(Claims, HaveCeilingsByTypeThatNameTheField) {
  const auto says = [](const char* text, int accumulate, double ulp) {
    const abn_problem usual = problem::parse_problem("n3c4s7,f32,leaky_relu");
    abn_claims claims{};
    EXPECT_EQ(::claims(&usual, &claims), ABN_OK);
    claims.accumulate = accumulate, claims.function_ulp = ulp;
    return problem::nonsense_in(claims, problem::parse_problem(text));
  };
  const auto implausible = [](const std::string& sentence, const char* field) {
    return sentence.find("implausible claim " + std::string(field)) == 0;
  };
  EXPECT_EQ(says("n3c4s7,f32,elu:1", ABN_F32, 1024), "");
  EXPECT_TRUE(implausible(says("n3c4s7,f32,elu:1", ABN_F32, 1025), "function_ulp"));
  EXPECT_TRUE(implausible(says("n3c4s7,f32,elu:1", ABN_F32, 1e30), "function_ulp"));
  EXPECT_EQ(says("n3c4s7,f32,leaky_relu", ABN_F32, 1e30), "") << "it has no functions";
  EXPECT_EQ(says("n3c4s7,bf16,elu:1", ABN_F32, 262144), "") << "four ulp of bf16";
  EXPECT_TRUE(implausible(says("n3c4s7,bf16,elu:1", ABN_F32, 262145), "function_ulp"));
  EXPECT_TRUE(implausible(says("n3c4s7,bf16,elu:1", ABN_BF16, 33), "function_ulp"));
  EXPECT_EQ(says("n3c4s7,f32,elu:1", ABN_TF32, 1), "");
  EXPECT_TRUE(implausible(says("n3c4s7,f32,elu:1", ABN_BF16, 1), "accumulate bf16"));
  EXPECT_EQ(says("n3c4s7,f64,elu:1", ABN_F32, 1), "");
  EXPECT_TRUE(implausible(says("n3c4s7,f64,elu:1", ABN_TF32, 1), "accumulate tf32"));
}

TEST(Claims, DepthsAreCutToTheNumberOfSamples) {
  breakage = {};
  breakage.claims = [](abn_claims& c) { c.depth_statistics = 1'000'000'000; };
  EXPECT_EQ(problem::claims_of(broken_variant, problem::parse_problem("n3c4s7,f32,leaky_relu"))
                .claims.depth_statistics,
            21);
  breakage = {};
}

TEST_F(ContractChecks, ARightVariantPassesEveryCheckThatItHas) {
  const auto records = run_one("n3c4s7,f32,leaky_relu");
  const std::set<std::string> expected = {
      "backward/alias",     "backward/dbeta",    "backward/dgamma",      "backward/dx",
      "backward/guards",    "backward/inputs",   "backward/repeat",      "backward/status",
      "backward/unwritten", "forward/alias",     "forward/guards",       "forward/inputs",
      "forward/mean",       "forward/repeat",    "forward/running_mean", "forward/running_var",
      "forward/status",     "forward/unwritten", "forward/variance",     "forward/z"};
  std::set<std::string> found;
  int aliased = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed)
    for (const auto& [check, record] : run_one("n3c4s7,f32,leaky_relu", "standard", seed)) {
      EXPECT_EQ(record.verdict, results::Verdict::pass) << check << " " << record.reason;
      found.insert(check);
      aliased += check == "forward/alias";
    }
  EXPECT_EQ(found, expected);
  EXPECT_GT(aliased, 3);
  EXPECT_LT(aliased, 12)
      << "where every buffer has its own offset there is nothing to compare with";
  EXPECT_TRUE(records.at("backward/dx").has_end_to_end);
}

TEST_F(ContractChecks, AStatusThatIsNotOkFailsAndNothingElseIsMade) {
  Breakage planted;
  planted.backward = [](const abn_problem&, const abn_backward_args&) -> int {
    return ABN_ERROR_WORKSPACE;
  };
  expect_failures(planted, {"backward/status"});
  breakage = planted;
  const auto records = run_one("n3c4s7,f32,leaky_relu");
  EXPECT_EQ(records.count("backward/dx"), 0u);
  EXPECT_NE(records.at("backward/status").reason.find("ABN_ERROR_WORKSPACE"), std::string::npos);
  planted.backward = Breakage{}.backward;
  planted.forward = [](const abn_problem&, const abn_forward_args&) -> int { return 42; };
  expect_failures(planted, {"forward/status"});
  breakage = planted;
  EXPECT_EQ(run_one("n3c4s7,f32,leaky_relu").at("backward/dx").verdict, results::Verdict::skip)
      << "backward is not made, and says so";
}

TEST_F(ContractChecks, AWriteBehindOrBeforeABufferBreaksItsGuard) {
  for (const std::int64_t where : {-1, 84}) {  // 3*4*7 elements
    Breakage planted;
    planted.forward = [where](const abn_problem& p, const abn_forward_args& a) {
      const int status = ::forward(&p, &a);
      static_cast<float*>(a.z)[where] = 0;
      return status;
    };
    expect_failures(planted, {"forward/guards"});
    breakage = planted;
    EXPECT_EQ(run_one("n3c4s7,f32,leaky_relu").at("forward/guards").witnesses.front().where,
              "z[" + std::to_string(where) + "]");
  }
  Breakage planted;
  planted.backward = [](const abn_problem& p, const abn_backward_args& a) {
    static_cast<char*>(a.workspace)[a.workspace_bytes] = 1;
    return ::backward(&p, &a);
  };
  expect_failures(planted, {"backward/guards"});
}

TEST_F(ContractChecks, AChangedInputIsNamed) {
  Breakage planted;
  planted.backward = [](const abn_problem& p, const abn_backward_args& a) {
    const int status = ::backward(&p, &a);
    const_cast<float*>(static_cast<const float*>(a.beta))[2] += 1;
    return status;
  };
  expect_failures(planted, {"backward/inputs"});
  breakage = planted;
  EXPECT_EQ(run_one("n3c4s7,f32,leaky_relu").at("backward/inputs").witnesses.front().where,
            "beta[c 2]");
}

TEST_F(ContractChecks, RunningStatisticsAreReadOnlyOutsideTraining) {
  Breakage planted;
  planted.forward = [](const abn_problem& p, const abn_forward_args& a) {
    const int status = ::forward(&p, &a);
    static_cast<float*>(a.running_mean)[1] *= 0.5f;
    return status;
  };
  for (const char* mode : {"inference", "frozen"})
    expect_failures(planted, {"forward/inputs"}, std::string("n3c4s7,f32,leaky_relu,") + mode);
}

TEST_F(ContractChecks, AnElementThatNobodyWroteIsNamed) {
  Breakage planted;
  planted.backward = [](const abn_problem& p, const abn_backward_args& a) {
    std::vector<float> kept(static_cast<float*>(a.dgamma), static_cast<float*>(a.dgamma) + p.c);
    const int status = ::backward(&p, &a);
    static_cast<float*>(a.dgamma)[3] = kept[3];
    return status;
  };
  breakage = planted;
  int named = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const auto records = run_one("n3c4s7,f32,leaky_relu", "standard", seed);
    EXPECT_EQ(records.at("backward/dgamma").verdict, results::Verdict::fail);
    EXPECT_EQ(records.at("backward/repeat").verdict, results::Verdict::pass)
        << "what nobody wrote is not also called unstable";
    ASSERT_EQ(records.at("backward/unwritten").verdict, results::Verdict::fail);
    EXPECT_EQ(records.at("backward/unwritten").witnesses.front().where, "dgamma[c 3]");
    ++named;
  }
  EXPECT_EQ(named, 8);
}

TEST_F(ContractChecks, AResultThatDependsOnWhatWasInMemoryIsUnstable) {
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

TEST_F(ContractChecks, InPlaceMustGiveTheSameBits) {
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
    const auto records = run_one("n3c4s7,f32,leaky_relu", "standard", seed);
    EXPECT_EQ(records.at("forward/repeat").verdict, results::Verdict::pass);
    if (records.count("forward/alias") == 0) continue;
    EXPECT_EQ(records.at("forward/alias").verdict, results::Verdict::fail);
    ++caught;
  }
  EXPECT_GT(caught, 3);
}

TEST_F(ContractChecks, WithoutAClaimToDeterminismInPlaceIsJudgedByTheBound) {
  Breakage planted;
  // claimed in f32, so that one ulp lies within the bound
  planted.claims = [](abn_claims& c) { c.deterministic = 0, c.accumulate = ABN_F32; };
  float error = 0x1p-23f;
  planted.backward = [&error](const abn_problem& p, const abn_backward_args& a) {
    const bool in_place = a.dx == a.dz;
    const int status = ::backward(&p, &a);
    if (in_place) static_cast<float*>(a.dx)[0] *= 1 + error;
    return status;
  };
  const auto outcomes = [&] {
    breakage = planted;
    std::set<results::Verdict> verdicts;
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      const auto records = run_one("n3c4s7,f32,leaky_relu", "standard", seed);
      EXPECT_EQ(records.count("backward/repeat"), 0u);
      if (records.count("backward/alias") != 0)
        verdicts.insert(records.at("backward/alias").verdict);
    }
    return verdicts;
  };
  EXPECT_EQ(outcomes(), std::set<results::Verdict>{results::Verdict::pass});
  error = 0.01f;
  EXPECT_EQ(outcomes(), std::set<results::Verdict>{results::Verdict::fail});
}

TEST_F(ContractChecks, NothingMayBeWrittenWhereThereIsNoWork) {
  for (const char* problem :
       {"n0c4s7,f32,leaky_relu", "n3c4s0,f32,leaky_relu", "n2c0s3,f32,leaky_relu"})
    expect_failures({}, {}, problem);
  Breakage planted;
  planted.forward = [](const abn_problem& p, const abn_forward_args& a) {
    if (a.running_var != nullptr && p.c > 0) static_cast<float*>(a.running_var)[0] *= 0.9f;
    return ::forward(&p, &a);
  };
  breakage = planted;
  const results::Record record = run_one("n0c4s7,f32,leaky_relu").at("forward/guards");
  EXPECT_EQ(record.verdict, results::Verdict::fail);
  EXPECT_EQ(record.witnesses.front().where, "running_var[c 0]");
}

TEST_F(ContractChecks, TheSecondCallOfAVariantWithoutDeterminismIsJudgedByItsBound) {
  Breakage planted;
  planted.claims = [](abn_claims& claims) {
    claims.deterministic = 0, claims.z_may_alias_x = claims.dx_may_alias_dz = 0;
  };
  breakage = planted;
  const results::Record right = run_one("n3c4s7,f32,leaky_relu").at("backward/again");
  EXPECT_EQ(right.verdict, results::Verdict::pass) << right.reason;
  int calls = 0;
  planted.backward = [&calls](const abn_problem& p, const abn_backward_args& a) {
    const int status = ::backward(&p, &a);
    if (++calls % 2 == 0) static_cast<float*>(a.dgamma)[1] = 7;
    return status;
  };
  breakage = planted;
  const auto records = run_one("n3c4s7,f32,leaky_relu");
  EXPECT_EQ(records.at("backward/dgamma").verdict, results::Verdict::pass)
      << "the first call is right";
  const results::Record& again = records.at("backward/again");
  EXPECT_EQ(again.verdict, results::Verdict::fail);
  EXPECT_EQ(again.witnesses.front().where, "dgamma[c 1]");
  EXPECT_NE(again.witnesses.front().reason.find("in the second call"), std::string::npos);
}

TEST_F(ContractChecks, EveryCallAsksForEverything) {
  Breakage planted;
  planted.forward = [&](const abn_problem& p, const abn_forward_args& a) {
    for (const void* const one : {a.running_mean, a.running_var, a.mean, a.var})
      EXPECT_NE(one, nullptr) << "what is left out is a matter of calls/optional";
    return ::forward(&p, &a);
  };
  planted.backward = [&](const abn_problem& p, const abn_backward_args& a) {
    for (const void* const one : {a.dx, a.dgamma, a.dbeta}) EXPECT_NE(one, nullptr);
    return ::backward(&p, &a);
  };
  expect_failures(planted, {}, "n3c4s7,f32,leaky_relu", 12);
}
