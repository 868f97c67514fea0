// The numbers that a kernel is given and those that it keeps for its backward, exactly as stored,
// in double.
#pragma once

#include <vector>

#include "cuda/kernel.h"

namespace abn::verify::problem {

/// What one rank of a batch that is sharded over several knows of all ranks together.
struct WholeBatch {
  double samples = 0;                       ///< of a channel; 0: there is no other rank
  std::vector<double> mean, variance;       ///< as they were used, parameter type
  std::vector<double> sum_dy, sum_dy_xhat;  ///< empty where they are not known
};

/// Inputs of one case. Tensors have N*C*S elements in the problem's layout, vectors C elements.
/// Every value is representable in its type (storage type for x and dz, parameter type for the
/// rest).
struct Inputs {
  abn_problem problem{};
  bool affine = true;  ///< false: gamma and beta are passed as null and the vectors are empty
  std::vector<double> x, dz;
  std::vector<double> gamma, beta, running_mean, running_var;
  /// gamma is null and beta is not: gamma's vector is all ones, and g = 1 under abs_eps too
  bool unit_scale = false;
  /// beta is null and gamma is not: beta's vector is all zeros
  bool zero_shift = false;
  WholeBatch whole{};
};

/// What forward left for backward, read back from the kernel's own buffers; empty where the scheme
/// keeps nothing.
struct Saved {
  std::vector<double> z, xhat;  ///< N*C*S, storage type
  /// C, parameter type (training); frozen mode reads Inputs::running_*
  std::vector<double> mean, variance;
  std::vector<double> invstd{};  ///< 1/sqrt(v + eps) in place of the variance (ABN_SAVES_INVSTD)
  /// the statistics are copies in a narrower type than backward had them in (tensor files)
  bool narrowed = false;
};

}  // namespace abn::verify::problem
