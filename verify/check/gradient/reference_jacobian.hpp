// The full Jacobian of the reference in double, every input of every channel, by central
// differences with an error bar that is proved.
//
// Colouring: channels are independent, so element i of all channels is perturbed at once (Curtis,
// Powell and Reid, "On the Estimation of Sparse Jacobian Matrices", 1974): 2m evaluations for m C
// inputs. Here a channel is evaluated at eight points at a time
// (verify/check/gradient/double8.hpp), four inputs to either side, and backward with eight unit
// cotangents at a time.
//
// Steps and bars are those of verify/check/gradient/channel_differences.hpp for the claims of the
// reference in double.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "reference/backward.hpp"
#include "verify/check/gradient/double8.hpp"
#include "verify/problem/inputs.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::check::gradient {

/// The hand-derived gradients of one channel for a cotangent dz: those of reference/backward.hpp,
/// or a test's wrong ones. `recovered` has xhat and y, which no cotangent changes, and room for dy.
using PackBackward = std::function<reference::Gradients<reference::Double8>(
    const reference::Forward<reference::Double8>& forward,
    const reference::Channel<reference::Double8>& channel,
    const reference::Vector<reference::Double8>& dz, bool frozen,
    reference::Recovered<reference::Double8>& recovered)>;
reference::Gradients<reference::Double8> standard_backward(
    const reference::Forward<reference::Double8>& forward,
    const reference::Channel<reference::Double8>& channel,
    const reference::Vector<reference::Double8>& dz, bool frozen,
    reference::Recovered<reference::Double8>& recovered);

/// reference/gradient/f64/LAYOUT/jacobian_dx, jacobian_dgamma, jacobian_dbeta.
std::vector<std::string> reference_jacobian_ids();

/// The records that match the pattern. Of each input the worst of its m derivatives is tallied;
/// `reason` has the counts of evaluations. Samples too near the kink for the step are moved away
/// from it. Throws UsageError for other types than f64 and for inference.
std::vector<results::Record> check_reference_jacobian(
    const problem::Inputs& inputs, const std::string& data, std::uint64_t seed,
    const std::string& pattern, const PackBackward& backward = standard_backward);

}  // namespace abn::verify::check::gradient
