// The full Jacobian of a kernel's own forward, every input element, gamma and beta, against its own backward; f64 storage.
//
// Colouring. Channels are independent, so element i of every channel is perturbed at once, and backward is given a 1 at sample j of every
// channel at once: 2m + 4 forwards and m backwards instead of 2mC + 4C and mC (A. R. Curtis, M. J. D. Powell and J. K. Reid, "On the
// Estimation of Sparse Jacobian Matrices", 1974).
//
// Entry (i, j) is D = (z_j(x + h e_i) - z_j(x - h e_i)) / 2h against dx_i of the cotangent e_j. They may differ by
//   truncation   with d = x - mean, V = v + eps, D = max|d|, q(t) = V + 2 t d_i/m + t^2 (m-1)/m^2 and t added to x_i,
//                  y_j(t) = g (d_j + t (delta_ij - 1/m)) q(t)^(-1/2) + beta,
//                so for complex |t| <= rho with e = 2 rho D/m + rho^2/m <= V/2
//                  |y_j(t) - y_j(0)| <= B_j = |g| [ rho sqrt(2/V) + |d_j| e sqrt(2)/V^(3/2) ]
//                and, phi being analytic off the kink with |phi'| <= s_j there, by Cauchy's estimate the error is at most
//                  s_j B_j h^2/rho^3 / (1 - (h/rho)^2).
//                With frozen statistics B_j = |g| r rho for j = i, and nothing else moves. For gamma and beta likewise with y linear in them.
//   noise        E_j/h, E_j the forward bound of z_j for what the kernel claims (verify/bound_forward.hpp);
//   its place    x +- h are rounded, so the middle is off by u|x|, times |f''| <= 2 s_j B_j/rho^2;
//   backward     |g| r s_j [ k (delta_ij + 1/m) + (k |xhat_i xhat_j| + e_i |xhat_j| + e_j |xhat_i| + e_i e_j)/m ]  (frozen: without 1/m terms)
//                with e_j the error of xhat as backward has it (for in-place from z: (E_j/phi' + roundings)/|g|) and k the relative
//                error of everything else: the root as saved, phi' (for ELU read off z), the sums' depth and 20 operations.
// h is the power of two that balances the first two. Samples that it would carry over the kink are moved away from it first. Outputs that
// stay too near are left out; they are counted, and at more than 1 % of the outputs of a case it is not judged.
#pragma once

#include <string>
#include <vector>

#include "verify/evaluator.hpp"
#include "verify/family.hpp"

namespace abn::verify {

/// Largest m for a Jacobian, and entries m m C: it has as many as that, and takes as many numbers of memory.
inline constexpr std::int64_t most_jacobian_samples = 1024, most_jacobian_entries = std::int64_t{1} << 24;

/// True for the names jacobian_dx, jacobian_dgamma, jacobian_dbeta.
bool is_jacobian(const CheckName& name);

/// The wanted records of these names. The worst entry of each is the witness, with the counts of evaluations beside it.
std::vector<Record> jacobian_records(const Work& work, const Evaluator& evaluator, Inputs inputs);

}  // namespace abn::verify
