// Judges the call under one derivative and, if something fails, under the other.
#include "verify/judge/kink.hpp"

#include <algorithm>
#include <cstdint>

#include "verify/compare/compare.hpp"
#include "verify/expect/expect.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/claims.hpp"

namespace abn::verify::judge {
namespace {

std::uint64_t failures(const problem::Inputs& inputs, const problem::Saved& saved,
                       const abn_claims& claims, const std::vector<compare::Stored>& gradients) {
  std::uint64_t failed = 0;
  for (const compare::Expectation& expected : expect::expect_backward(inputs, saved, claims))
    for (const compare::Stored& one : gradients)
      if (one.output == expected.output && one.values.size() == expected.points.size())
        failed += compare::compare_all(expected, one.values).failed;
  return failed;
}

}  // namespace

abn_claims with_kink(const problem::Inputs& inputs, const problem::Saved& saved,
                     const abn_claims& claims, const std::vector<compare::Stored>& gradients) {
  abn_claims right = claims;
  if (claims.kink != ABN_KINK_UNDECLARED) return right;
  right.kink = ABN_KINK_RIGHT;
  // A y that is found again from x or xhat is never exactly 0 but within its error of it, and there
  // the bound allows both.
  const bool stored = claims.scheme == ABN_STANDARD || problem::is_in_place(claims);
  const bool any = std::any_of(saved.z.begin(), saved.z.end(), [](double z) { return z == 0; });
  if (!stored || !any || !problem::phi_of(inputs.problem).has_kink()) return right;
  const std::uint64_t failed = failures(inputs, saved, right, gradients);
  if (failed == 0) return right;
  abn_claims left = claims;
  left.kink = ABN_KINK_LEFT;
  return failures(inputs, saved, left, gradients) < failed ? left : right;
}

abn_claims with_kink(const problem::Inputs& inputs, const problem::Saved& saved,
                     const abn_claims& claims, const call::BackwardNumbers& gradients) {
  if (claims.kink != ABN_KINK_UNDECLARED) return claims;
  return with_kink(inputs, saved, claims,
                   {{compare::Output::dx, gradients.dx},
                    {compare::Output::dgamma, gradients.dgamma},
                    {compare::Output::dbeta, gradients.dbeta}});
}

}  // namespace abn::verify::judge
