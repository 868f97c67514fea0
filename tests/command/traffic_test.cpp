// What in-tree variants move, held against what they claim, over a table of shapes, types, layouts
// and modes; and what counts as wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cuda/registry.h"
#include "verify/check/sanitize/checks.hpp"
#include "verify/check/sanitize/observe.hpp"
#include "verify/check/sanitize/traffic.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

using namespace abn::verify;
using namespace abn::verify::check::sanitize;

namespace {

// Whole and ragged 16-byte windows and sectors in either layout, one channel, one sample an image,
// channels of several slices.
constexpr const char* sizes[] = {"n2c32s16,leaky_relu", "n3c5s7,leaky_relu",   "n1c1s77,leaky_relu",
                                 "n9c40s1,leaky_relu",  "n2c64s49,leaky_relu", "n1c3s65,leaky_relu",
                                 "n2c2s4100,leaky_relu"};

struct Counted {
  std::string variant;
  data::Case one;
  abn_claims claims;
  std::vector<check::sanitize::MovedBy> calls;
};

template <class Visit>
void for_every_problem(const Visit& visit) {
  for (const call::Subject& subject :
       call::subjects_of(call::choose_device("emulator"), {}, false)) {
    if (!subject.emulated) continue;  // host code
    for (const char* const size : sizes)
      for (const char* const dtype : {"f16", "bf16", "f32", "f64"})
        for (const char* const layout : {"nchw", "nhwc"})
          for (const char* const mode : {"training", "inference", "frozen"}) {
            const std::string text = std::string(size) + "," + dtype + "," + layout + "," + mode;
            const data::Case one = data::replay(text, "standard", 5);
            const problem::Claimed claimed = problem::claims_of(*subject.variant, one.problem);
            if (claimed.status == ABN_ERROR_UNSUPPORTED) continue;
            SCOPED_TRACE(std::string(subject.variant->name) + " " + text);
            ASSERT_TRUE(claimed.nonsense.empty()) << claimed.nonsense;
            visit(Counted{subject.variant->name, one, claimed.claims,
                          check::sanitize::moved_by(subject, one, claimed.claims)});
            if (testing::Test::HasFatalFailure()) return;
          }
  }
}

results::BufferTraffic tensor(const char* name, std::uint64_t bytes, std::uint64_t loads,
                              std::uint64_t stores) {
  results::BufferTraffic buffer;
  buffer.buffer = name;
  buffer.tensor = true;
  buffer.bytes = bytes;
  buffer.loaded = loads * bytes, buffer.stored = stores * bytes;
  buffer.load_requests = buffer.loaded / 128, buffer.store_requests = buffer.stored / 128;
  buffer.load_sectors = buffer.loaded / 32, buffer.store_sectors = buffer.stored / 32;
  return buffer;
}

abn_claims claims_of_two_in_one_out() {
  abn_claims claims{};
  claims.sweeps_x.loads = 2, claims.sweeps_z.stores = 1;
  claims.sweeps_dz.loads = 2, claims.sweeps_kept.loads = 1, claims.sweeps_dx.stores = 1;
  claims.coalesced = 1;
  return claims;
}

std::string wrong(std::vector<results::BufferTraffic> buffers, const abn_claims& claims,
                  const char* problem, bool backward = false, std::uint64_t address = 256) {
  check::sanitize::add_claims(buffers, claims, backward);
  const std::vector<std::uint64_t> addresses(buffers.size(), address);
  std::string where;
  return check::sanitize::wrong_traffic(buffers, addresses, claims, problem::parse_problem(problem),
                                        backward, where);
}

}  // namespace

TEST(Traffic, EveryVariantHasAnInstrumentedTwinAndClaimsWhatItMoves) {
  std::size_t variants = 0;
  for (const call::Subject& subject :
       call::subjects_of(call::choose_device("emulator"), {}, false)) {
    if (!subject.emulated) continue;  // host code
    ++variants;
    EXPECT_NE(subject.instrumented, nullptr) << subject.variant->name;
    EXPECT_EQ(check::sanitize::not_sanitisable(subject), "");
    for (const char* const text : {"n2c3s5,leaky_relu", "n2c3s5,inference,leaky_relu",
                                   "n2c3s5,frozen,leaky_relu", "n64c64s64,bf16,nhwc,leaky_relu"}) {
      const abn_problem problem = problem::parse_problem(text);
      const problem::Claimed claimed = problem::claims_of(*subject.variant, problem);
      ASSERT_EQ(claimed.status, ABN_OK);
      for (const bool backward : {false, true})
        EXPECT_TRUE(problem::claims_traffic(claimed.claims, backward))
            << subject.variant->name
            << ": set the sweeps of abn_claims (cuda/kernel.h) in claims(); abn-verify traffic "
               "shows them";
    }
  }
  EXPECT_GE(variants, 2u);
}

