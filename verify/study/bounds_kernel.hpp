// Right kernels of every declared class, for measuring the bounds: each sum is really done in the
// accumulate type, in the declared order.
//
// A class is what a kernel declares. Within it a kernel is free (verify/bound/bound.hpp): which
// product it takes first, whether it contracts a*b + c, whether it multiplies by a rounded
// reciprocal, and whether its reciprocal root is one of hardware; `Liberties` picks.
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
  lanes        ///< 32 lanes that each add up every 32nd sample, then a tree: depth m/32 + 5
};
const char* summation_name(Summation summation);
/// Roundings on the longest path from one of m samples to the sum.
std::int64_t depth_of(Summation summation, std::int64_t m);

struct KernelClass {
  int dtype = ABN_F32, accumulate = ABN_F32;
  int statistics = ABN_TWO_PASS;
  bool folded = false;
  Summation summation = Summation::lanes;
  int scheme = ABN_STANDARD;
};
/// What a kernel of this class declares for a problem.
abn_claims claims_of(const KernelClass& declared, const abn_problem& problem);

struct Liberties {
  /// 0 as the formulas are written, 1 factors multiplied beforehand, 2 contracted
  int order = 0;
  bool reciprocals = false;  ///< multiplies by a rounded 1/x instead of dividing
  /// f32 only; not 0: r is 1.5 ulp too small (-1) or too large (+1), within the 2 ulp of hardware
  int root = 0;
};

/// Everything that is judged, as stored.
struct KernelOutputs {
  problem::Saved saved;
  std::vector<double> dx, dgamma, dbeta;
  const std::vector<double>& of(compare::Output output) const;
};

/// Forward and backward. The problem is nchw with n = 1, in training or frozen, and no g is 0.
KernelOutputs simulate(const problem::Inputs& inputs, const KernelClass& declared,
                       const Liberties& liberties);

}  // namespace abn::verify::study
