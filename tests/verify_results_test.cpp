// Records: how they add up, what verdict they come to, and that results.json says the same when it is read back.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "verify/error.hpp"
#include "verify/results.hpp"

using namespace abn::verify;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

Record record(const std::string& check, const std::vector<double>& got, double bound = 1) {
  Record r;
  r.variant = "mine", r.op = "backward", r.dtype = "bf16", r.layout = "nhwc", r.check = check, r.kind = "numbers";
  r.id = "mine/backward/bf16/nhwc/" + check;
  Expectation e{Output::dx, ABN_BF16, {}, {}};
  for (std::size_t i = 0; i < got.size(); ++i) {
    Point p;
    p.bound = bound, p.fit_bound = 2 * bound;
    e.points.push_back(p);
  }
  r.tally = compare_all(e, got);
  r.cases = r.discriminating_cases = 1;
  r.failed_cases = r.tally.failed > 0;
  Witness w;
  w.problem = "n1c1s2,bf16", w.data = "standard", w.seed = 17, w.where = "dx[n 0, c 0, s 1]";
  w.got = got.back(), w.expected = -0.0, w.bound = bound, w.ratio = r.tally.max_ratio, w.ulp = r.tally.max_abs_ulp;
  w.reason = r.tally.worst_comparison.reason;
  w.inputs = {{"z", 0.75}, {"dz", -0.0}}, w.terms = {{"reduction of dy", 0.61}, {"inversion", 0.3}};
  w.kappa = inf;
  w.reproduce = "abn-verify run " + r.id + " --problem n1c1s2,bf16 --data standard --seed 17";
  r.witnesses.push_back(w);
  conclude(r);
  return r;
}

Record skipped(const std::string& check) {
  Record r = record(check, {0});
  r.tally = {};
  r.witnesses.clear();
  r.discriminating_cases = 0, r.skipped_cases = r.cases = 2;
  r.reason = "the variant does not do bf16";
  conclude(r);
  return r;
}

Results results(std::vector<Record> records) {
  Results all;
  all.provenance = {"0.1.0", "abc", "abn-verify run", "g++ 12", "none", "none", "emulator", "smoke", "2026-01-01T00:00:00Z", true, 7, 1.5};
  all.variants.push_back({"mine", "a \"kernel\"", "host", {{"scheme", "in_place_1"}}});
  all.records = std::move(records);
  return all;
}

}  // namespace

TEST(Verdicts, FollowFromTheCounts) {
  EXPECT_EQ(record("dx", {0.5, 0.9}).verdict, Verdict::pass);
  EXPECT_EQ(record("dx", {0.5, 1.1}).verdict, Verdict::fail);
  EXPECT_EQ(record("dx", {0.5, nan_value}).verdict, Verdict::fail);
  EXPECT_EQ(skipped("dx").verdict, Verdict::skip);

  Record vague = record("dx", {0.5});
  vague.discriminating_cases = 0;
  conclude(vague);
  EXPECT_EQ(vague.verdict, Verdict::inconclusive) << vague.reason;
  vague.method_limited_cases = 1;
  conclude(vague);
  EXPECT_EQ(vague.verdict, Verdict::pass) << "limited by the method, and says so: " << vague.reason;

  Record broken = record("status", {0.5});
  broken.verdict = Verdict::error, broken.reason = "the kernel crashed";
  conclude(broken);
  EXPECT_EQ(broken.verdict, Verdict::error);
}

TEST(Verdicts, TheExitCodeNeverTakesASkipForAPass) {
  EXPECT_EQ(exit_code(results({record("dx", {0.5})})), 0);
  EXPECT_EQ(exit_code(results({record("dx", {0.5}), record("dgamma", {2})})), 1);
  EXPECT_EQ(exit_code(results({record("dx", {0.5}), skipped("dgamma")})), 0);
  EXPECT_EQ(exit_code(results({skipped("dx")})), 77);
  EXPECT_EQ(exit_code(results({})), 77);
}