TEST(Traffic, EveryVariantMovesExactlyWhatItClaims) {
  std::size_t calls = 0;
  for_every_problem([&](const Counted& counted) {
    const bool inference = counted.one.problem.mode == ABN_INFERENCE;
    ASSERT_GE(counted.calls.size(), inference ? 1u : 2u);
    for (const check::sanitize::MovedBy& call : counted.calls) {
      ASSERT_EQ(call.trouble, "");
      ASSERT_EQ(call.wrong, "") << call.op << (call.in_place ? " in place" : "");
      const bool backward = call.op == "backward";
      EXPECT_GE(check::sanitize::tensor_sweeps(call.buffers),
                check::sanitize::floor_sweeps(backward))
          << call.op;
      const abn_claims& c = counted.claims;
      const int claimed = backward ? c.sweeps_dz.loads + c.sweeps_kept.loads + c.sweeps_dx.loads +
                                         c.sweeps_dx.stores
                                   : c.sweeps_x.loads + c.sweeps_z.loads + c.sweeps_z.stores;
      if (c.saves == (ABN_SAVES_Z | ABN_SAVES_VAR)) {
        EXPECT_EQ(check::sanitize::tensor_sweeps(call.buffers), claimed) << call.op;
      }
      ++calls;
    }
  });
  EXPECT_GE(calls, 2u * 7 * 4 * 2 * (2 + 1 + 2));
}

TEST(Traffic, TheNumbersInTheReadmeOfTheKernels) {
  const auto sweeps = [](const char* variant, const char* mode, const char* op) {
    for (const call::Subject& subject :
         call::subjects_of(call::choose_device("emulator"), {}, false)) {
      if (std::string(subject.variant->name) != variant) continue;
      const data::Case one = data::replay(std::string("n2c8s64,leaky_relu,") + mode, "standard", 1);
      for (const check::sanitize::MovedBy& call : check::sanitize::moved_by(
               subject, one, problem::claims_of(*subject.variant, one.problem).claims))
        if (call.op == op) return check::sanitize::tensor_sweeps(call.buffers);
    }
    return -1.0;
  };
  EXPECT_EQ(sweeps("naive", "training", "forward"), 4);
  EXPECT_EQ(sweeps("naive", "training", "backward"), 5);
  EXPECT_EQ(sweeps("naive", "inference", "forward"), 2);
  EXPECT_EQ(sweeps("naive", "frozen", "backward"), 5);
  EXPECT_EQ(sweeps("two_sweep", "training", "forward"), 3);
  EXPECT_EQ(sweeps("two_sweep", "training", "backward"), 5);
  EXPECT_EQ(sweeps("two_sweep", "inference", "forward"), 2);
  EXPECT_EQ(sweeps("two_sweep", "frozen", "backward"), 3);
}

TEST(Traffic, AVariantThatReadsOnceMoreOrOnceLessThanItClaimsIsWrong) {
  const abn_claims claims = claims_of_two_in_one_out();
  constexpr const char* problem = "n2c8s64,leaky_relu";
  EXPECT_EQ(wrong({tensor("x", 4096, 2, 0), tensor("z", 4096, 0, 1)}, claims, problem), "");
  EXPECT_EQ(wrong({tensor("x = z", 4096, 2, 1)}, claims, problem), "");
  EXPECT_EQ(wrong({tensor("dz = dx", 4096, 2, 1), tensor("z", 4096, 1, 0)}, claims, problem, true),
            "");
  EXPECT_NE(wrong({tensor("x", 4096, 3, 0), tensor("z", 4096, 0, 1)}, claims, problem), "");
  EXPECT_NE(wrong({tensor("x", 4096, 1, 0), tensor("z", 4096, 0, 1)}, claims, problem), "");
  EXPECT_NE(wrong({tensor("x", 4096, 2, 0), tensor("z", 4096, 0, 2)}, claims, problem), "");
  EXPECT_NE(wrong({tensor("x", 4096, 2, 0), tensor("z", 4096, 1, 1)}, claims, problem), "");
  EXPECT_NE(wrong({tensor("x", 4096, 2, 1), tensor("z", 4096, 0, 1)}, claims, problem), "");
  auto one_element_more = tensor("x", 4096, 2, 0);
  one_element_more.loaded += 4;
  EXPECT_NE(wrong({one_element_more, tensor("z", 4096, 0, 1)}, claims, problem), "");
  EXPECT_EQ(wrong({tensor("x", 4096, 3, 0), tensor("z", 4096, 0, 1)}, abn_claims{}, problem), "")
      << "nothing is claimed";
}

