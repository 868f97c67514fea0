// The walk from a problem that is supported to a case.
#include "verify/check/moved.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

#include "verify/check/supported.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check {
namespace {

using data::Shape;

/// One variant's answers, and the walk.
class Walk {
 public:
  Walk(const CheckGroup& group, const call::Subject& subject) : group_(group), subject_(subject) {}

  /// Is it such that the case may be moved there?
  bool takes(data::Case& one, const abn_problem& problem) const {
    if (!is_valid(problem)) return false;
    const problem::Claimed claimed = problem::claims_of(*subject_.variant, problem);
    if (claimed.status != ABN_OK || !claimed.nonsense.empty()) return false;
    const abn_problem before = std::exchange(one.problem, problem);
    if (group_.suits == nullptr || group_.suits(one)) return true;
    one.problem = before;
    return false;
  }

  /// From `start`, which is supported, towards the case's own problem. False where not even the
  /// start suits the group.
  bool walk(data::Case& one, const abn_problem& start) const {
    const abn_problem goal = one.problem;
    if (!takes(one, start)) return false;
    const auto attempt = [&](auto&& change) {
      abn_problem next = one.problem;
      change(next);
      round_numbers(next);
      return takes(one, next);
    };
    attempt([&](abn_problem& p) {
      p.activation = goal.activation, p.activation_parameter = goal.activation_parameter;
    }) ||
        attempt([&](abn_problem& p) { p.activation = goal.activation; });
    attempt([&](abn_problem& p) { p.mode = goal.mode; });
    attempt([&](abn_problem& p) { p.scale = goal.scale; });
    attempt([&](abn_problem& p) { p.param_dtype = goal.param_dtype, p.out_type = goal.out_type; });
    attempt([&](abn_problem& p) { p.eps = goal.eps; });
    attempt([&](abn_problem& p) { p.momentum = goal.momentum; });
    const std::int64_t m = problem::sample_count(goal);
    for (const Shape shape : {Shape{goal.n, goal.c, goal.s}, Shape{m, goal.c, 1},
                              Shape{1, goal.c, m}, Shape{goal.n, goal.s, goal.c}})
      if (attempt([&](abn_problem& p) { p.n = shape.n, p.c = shape.c, p.s = shape.s; }))
        return true;
    // m before C, twice, as one may wait for another
    for (int round = 0; round < 2; ++round) {
      approach(one, &abn_problem::s, goal.s);
      approach(one, &abn_problem::n, goal.n);
      approach(one, &abn_problem::c, goal.c);
    }
    return true;
  }

 private:
  /// Brings one size as near to what is wished as multiples, powers of two and halving get it.
  void approach(data::Case& one, std::int64_t abn_problem::*size, std::int64_t wished) const {
    const auto set = [&](std::int64_t value) {
      abn_problem next = one.problem;
      next.*size = value;
      return takes(one, next);
    };
    const std::int64_t from = one.problem.*size;
    if (from == wished || set(wished)) return;
    const auto nearer = [&](std::int64_t value) {
      return std::abs(value - wished) < std::abs(one.problem.*size - wished) && value > 0;
    };
    if (from > 0)
      for (const std::int64_t value : {wished / from * from, (wished / from + 1) * from})
        if (nearer(value) && set(value)) break;
    for (std::int64_t power = 1; power <= 2 * wished && power > 0; power *= 2)
      if (nearer(power)) set(power);
    std::int64_t low = one.problem.*size, high = wished;
    while (std::abs(high - low) > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      (set(middle) ? low : high) = middle;
    }
  }

  const CheckGroup& group_;
  const call::Subject& subject_;
};

/// How much of a case's kind a problem has not.
int distance(const abn_problem& a, const abn_problem& b) {
  return 4 * (a.mode != b.mode) + 2 * (a.activation != b.activation) + 2 * (a.scale != b.scale) +
         (a.param_dtype != b.param_dtype) + (a.eps != b.eps) + (a.momentum != b.momentum);
}

/// eps = 0 divides by the variance itself, which not every recipe's data have.
void give_variance(data::Case& one) {
  if (one.problem.eps == 0 && data::is_recipe(one.data) && one.data != "standard" &&
      one.data != "mixed_gamma")
    one.data = "standard";
}

}  // namespace

MovedCases moved_cases(const CheckGroup& group, const call::Subject& subject,
                       std::span<const data::Case> cases) {
  MovedCases out;
  out.cases.assign(cases.begin(), cases.end());
  out.left_out = std::erase_if(out.cases, [&](const data::Case& one) {
    constexpr std::int64_t dear_channels = 65'535;
    return one.not_emulated && subject.emulated &&
           (subject.plugin.empty() || one.problem.c > dear_channels);
  });
  if (group.of_claims != nullptr)
    for (data::Case& one : group.of_claims(subject, cases)) out.cases.push_back(std::move(one));
  const bool on_gpu = subject.device != nullptr && subject.device->memory() != ABN_MEMORY_HOST;
  const std::size_t left = std::erase_if(out.cases, [&](const data::Case& one) {
    return one.needs_gpu && (!on_gpu || !group.streams);
  });
  if (!on_gpu) out.left_to_gpus = left;
  std::vector<std::size_t> refused;
  std::map<std::pair<int, int>, std::vector<abn_problem>> starts;  // by type and layout
  for (std::size_t i = 0; i < out.cases.size(); ++i) {
    const abn_problem& p = out.cases[i].problem;
    if (out.cases[i].given) continue;
    const problem::Claimed claimed = problem::claims_of(*subject.variant, p);
    if (claimed.status == ABN_ERROR_UNSUPPORTED)
      refused.push_back(i);
    else if (claimed.nonsense.empty())
      starts[{p.dtype, p.layout}].push_back(p);
  }
  if (refused.empty()) return out;
  const Walk walk(group, subject);
  std::map<std::pair<int, int>, bool> searched;
  for (const std::size_t i : refused) {
    data::Case& one = out.cases[i];
    const std::pair<int, int> where{one.problem.dtype, one.problem.layout};
    std::vector<abn_problem>& near = starts[where];
    if (!std::exchange(searched[where], true))
      for (const abn_problem& problem :
           supported_problems(subject, one.problem.dtype, one.problem.layout))
        near.push_back(problem);
    // From the nearest few, beginning elsewhere for each case so that all of them serve.
    std::vector<std::pair<int, std::size_t>> order;
    for (std::size_t k = 0; k < near.size(); ++k) {
      const std::size_t at = (k + i) % near.size();
      order.emplace_back(distance(near[at], one.problem), at);
    }
    constexpr std::size_t tried = 4;
    const std::size_t most = std::min(tried, order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most), order.end(),
                      [](const auto& a, const auto& b) { return a.first < b.first; });
    bool moved = false;
    for (std::size_t k = 0; k < most && !moved; ++k) moved = walk.walk(one, near[order[k].second]);
    if (moved) give_variance(one);
    ++(moved ? out.moved : out.unsupported);
  }
  return out;
}

}  // namespace abn::verify::check
