// Records: how they add up, what verdict they come to, and that results.json says the same when it
// is read back.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "verify/compare/trivial_outputs.hpp"
#include "verify/problem/error.hpp"
#include "verify/results/results.hpp"

using namespace abn::verify;
using namespace abn::verify::results;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

Record record(const std::string& check, const std::vector<double>& got, double bound = 1) {
  Record r;
  r.variant = "mine", r.op = "backward", r.dtype = "bf16", r.layout = "nhwc", r.check = check,
  r.kind = CheckKind::numbers;
  r.id = "mine/backward/bf16/nhwc/" + check;
  compare::Expectation e{compare::Output::dx, ABN_BF16, {}, {}};
  for (std::size_t i = 0; i < got.size(); ++i) {
    compare::Point p;
    p.bound = bound, p.fit_bound = 2 * bound;
    e.points.push_back(p);
  }
  r.tally = compare::compare_all(e, got);
  r.cases = r.discriminating_cases = 1;
  r.failed_cases = r.tally.failed > 0;
  Witness w;
  w.problem = "n1c1s2,bf16", w.data = "standard", w.seed = 17, w.where = "dx[n 0, c 0, s 1]";
  w.got = got.back(), w.expected = -0.0, w.bound = bound, w.ratio = r.tally.max_ratio,
  w.ulp = r.tally.max_abs_ulp;
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

Results results_of(std::vector<Record> records) {
  Results all;
  all.provenance = {"0.1.0",    "abc",   "abn-verify run",       "g++ 12", "none", "none",
                    "emulator", "smoke", "2026-01-01T00:00:00Z", true,     7,      1.5};
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
  EXPECT_EQ(exit_code(results_of({record("dx", {0.5})})), 0);
  EXPECT_EQ(exit_code(results_of({record("dx", {0.5}), record("dgamma", {2})})), 1);
  EXPECT_EQ(exit_code(results_of({record("dx", {0.5}), skipped("dgamma")})), 0);
  EXPECT_EQ(exit_code(results_of({skipped("dx")})), 77);
  Record error = record("status", {0.5});
  error.verdict = Verdict::error;
  EXPECT_EQ(exit_code(results_of({error})), 1);
  EXPECT_EQ(exit_code(results_of({error, skipped("dx")})), 1);
  EXPECT_EQ(exit_code(results_of({})), 77);
}

TEST(Verdicts, TheHeadlineSaysWhatIsNotWell) {
  EXPECT_EQ(headline(results_of({record("dx", {0.5})})).rfind("The only check passes", 0), 0u)
      << headline(results_of({record("dx", {0.5})}));
  const auto with_skip = headline(results_of({record("dx", {0.5}), skipped("dgamma")}));
  EXPECT_NE(with_skip.find("1 skipped"), std::string::npos) << with_skip;
  const auto failed = headline(results_of({record("dx", {0.5}), record("dgamma", {2})}));
  EXPECT_NE(failed.find("1 fail"), std::string::npos) << failed;
  EXPECT_NE(failed.find("mine/backward/bf16/nhwc/dgamma"), std::string::npos);
  EXPECT_EQ(failed.find("All"), std::string::npos);
  EXPECT_NE(headline(results_of({skipped("dx")})).find("Nothing could run"), std::string::npos);
}

TEST(Verdicts, APointThatDemandsNothingProvesNothing) {
  Record vacuous = record("dx", {1, -5, 1e30}, inf);
  compare::Expectation demands_nothing{compare::Output::dx, ABN_BF16, {}, {}};
  for (int i = 0; i < 3; ++i) demands_nothing.points.emplace_back().bound = inf;
  vacuous.discriminating_cases = compare::discriminates(demands_nothing, {}) ? 1 : 0;
  conclude(vacuous);
  EXPECT_EQ(vacuous.verdict, Verdict::inconclusive) << vacuous.reason;
  EXPECT_EQ(exit_code(results_of({vacuous})), 1);
  EXPECT_EQ(headline(results_of({record("dz", {0.5}), vacuous})).find("All"), std::string::npos);
  vacuous.cancelled_cases = 1;
  conclude(vacuous);
  EXPECT_EQ(vacuous.verdict, Verdict::pass)
      << "zeros are right where the exact sums cancel: " << vacuous.reason;
  vacuous.cases = 2;
  conclude(vacuous);
  EXPECT_EQ(vacuous.verdict, Verdict::inconclusive) << "the other case has no such excuse";
}

TEST(Verdicts, OneMethodLimitedCaseDoesNotExcuseTheOthers) {
  Record two = record("dx", {0.5});
  two.cases = 2, two.discriminating_cases = 0, two.method_limited_cases = 1;
  conclude(two);
  EXPECT_EQ(two.verdict, Verdict::inconclusive);
  two.skipped_cases = 1;
  conclude(two);
  EXPECT_EQ(two.verdict, Verdict::pass) << "the other one was skipped";
  two.tally.failed = 1;
  conclude(two);
  EXPECT_EQ(two.verdict, Verdict::fail) << "a failure is never excused";
}

TEST(Verdicts, CasesThatWereLeftOutAreSaid) {
  Record part = record("dx", {0.5});
  part.cases = 36, part.skipped_cases = 24;
  conclude(part);
  EXPECT_EQ(part.verdict, Verdict::pass);
  EXPECT_NE(part.reason.find("12 cases, 24 skipped"), std::string::npos) << part.reason;
  const auto sentence = headline(results_of({part}));
  EXPECT_NE(sentence.find("1 skipped some of their cases"), std::string::npos) << sentence;
}

TEST(SummaryTable, HasALineForEachGroupWithCountsRatioAndUlp) {
  Record error = record("status", {0.5});
  error.kind = CheckKind::contract, error.tally = {}, error.verdict = Verdict::error;
  const auto table = summary_table(
      results_of({record("dx", {0.5, 0.25}), record("dgamma", {3}), skipped("dbeta"), error}));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 2);
  for (const char* part :
       {"mine backward bf16", "1/4", "nhwc/dgamma", "1 error, 1 fail, 1 skip", "ulp"})
    EXPECT_NE(table.find(part), std::string::npos) << part << "\n" << table;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_NE(line.back(), ' ');
  }
}