TEST(Traffic, SectorsBeyondThoseThatTheBytesFillLieAtTheEndsOfRequestsAndRuns) {
  const abn_claims claims = claims_of_two_in_one_out();
  auto x = tensor("x", 4096, 2, 0);
  x.load_sectors += x.load_requests;
  EXPECT_EQ(wrong({x, tensor("z", 4096, 0, 1)}, claims, "n2c8s64,leaky_relu"), "");
  ++x.load_sectors;
  EXPECT_NE(wrong({x, tensor("z", 4096, 0, 1)}, claims, "n2c8s64,leaky_relu"), "");
  EXPECT_EQ(wrong({x, tensor("z", 4096, 0, 1)}, claims, "n2c8s64,leaky_relu", false, 256 + 16), "")
      << "not on a boundary";
  abn_claims scattered = claims;
  scattered.coalesced = 0;
  EXPECT_EQ(wrong({x, tensor("z", 4096, 0, 1)}, scattered, "n2c8s64,leaky_relu"), "");

  EXPECT_EQ(check::sanitize::sector_slack(problem::parse_problem("n2c8s64,leaky_relu"), 64, 2),
            64u);
  EXPECT_EQ(check::sanitize::sector_slack(problem::parse_problem("n2c8s64,nhwc,leaky_relu"), 64, 2),
            64u);
  EXPECT_EQ(check::sanitize::sector_slack(problem::parse_problem("n2c8s63,leaky_relu"), 60, 2),
            2 * 60u + 2 * 16u * 2 * 4);
  EXPECT_EQ(
      check::sanitize::sector_slack(problem::parse_problem("n2c9s64,nhwc,f16,leaky_relu"), 60, 1),
      2 * 60u + 2 * 128u * 1 * 8);
  auto ragged = tensor("x", 4032, 2, 0);
  ragged.load_sectors =
      8064 / 32 + check::sanitize::sector_slack(problem::parse_problem("n2c8s63,leaky_relu"),
                                                ragged.load_requests, 2);
  EXPECT_EQ(wrong({ragged, tensor("z", 4032, 0, 1)}, claims, "n2c8s63,leaky_relu"), "");
  ++ragged.load_sectors;
  EXPECT_NE(wrong({ragged, tensor("z", 4032, 0, 1)}, claims, "n2c8s63,leaky_relu"), "");
}

TEST(Traffic, ATensorThatGoesThroughTheWorkspaceIsNotHidden) {
  const abn_claims claims = claims_of_two_in_one_out();
  const std::uint64_t bytes = 4 * 4096 * 4;
  results::BufferTraffic workspace;
  workspace.buffer = "workspace";
  workspace.bytes = bytes;
  workspace.stored = bytes / 2 + 4;
  const std::vector<results::BufferTraffic> buffers{tensor("x", bytes, 2, 0),
                                                    tensor("z", bytes, 0, 1), workspace};
  EXPECT_NE(wrong(buffers, claims, "n1c4s4096,leaky_relu"), "");
  EXPECT_EQ(wrong(buffers, claims, "n1c1024s16,leaky_relu"), "")
      << "channels so short that statistics are as large as they";
}

