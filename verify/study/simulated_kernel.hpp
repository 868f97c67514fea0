// What a simulated kernel is: the class that it declares, the liberties that it takes, and at most
// one bug. verify/study/simulate.hpp runs it.
//
// Within a class a kernel is free (verify/bound/bound.hpp): which product it takes first, whether
// it contracts a*b + c, whether it multiplies by a rounded reciprocal, and whether its reciprocal
// root is one of hardware; `Liberties` picks. A `Bug` takes a liberty that no class grants.
#pragma once

#include <cstdint>
#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::study {

/// The order of every sum, which is what the declared depth is about.
enum class Summation : std::uint8_t {
  sequential,  ///< one sample after the other: depth m
  pairwise,    ///< halves of halves: depth log2 m
  lanes        ///< L lanes that each add up every L-th sample, then a tree: depth m/L + log2 L
};
const char* summation_name(Summation summation);

struct KernelClass {
  int dtype = ABN_F32, accumulate = ABN_F32;
  int statistics = ABN_TWO_PASS;
  bool folded = false;
  Summation summation = Summation::lanes;
  int scheme = ABN_STANDARD;
  int lanes = 32;  ///< of Summation::lanes; a power of two
  std::uint32_t materialises = 0;
  bool apart = false;              ///< folded, with b = beta - (mean*g)*r
  bool narrow_parameters = false;  ///< gamma, beta and statistics have the type of x
  int out_type = -1;               ///< of z and dz, where it is not that of x
  bool without_inverse = false;    ///< its activations have none
};
/// Roundings on the longest path from one of m samples to the sum.
std::int64_t depth_of(const KernelClass& declared, std::int64_t m);
/// What a kernel of this class declares for a problem.
abn_claims claims_of(const KernelClass& declared, const abn_problem& problem);

struct Liberties {
  /// 0 as the formulas are written, 1 factors multiplied beforehand, 2 contracted
  int order = 0;
  bool reciprocals = false;  ///< multiplies by a rounded 1/x instead of dividing
  /// f32 only; not 0: r is 1.5 ulp too small (-1) or too large (+1), within the 2 ulp of hardware
  int root = 0;
  /// CELU: y/alpha in phi and phi' is one of the reciprocals
  bool reciprocal_width = false;
  /// phi' of a y found again, not of z, under every scheme: of ELU and CELU, and where z tells it
  /// of activations without an inverse
  bool derivative_from_y = false;
  /// in place II: dx written in xhat = (y - beta)/g
  bool dx_by_xhat = false;
  /// statistics that are rounded to storage where they are used are saved before that
  bool saves_full_statistics = false;
};

enum class Bug : std::uint8_t {
  none,
  eps_outside_root,
  unbiased_variance,
  biased_running_variance,
  momentum_swapped,
  last_dropped_forward,
  truncated_store,       ///< rounds towards zero
  branch_by_comparison,  ///< z < 0 instead of the sign bit
  slope_not_in_inverse,
  slope_twice,
  xhat_without_beta,
  last_dropped_backward,
  last_dropped_dbeta,
  sum_of_dz,     ///< sum(dz) for sum(dy): no longer self-adjoint
  narrow_sums,   ///< the sums of backward rounded to the storage type after every addition
  missing_rstd,  ///< dx without r
  missing_mean,  ///< dx without sum(dy)/m
  missing_xhat,  ///< dx without xhat sum(dy xhat)/m
  dx_zero,
  dgamma_negated,
  dbeta_halved,
};

struct SimulatedKernel {
  KernelClass declared;
  Liberties free;
  Bug bug = Bug::none;
};

/// Everything that a kernel writes, as stored.
struct KernelOutputs {
  problem::Saved saved;
  /// training, where there are running averages; else empty
  std::vector<double> running_mean, running_var;
  std::vector<double> dx, dgamma, dbeta;
  const std::vector<double>& of(compare::Output output) const;
};

}  // namespace abn::verify::study
