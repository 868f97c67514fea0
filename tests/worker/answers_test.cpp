// Answers that are almost right: of a plug-in that stands between its worker and the judge and
// knows the number of every question.
#include <gtest/gtest.h>

#include <thread>

#include "tests/worker/support.hpp"
#include "verify/problem/error.hpp"

using namespace abn::tests;
using namespace abn::verify;
using namespace abn::verify::worker;

namespace {

Saying answers(Verb verb, const std::string& deed) {
  return Saying(std::to_string(static_cast<int>(verb)) + ":" + deed, "GO_BETWEEN");
}

const std::string no_question = "the plug-in sent a packet that answers no question";
const std::string no_answer = "the plug-in sent something else than an answer: ";

}  // namespace

TEST(ChangedAnswers, WithoutAChangeAllIsWell) {
  Pool pool(plugin_path("go_between"), impatient());
  ASSERT_EQ(pool.failure(), "");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]), "");
}

TEST(ChangedAnswers, AreNotTaken) {
  const struct {
    const char* deed;
    std::string says;
  } changes[] = {
      {"stale", no_question},
      {"verb", no_question},
      {"magic", no_answer + "a packet has not the header of this protocol"},
      {"version", no_answer + "a packet has not the header of this protocol"},
      {"longer", "the plug-in a message has bytes that nobody asked for"},
      {"shorter", "the plug-in a message ends too early"},
  };
  for (const auto& [deed, says] : changes) {
    const Saying changed = answers(Verb::call, deed);
    Pool pool(plugin_path("go_between"), impatient());
    EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]), says) << deed;
  }
}

TEST(ChangedAnswers, OneThatComesTwiceAnswersNoLaterQuestion) {
  const Saying twice = answers(Verb::call, "twice");
  Pool pool(plugin_path("go_between"), impatient());
  EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]), "");
  EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]), no_question);
}

TEST(ChangedAnswers, AWorkerOfAnotherVersionIsRefused) {
  const Saying other = answers(Verb::load, "first_number");  // the size of a problem
  EXPECT_THROW(Pool(plugin_path("go_between"), impatient()), problem::UsageError);
}

TEST(ChangedAnswers, ThoseOfCallsAtOnceAreCounted) {
  const Saying none = answers(Verb::together, "empty_list");
  Pool pool(plugin_path("go_between"), impatient());
  constexpr int members = 2;
  Together together(pool, members);
  std::string lost[members];
  std::thread threads[members];
  for (int i = 0; i < members; ++i)
    threads[i] = std::thread([&, i] {
      const Together::Member member(together);
      lost[i] = lost_in_forward(*pool.variants(0)[0]);
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& one : lost) EXPECT_EQ(one, "the plug-in answered another question");
}

TEST(ChangedAnswers, ThoseToManyProblemsAreCounted) {
  const Saying none = answers(Verb::claims_of, "empty_lists");
  Pool pool(plugin_path("go_between"), impatient());
  const abn_variant& variant = *pool.variants(0)[0];
  const std::vector<abn_problem> problems(100, small);
  pool.ask_ahead(variant, problems);
  abn_claims claims{};
  EXPECT_EQ(variant.claims(&small, &claims), ABN_OK) << "asked about alone";
  EXPECT_EQ(claims.depth_backward, 10);
}
