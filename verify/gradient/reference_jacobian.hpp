// The full Jacobian of the reference in double, every input of every channel, by central differences with an error bar that is proved.
//
// Colouring: channels are independent, so element i of all channels is perturbed at once (Curtis, Powell and Reid, "On the Estimation
// of Sparse Jacobian Matrices", 1974): 2m evaluations for m C inputs. Here a channel is evaluated at eight points at a time
// (verify/gradient/pack.hpp), four inputs to either side, and backward with eight unit cotangents at a time.
//
// Truncation. With d = x - mean, V = v + eps and t added to x_i, the batch gives exactly
//   y_j(t) = g (d_j + t (delta_ij - 1/m)) q(t)^(-1/2) + beta,   q(t) = V + 2 t d_i/m + t^2 (m-1)/m^2.
// For complex t with |t| <= rho such that |q - V| <= V/2, with D = max|d| and e = 2 rho D/m + rho^2/m >= |q - V|,
//   |y_j(t) - y_j(0)| <= |g| [ rho sqrt(2/V) + |d_j| e sqrt(2)/V^(3/2) ] = B_j
// as |q^(-1/2) - V^(-1/2)| <= |q - V| / (2 (V/2)^(3/2)). Off the kink phi is analytic and |phi'| <= s_j there (1, slope, alpha e^(y+B)), so
// z_j(t) - z_j(0) is at most s_j B_j on the circle of radius rho, and Cauchy's estimate of its Taylor coefficients bounds the error of
//   (z_j(h) - z_j(-h)) / 2h   by   s_j B_j h^2/rho^3 / (1 - (h/rho)^2).
// The same with frozen statistics (B_j = |g| r rho for j = i, else nothing moves), gamma (B_j = rho |xhat_j|) and beta (B_j = rho).
//
// Rounding: (E_+ + E_-)/2h with E the forward's own bound of z (verify/bound_forward.hpp) for the reference's claims, and for the
// backward the errors of xhat and of its products to first order, m + 20 roundings on the longest path.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "reference/backward.hpp"
#include "verify/gradient/pack.hpp"
#include "verify/inputs.hpp"
#include "verify/results.hpp"

namespace abn::verify {

/// The hand-derived gradients of one channel for a cotangent dz: those of reference/backward.hpp, or a test's wrong ones. `recovered` has
/// xhat and y, which no cotangent changes, and room for dy.
using PackBackward = std::function<reference::Gradients<reference::Pack>(
    const reference::Forward<reference::Pack>& forward, const reference::Channel<reference::Pack>& channel,
    const reference::Vector<reference::Pack>& dz, bool frozen, reference::Recovered<reference::Pack>& recovered)>;
reference::Gradients<reference::Pack> standard_backward(const reference::Forward<reference::Pack>& forward,
                                                        const reference::Channel<reference::Pack>& channel,
                                                        const reference::Vector<reference::Pack>& dz, bool frozen,
                                                        reference::Recovered<reference::Pack>& recovered);

/// reference/gradient/f64/LAYOUT/jacobian_dx, jacobian_dgamma, jacobian_dbeta.
std::vector<std::string> reference_jacobian_ids();

/// The records that match the pattern. Of each input the worst of its m derivatives is tallied; `reason` has the counts of evaluations.
/// Samples too near the kink for the step are moved away from it. Throws UsageError for other types than f64 and for inference.
std::vector<Record> check_reference_jacobian(const Inputs& inputs, const std::string& data, std::uint64_t seed, const std::string& pattern,
                                             const PackBackward& backward = standard_backward);

}  // namespace abn::verify
