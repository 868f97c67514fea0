// Runs a simulated kernel: forward and backward of every declared class, right or with one bug, for
// studies and for tests of the bounds. Each sum is really done in the accumulate type, in the
// declared order.
#pragma once

#include "verify/problem/inputs.hpp"
#include "verify/study/simulated_kernel.hpp"

namespace abn::verify::study {

/// Forward, and backward of what it kept unless the mode is inference. The storage type is the
/// problem's.
KernelOutputs simulate(const problem::Inputs& inputs, const SimulatedKernel& kernel);
/// Forward alone: what is kept, and the running averages.
KernelOutputs simulate_forward(const problem::Inputs& inputs, const SimulatedKernel& kernel);
/// Backward alone, of what another kernel kept: dx, dgamma and dbeta.
KernelOutputs simulate_backward(const problem::Inputs& inputs, const problem::Saved& saved,
                                const SimulatedKernel& kernel);

}  // namespace abn::verify::study