TEST(SummaryTable, DoesNotShowASaturatedUlpAsAMeasurement) {
  const auto table = summary_table(results_of({record("dx", {1048576}, inf)}));
  EXPECT_NE(table.find("> 2^20"), std::string::npos) << table;
  EXPECT_EQ(table.find("e+06"), std::string::npos) << table;
}

TEST(Merging, IsTheSameInAnyGroupingAndCountsInAnyOrder) {
  EXPECT_TRUE(
      rc::check("(a + b) + c == a + (b + c) in all bytes; a + b and b + a agree in all counts", [] {
        const auto any_record = [] {
          std::vector<double> got;
          const int size = *rc::gen::inRange(1, 8);
          for (int i = 0; i < size; ++i)
            got.push_back(*rc::gen::inRange(0, 9) == 0 ? nan_value
                                                       : *rc::gen::inRange(-12, 12) / 8.0);
          Record r = record("dx", got);
          r.witnesses.front().seed = *rc::gen::inRange<std::uint64_t>(0, 1000);
          r.discriminating_cases = *rc::gen::inRange<std::uint64_t>(0, 2),
          r.method_limited_cases = *rc::gen::inRange<std::uint64_t>(0, 2);
          r.cancelled_cases = *rc::gen::inRange<std::uint64_t>(0, 2),
          r.unsafe_cases = *rc::gen::inRange<std::uint64_t>(0, 2);
          r.has_end_to_end = r.unsafe_cases > 0,
          r.open_branches = *rc::gen::inRange<std::uint64_t>(0, 9);
          r.end_to_end_cost = static_cast<double>(r.unsafe_cases);
          return r;
        };
        const Record a = any_record(), b = any_record(), c = any_record();
        Record left = a, right = b, grouped = a, swapped = b;
        merge(left, b), merge(left, c);
        merge(right, c), merge(grouped, right);
        merge(swapped, a), merge(swapped, c);
        for (Record* r : {&left, &grouped, &swapped}) conclude(*r);
        RC_ASSERT(to_json(results_of({left})) == to_json(results_of({grouped})));
        RC_ASSERT(left.verdict == swapped.verdict && left.reason == swapped.reason);
        for (const auto count :
             {&Record::cases, &Record::failed_cases, &Record::skipped_cases,
              &Record::discriminating_cases, &Record::method_limited_cases,
              &Record::cancelled_cases, &Record::unsafe_cases, &Record::open_branches}) {
          RC_ASSERT((left.*count) == (swapped.*count));
          RC_ASSERT((left.*count) == (a.*count) + (b.*count) + (c.*count));
        }
        RC_ASSERT(left.witnesses.size() == 3u &&
                  left.tally.elements == a.tally.elements + b.tally.elements + c.tally.elements);
        RC_ASSERT(left.end_to_end_cost ==
                  std::max({a.end_to_end_cost, b.end_to_end_cost, c.end_to_end_cost}));
      }));
}

