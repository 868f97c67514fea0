// Central differences of one channel of a forward pass: the steps, and a proved error bar for every
// entry of the Jacobian.
//
// Entry (i, j) is D = (z_j(x + h e_i) - z_j(x - h e_i)) / 2h against dx_i of the cotangent e_j.
// They may differ by
//   truncation   with d = x - mean, V = v + eps, D = max|d|, q(t) = V + 2 t d_i/m + t^2 (m-1)/m^2
//                and t added to x_i,
//                  y_j(t) = g (d_j + t (delta_ij - 1/m)) q(t)^(-1/2) + beta,
//                so for complex |t| <= rho with e = 2 rho D/m + rho^2/m <= V/2, as |q^(-1/2) -
//                V^(-1/2)| <= |q - V| / (2 (V/2)^(3/2)),
//                  |y_j(t) - y_j(0)| <= B_j = |g| [ rho sqrt(2/V) + |d_j| e sqrt(2)/V^(3/2) ]
//                and, phi being analytic off the kink with |phi'| <= s_j there (1, slope, alpha
//                e^(y+B)), z_j(t) - z_j(0) is at most s_j B_j on the circle, and by Cauchy's
//                estimate of its Taylor coefficients the error is at most
//                  s_j B_j h^2/rho^3 / (1 - (h/rho)^2).
//                With frozen statistics B_j = |g| r rho for j = i, and nothing else moves. For
//                gamma and beta likewise with y linear in them.
//   noise        E_j/h, E_j the forward bound of z_j for what the kernel claims
//                (verify/bound/forward.hpp);
//   its place    x +- h are rounded, so the middle is off by u|x|, times |f''| <= 2 s_j B_j/rho^2;
//   backward     |g| r s_j [ k (delta_ij + 1/m)
//                            + (k |xhat_i xhat_j| + e_i |xhat_j| + e_j |xhat_i| + e_i e_j)/m ]
//                (frozen: without the terms with 1/m)
//                with e_j the error of xhat as backward has it (for in-place from z: (E_j/phi' +
//                roundings)/|g|) and k the relative error of everything else: the root as saved,
//                phi' (for ELU read off z), the sums' depth and 20 operations.
// h is the power of two that balances the first two.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "verify/bound/bound.hpp"
#include "verify/check/gradient/kernel_channel.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::check::gradient {

/// The bar of entry (i, j) is same[j] + |xhat_i| with_xhat[j] + e_i with_error[j] + off_middle(i)
/// change[j], and diagonal[j] where i = j: few numbers a sample for m m entries.
struct ChannelDifferences {
  KernelChannel channel;
  bool frozen = false;
  bool judged = false;  ///< finite, with bounds that are
  double rho = 0, step = 0, gamma_step = 0, beta_step = 0;
  /// outputs that a step may carry over the kink, or whose inverse (ELU, saturated) has no finite
  /// bound
  std::vector<char> out;
  std::vector<double> same, with_xhat, with_error, change, diagonal;
  std::vector<double> z_error, xhat_error;
  std::vector<double> relative;  ///< k of each output

  std::size_t m() const { return channel.x.size(); }
  double off_middle(std::size_t i) const {
    return 0x1p-53 * (std::fabs(channel.x[i]) + step) * 2 / (rho * rho);
  }
  double dx_bar(std::size_t i, std::size_t j) const;
  /// Of dz_j/dgamma and dz_j/dbeta by points that are `width` apart, against `got`, stored as
  /// `format`.
  double dgamma_bar(std::size_t j, double width, double got, const problem::Format& format) const;
  double dbeta_bar(std::size_t j, double width, double got, const problem::Format& format) const;
  /// False where there is nothing to tell: an in-place kernel cannot know xhat where g = 0, and
  /// |gamma| has no derivative at 0 but the one that is agreed on.
  bool has_dgamma() const {
    return channel.g != 0 && !(channel.parameters.abs_eps && channel.parameters.gamma == 0);
  }
};

/// Steps and bars of channel c in f64 for a kernel of these claims. First moves the samples in
/// `inputs` that a step would carry over the kink away from it.
ChannelDifferences channel_differences(problem::Inputs& inputs, std::int64_t c,
                                       const abn_claims& claims,
                                       const bound::Arithmetic& arithmetic);

}  // namespace abn::verify::check::gradient
