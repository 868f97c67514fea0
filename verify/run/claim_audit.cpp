// Both questions as groups of their own, whose records never reach a reader: so they share the
// runner's threads and its processes.
#include "verify/run/claim_audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string_view>

#include "verify/call/invocation.hpp"
#include "verify/check/chosen.hpp"
#include "verify/check/group.hpp"
#include "verify/check/outputs.hpp"
#include "verify/expect/expect.hpp"
#include "verify/judge/kink.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::run {
namespace {

// of the recommended tree (verify/bound/bound.cpp)
constexpr std::int64_t lanes = 256, levels = 8;
constexpr double usual_function_ulp = 4;   // likewise
constexpr std::uint64_t least_cases = 16;  // fewer say nothing of a kernel
// elements; every claim that is tried judges the case once more
constexpr std::int64_t largest_suggested = 1 << 16;
constexpr std::size_t most_suggested = 16;  // failed checks of a variant
constexpr const char* op = "claims";

/// One of the things that a kernel declares.
enum class Side { forward, backward, both };
struct Claim {
  const char* name;
  Side side;
  bool training_only;
  /// Makes it the recommended one; false where it is that already, or as good.
  bool (*narrow)(abn_claims&, const abn_problem&);
};

std::int64_t tree_depth(const abn_problem& problem) {
  const std::int64_t m = problem::sample_count(problem);
  return std::max<std::int64_t>(1, std::min(m, (m + lanes - 1) / lanes + levels));
}

bool narrow_depth(std::int64_t& depth, const abn_problem& problem) {
  constexpr std::int64_t generous = 2;
  const std::int64_t tree = tree_depth(problem);
  if (depth <= generous * tree) return false;
  depth = tree;
  return true;
}

template <std::uint32_t flag>
bool narrow_flag(abn_claims& claims, const abn_problem& problem) {
  if ((claims.materialises & flag) == 0 || problem::format_of(problem.dtype).precision >=
                                               problem::format_of(claims.accumulate).precision)
    return false;
  claims.materialises &= ~flag;
  return true;
}

constexpr Claim all_claims[] = {
    {"depth_statistics", Side::forward, true,
     [](abn_claims& c, const abn_problem& p) { return narrow_depth(c.depth_statistics, p); }},
    {"depth_backward", Side::backward, false,
     [](abn_claims& c, const abn_problem& p) { return narrow_depth(c.depth_backward, p); }},
    {"statistics", Side::forward, true,
     [](abn_claims& c, const abn_problem&) {
       const bool one_pass = c.statistics == ABN_ONE_PASS;
       if (one_pass) c.statistics = ABN_TWO_PASS;
       return one_pass;
     }},
    {"normalise", Side::both, false,
     [](abn_claims& c, const abn_problem&) {
       const bool folded = c.normalise == ABN_FOLDED;
       if (folded) c.normalise = ABN_DIRECT;
       return folded;
     }},
    {"accumulate", Side::both, false,
     [](abn_claims& c, const abn_problem& p) {
       const int own = problem::wide_type_of(p.dtype);
       if (problem::format_of(c.accumulate).precision >= problem::format_of(own).precision)
         return false;
       c.accumulate = own;
       return true;
     }},
    {"function_ulp", Side::both, false,
     [](abn_claims& c, const abn_problem& p) {
       if (!problem::activation_of(p).needs_functions() || c.function_ulp <= usual_function_ulp)
         return false;
       c.function_ulp = usual_function_ulp;
       return true;
     }},
    {"materialises_y", Side::both, false, narrow_flag<ABN_MATERIALISES_Y>},
    {"materialises_xhat", Side::both, false, narrow_flag<ABN_MATERIALISES_XHAT>},
    {"materialises_dy", Side::backward, false, narrow_flag<ABN_MATERIALISES_DY>},
    {"materialises_statistics", Side::both, false, narrow_flag<ABN_MATERIALISES_STATISTICS>},
    {"materialises_activation", Side::both, false, narrow_flag<ABN_MATERIALISES_ACTIVATION>},
};

bool applies(const Claim& claim, const abn_claims& claims, const abn_problem& problem) {
  if (problem::element_count(problem) == 0 || (claim.training_only && problem.mode != ABN_TRAINING))
    return false;
  if (claim.side == Side::backward && problem.mode == ABN_INFERENCE) return false;
  abn_claims narrowed = claims;
  return claim.narrow(narrowed, problem);
}

/// All of an operation's outputs against their expectations.
compare::Tally tally_of(const std::vector<compare::Expectation>& expectations,
                        const call::Operation& operation) {
  compare::Tally all;
  for (const compare::Expectation& expectation : expectations)
    if (const auto* const stored = compare::find_output(operation.outputs, expectation.output))
      all += compare::compare_all(expectation, stored->values);
  return all;
}

std::vector<check::CheckName> generous_checks(const call::Subject&, const abn_claims& claims,
                                              const abn_problem& problem) {
  std::vector<check::CheckName> checks;
  for (const Claim& claim : all_claims)
    if (applies(claim, claims, problem))
      checks.push_back({op, claim.name, results::CheckKind::numbers});
  return checks;
}

std::vector<results::Record> generous_records(const check::Work& work) {
  const problem::Inputs inputs = data::inputs_of(work.one), exact = judge::for_oracle(inputs);
  const call::Invocation invocation =
      call::invoke(work.subject, inputs, work.claims, work.one.seed, true);
  std::vector<results::Record> records;
  for (const check::CheckName& name : work.wanted) {
    const auto claim =
        std::find_if(std::begin(all_claims), std::end(all_claims),
                     [&](const Claim& one) { return std::string_view(one.name) == name.check; });
    abn_claims narrowed = work.claims;
    claim->narrow(narrowed, work.one.problem);
    results::Record record = judge::blank_record(work.origin, name.op, name.check, name.kind);
    if (claim->side != Side::backward && invocation.forward.usable)
      record.tally += tally_of(expect::expect_forward(exact, narrowed), invocation.forward);
    if (claim->side != Side::forward && invocation.backward.usable)
      record.tally += tally_of(
          expect::expect_backward(
              exact, invocation.saved,
              judge::with_kink(exact, invocation.saved, narrowed, invocation.backward.outputs)),
          invocation.backward);
    records.push_back(std::move(record));
  }
  return records;
}

const check::CheckGroup generous_family{.verb = "run",
                                        .checks = generous_checks,
                                        .cases = data::cases_of,
                                        .make = generous_records,
                                        .on_alternatives = true};

std::string flags_text(const std::string& name) {
  return name.substr(std::string_view("materialises_").size());
}

/// What is claimed and what is enough, at the most that any of the cases has.
std::string sentence_of(const std::string& check, const call::Subject& subject,
                        std::span<const data::Case> cases, const std::vector<std::string>& types) {
  std::int64_t declared = 0, enough = 0;
  double ulp = 0;
  std::string accumulate, wider;
  for (const data::Case& one : cases) {
    if (std::find(types.begin(), types.end(), problem::dtype_name(one.problem.dtype)) ==
        types.end())
      continue;
    const problem::Claimed claimed = problem::claims_of(*subject.variant, one.problem);
    if (claimed.status != ABN_OK || !claimed.nonsense.empty()) continue;
    declared = std::max(declared, check == "depth_backward" ? claimed.claims.depth_backward
                                                            : claimed.claims.depth_statistics);
    enough = std::max(enough, tree_depth(one.problem));
    ulp = std::max(ulp, claimed.claims.function_ulp);
    accumulate = problem::accumulate_name(claimed.claims.accumulate);
    wider = one.problem.dtype == ABN_F64 ? "f64" : "f32";
  }
  const auto depth = [&](const char* what) {
    return fmt::format(
        "claims depth up to {} for {}; everything passes with ceil(m/{}) + {}, at most {}",
        declared, what, lanes, levels, enough);
  };
  if (check == "depth_statistics") return depth("statistics");
  if (check == "depth_backward") return depth("the sums of backward");
  if (check == "statistics")
    return "claims one_pass for statistics; everything passes with two_pass";
  if (check == "normalise") return "claims folded for normalise; everything passes with direct";
  if (check == "accumulate")
    return fmt::format("claims {} for accumulate; everything passes with {}", accumulate, wider);
  if (check == "function_ulp")
    return fmt::format("claims {:g} ulp for exp, expm1 and log1p; everything passes with {:g}", ulp,
                       usual_function_ulp);
  return fmt::format("claims that {} is rounded to the storage type; everything passes without",
                     flags_text(check));
}

// ---- claims that are too tight
// -------------------------------------------------------------------------------------------------

constexpr std::string_view by_depth = "depth";

/// The claims that could be wider, in words.
struct Wider {
  std::string text;
  abn_claims claims;
  /// where it excuses much that it is not: by_depth, or the accumulate types that are as coarse
  const char* doubt = "";
};

/// One at a time, from the least that is given away to the most.
std::vector<Wider> wider_than(const abn_claims& claims, const abn_problem& problem, bool backward) {
  std::vector<Wider> all;
  const auto add = [&](std::string text, const std::function<void(abn_claims&)>& widen) {
    Wider one{std::move(text), claims};
    widen(one.claims);
    all.push_back(std::move(one));
  };
  const std::int64_t m = problem::sample_count(problem),
                     depth = backward ? claims.depth_backward : claims.depth_statistics;
  for (std::int64_t more = 1; depth < m;) {
    while (more <= depth) more *= 2;
    const std::int64_t tried = std::min(more, m);
    add(fmt::format("depth {}", tried),
        [&](abn_claims& c) { (backward ? c.depth_backward : c.depth_statistics) = tried; });
    all.back().doubt = by_depth.data();
    if (tried == m) break;
    more *= 2;
  }
  for (const double ulp : {4.0, 64.0, 1024.0})
    if (problem::activation_of(problem).needs_functions() && claims.function_ulp < ulp)
      add(fmt::format("function_ulp {:g}", ulp), [&](abn_claims& c) { c.function_ulp = ulp; });
  const std::pair<const char*, std::uint32_t> flags[] = {
      {"y", ABN_MATERIALISES_Y},
      {"xhat", ABN_MATERIALISES_XHAT},
      {"dy", ABN_MATERIALISES_DY},
      {"statistics", ABN_MATERIALISES_STATISTICS},
      {"activation", ABN_MATERIALISES_ACTIVATION}};
  for (const auto& [name, flag] : flags)
    if ((claims.materialises & flag) == 0 && problem::format_of(problem.dtype).precision <
                                                 problem::format_of(claims.accumulate).precision)
      add(fmt::format("that it materialises {}", name),
          [bit = flag](abn_claims& c) { c.materialises |= bit; });
  if (!backward && claims.running_variance == ABN_RUNNING_UNBIASED)
    add("running_variance biased", [](abn_claims& c) { c.running_variance = ABN_RUNNING_BIASED; });
  if (backward && claims.kink == ABN_KINK_RIGHT)
    add("kink left", [](abn_claims& c) { c.kink = ABN_KINK_LEFT; });
  if (claims.normalise == ABN_DIRECT)
    add("normalise folded", [](abn_claims& c) { c.normalise = ABN_FOLDED; });
  if (claims.normalise != ABN_FOLDED_APART)
    add("normalise folded_apart", [](abn_claims& c) { c.normalise = ABN_FOLDED_APART; });
  if (claims.statistics == ABN_TWO_PASS)
    add("statistics welford", [](abn_claims& c) { c.statistics = ABN_WELFORD; });
  if (claims.statistics != ABN_ONE_PASS)
    add("statistics one_pass", [](abn_claims& c) { c.statistics = ABN_ONE_PASS; });
  for (const int type : {ABN_F32, ABN_F16, ABN_BF16})
    if (problem::format_of(type).precision < problem::format_of(claims.accumulate).precision) {
      add(fmt::format("accumulate {}", problem::dtype_name(type)),
          [type](abn_claims& c) { c.accumulate = type; });
      // the bound of either holds for the other in most cases
      all.back().doubt = type == ABN_F32 ? "f32" : "f16 or bf16";
    }
  return all;
}

std::vector<check::CheckName> numeric_checks(const call::Subject& subject, const abn_claims& claims,
                                             const abn_problem& problem) {
  std::vector<check::CheckName> checks = check::output_checks.checks(subject, claims, problem);
  std::erase_if(checks, [](const check::CheckName& name) {
    return name.kind != results::CheckKind::numbers;
  });
  return checks;
}

/// The witness of the record is the claim that would do, in its reason, and what it leaves in doubt
/// in its place; there is none where none would.
std::vector<results::Record> wider_records(const check::Work& work) {
  const problem::Inputs inputs = data::inputs_of(work.one), exact = judge::for_oracle(inputs);
  const call::Invocation invocation =
      call::invoke(work.subject, inputs, work.claims, work.one.seed, true);
  std::vector<results::Record> records;
  for (const check::CheckName& name : work.wanted) {
    const bool backward = std::string_view(name.op) == "backward";
    const call::Operation& operation = backward ? invocation.backward : invocation.forward;
    results::Record record = judge::blank_record(work.origin, name.op, name.check, name.kind);
    const auto passes = [&](const abn_claims& claims) {
      for (const compare::Expectation& expectation :
           backward ? expect::expect_backward(
                          exact, invocation.saved,
                          judge::with_kink(exact, invocation.saved, claims, operation.outputs))
                    : expect::expect_forward(exact, claims)) {
        if (std::string_view(compare::output_name(expectation.output)) != name.check) continue;
        const auto* const stored = compare::find_output(operation.outputs, expectation.output);
        return stored != nullptr && compare::compare_all(expectation, stored->values).failed == 0;
      }
      return false;
    };
    if (operation.usable)
      for (const Wider& wider : wider_than(work.claims, work.one.problem, backward))
        if (passes(wider.claims)) {
          results::Witness& witness = record.witnesses.emplace_back();
          witness.reason = wider.text, witness.where = wider.doubt;
          break;
        }
    records.push_back(std::move(record));
  }
  return records;
}

const check::CheckGroup wider_family{"run", numeric_checks, data::cases_of, wider_records};

/// Is every number of such a call right on data that nothing is difficult about?
bool right_on_standard_data(const call::Subject& subject, const results::Record& failed,
                            const check::RunOptions& options) {
  const results::Witness& witness = failed.witnesses.front();
  const data::Case plain = data::replay(witness.problem, "standard", witness.seed);
  check::RunOptions own = options;
  own.pattern =
      fmt::format("{}/{}/{}/{}/*", failed.variant, failed.op, failed.dtype, failed.layout);
  own.progress = false;
  own.moves_cases = false, own.choice = check::Choice::all;
  const std::vector<results::Record> records =
      run(check::output_checks, std::span(&subject, 1), std::span(&plain, 1), own);
  return std::none_of(records.begin(), records.end(), [](const results::Record& one) {
    return one.kind == results::CheckKind::numbers &&
           (one.verdict == results::Verdict::fail || one.verdict == results::Verdict::error);
  });
}

/// What loses digits on difficult data alone.
const char* cancelling(const results::Record& failed) {
  return failed.op == "backward" ? "sum(dy*x) - mu*sum(dy) does where |mu| is far above sigma"
                                 : "E[(x-k)^2] - (mu-k)^2 does where the shift k is an outlier";
}

/// What to make of an error that a wider claim allows. Deeper sums and a coarser accumulate type
/// excuse much that is neither: a kernel that has them errs on every kind of data, while one that
/// errs on difficult data alone loses digits in a difference, which no type cures and no claim
/// should hide.
std::string advice(const call::Subject& subject, const results::Record& failed,
                   const results::Witness& wider, const check::RunOptions& options) {
  const std::string& doubt = wider.where;
  const std::string usual = fmt::format("; its worst case passes if it declared {}", wider.reason);
  if (doubt.empty()) return usual;
  if (!failed.diagnosis.likely().empty()) return {};  // what has a name needs no guess
  const results::Witness& witness = failed.witnesses.front();
  const bool right = right_on_standard_data(subject, failed, options);
  if (doubt == by_depth)
    return usual + (right ? fmt::format(", but it is right on well-conditioned data as declared: "
                                        "if no sum is that deep, something cancels in "
                                        "its worst case ({}, kappa {:.3g}), as {}",
                                        witness.data, witness.kappa, cancelling(failed))
                          : "");
  if (right)
    return fmt::format(
        "; right on well-conditioned data of this size, so its types are wide enough, but in its "
        "worst case ({}, kappa {:.3g}) it errs as "
        "arithmetic in {} would: something cancels, and more than one_pass and folded allow for, "
        "as {}; form the difference first, for no "
        "claim covers this",
        witness.data, witness.kappa, doubt, cancelling(failed));
  return fmt::format(
      "; errors as large as arithmetic in {0} makes, on well-conditioned data too: look for a sum, "
      "a product or a buffer in {0}, or a "
      "formula that is slightly off; declare that type only if it is meant",
      doubt);
}

}  // namespace