TEST(Merging, KeepsTheWorstWitnessAndAllCounts) {
  Record a = record("dx", {0.5, 0.25});
  const Record b = record("dx", {0.5, 3});
  Record c = record("dx", {0.125, 0.75});
  a.evaluations = {4, 2}, c.evaluations = {2, 1};
  Record left = a, right = b;
  merge(left, b), merge(left, c);
  merge(right, c);
  Record grouped = a;
  merge(grouped, right);
  for (Record* r : {&left, &grouped}) conclude(*r);
  EXPECT_EQ(left.cases, 3u);
  EXPECT_EQ(left.evaluations.forward, 6u);
  EXPECT_EQ(left.evaluations.backward, 3u);
  EXPECT_EQ(left.tally.elements, 6u);
  EXPECT_EQ(left.verdict, Verdict::fail);
  EXPECT_EQ(left.witnesses.front().ratio, 3);
  EXPECT_EQ(to_json(results_of({left})), to_json(results_of({grouped})));
  Record with_skip = skipped("dx");
  merge(with_skip, a);
  conclude(with_skip);
  EXPECT_EQ(with_skip.verdict, Verdict::pass) << "a skipped case does not hide one that ran";
}

TEST(Json, ReadBackAndWrittenAgainIsTheSameBytes) {
  Record both = record("dx", {0.5, nan_value});
  // Every count another number, so that none can be read as another.
  both.cases = 41, both.failed_cases = 11, both.skipped_cases = 12, both.discriminating_cases = 13,
  both.method_limited_cases = 14, both.cancelled_cases = 15;
  both.evaluations = {16, 17};
  both.has_end_to_end = true, both.end_to_end = both.tally, both.end_to_end_cost = inf,
  both.unsafe_cases = 2, both.open_branches = 18;
  Record contract = record("guards", {0});
  contract.kind = CheckKind::contract, contract.tally = {};
  const auto text = to_json(results_of({both, contract, skipped("dgamma")}));
  EXPECT_TRUE(text == to_json(results_from_json(text)));
  EXPECT_EQ(text.back(), '\n');
  const auto back = results_from_json(text);
  EXPECT_TRUE(std::isnan(back.records[0].witnesses[0].got));
  EXPECT_TRUE(std::signbit(back.records[0].witnesses[0].expected)) << "-0 stays -0";
  EXPECT_EQ(back.records[0].witnesses[0].kappa, inf);
  EXPECT_EQ(back.records[0].evaluations.forward, 16u);
  EXPECT_EQ(back.records[0].evaluations.backward, 17u);
  EXPECT_EQ(failure_text(back.records[0]), failure_text(both));
}

TEST(Json, TheSignOfANaNIsNoNews) {
  // x86 makes negative NaNs and a GPU positive ones.
  Record negative = record("dx", {0.5, -nan_value});
  negative.witnesses.front().expected = -nan_value,
  negative.witnesses.front().inputs.front().second = -nan_value;
  Record positive = record("dx", {0.5, nan_value});
  positive.witnesses.front().expected = nan_value,
  positive.witnesses.front().inputs.front().second = nan_value;
  const auto text = to_json(results_of({negative}));
  EXPECT_TRUE(text == to_json(results_from_json(text)));
  EXPECT_TRUE(text == to_json(results_of({positive})));
}

