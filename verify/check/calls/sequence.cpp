// A hundred calls one after the other: two sets of numbers take turns at the same addresses, and
// now and then another problem comes in between.
//
// A kernel that remembers a result by an address or a size, keeps something from the problem before
// or counts its calls is right in any one call.
#include <atomic>

#include "verify/check/calls/ways.hpp"
#include "verify/data/cases.hpp"
#include "verify/data/random.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::calls {
namespace {

constexpr std::uint64_t calls_in_all = 101;  // of each direction: the hundredth is among them
constexpr std::uint64_t calls_when_large = 21;
constexpr std::int64_t large = 200;  // elements
constexpr std::uint64_t often = 7;   // one call in so many is of the other problem
constexpr const char* what = "in a sequence of calls with other data at the same addresses";
constexpr const char* what_other = "after calls of another problem";

/// A larger problem that the variant does as well, or one of other proportions.
std::optional<data::Case> other_problem(const CallCase& one) {
  const abn_problem& p = one.inputs.problem;
  for (const auto& [n, c, s] : {data::Shape{p.n, p.c + 2, p.s + 3}, data::Shape{p.n + 1, p.c, p.s},
                                data::Shape{p.n, p.c, p.s + 1}, data::Shape{p.n, 2 * p.c, p.s},
                                data::Shape{2 * p.n, p.c, 2 * p.s}}) {
    data::Case other;
    other.problem = p, other.data = recipe_of(one), other.seed = one.seed + 2;
    other.problem.n = n, other.problem.c = c, other.problem.s = s;
    const problem::Claimed claimed = problem::claims_of(*one.subject.variant, other.problem);
    if (claimed.status == ABN_OK && claimed.nonsense.empty()) return other;
  }
  return std::nullopt;
}

/// So many calls of each direction.
Found call_times(const CallCase& one, std::uint64_t count) {
  const DataSet a(one.subject, one.inputs, one.claims, one.seed),
      b(one.subject, other_numbers(one, 1), one.claims, one.seed);
  Found found;
  if (has_equal_results(a, b)) {
    found.broken = call::broken("sequence", "the second call",
                                "a call with other data gives the results of the call before it");
    return found;
  }
  found.nothing = a.obstacle().empty() ? b.obstacle() : a.obstacle();
  if (!found.nothing.empty()) return found;
  std::optional<DataSet> other;
  if (const std::optional<data::Case> larger = other_problem(one))
    other.emplace(one.subject, data::inputs_of(*larger),
                  problem::claims_of(*one.subject.variant, larger->problem).claims, one.seed);
  if (other && !other->obstacle().empty()) other.reset();
  // At places of its own for each look, or what a kernel remembers of an address would be right:
  // allocators like to give the same memory again.
  static std::atomic<std::uint64_t> looks = 0;
  constexpr std::uint64_t places = 256, between_places = 256;
  const std::uint64_t look = ++looks;
  const call::Whereabouts here{call::Placement::mixed, data::Stream(one.seed).bits(look)};
  for (const Direction direction : a.directions()) {
    // where every call of this problem has its buffers
    call::Block block(*one.subject.device, look % places * between_places);
    for (std::uint64_t turn = 0; turn < count && !found.broken; ++turn) {
      const bool is_behind = other && turn % often == often - 1;
      if (is_behind)
        found.broken = other->wrong_in("sequence", direction,
                                       other->call(direction, other->settings()), true, what_other);
      const DataSet& set = turn % 2 == 0 ? b : a;
      call::CallSettings settings = set.settings();
      settings.block = &block, settings.where = here;
      if (!found.broken)
        found.broken = set.wrong_in("sequence", direction, set.call(direction, settings), true,
                                    is_behind ? what_other : what);
    }
  }
  return found;
}

}  // namespace

Found call_often(const CallCase& one) {
  const bool is_large = problem::element_count(one.inputs.problem) > large;
  return call_times(one, is_large && one.is_of_tier ? calls_when_large : calls_in_all);
}

Found call_a_hundred_times(const CallCase& one) { return call_times(one, calls_in_all); }

}  // namespace abn::verify::check::calls