TEST(Traffic, ClaimsOfTrafficHaveToMakeSense) {
  const abn_problem problem = problem::parse_problem("n2c3s5,leaky_relu");
  abn_claims claims = claims_of_two_in_one_out();
  claims.depth_statistics = claims.depth_backward = 1;
  claims.scheme = ABN_IN_PLACE_1, claims.saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  ASSERT_EQ(problem::nonsense_in(claims, problem), "");
  claims.sweeps_x.stores = 1;
  EXPECT_NE(problem::nonsense_in(claims, problem), "");
  claims.sweeps_x = {-1, 0};
  EXPECT_NE(problem::nonsense_in(claims, problem), "");
  claims.sweeps_x = {2, 0}, claims.coalesced = 2;
  EXPECT_NE(problem::nonsense_in(claims, problem), "");
  EXPECT_EQ(problem::sweeps_text(claims_of_two_in_one_out(), false), "x 2 times in, z once out");
  EXPECT_EQ(problem::sweeps_text(abn_claims{}, true), "");
}

TEST(Traffic, RecordsKeepTheLargestCallOfEachMode) {
  results::Record record, other;
  record.traffic = {{"frozen", "small", 10, {}}, {"training", "large", 30, {}}};
  other.traffic = {
      {"frozen", "large", 20, {}}, {"inference", "only", 5, {}}, {"training", "small", 20, {}}};
  results::merge(record, other);
  ASSERT_EQ(record.traffic.size(), 3u);
  EXPECT_EQ(record.traffic[0].problem, "large");
  EXPECT_EQ(record.traffic[1].problem, "only");
  EXPECT_EQ(record.traffic[2].problem, "large");
}

TEST(Sanitizer, AVariantWithoutATwinIsSkippedAndOneThatClaimsNothingIsNotJudgedByItsTraffic) {
  std::vector<call::Subject> subjects =
      call::subjects_of(call::choose_device("emulator"), {}, false);
  std::erase_if(subjects, [](const call::Subject& subject) {
    return std::string(subject.variant->name) != "naive";
  });
  const std::vector<data::Case> cases{data::replay("n2c3s5,f32,leaky_relu", "", 3)};
  check::RunOptions options;
  options.threads = 1;
  for (const results::Record& record : run::run(sanitize_checks, subjects, cases, options))
    EXPECT_EQ(record.verdict, results::Verdict::pass) << record.reason;

  static abn_variant silent = *subjects[0].variant;
  static const abn_variant& naive = *subjects[0].variant;
  silent.claims = [](const abn_problem* problem, abn_claims* out) {
    const int status = naive.claims(problem, out);
    out->sweeps_x = out->sweeps_z = out->sweeps_dz = out->sweeps_kept = out->sweeps_dx = {};
    return status;
  };
  subjects[0].variant = &silent;
  for (const results::Record& record : run::run(sanitize_checks, subjects, cases, options)) {
    EXPECT_EQ(record.verdict,
              record.check == "traffic" ? results::Verdict::skip : results::Verdict::pass)
        << record.id;
    if (record.check != "traffic") continue;
    EXPECT_NE(record.reason.find("abn_claims"), std::string::npos) << record.reason;
    EXPECT_FALSE(record.traffic.empty()) << "counted all the same";
  }

  subjects[0].instrumented = nullptr;
  const std::vector<results::Record> skipped =
      run::run(check::sanitize::sanitize_checks, subjects, cases, options);
  EXPECT_EQ(skipped.size(), 10u);
  for (const results::Record& record : skipped) {
    EXPECT_EQ(record.verdict, results::Verdict::skip) << record.id;
    EXPECT_NE(record.reason.find("ABN_REGISTER_VARIANT"), std::string::npos) << record.reason;
  }
}

TEST(Sanitizer, EveryKindOfFindingHasACheck) {
  using namespace abn::emulator;
  EXPECT_EQ(check::sanitize::fault_of(data_race), check::sanitize::Fault::races);
  EXPECT_EQ(check::sanitize::fault_of(unwritten_read), check::sanitize::Fault::unwritten_reads);
  for (const char* const kind : {out_of_bounds, misaligned_access, read_only_write, shared_overrun})
    EXPECT_EQ(check::sanitize::fault_of(kind), check::sanitize::Fault::bounds) << kind;
  for (const char* const kind :
       {barrier_divergence, deadlock, shuffle_mask, endless_loop, launch_configuration})
    EXPECT_EQ(check::sanitize::fault_of(kind), check::sanitize::Fault::barriers) << kind;
}