TEST(Json, ANumberThatIsNoneIsRefusedInOneSentence) {
  const auto text = to_json(results_of({record("dx", {0.5})}));
  const std::pair<const char*, const char*> spoilt[] = {
      {"\"kappa\": \"inf\"", "\"kappa\": \"banana\""},
      {"\"discriminating_cases\": 1", "\"discriminating_cases\": -1"},
      {"\"discriminating_cases\": 1", "\"discriminating_cases\": 1.5"},
      {"\"seed\": 17", "\"seed\": \"17\""},
      {"\"ratio_histogram\": [", "\"ratio_histogram\": [0,"},
      {"\"ulp_histogram\": [", "\"ulp_histogram\": [-1,"},
      {"\"kind\": \"numbers\"", "\"kind\": \"numbres\""},
      {"\"verdict\": \"pass\"", "\"verdict\": \"passed\""},
      {"\"worst\": 0", "\"worst\": 0.5"},
      {"\"elements\": 1,\n    \"failed\"", "\"elements\": null,\n    \"failed\""}};
  for (const auto& [good, bad] : spoilt) {
    std::string broken = text;
    const auto at = broken.find(good);
    ASSERT_NE(at, std::string::npos) << good;
    broken.replace(at, std::string(good).size(), bad);
    try {
      results_from_json(broken);
      ADD_FAILURE() << "accepted: " << bad;
    } catch (const problem::UsageError& refused) {
      const std::string sentence = refused.what();
      EXPECT_EQ(sentence.find('\n'), std::string::npos);
      EXPECT_LT(sentence.size(), 250u) << sentence;
      EXPECT_NE(sentence.find("write"), std::string::npos) << sentence;
    }
  }
  for (std::size_t length = 0; length < text.size() - 2; length += 97)
    EXPECT_THROW(results_from_json(text.substr(0, length)), problem::UsageError) << length;
}

TEST(Json, OtherFilesAreRefused) {
  auto other = to_json(results_of({record("dx", {0.5})}));
  other.replace(other.find(results_schema), std::string(results_schema).size(), "abn-verify/2");
  EXPECT_THROW(results_from_json(other), problem::UsageError)
      << "whole and well-formed, of a schema to come";
  for (const char* text :
       {"", "{", "[]", "{}", "{\"schema\": \"abn-verify/0\"}", "{\"schema\": \"abn-verify/1\"}",
        "null", "{\"schema\": \"abn-verify/1\", \"provenance\": 3}"})
    EXPECT_THROW(results_from_json(text), problem::UsageError) << text;
}

TEST(Results, TextThatIsNestedTooDeepIsRefusedAndNotRecursedInto) {
  const std::string deep(200'000, '[');
  EXPECT_THROW(results_from_json(deep), problem::UsageError);
  EXPECT_THROW(results_from_json("{\"schema\": " + deep + std::string(200'000, ']') + "}"),
               problem::UsageError);
}

TEST(FailureText, SaysWhatWhereWhyAndHowToReplay) {
  const auto text = failure_text(record("dx", {0.5, 3}));
  for (const char* part : {"FAIL mine/backward/bf16/nhwc/dx", "ratio 3", "1 of 2 elements",
                           "witness   dx[n 0, c 0, s 1]", "z=0x1.8p-1", "expected -0x0p+0",
                           "got 0x1.8p+1", "reduction of dy 61 %, inversion 30 %", "kappa inf",
                           "reproduce abn-verify run mine/backward/bf16/nhwc/dx --problem "
                           "n1c1s2,bf16 --data standard --seed 17"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST(FailureText, OfAContractCheckSaysItsReasonAndNoBound) {
  Record r = record("guards", {0});
  r.kind = CheckKind::contract, r.id = "mine/backward/bf16/nhwc/guards", r.tally = {},
  r.failed_cases = 1, r.verdict = Verdict::fail;
  r.reason = "16 bytes behind dx were written";
  r.witnesses.front().where = "dx + 3072 bytes", r.witnesses.front().reason = "0xff became 0x00";
  conclude(r);
  const auto text = failure_text(r);
  EXPECT_EQ(text.rfind("FAIL mine/backward/bf16/nhwc/guards\n", 0), 0u) << text;
  for (const char* part : {"  reason    16 bytes behind dx were written\n",
                           "  witness   dx + 3072 bytes\n  because   0xff became 0x00\n",
                           "  reproduce abn-verify run"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_EQ(text.find("bound"), std::string::npos) << text;
  EXPECT_EQ(text.find("kappa"), std::string::npos) << text;
}
