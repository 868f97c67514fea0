// What a class declares for a problem.
#include "verify/study/simulated_kernel.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "verify/problem/problem.hpp"

namespace abn::verify::study {
namespace {

// what glibc lists for expf, expm1f, log1pf and their double forms is 1 to 2 ulp
constexpr double claimed_ulp = 2;

}  // namespace

const char* summation_name(Summation summation) {
  switch (summation) {
    case Summation::sequential:
      return "sequential";
    case Summation::pairwise:
      return "pairwise";
    default:
      return "lanes";
  }
}

std::int64_t depth_of(const KernelClass& declared, std::int64_t m) {
  if (declared.summation == Summation::sequential) return m;
  if (declared.summation == Summation::lanes) {
    const std::int64_t levels = std::countr_zero(static_cast<unsigned>(declared.lanes));
    return std::min(m, (m + declared.lanes - 1) / declared.lanes + levels);
  }
  std::int64_t levels = 0;
  while ((std::int64_t{1} << levels) < m) ++levels;
  return std::max<std::int64_t>(levels, 1);
}

abn_claims claims_of(const KernelClass& declared, const abn_problem& problem) {
  abn_claims claims{};
  claims.struct_size = sizeof claims;
  claims.scheme = declared.scheme;
  claims.statistics = declared.statistics;
  claims.normalise = declared.apart ? ABN_FOLDED_APART : declared.folded ? ABN_FOLDED : ABN_DIRECT;
  claims.accumulate = declared.accumulate;
  claims.materialises = declared.materialises;
  switch (declared.scheme) {
    case ABN_STANDARD:
      claims.saves = ABN_SAVES_X | ABN_SAVES_Z | ABN_SAVES_MEAN | ABN_SAVES_VAR;
      break;
    case ABN_CHECKPOINT_X:
      claims.saves = ABN_SAVES_X | ABN_SAVES_MEAN | ABN_SAVES_VAR;
      break;
    case ABN_CHECKPOINT_XHAT:
      claims.saves = ABN_SAVES_XHAT | ABN_SAVES_VAR;
      break;
    default:
      claims.saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  }
  claims.depth_statistics = claims.depth_backward =
      depth_of(declared, problem::sample_count(problem));
  claims.function_ulp = claimed_ulp;
  return claims;
}

const std::vector<double>& KernelOutputs::of(compare::Output output) const {
  switch (output) {
    case compare::Output::mean:
      return saved.mean;
    case compare::Output::variance:
      return saved.variance;
    case compare::Output::running_mean:
      return running_mean;
    case compare::Output::running_var:
      return running_var;
    case compare::Output::z:
      return saved.z;
    case compare::Output::xhat:
      return saved.xhat;
    case compare::Output::dx:
      return dx;
    case compare::Output::dgamma:
      return dgamma;
    case compare::Output::dbeta:
      return dbeta;
    case compare::Output::invstd:
      break;
  }
  throw std::invalid_argument("the simulated kernels keep the variance, not 1/sqrt(v + eps)");
}

}  // namespace abn::verify::study
