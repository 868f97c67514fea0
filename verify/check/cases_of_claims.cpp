// One walk over the tier, until each combination has its number.
#include "verify/check/cases_of_claims.hpp"

#include <array>
#include <map>

#include "verify/data/recipes.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check {
namespace {

constexpr std::int64_t small = 700;      // elements
constexpr std::size_t of_smoke = 4'000;  // more cases than a smoke tier has
constexpr int few = 1, several = 4;      // of each combination, in smoke and beyond
constexpr int types_few = 2;             // of out types, whose table is shorter

bool is_suitable(const data::Case& one) {
  const std::int64_t elements = problem::element_count(one.problem);
  return !one.given && !one.sampled && elements > 0 && elements <= small &&
         data::is_recipe(one.data) && one.data != "no_affine" && one.problem.out_type == 0;
}

}  // namespace

std::vector<data::Case> cases_of_claims(const call::Subject& subject,
                                        std::span<const data::Case> cases) {
  std::vector<data::Case> out;
  std::map<std::array<int, 5>, int> affine, types;
  const bool is_smoke = cases.size() < of_smoke;
  for (const data::Case& one : cases) {
    if (!is_suitable(one)) continue;
    const abn_problem& p = one.problem;
    const problem::Claimed claimed = problem::claims_of(*subject.variant, p);
    if (claimed.status != ABN_OK || !claimed.nonsense.empty()) continue;
    if (claimed.claims.affine_apart == 1)
      for (const bool gamma : {true, false}) {
        int& count = affine[{p.dtype, p.layout, p.mode, p.scale, gamma}];
        if (count == (is_smoke ? few : several)) continue;
        ++count;
        out.push_back(one);
        out.back().data += gamma ? ",no_beta" : ",no_gamma";
        break;  // the next case for the other part
      }
    for (const int type : problem::storage_types) {
      if (type == p.dtype || (claimed.claims.other_out_types >> type & 1U) == 0) continue;
      int& count = types[{p.dtype, p.layout, p.mode, type, 0}];
      if (count == (is_smoke ? types_few : several)) continue;
      data::Case other = one;
      other.problem.out_type = type + 1;
      if (problem::claims_of(*subject.variant, other.problem).status != ABN_OK) continue;
      ++count;
      out.push_back(std::move(other));
      break;  // likewise
    }
  }
  return out;
}

}  // namespace abn::verify::check
