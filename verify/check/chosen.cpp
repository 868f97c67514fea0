// The choice for one variant, by what its cases are worth after they have been moved.
#include "verify/check/chosen.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "verify/check/moved.hpp"
#include "verify/data/worth.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check {
namespace {

std::vector<data::Case> in_order_of_worth(const std::vector<data::Case>& cases, std::size_t most) {
  std::vector<data::Case> out;
  out.reserve(cases.size());
  for (const std::size_t index : data::order_of_worth(cases, most)) out.push_back(cases[index]);
  return out;
}

std::vector<data::Case> small_ones(const std::vector<data::Case>& cases) {
  std::map<std::pair<int, int>, std::int64_t> limits;  // by type and layout
  for (const data::Case& one : cases) {
    const auto [at, first] = limits.try_emplace({one.problem.dtype, one.problem.layout},
                                                problem::element_count(one.problem));
    at->second = std::min(at->second, problem::element_count(one.problem));
  }
  std::vector<data::Case> out;
  for (const data::Case& one : cases) {
    const std::int64_t least = limits.at({one.problem.dtype, one.problem.layout});
    if (problem::element_count(one.problem) <= std::max(least, quick_elements)) out.push_back(one);
  }
  return out;
}

/// The checks that cases have for the variant, each as a number of its own.
class Checks {
 public:
  Checks(const CheckGroup& group, const call::Subject& subject,
         const std::vector<data::Case>& cases) {
    std::map<std::string, std::size_t> numbers;
    for (const data::Case& one : cases) {
      std::vector<std::size_t>& own = of_.emplace_back();
      if (group.suits != nullptr && !group.suits(one)) continue;
      const problem::Claimed claimed = problem::claims_of(*subject.variant, one.problem);
      if (claimed.status != ABN_OK || !claimed.nonsense.empty()) continue;
      for (const CheckName& name : given_checks(group, subject, claimed.claims, one.problem))
        own.push_back(
            numbers.try_emplace(judge::id_of("", one.problem, name.op, name.check), numbers.size())
                .first->second);
    }
    met_.resize(numbers.size(), false);
  }
  /// How many of a case's have not been met.
  std::ptrdiff_t fresh(std::size_t index) const {
    return std::count_if(of_[index].begin(), of_[index].end(),
                         [&](std::size_t number) { return !met_[number]; });
  }
  void meet(std::size_t index) {
    for (const std::size_t number : of_[index]) met_[number] = true;
  }

 private:
  std::vector<std::vector<std::size_t>> of_;
  std::vector<bool> met_;
};

/// As few as may be that have every check between them, the greedy cover of the checks; and then
/// those that are worth most, `most` in all.
std::vector<data::Case> few_of(std::vector<data::Case> cases, const CheckGroup& group,
                               const call::Subject& subject, std::size_t most) {
  cases = in_order_of_worth(cases, most);
  Checks checks(group, subject, cases);
  std::vector<bool> taken(cases.size(), false);
  std::vector<data::Case> few;
  while (few.size() < most) {
    std::size_t best = cases.size();
    std::ptrdiff_t best_fresh = 0;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const std::ptrdiff_t fresh = checks.fresh(i);
      if (fresh > best_fresh) best = i, best_fresh = fresh;
    }
    if (best == cases.size()) break;
    checks.meet(best);
    taken[best] = true;
    few.push_back(cases[best]);
  }
  for (std::size_t i = 0; i < cases.size() && few.size() < most; ++i)
    if (!taken[i]) few.push_back(cases[i]);
  return few;
}

}  // namespace

ChosenCases chosen_cases(const CheckGroup& group, const call::Subject& subject,
                         std::span<const data::Case> cases, const RunOptions& options) {
  ChosenCases chosen;
  chosen.cases = options.moves_cases ? moved_cases(group, subject, cases).cases
                                     : std::vector<data::Case>(cases.begin(), cases.end());
  if (options.choice == Choice::all) return chosen;
  const auto first_given =
      std::stable_partition(chosen.cases.begin(), chosen.cases.end(),
                            [](const data::Case& one) { return one.given == nullptr; });
  const std::vector<data::Case> given(first_given, chosen.cases.end());
  chosen.cases.erase(first_given, chosen.cases.end());
  const std::size_t all = chosen.cases.size();
  if (options.choice == Choice::quick) {
    chosen.cases = few_of(small_ones(chosen.cases), group, subject, group.quick_cases);
  } else {
    chosen.cases = in_order_of_worth(chosen.cases, all);
  }
  chosen.left_out = all - chosen.cases.size();
  chosen.cases.insert(chosen.cases.begin(), given.begin(), given.end());
  return chosen;
}

}  // namespace abn::verify::check
