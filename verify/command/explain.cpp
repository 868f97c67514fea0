// The verb explain: gathers the tables of words, finds a word in them, and prints what it means.
#include "verify/command/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <utility>

#include "verify/call/subject.hpp"
#include "verify/check/gradient/reference_check.hpp"
#include "verify/check/groups.hpp"
#include "verify/command/commands.hpp"
#include "verify/command/exit_codes.hpp"
#include "verify/command/parts.hpp"
#include "verify/data/ranges.hpp"
#include "verify/data/recipes.hpp"
#include "verify/judge/diagnosis/diagnosis.hpp"
#include "verify/judge/tensor_file_advice.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/problem/suggest.hpp"

namespace abn::verify::command {
namespace {

constexpr std::array<problem::Word, 19> glossary_table{{
    {"variant", "a kernel with a name, forward and backward; the first part of a check's id"},
    {"problem", "what a call computes: sizes, layout, types, activation, eps; n2c64s12,nhwc,bf16"},
    {"data recipe", "a named way to make numbers for a problem, such as large_mean or special"},
    {"tier", "how many problems and data recipes a run tries: quick, smoke, full, exhaustive"},
    {"check",
     "one question to a variant; its id is variant/op/dtype/layout/check, * stands for any"},
    {"claims", "what a variant says about its method; they decide how far off it may be"},
    {"scheme", "what backward works from: x and z, x or xhat alone, or z alone (in place)"},
    {"storage type", "the type of x, z, dz and dx in memory"},
    {"accumulate type", "the type in which a kernel computes and adds up"},
    {"depth", "the number of roundings on the longest way from one sample to the finished sum"},
    {"unit roundoff", "the largest relative error of rounding to a type; 2^-24 for f32"},
    {"ulp", "the distance from a number to the next one of its type"},
    {"bound", "the largest error that a right kernel with these claims can have in an element"},
    {"term", "one source of error within a bound, such as the sum of dy"},
    {"ratio", "error divided by bound; at most 1 passes"},
    {"kappa", "sqrt(1 + mean^2/variance), the condition number of the variance; large means hard"},
    {"witness", "the worst element of a check"},
    {"conforms", "every ratio is at most 1, so the kernel keeps what it claims"},
    {"competitive", "no error is above twice the bound of the recommended algorithm"},
}};

/// A phrase as a sentence. A name or a formula at its head keeps its letters.
std::string sentence(std::string text) {
  if (text.empty()) return text;
  const std::string_view head = std::string_view(text).substr(0, text.find(' '));
  if (head.size() > 1 &&
      std::all_of(head.begin(), head.end(), [](unsigned char c) { return std::isalpha(c); }))
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text.back() == '.' ? text : text + '.';
}

/// The form in which words are compared.
std::string plain(std::string_view word) {
  std::string out;
  for (const char c : word)
    out +=
        c == '-' || c == ' ' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// Which ops meet the data of a recipe in the smoke tier.
std::string ops_with(std::string_view recipe) {
  std::vector<std::string> ops;
  for (const check::CheckGroup* const group : check::groups()) {
    const auto cases = group->cases(data::Tier::smoke, 1);
    if (std::none_of(cases.begin(), cases.end(),
                     [&](const data::Case& one) { return one.data == recipe; }))
      continue;
    for (const check::KnownCheck& known : group->known())
      if (std::find(ops.begin(), ops.end(), known.op) == ops.end()) ops.emplace_back(known.op);
  }
  return fmt::format("{}", fmt::join(ops, ", "));
}

/// "the clamp at {:.3g}" without a number that is not known here.
std::string without_numbers(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t end = text[i] == '{' ? text.find('}', i) : std::string_view::npos;
    if (end == std::string_view::npos) {
      out += text[i];
    } else {
      out += 'N';
      i = end;
    }
  }
  return out;
}

class Gathering {
 public:
  void add(std::string kind, std::string_view name, const std::string& meaning,
           std::string use = "") {
    all.push_back({std::move(kind), std::string(name), sentence(meaning), std::move(use)});
  }

  void add_glossary() {
    for (const problem::Word& word : glossary_table) add("glossary", word.name, word.sentence);
  }

  void add_verdicts() {
    const auto words = results::verdict_words();
    for (std::size_t i = 0; i < words.size(); ++i) {
      results::Results one;
      one.records.emplace_back().verdict = static_cast<results::Verdict>(i);
      add("verdict", words[i].name, words[i].sentence,
          fmt::format("If no check has another verdict, the exit code is {}.",
                      results::exit_code(one)));
    }
    for (const problem::Word& code : exit_codes) add("exit code", code.name, code.sentence);
  }

  void add_variants() {
    for (const auto& subject : call::subjects_of(call::choose_device("emulator"), {}, false))
      add("variant", subject.variant->name, subject.variant->summary,
          fmt::format("abn-verify list {} has its claims and checks.", subject.variant->name));
  }

  void add_checks() {
    for (const problem::Word& op : check::op_words())
      add("operation", op.name, op.sentence,
          fmt::format("The second part of a check's id; abn-verify list '*/{}/*' has them.",
                      op.name));
    for (const check::CheckGroup* const group : check::groups())
      for (const check::KnownCheck& known : group->known()) {
        const char* const op = known.op;
        const problem::Word& word = known.check;
        const auto same = std::find_if(all.begin(), all.end(), [&](const Explanation& one) {
          return one.name == word.name && one.meaning == sentence(word.sentence);
        });
        if (same != all.end())  // of another operation
          same->kind += fmt::format(" and {}", op);
        else
          add(fmt::format("check of {}", op), word.name, word.sentence,
              fmt::format("Run: abn-verify {} 'VARIANT/{}/*/{}'{}", group->verb, op, word.name,
                          group->flags));
      }
    for (const problem::Word& method : check::gradient::gradient_method_words())
      add("check of the reference", method.name, method.sentence,
          fmt::format("Run: abn-verify grad 'reference/gradient/{}/*'", method.name));
  }

