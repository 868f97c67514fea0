// A kernel on the calls: its results with their bounds, for any problem that a property makes of
// its case.
#pragma once

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "verify/call/evaluator.hpp"
#include "verify/check/property/property.hpp"
#include "verify/compare/expectation.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::property {

/// A property asked for a problem that the variant does not support: the case is skipped.
struct NotSupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One output of one call; `expected` is empty where no bound was asked for.
struct Result {
  compare::Output output;
  std::vector<double> got;
  compare::Expectation expected;
};

struct Outputs {
  abn_problem problem{};
  std::vector<Result> results;
  problem::Saved saved;  ///< forward only: what it left for backward

  const Result& operator[](
      compare::Output output) const;  ///< throws std::logic_error if it is not there
  bool has(compare::Output output) const;
};

enum class Bounds {
  none,
  stored,  ///< expect_forward; expect_backward on what was stored
  truth,   ///< expect_gradient: the unrounded x, the cost of storing z included
};

class BoundedCalls {
 public:
  BoundedCalls(const call::Subject& subject, std::uint64_t seed) : subject_(subject), seed_(seed) {}

  abn_claims claims(const abn_problem& problem) const;  ///< throws NotSupported
  Outputs forward(const problem::Inputs& inputs, Bounds bounds = Bounds::stored,
                  bool in_place = false, std::uint64_t schedule = 0) const;
  Outputs backward(const problem::Inputs& inputs, const problem::Saved& saved,
                   Bounds bounds = Bounds::stored, bool in_place = false,
                   std::uint64_t schedule = 0) const;
  std::uint64_t seed() const { return seed_; }

 private:
  const call::Subject& subject_;
  std::uint64_t seed_;
};

// Relations between results.

/// A point that a relation may be asked of: finite, with a finite bound, well within its type.
bool is_ordinary(const compare::Point& point, int dtype);

/// The finding for an output, added if it is not there yet.
Finding& finding_of(Examination& examination, compare::Output output, int dtype);
/// A finding for numbers made from an output, one a channel or one an element; the mathematics of
/// this room is in double or better.
Finding& finding_of(Examination& examination, compare::Output output, const char* what,
                    bool by_channel);
/// What a witness shows of an input that the property changed; see Used.
void show_elements(Examination& examination, const char* name, const std::vector<double>& values);
void show_channels(Examination& examination, const char* name, const std::vector<double>& values);
void show_problem(Examination& examination, const char* name, double value);
/// Neither gamma nor beta was given.
void show_no_affine(Examination& examination);

/// got must be `exact` within `bound`; a bound that is not finite leaves the element out.
void expect_near(Examination& examination, Finding& finding, std::int64_t index, long double exact,
                 double bound, double got);

/// got_a[i] = factor got_b[at(i)] within the bounds of both and `slack(i)`.
template <class At, class Slack>
void relate(Examination& examination, const Result& a, const Result& b, At at, double factor,
            Slack slack) {
  Finding& finding = finding_of(examination, a.output, a.expected.dtype);
  for (std::size_t i = 0; i < a.got.size(); ++i) {
    const auto j = static_cast<std::size_t>(at(static_cast<std::int64_t>(i)));
    const compare::Point &of_a = a.expected.points[i], &of_b = b.expected.points[j];
    if (!is_ordinary(of_a, a.expected.dtype) || !is_ordinary(of_b, b.expected.dtype)) {
      ++examination.left_out;
      continue;
    }
    const auto index = static_cast<std::int64_t>(j);  // b is the case in its own order
    const double bound =
        of_a.bound + std::abs(factor) * of_b.bound + slack(static_cast<std::int64_t>(i));
    // Where the other side is no number although one is expected, it is what fails.
    if (std::isfinite(b.got[j]))
      expect_near(examination, finding, index, static_cast<long double>(factor) * b.got[j], bound,
                  a.got[i]);
    else
      expect_near(examination, finding, index, static_cast<long double>(factor) * of_b.hi, bound,
                  b.got[j]);
  }
}
template <class At>
void relate(Examination& examination, const Result& a, const Result& b, At at, double factor = 1) {
  relate(examination, a, b, at, factor, [](std::int64_t) { return 0.0; });
}

inline std::int64_t same_place(std::int64_t i) { return i; }

/// got_a[i] has the bits of factor got_b[at(i)], factor a power of two or its negative; any NaN
/// equals any NaN. `signs`: of zeros too.
template <class At, class Qualifies>
void same_bits(Examination& examination, const Result& a, const Result& b, int dtype, At at,
               double factor, bool signs, Qualifies qualifies) {
  Finding& finding = finding_of(examination, a.output, dtype);
  for (std::size_t i = 0; i < a.got.size(); ++i) {
    const std::int64_t index = at(static_cast<std::int64_t>(i));  // b is the case in its own order
    if (!qualifies(index)) {
      ++examination.left_out;
      continue;
    }
    compare::Point point;
    point.hi = factor * b.got[static_cast<std::size_t>(index)];
    point.rule = !std::isfinite(point.hi) ? compare::Rule::same_class
                 : signs                  ? compare::Rule::signed_bounded
                                          : compare::Rule::bounded;
    finding.expected.points.push_back(point);
    finding.got.push_back(a.got[i]);
    finding.index.push_back(index);
  }
}
template <class At>
void same_bits(Examination& examination, const Result& a, const Result& b, int dtype, At at) {
  same_bits(examination, a, b, dtype, at, 1, true, [](std::int64_t) { return true; });
}

// The mathematics of one channel, in long double.

/// Rounding of sums and functions in long double, generously: beside it every bound of f64
/// arithmetic is large.
inline constexpr long double own_rounding = 0x1p-58L;
/// What the double of an expectation loses where it is subnormal.
inline constexpr double own_underflow = 0x1p-1022;

int dtype_of(const abn_problem& problem, compare::Output output);
using problem::channel_of;
double scale_of(const problem::Inputs& inputs, std::int64_t c);  ///< g
double beta_of(const problem::Inputs& inputs, std::int64_t c);
double dgamma_sign(const problem::Inputs& inputs,
                   std::int64_t c);  ///< sign(gamma) under abs_eps, else 1
long double activate(const abn_problem& problem, long double y);
double lipschitz(const abn_problem& problem);  ///< of the activation

/// Exact statistics of a training batch, from the bounds' side of a forward.
struct ChannelStatistics {
  long double mean = 0, variance = 0, r = 0;
  bool usable = false;  ///< both fit into the parameter type, and variance + eps > 0
};
ChannelStatistics statistics_of(const Outputs& forward, std::int64_t c);
/// Whether what forward saves of a channel can be saved: a variance that overflows the parameter
/// type leaves backward without one.
bool statistics_fit(const Outputs& forward, std::int64_t c);

}  // namespace abn::verify::check::property
