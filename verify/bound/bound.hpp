// How far a correct kernel may be from the exact result: its arithmetic as numbers, and the errors
// of statistics and root.
//
// Model. With u the unit roundoff and eta the subnormal spacing of the accumulate type,
//   fl(a op b) = (a op b)(1 + d) + t,   |d| <= u,
//   |t| <= eta/2 for products and quotients and t = 0 for sums;
// rounding v to a narrower type costs at most max(u_type |v|, eta_type/2). A path of k roundings
// costs gamma(k) = k u/(1 - k u) (Higham, Accuracy and Stability of Numerical Algorithms, lemma
// 3.1), a sum of depth h at most gamma(h) sum|terms|. Bounds are first order with the second-order
// terms that can matter kept: (mean error)^2 in the variance, 1/sqrt(1 - dv) - 1 in the root,
// products of errors in the sums.
//
// From k u = 1 on gamma(k) is void and the bound infinite: the check is inconclusive and says so.
// The probabilistic bound of Higham and Mary (SIAM J. Sci. Comput. 41, 2019), sqrt(k) u times some
// factor, would not be: it takes errors for independent with mean 0, and sums that are this deep in
// a type this narrow stagnate. 4096 ones in f16 add up to 2048, off by 0.5 where it allows 0.3 at a
// failure probability of 1e-15 a sum, so it would accuse right kernels; and where k u < 1 gamma is
// never void.
//
// Freedom. The counts below are those of the textbook evaluation where a kernel may choose the
// order of its multiplications (g*r or S0/m premultiplied), multiply by a rounded reciprocal
// instead of dividing (2 roundings for 1), and contract a*b+c (fewer). Anything that amplifies
// (E[x^2]-mu^2, a*x+b) is a class of its own that must be declared.
//
// Statistics of m samples, A = mean|x|, D = mean|x-mu|, sigma = sqrt(v), h the declared depth, c =
// 1 if m is itself rounded:
//   mean      two_pass, one_pass   E_mu = gamma(h+2+c) A
//                                  h additions, 1/m and the product by it
//             welford              E_mu = gamma(h+2+c) A + gamma(3l) D,  l = min(h, 2 log2 m + 2)
//                                  a merge adds delta*(n_b/n), 3 roundings; a sample is on the
//                                  smaller side of log2 m merges at most, where n_b|delta| <=
//                                  sum|x-mu| of both, and the larger sides add up to a harmonic
//                                  series; each of the h steps may underflow, h eta/2 more, here
//                                  and in the variance
//   variance  two_pass             E_v = gamma(h+5+c)(v + E_mu^2) + E_mu^2
//                                  sum (x-mu^)^2 = m(v + (mu^-mu)^2) exactly; 3 roundings a square,
//                                  2 of the division
//             welford              E_v = gamma(2h+9+c) v + 2 sigma E_mu + E_mu^2
//                                  delta^2 n_a n_b/n with both means off: by Cauchy-Schwarz over
//                                  the merges, whose exact squares add up to m v; 2 additions and 7
//                                  more
//             one_pass             E_v = gamma(h+4+c)(v + mu^2) + 2|mu| E_mu + E_mu^2 + 2u mu^2
// These are the h u + (h kappa u)^2, h kappa u and h kappa^2 u of Chan, Golub and LeVeque (1983)
// with their constants.
//
// Root. r^ = 1/sqrt(fl(v^ + eps)): relative error 1/sqrt(1 - dv) - 1 with dv = E_v/(v + eps), then
// half of the rounding of v + eps and 2 ulp (4u) of a hardware reciprocal root; 1/sqrt(x) in IEEE
// arithmetic needs only 2u. From dv >= 1/2 on the expansion is void and the bound is infinite:
// nothing is demanded of the kernel there but a result that is no NaN.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "verify/compare/expectation.hpp"
#include "verify/problem/activation.hpp"