  void add_data() {
    for (const data::Recipe& recipe : data::recipes())
      add("data recipe", recipe.name, recipe.summary,
          fmt::format("The checks of {} meet it. Run: abn-verify run VARIANT --data {}",
                      ops_with(recipe.name), recipe.name));
    add("table", "ranges", "the sizes that a tier meets on purpose, and which of them together",
        "The smoke tier meets all of them, and the other tiers do; a test holds it to that.");
    for (const problem::Word& tier : data::tier_words())
      add("tier", tier.name, tier.sentence,
          fmt::format("Run: abn-verify run VARIANT --tier {}", tier.name));
  }

  void add_claims() {
    for (const problem::ClaimField& field : problem::claim_fields())
      add("claim", field.word.name, field.word.sentence, "A field of abn_claims in cuda/kernel.h.");
    for (const problem::Activation& activation : problem::activation_table)
      add("activation", activation.name, activation.sentence);
    for (const problem::WordGroup& group : problem::problem_words())
      for (const problem::Word& word : group.words) add(group.kind, word.name, word.sentence);
  }

  void add_terms() {
    for (const problem::Word& term : compare::term_words())
      add("term of a bound", term.name, term.sentence,
          "Printed in the line \"bound\" of a failure.");
  }

  void add_mistakes() {
    constexpr const char* printed = "printed in the line \"likely\" of a failure";
    std::set<std::string> known;
    for (const results::ContractMistake& one : results::contract_mistakes())
      if (known.insert(one.mistake.name).second)
        add("known mistake", one.mistake.name, one.mistake.sentence,
            fmt::format("It follows from the check {}, and is {}.", one.check, printed));
    for (const problem::Word& advice : judge::advice_words())
      add("known mistake", advice.name,
          fmt::format("All that is wrong with the file is explained by {}.", advice.sentence),
          fmt::format("abn-verify check tries it, and it is {}.", printed));
    for (const auto& one : judge::diagnosis::hypotheses())
      add("known mistake", one.name,
          "The kernel matches the reference with this change: " + without_numbers(one.sentence),
          fmt::format("It is looked for in {}, and {}.",
                      one.op == "both" ? "forward and backward" : one.op, printed));
  }

  std::vector<Explanation> all;
};

std::string text_of(const Explanation& one) {
  std::string text = fmt::format("{} ({})\n{}", one.name, one.kind, wrapped(one.meaning, "  "));
  if (!one.use.empty()) text += wrapped(one.use, "  ");
  return text;
}

/// The parts of a check's id that are words: op, dtype, layout, and the check of that op.
std::string explain_id(const std::vector<Explanation>& all, const std::string& id) {
  const std::vector<std::string> parts = parts_of(id);
  std::string text;
  for (std::size_t i = 1; i < parts.size(); ++i)
    for (const Explanation& one : all) {
      const bool is_last = i + 1 == parts.size() && i > 1;
      const bool belongs =
          i == 1    ? one.kind == "operation"
          : is_last ? one.kind.starts_with("check of") && one.kind.find(parts[1]) != one.kind.npos
                    : one.kind == "storage type" || one.kind == "layout" ||
                          one.kind == "check of the reference" || one.kind == "scheme";
      if (belongs && one.name == parts[i]) text += text_of(one);
    }
  return text;
}

}  // namespace

std::span<const problem::Word> glossary() { return glossary_table; }

std::vector<Explanation> explanations() {
  Gathering gathering;
  gathering.add_glossary();
  gathering.add_verdicts();
  gathering.add_variants();
  gathering.add_checks();
  gathering.add_data();
  gathering.add_claims();
  gathering.add_terms();
  gathering.add_mistakes();
  return std::move(gathering.all);
}

std::string explain(const std::string& word) {
  const std::vector<Explanation> all = explanations();
  std::string text;
  for (const Explanation& one : all)
    if (plain(one.name) == plain(word))
      text += text_of(one) + (one.kind == "table" ? data::ranges_text() : "");
  if (text.empty() && word.find('/') != std::string::npos) text = explain_id(all, word);
  if (!text.empty()) return text;
  std::vector<std::string> names;
  names.reserve(all.size());
  for (const Explanation& one : all) names.push_back(one.name);
  throw problem::UsageError(fmt::format(
      "\"{}\" is not a word of abn-verify; did you mean {}? abn-verify explain lists all", word,
      problem::nearest(word, names)));
}

std::string list_words() {
  std::vector<std::pair<std::string, std::string>> kinds;
  for (const Explanation& one : explanations()) {
    const auto at = std::find_if(kinds.begin(), kinds.end(),
                                 [&](const auto& kind) { return kind.first == one.kind; });
    const std::string name =
        one.name.find(' ') == std::string::npos ? one.name : "\"" + one.name + "\"";
    if (at == kinds.end())
      kinds.emplace_back(one.kind, name);
    else
      at->second += " " + name;
  }
  std::string text;
  for (const auto& [kind, names] : kinds) text += kind + "\n" + wrapped(names, "  ");
  return text + "\nabn-verify explain WORD says what a word means.\n";
}

int explain_command(const ExplainArguments& arguments) {
  fmt::print("{}", arguments.words.empty()
                       ? list_words()
                       : explain(fmt::format("{}", fmt::join(arguments.words, " "))));
  return 0;
}

}  // namespace abn::verify::command
