// The search for problems that a variant supports, and the walk from one of them to a case.
#include "verify/check/support.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <utility>

#include "verify/data/random.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check {
namespace {

using data::Shape;

// What a kernel may be written for alone. Sizes: of one image, of one pixel, of powers of two, of
// vectors and of none of these, of few and of many.
constexpr Shape sizes[] = {{16, 64, 64}, {2, 3, 5},    {1, 1, 33},   {4, 8, 1},     {2, 32, 16},
                           {1, 64, 49},  {64, 16, 1},  {8, 128, 4},  {1, 256, 1},   {256, 1, 1},
                           {2, 512, 7},  {32, 3, 196}, {2, 1, 1024}, {1, 8, 4096},  {128, 96, 1},
                           {1, 1, 2},    {2, 1, 1},    {3, 7, 11},   {1, 1024, 16}, {512, 32, 1}};
constexpr double epses[] = {1e-5, 1e-3, 0.1,  0,    1e-4, 1e-6, 1e-8,
                            1e-2, 1,    1e-7, 5e-5, 2e-5, 1e-12};
constexpr double momenta[] = {0.1, 0.01, 0.5,  0.9,  0.99, 0.05,  0.03, 0.001, 0,
                              1,   0.2,  0.02, 0.25, 0.3,  0.003, 0.95, 0.999};
constexpr double activation_parameters[] = {0.01, 1,    0.2,  0.1,  0.5,      0.25,
                                            0.3,  0.05, 0.02, 1.7,  0.0078125, 1.5,
                                            2,    0.75, 5,    0.001};
constexpr std::uint64_t drawn_problems = 20'000;  // some milliseconds
constexpr std::size_t enough = 12;                // of one mode

template <class Table>
auto pick(const Table& table, const data::Stream& draw, std::uint64_t index) {
  return table[draw.below(std::size(table), index)];
}

bool is_valid(const abn_problem& problem) {
  try {
    problem::validate(problem);
  } catch (const problem::UsageError&) {
    return false;
  }
  return true;
}

/// Numbers as they arrive at a kernel: rounded to the parameter type.
void round_numbers(abn_problem& p) {
  const problem::Format& format = problem::format_of(problem::scalar_type_of(p));
  p.eps = problem::round_to(format, p.eps);
  p.momentum = problem::round_to(format, p.momentum);
  p.activation_parameter = problem::round_to(format, p.activation_parameter);
}

abn_problem drawn_problem(abn_problem p, const data::Stream& draw) {
  const Shape shape = pick(sizes, draw, 0);
  p.n = shape.n, p.c = shape.c, p.s = shape.s;
  p.mode = pick(problem::modes, draw, 1);
  p.scale = pick(problem::scales, draw, 2);
  // the usual type, or f32 beside f64, or the storage type where that has 16 bits
  p.param_dtype = draw.below(2, 3) != 0  ? problem::wide_type_of(p.dtype)
                  : p.dtype == ABN_F64 ? ABN_F32
                                       : p.dtype;
  const auto activation = static_cast<int>(draw.below(problem::activation_count, 4));
  p.eps = draw.below(2, 5) == 0 ? epses[0] : pick(epses, draw, 6);
  p.momentum = draw.below(2, 7) == 0 ? momenta[0] : pick(momenta, draw, 8);
  const problem::Activation& row = problem::activation_of(activation);
  problem::set_activation(
      p, activation,
      draw.below(2, 9) == 0 ? row.default_parameter : pick(activation_parameters, draw, 10));
  if (!row.has_parameter()) p.activation_parameter = 0;
  round_numbers(p);
  return p;
}

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
    }) || attempt([&](abn_problem& p) { p.activation = goal.activation; });
    attempt([&](abn_problem& p) { p.mode = goal.mode; });
    attempt([&](abn_problem& p) { p.scale = goal.scale; });
    attempt([&](abn_problem& p) {
      p.param_dtype = goal.param_dtype, p.out_type = goal.out_type;
    });
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

std::vector<abn_problem> supported_problems(const call::Subject& subject, int dtype, int layout) {
  std::vector<abn_problem> found, nonsensical;
  std::map<int, std::size_t> of_mode;
  const auto add = [&](const abn_problem& problem) {
    if (!is_valid(problem)) return;
    const problem::Claimed claimed = problem::claims_of(*subject.variant, problem);
    if (!claimed.nonsense.empty()) {
      if (nonsensical.size() < enough) nonsensical.push_back(problem);
    } else if (claimed.status == ABN_OK) {
      found.push_back(problem);
      ++of_mode[problem.mode];
    }
  };
  add(problem::example_problem(dtype, layout, ABN_TRAINING));  // what it is described by
  for (const int mode : problem::modes)
    for (const problem::Activation& activation : problem::activation_table)
      for (const int scale : problem::scales) {  // the usual ones
        abn_problem problem = problem::example_problem(dtype, layout, mode);
        problem::set_activation(problem, activation.code, activation.default_parameter);
        problem.scale = scale;
        add(problem);
      }
  const auto lacks = [&] {
    return std::any_of(std::begin(problem::modes), std::end(problem::modes),
                       [&](int mode) { return of_mode[mode] == 0; });
  };
  if (!lacks()) return found;  // the usual kernel
  const data::Stream draws(0x737570706f7274U);  // "support": the same for every run
  for (std::uint64_t i = 0; i < drawn_problems; ++i) {
    const abn_problem problem =
        drawn_problem(problem::example_problem(dtype, layout, ABN_TRAINING), draws.fork(i));
    if (of_mode[problem.mode] < enough) add(problem);
  }
  return found.empty() ? nonsensical : found;
}

MovedCases moved_cases(const CheckGroup& group, const call::Subject& subject,
                       std::span<const data::Case> cases) {
  MovedCases out;
  out.cases.assign(cases.begin(), cases.end());
  out.left_out = std::erase_if(out.cases, [&](const data::Case& one) {
    constexpr std::int64_t dear_channels = 65'535;
    return one.not_emulated && subject.emulated &&
           (subject.plugin.empty() || one.problem.c > dear_channels);
  });
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
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most),
                      order.end(),
                      [](const auto& a, const auto& b) { return a.first < b.first; });
    bool moved = false;
    for (std::size_t k = 0; k < most && !moved; ++k) moved = walk.walk(one, near[order[k].second]);
    if (moved) give_variance(one);
    ++(moved ? out.moved : out.unsupported);
  }
  return out;
}

}  // namespace abn::verify::check
