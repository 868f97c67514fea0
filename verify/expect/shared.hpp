// What the forward and the backward expectations share: the chosen precision, one channel's inputs,
// and points from bounds.
//
// Which precision a problem needs is decided before it is evaluated: the oracle's own error obeys
// the same formulas as the bounds it judges by, with its own u and sequential sums, so their ratio
// is known from the coefficients (oracle_share). Against float and narrower accumulators it is
// 2^-29 m/h in double and 2^-40 m/h in long double; against double accumulators 2^-11 m/h in long
// double, which is why most of those go to 50 digits (2^-115 m/h). No m makes 100 digits necessary.
#pragma once

#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "verify/bound/bound.hpp"
#include "verify/expect/expect.hpp"
#include "verify/oracle/channel.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::expect {

inline constexpr double largest_oracle_share = 0.01;

/// The precision to evaluate in, and the two arithmetics to bound.
struct EvaluationPlan {
  oracle::Precision precision = oracle::Precision::long_double;
  bound::Arithmetic declared, recommended;
};
EvaluationPlan evaluation_plan(const abn_problem& problem, const abn_claims& claims);

oracle::ChannelParameters parameters_of(const problem::Inputs& inputs, std::size_t c);

/// The m samples of channel c out of a tensor.
void gather(const abn_problem& problem, const std::vector<double>& tensor, std::int64_t c,
            std::vector<double>& out);

/// Throws std::invalid_argument unless `size` is `expected`.
void require_size(std::size_t size, std::size_t expected, const char* what);
void check_inputs(const problem::Inputs& inputs, bool needs_x);

bound::ChannelNumbers numbers_of(const abn_problem& problem,
                                 const oracle::ChannelParameters& parameters, double mean,
                                 double variance, double r, double g);
/// A and D of the batch statistics.
void add_moments(bound::ChannelNumbers& channel, const std::vector<double>& x,
                 const std::vector<double>& xhat);
inline double condition_of_variance(double mean, double variance) {
  return std::sqrt(1 + mean * mean / variance);
}

/// An expectation of the right size, without values.
compare::Expectation blank_expectation(compare::Output output, const abn_problem& problem,
                                       Detail detail);

inline void set_value(compare::Point& point, const oracle::Wide& value) {
  point.hi = value.hi;
  point.lo = value.lo;
}
inline oracle::Wide element(const oracle::WideVector& values, std::size_t i) {
  return {values.hi[i], values.lo[i]};
}

/// Element `at`: a finite value with its bounds, or `rule_if_not` where the exact value is NaN or
/// infinite. With Terms, the shares too.
template <class Error>
void set_point(compare::Expectation& e, std::size_t at, const oracle::Wide& value,
               const Error& declared, const bound::Total& recommended, compare::Rule rule_if_not) {
  compare::Point& point = e.points[at];
  set_value(point, value);
  if (!std::isfinite(value.hi)) {
    point.rule = rule_if_not;
    return;
  }
  point.bound = bound::bound_of(declared.total());
  point.fit_bound = bound::fit_bound_of(recommended.total());
  if constexpr (std::is_same_v<Error, bound::Terms>) e.shares[at] = shares_of(declared);
}

}  // namespace abn::verify::expect
