// Data for which nothing that a kernel computes is ever rounded before it is stored: the result is
// then known to the last bit.
//
// One channel, in integers times powers of two:
//   x    = u (M + e_i A)      e_i from {-1, 1}, or for odd m from {-2, -1, 0, 1, 2}, with sum e_i =
//                             0 and sum e_i^2 = q m, q = 1 or 2
//   eps  = 4^K - q (u A)^2    so that v + eps = 4^K and r = 2^-K; A is odd and is found again from
//                             eps
//   beta = g u r B, g = +-2^j     y = g u r (e_i A + B), slope 2^-l
//   dy   = V Y_i              Y_i = q0 + t' e_i + w_i, where sum w_i = sum w_i e_i = 0;   dz =
//                             dy/phi'
// so mean = u M, v = q (u A)^2, S0 = V q0 m and S1 = V (u r A) t m with t = q t': both are
// multiples of m.
//
// What must fit into the p bits of the accumulate type (24, for f64 storage 53), as a sum is exact
// in every order if the sum of its terms' magnitudes, counted in their common unit, is at most 2^p.
// With a = max|e_i| A + |d| and k = K - log2(u):
//   sum(x^2)                 m (|M| + a)^2          the one-pass variance; some channels have a
//                                                   larger M, and it is not held to them
//   sum(x), sum((x-mu)^2)    m (|M| + a), m q A^2
//   sum(dy), sum(dy*xhat), sum(dy*y)    (a + |B|) sum|Y_i|
//   dx    m (max|Y| + |q0| + |t| A (a + |B|)/4^k), in units of 2^min(0, trailing zeros of t - 2k):
//         this much if a kernel multiplies everything out, g r/m (m dy - S0 - xhat S1), or g r/m
//         (...) in y by scheme II; every other order takes less
// x, xhat, y and dy are at most 2^(precision of the storage type) in their units, so that storing
// them on the way changes nothing either. Only dx may be rounded, once, where it is stored, and
// what is nearest is known (a tie may go either way).
//
// Division by m. Its quotients are integers Q in some unit. A kernel may multiply by fl(1/m) = (1 +
// delta)/m instead, which is Q again for every Q if |delta| <= u/2 (u the unit roundoff): Q |delta|
// is then below half the spacing at Q, or a tie at a power of two, which is even. Of the sample
// counts up to 5000, 59 % have such a reciprocal in f32 and f64 alike, powers of two among them;
// others are refused.
//
// y is 0 in channels of odd m with M = d = B = 0 only: elsewhere a root in the last place beside
// 2^-K would make it tiny instead of 0, of either sign, and its branch with it.
//
// Frozen statistics lie d units beside the batch's mean, and running_var = 4^K' - eps; dx = g r dy
// has no sums then.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "verify/problem/inputs.hpp"

namespace abn::verify::data {

inline constexpr std::string_view exact_data = "exact";
bool is_exact_data(std::string_view data);

/// One channel's numbers; all of them are exact.
struct ExactChannel {
  double unit = 1;                           ///< u
  double mean = 0, variance = 0;             ///< of the batch
  double running_mean = 0, running_var = 0;  ///< before forward
  double r = 1;                              ///< of the statistics that the mode normalises with
  double gamma = 1, g = 1, beta = 0;
  double gradient_unit = 1;                 ///< V
  std::int64_t mean_dy = 0;                 ///< q0
  std::int64_t products = 0;                ///< sum(dy*(x - mean used)), in units of both
  std::int64_t magnitudes = 0;              ///< the same of |dy|*|x - mean used|
  std::int64_t shift = 0;                   ///< d in frozen and inference mode, else 0
  bool one_pass = true;                     ///< sum(x^2) fits too
  std::vector<std::int32_t> deviation, dy;  ///< e_i A and Y_i of the samples
};

struct ExactPlan {
  abn_problem problem{};
  bool affine = true;
  std::vector<ExactChannel> channels;
};

/// Throws UsageError for a problem that has no exact data: ELU, a slope that is no power of two, an
/// eps that is no 4^K - q a^2, or a sample count whose reciprocal is too far off.
ExactPlan exact_plan(const abn_problem& problem, std::uint64_t seed);
problem::Inputs exact_inputs(const ExactPlan& plan);

/// Does multiplying by the rounded reciprocal of m give every quotient that dividing by m gives, in
/// f32 and in f64?
bool has_exact_reciprocal(std::int64_t m);

/// True where eps has a channel for this problem.
bool has_exact_channels(const abn_problem& problem);

}  // namespace abn::verify::data