std::vector<std::string> unneeded_claims(const call::Subject& subject,
                                         std::span<const data::Case> given,
                                         const check::RunOptions& options) {
  if (subject.device == nullptr) return {};
  check::RunOptions own = options;
  own.pattern = fmt::format("{}/{}/*", subject.variant->name, op);
  own.progress = false;
  own.moves_cases = false, own.choice = check::Choice::all;
  std::vector<data::Case> cases =
      check::chosen_cases(check::output_checks, subject, given, options).cases;
  std::erase_if(cases, [](const data::Case& one) { return one.sampled; });  // large ones
  struct Sum {
    std::uint64_t cases = 0, failed = 0, elements = 0;
  };
  std::map<std::string, std::map<std::string, Sum>> by_check;  // and type
  for (const results::Record& record : run(generous_family, std::span(&subject, 1), cases, own)) {
    Sum& sum = by_check[record.check][record.dtype];
    sum.cases += record.cases - record.skipped_cases;
    sum.failed += record.tally.failed + (record.verdict == results::Verdict::error ? 1 : 0);
    sum.elements += record.tally.elements;
  }
  std::vector<std::string> sentences;
  for (const Claim& claim : all_claims) {
    std::vector<std::string> types;
    std::uint64_t passed = 0;
    for (const char* const type : {"f16", "bf16", "f32", "f64"}) {
      const Sum& sum = by_check[claim.name][type];
      if (sum.cases < least_cases || sum.failed > 0 || sum.elements == 0) continue;
      types.emplace_back(type);
      passed += sum.cases;
    }
    if (!types.empty())
      sentences.push_back(fmt::format("{}: {} ({} cases)", fmt::join(types, ", "),
                                      sentence_of(claim.name, subject, cases, types), passed));
  }
  return sentences;
}

