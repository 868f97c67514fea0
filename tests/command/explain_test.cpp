// Every name that the command line prints has a sentence, and explain finds it.
#include "verify/command/explain.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include "verify/check/gradient/reference_check.hpp"
#include "verify/check/gradient/reference_jacobian.hpp"
#include "verify/check/groups.hpp"
#include "verify/check/property/property.hpp"
#include "verify/command/exit_codes.hpp"
#include "verify/command/parts.hpp"
#include "verify/data/recipes.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/judge/diagnosis/diagnosis.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using command::explain;
using command::explanations;

/// Is there an explanation of this kind, whose meaning is a sentence that holds `meaning`?
testing::AssertionResult explains(const std::string& kind, const std::string& name,
                                  const std::string& meaning = "") {
  for (const auto& one : explanations()) {
    if (one.name != name || one.kind.find(kind) == std::string::npos) continue;
    if (one.meaning.size() < 8 || one.meaning.back() != '.')
      return testing::AssertionFailure() << name << " means \"" << one.meaning << "\"";
    if (one.meaning.find(meaning) == std::string::npos)
      return testing::AssertionFailure() << one.meaning << " is not " << meaning;
    if (explain(name).find(name + " (" + one.kind + ")") == std::string::npos)
      return testing::AssertionFailure() << "explain " << name << " prints " << explain(name);
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "no explanation of the " << kind << " " << name;
}

}  // namespace

TEST(Explain, EveryRecipePropertyAndKnownMistakeHasItsOwnSentence) {
  for (const data::Recipe& recipe : data::recipes())
    EXPECT_TRUE(explains("data recipe", recipe.name, std::string(recipe.summary).substr(1)));
  for (const check::property::Property& property : check::property::properties())
    EXPECT_TRUE(explains("check of property", property.name, property.statement));
  for (const auto& mistake : judge::diagnosis::hypotheses())
    EXPECT_TRUE(explains("known mistake", mistake.name,
                         mistake.sentence.substr(0, mistake.sentence.find('{'))));
  for (const auto& one : results::contract_mistakes())
    EXPECT_TRUE(explains("known mistake", one.mistake.name));
}

TEST(Explain, EveryVerdictTermExitCodeAndWordOfAProblemHasASentence) {
  for (const auto verdict :
       {results::Verdict::pass, results::Verdict::fail, results::Verdict::inconclusive,
        results::Verdict::skip, results::Verdict::error})
    EXPECT_TRUE(explains("verdict", results::verdict_name(verdict)));
  for (std::size_t i = 0; i < compare::term_count; ++i)
    EXPECT_TRUE(explains("term of a bound", compare::term_name(static_cast<compare::Term>(i))));
  for (const auto& code : command::exit_codes) EXPECT_TRUE(explains("exit code", code.name));
  for (const problem::WordGroup& group : problem::problem_words())
    for (const problem::Word& word : group.words) EXPECT_TRUE(explains(group.kind, word.name));
  for (const problem::Activation& activation : problem::activation_table)
    EXPECT_TRUE(
        explains("activation", activation.name, std::string(activation.sentence).substr(1)));
  for (const auto& tier : data::tier_words()) EXPECT_TRUE(explains("tier", tier.name));
  for (const auto& word : command::glossary()) EXPECT_TRUE(explains("glossary", word.name));
}

// A field that is added to abn_claims leaves a gap until it has a sentence.
TEST(Explain, EveryFieldOfTheClaimsHasASentence) {
  const std::set<std::size_t> silent{offsetof(abn_claims, struct_size),
                                     offsetof(abn_claims, reserved),
                                     offsetof(abn_claims, reserved_traffic)};
  std::size_t end = 0;
  const auto skip_silent = [&] {
    while (silent.contains(end)) end += sizeof(std::int32_t);
  };
  for (const problem::ClaimField& field : problem::claim_fields()) {
    EXPECT_TRUE(explains("claim", field.word.name));
    skip_silent();
    EXPECT_EQ(field.offset, end) << "something lies before " << field.word.name;
    end = field.offset + field.size;
  }
  skip_silent();
  EXPECT_EQ(end, sizeof(abn_claims)) << "something lies behind the last field";
}

// The checks of the groups, as variants of every scheme have them, on a GPU and on the emulator.
TEST(Explain, EveryCheckHasASentence) {
  std::set<std::string> seen;
  const auto expect_known = [&](const std::string& op, const std::string& check) {
    if (!seen.insert(op + "/" + check).second) return;
    EXPECT_TRUE(explains("check of", check));
    EXPECT_TRUE(std::any_of(check::op_words().begin(), check::op_words().end(),
                            [&](const problem::Word& word) { return op == word.name; }))
        << op;
  };
  std::vector<call::Subject> subjects =
      call::subjects_of(call::choose_device("emulator"), {}, false);
  for (const abn_variant* const variant : expect::reference_variants()) {
    call::Subject subject;
    subject.variant = variant;
    subjects.push_back(subject);
    subject.emulator_build = variant;
    subjects.push_back(std::move(subject));
  }
  for (const check::CheckGroup* const group : check::groups()) {
    ASSERT_NE(group->known, nullptr);
    const std::vector<check::KnownCheck> known = group->known();
    for (const call::Subject& subject : subjects)
      for (const std::string& id : check::check_ids(*group, subject)) {
        const std::vector<std::string> parts = command::parts_of(id);
        ASSERT_EQ(parts.size(), 5u) << id;
        expect_known(parts[1], parts[4]);
        EXPECT_TRUE(std::any_of(known.begin(), known.end(), [&](const check::KnownCheck& one) {
          return parts[1] == one.op && parts[4] == one.check.name;
        })) << id;
      }
  }
  for (const auto& ids :
       {check::gradient::reference_gradient_ids(), check::gradient::reference_jacobian_ids()})
    for (const std::string& id : ids) EXPECT_NO_THROW(explain(id)) << id;
  EXPECT_GT(seen.size(), 60u);
}

TEST(Explain, AnIdIsExplainedByItsParts) {
  const std::string text = explain("two_sweep/backward/bf16/nhwc/dx");
  for (const char* word : {"backward (operation)", "bf16 (storage type)", "nhwc (layout)", "dx ("})
    EXPECT_NE(text.find(word), std::string::npos) << text;
  EXPECT_EQ(text.find("two_sweep ("), std::string::npos);
}

TEST(Explain, AWordIsFoundHoweverItIsWritten) {
  EXPECT_EQ(explain("Storage-Type"), explain("storage type"));
  EXPECT_EQ(explain("storage_type"), explain("storage type"));
}

TEST(Explain, AWordThatNobodyKnowsNamesTheNearest) {
  try {
    explain("kapa");
    FAIL() << "kapa is explained";
  } catch (const problem::UsageError& wrong) {
    EXPECT_NE(std::string(wrong.what()).find("did you mean kappa?"), std::string::npos)
        << wrong.what();
  }
  EXPECT_THROW(explain(""), problem::UsageError);
  EXPECT_THROW(explain("a/b/c"), problem::UsageError);
}

TEST(Explain, EveryWordIsListedOnceAndEveryLineFits) {
  const std::string text = command::list_words();
  std::set<std::string> names;
  for (const auto& one : explanations()) {
    EXPECT_NE(text.find(one.name), std::string::npos) << one.name;
    EXPECT_TRUE(names.insert(one.kind + "/" + one.name).second) << one.kind << " " << one.name;
  }
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    EXPECT_LE(end - at, 100u) << text.substr(at, end - at);
    at = end + 1;
  }
}