TEST(Verdicts, TheHeadlineSaysWhatIsNotWell) {
  EXPECT_EQ(headline(results({record("dx", {0.5})})).rfind("All 1 check pass", 0), 0u) << headline(results({record("dx", {0.5})}));
  const auto with_skip = headline(results({record("dx", {0.5}), skipped("dgamma")}));
  EXPECT_NE(with_skip.find("1 skipped"), std::string::npos) << with_skip;
  const auto failed = headline(results({record("dx", {0.5}), record("dgamma", {2})}));
  EXPECT_NE(failed.find("1 fail"), std::string::npos) << failed;
  EXPECT_NE(failed.find("mine/backward/bf16/nhwc/dgamma"), std::string::npos);
  EXPECT_EQ(failed.find("All"), std::string::npos);
  EXPECT_NE(headline(results({skipped("dx")})).find("Nothing could run"), std::string::npos);
}

TEST(Merging, KeepsTheWorstWitnessAndAllCounts) {
  Record a = record("dx", {0.5, 0.25});
  const Record b = record("dx", {0.5, 3}), c = record("dx", {0.125, 0.75});
  Record left = a, right = b;
  merge(left, b), merge(left, c);
  merge(right, c);
  Record grouped = a;
  merge(grouped, right);
  for (Record* r : {&left, &grouped}) conclude(*r);
  EXPECT_EQ(left.cases, 3u);
  EXPECT_EQ(left.tally.elements, 6u);
  EXPECT_EQ(left.verdict, Verdict::fail);
  EXPECT_EQ(left.witnesses.front().ratio, 3);
  EXPECT_EQ(to_json(results({left})), to_json(results({grouped})));
  Record with_skip = skipped("dx");
  merge(with_skip, a);
  conclude(with_skip);
  EXPECT_EQ(with_skip.verdict, Verdict::pass) << "a skipped case does not hide one that ran";
}

TEST(Json, ReadBackAndWrittenAgainIsTheSameBytes) {
  Record both = record("dx", {0.5, nan_value});
  both.has_end_to_end = true, both.end_to_end = both.tally, both.end_to_end_cost = inf, both.unsafe_cases = 2;
  Record contract = record("guards", {0});
  contract.kind = "contract", contract.tally = {};
  const auto text = to_json(results({both, contract, skipped("dgamma")}));
  EXPECT_TRUE(text == to_json(results_from_json(text)));
  EXPECT_EQ(text.back(), '\n');
  const auto back = results_from_json(text);
  EXPECT_TRUE(std::isnan(back.records[0].witnesses[0].got));
  EXPECT_TRUE(std::signbit(back.records[0].witnesses[0].expected)) << "-0 stays -0";
  EXPECT_EQ(back.records[0].witnesses[0].kappa, inf);
  EXPECT_EQ(failure_text(back.records[0]), failure_text(both));
}

TEST(Json, OtherFilesAreRefused) {
  for (const char* text : {"", "{", "[]", "{}", "{\"schema\": \"abn-verify/0\"}", "{\"schema\": \"abn-verify/1\"}", "null", "{\"schema\": \"abn-verify/1\", \"provenance\": 3}"})
    EXPECT_THROW(results_from_json(text), UsageError) << text;
}

TEST(FailureText, SaysWhatWhereWhyAndHowToReplay) {
  const auto text = failure_text(record("dx", {0.5, 3}));
  for (const char* part : {"FAIL mine/backward/bf16/nhwc/dx", "ratio 3", "1 of 2 elements", "witness   dx[n 0, c 0, s 1]", "z=0x1.8p-1", "expected -0x0p+0", "got 0x1.8p+1",
                           "reduction of dy 61 %, inversion 30 %", "kappa inf", "reproduce abn-verify run mine/backward/bf16/nhwc/dx --problem n1c1s2,bf16 --data standard --seed 17"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST(Files, AGoodFileSurvivesAFailedWrite) {
  const auto folder = std::filesystem::temp_directory_path() / "abn-results-test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const auto path = (folder / "results.json").string();
  write_file_atomically(path, "old");
  write_file_atomically(path, "new");
  std::string text;
  std::ifstream(path) >> text;
  EXPECT_EQ(text, "new");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1) << "no temporary file is left";
  EXPECT_THROW(write_file_atomically((folder / "no" / "such" / "folder").string(), "x"), UsageError);
  EXPECT_THROW(write_file_atomically(folder.string(), "x"), UsageError);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  std::filesystem::remove_all(folder);
}
