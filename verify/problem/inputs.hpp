// The numbers that a kernel is given and those that it keeps for its backward, exactly as stored,
// in double.
#pragma once

#include <vector>

#include "cuda/kernel.h"

namespace abn::verify::problem {

/// Inputs of one case. Tensors have N*C*S elements in the problem's layout, vectors C elements.
/// Every value is representable in its type (storage type for x and dz, parameter type for the
/// rest).
struct Inputs {
  abn_problem problem{};
  bool affine = true;  ///< false: gamma and beta are passed as null and the vectors are empty
  std::vector<double> x, dz;
  std::vector<double> gamma, beta, running_mean, running_var;
};

/// What forward left for backward, read back from the kernel's own buffers; empty where the scheme
/// keeps nothing.
struct Saved {
  std::vector<double> z, xhat;  ///< N*C*S, storage type
  /// C, parameter type (training); frozen mode reads Inputs::running_*
  std::vector<double> mean, variance;
};

}  // namespace abn::verify::problem