void suggest_claims(std::vector<results::Record>& records, std::span<const call::Subject> subjects,
                    const check::RunOptions& options) {
  for (const call::Subject& subject : subjects) {
    if (subject.device == nullptr) continue;
    std::size_t suggested = 0;
    for (results::Record& record : records) {
      const bool above = record.variant == subject.variant->name &&
                         record.verdict == results::Verdict::fail &&
                         record.kind == results::CheckKind::numbers && !record.witnesses.empty() &&
                         std::isfinite(record.tally.max_ratio);
      if (!above || suggested == most_suggested) continue;
      const results::Witness& witness = record.witnesses.front();
      const data::Case one = data::replay(witness.problem, witness.data, witness.seed);
      if (problem::element_count(one.problem) > largest_suggested) continue;
      ++suggested;
      const call::Subject failing = call::named_in(witness.reproduce, subject);
      check::RunOptions own = options;
      own.pattern = record.id;
      own.progress = false;
      own.moves_cases = false, own.choice = check::Choice::all;
      for (const results::Record& found :
           run(wider_family, std::span(&failing, 1), std::span(&one, 1), own)) {
        if (found.verdict != results::Verdict::error && !found.witnesses.empty())
          record.reason += advice(failing, record, found.witnesses.front(), options);
      }
    }
  }
}

}  // namespace abn::verify::run