namespace abn::verify::bound {

inline constexpr double infinity = std::numeric_limits<double>::infinity();

/// std::fmax is a call into libm; a NaN in either argument counts as b.
inline double larger(double a, double b) { return a > b ? a : b; }

/// What rounding to a type costs; zero where the value is representable already.
struct Rounding {
  double u = 0, eta = 0;
  /// of an intermediate: beyond, it is infinite and all that follows unknown
  double largest = infinity;
  double operator()(double magnitude) const {
    if (!(magnitude <= largest)) return infinity;
    return magnitude > 0 ? larger(u * magnitude, eta / 2) : 0;
  }
};

/// A kernel's arithmetic, from its claims and the formats of its problem.
struct Arithmetic {
  double u = 0, eta = 0, largest = infinity;  ///< accumulate type
  /// storage and parameters read into a narrower accumulate type
  Rounding load, load_parameter;
  Rounding load_out;                           ///< of z and dz, where they have a type of their own
  Rounding store, store_out, store_parameter;  ///< an output written to a narrower type
  Rounding kept;                               ///< what forward stores for backward: z, or xhat
  /// intermediates that the variant rounds to the storage type
  Rounding y, xhat, dy, statistics;
  /// and every operation inside phi and phi' (ABN_MATERIALISES_ACTIVATION)
  Rounding activation;
  double function = 0;  ///< relative error of exp, expm1, log1p
  int scheme = ABN_STANDARD, statistics_class = ABN_TWO_PASS;
  /// a*x+b, and (y-beta)/g as y*(1/g) + (-beta/g)
  bool folded = false;
  /// a standard backward may take phi' from a y found again from x (ABN_MATERIALISES_Y, whether or
  /// not `y` above rounds anything)
  bool derivative_from_y = false;
  bool apart = false;                               ///< folded, with b = beta - (mu*g)*r
  bool biased_running = false;                      ///< v enters the running variance
  bool saves_invstd = false;                        ///< r is what is stored of the variance
  double depth_statistics = 1, depth_backward = 1;  ///< at most m
  double count_roundings = 0;                       ///< 1 where m is not representable
};

/// The arithmetic of phi and phi': the kernel's own, or what every operation of them is rounded to.
struct ActivationArithmetic {
  double u = 0, eta = 0, function = 0, largest = infinity;
};
inline ActivationArithmetic activation_arithmetic(const Arithmetic& a) {
  return {larger(a.u, a.activation.u), larger(a.eta, a.activation.eta), a.function + a.activation.u,
          std::fmin(a.largest, a.activation.largest)};
}

/// What `claims` promise for `problem`.
Arithmetic arithmetic_of(const abn_problem& problem, const abn_claims& claims);

/// The recommended class with the same scheme, accumulating in f32 (f64 for f64 storage) or in what
/// is claimed beyond it: two_pass, direct, sums as a tree over 256 lanes, nothing rounded on the
/// way. `fit` is measured against twice its bound.
Arithmetic recommended_arithmetic(const abn_problem& problem, const abn_claims& claims);

/// How the oracle itself computes with `precision` bits: two_pass, sequential sums, unlimited
/// exponents.
Arithmetic oracle_arithmetic(const abn_problem& problem, const abn_claims& claims, int precision);

/// An upper limit of (the oracle's own bound)/(the bound it judges by) over every element of every
/// output: both come from the same formulas, which increase with u and with the depths, so the
/// largest ratio of their coefficients bounds that of the sums.
double oracle_share(const Arithmetic& own, const Arithmetic& judged);

/// k u/(1 - k u), infinite from k u = 1 on.
inline double gamma_of(double k, double u) { return k * u < 1 ? k * u / (1 - k * u) : infinity; }

/// factor * value where an infinite factor of nothing is nothing.
inline double times(double factor, double value) { return value == 0 ? 0 : factor * value; }

/// Exact facts of one channel, rounded to double, that its bounds are made of.
struct ChannelNumbers {
  double m = 0, mean = 0, variance = 0;
  double all_samples = 0;  ///< m of all ranks where there are others, whose sums are then exact
  bool shards() const { return all_samples > 0; }
  double divisor() const { return shards() ? all_samples : m; }  ///< of sums
  /// A and D; only read where statistics come from the batch
  double mean_abs = 0, mean_abs_deviation = 0;
  double g = 1, beta = 0, eps = 0, r = 1;
  problem::Phi phi;
  bool abs_eps = false;  ///< g = |gamma| + eps: one rounding more
};

/// Absolute errors of the mean and variance that a kernel normalises with.
struct StatisticsError {
  double mean = 0, variance = 0;
  double mean_materialised = 0, variance_materialised = 0;
  bool has_root = false;  ///< r itself was handed over, and no variance
  /// a sum may leave the accumulate type; what comes of it is nobody's promise, and NaN (inf - inf)
  /// is likely
  bool overflows = false;
};
StatisticsError batch_statistics_error(const Arithmetic& arithmetic, const ChannelNumbers& channel);
/// Statistics that were handed to the kernel; `materialised`: it may round them to the storage type
/// (running buffers).
StatisticsError given_statistics_error(const Arithmetic& arithmetic, const ChannelNumbers& channel,
                                       bool materialised);

/// Relative error of r, by cause; `growth` = 1 + their sum.
struct RootError {
  double variance = 0, materialised = 0, arithmetic = 0, growth = 1;
};
RootError root_error(const Arithmetic& arithmetic, const ChannelNumbers& channel,
                     const StatisticsError& statistics);

/// Errors of the running averages before they are stored: the textbook (1-p) old + p new or old + p
/// (new - old), the worse.
double running_error(const Arithmetic& arithmetic, double momentum, double old, double value,
                     double value_error);
inline constexpr double unbiased_roundings = 2;  ///< v*(m/(m-1)): the quotient and the product

/// An error by its sources.
struct Terms {
  std::array<double, compare::term_count + compare::term_count % 2>
      part{};  ///< an even number is added in pairs
  double& operator[](compare::Term term) { return part[static_cast<std::size_t>(term)]; }
  double operator[](compare::Term term) const { return part[static_cast<std::size_t>(term)]; }
  double total() const {
    double sum = 0;
    for (const double p : part) sum += p;
    return sum;
  }
  void add(double factor, const Terms& other) {
    for (std::size_t i = 0; i < part.size(); ++i) part[i] += factor * other.part[i];
  }
};

/// The same without the sources, where only their sum is asked for.
struct Total {
  double sum = 0;
  double& operator[](compare::Term) { return sum; }
  double total() const { return sum; }
  void add(double factor, const Total& other) { sum += factor * other.sum; }
};

/// The bound of a point from the sum of its terms; a NaN (infinity times nothing) counts as
/// infinite.
inline double bound_of(double total) {
  // it is itself computed in double, in some tens of roundings
  constexpr double own_roundings = 1 + 64 * 0x1p-53;
  return total < infinity ? total * own_roundings : infinity;
}
inline double fit_bound_of(double recommended_total) {
  constexpr double fit_factor = 2;
  return bound_of(fit_factor * recommended_total);
}
compare::Shares shares_of(const Terms& terms);

}  // namespace abn::verify::bound
