// The plain implementation as one simulated kernel: formulas as they are written, lanes, and the
// tensors that a framework has between two operations.
#include "verify/study/judges_plain.hpp"

#include <utility>

#include "verify/problem/format.hpp"
#include "verify/study/simulate.hpp"

namespace abn::verify::study {
namespace {

SimulatedKernel plain_kernel(const problem::Inputs& inputs, int scheme) {
  SimulatedKernel kernel;
  kernel.declared.accumulate = problem::wide_type_of(inputs.problem.dtype);
  kernel.declared.scheme = scheme;
  kernel.declared.materialises = ABN_MATERIALISES_Y | ABN_MATERIALISES_DY;
  // xhat found again is a tensor of its own; before y it is not
  if (scheme == ABN_IN_PLACE_1) kernel.declared.materialises |= ABN_MATERIALISES_XHAT;
  kernel.free.derivative_from_y = true;
  return kernel;
}

}  // namespace

Numbers plain_forward(const problem::Inputs& inputs) {
  const KernelOutputs got = simulate_forward(inputs, plain_kernel(inputs, ABN_STANDARD));
  Numbers out{{compare::Output::z, got.saved.z}, {compare::Output::xhat, got.saved.xhat}};
  if (inputs.problem.mode == ABN_TRAINING)
    for (const compare::Output output :
         {compare::Output::mean, compare::Output::variance, compare::Output::running_mean,
          compare::Output::running_var})
      out[output] = got.of(output);
  return out;
}

Numbers plain_backward(const problem::Inputs& inputs, const problem::Saved& saved, bool in_place) {
  // A scheme that reads x again may keep no statistics.
  problem::Saved kept = saved;
  const bool from_x = !in_place && saved.xhat.empty();
  if (inputs.problem.mode == ABN_TRAINING &&
      (saved.variance.empty() || (from_x && saved.mean.empty()))) {
    const Numbers again = plain_forward(inputs);
    kept.mean = again.at(compare::Output::mean);
    kept.variance = again.at(compare::Output::variance);
  }
  const int scheme = in_place ? ABN_IN_PLACE_1 : from_x ? ABN_CHECKPOINT_X : ABN_CHECKPOINT_XHAT;
  KernelOutputs got = simulate_backward(inputs, kept, plain_kernel(inputs, scheme));
  return {{compare::Output::dx, std::move(got.dx)},
          {compare::Output::dgamma, std::move(got.dgamma)},
          {compare::Output::dbeta, std::move(got.dbeta)}};
}

}  // namespace abn::verify::study
