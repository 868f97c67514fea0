// The template of the simulated kernel in every accumulate type: f32 and f64 are the machine's own,
// f16 and bf16 are rounded after every operation.
#include "verify/study/simulate.hpp"

#include "verify/problem/problem.hpp"
#include "verify/study/simulated_backward.hpp"
#include "verify/study/simulated_forward.hpp"

namespace abn::verify::study {
namespace {

template <class A>
void run_forward(const problem::Inputs& inputs, const SimulatedKernel& kernel, KernelOutputs& out) {
  simulated::Channel<A> channel(inputs, kernel);
  for (std::size_t c = 0; c < out.saved.mean.size(); ++c) {
    channel.enter(c);
    simulated::forward(channel, out);
  }
}

template <class A>
void run_backward(const problem::Inputs& inputs, const problem::Saved& saved,
                  const SimulatedKernel& kernel, KernelOutputs& out) {
  simulated::Channel<A> channel(inputs, kernel);
  for (std::size_t c = 0; c < out.dbeta.size(); ++c) {
    channel.enter(c);
    simulated::backward(channel, saved, out);
  }
}

void add_backward(const problem::Inputs& inputs, const problem::Saved& saved,
                  const SimulatedKernel& kernel, KernelOutputs& out) {
  out.dx.resize(static_cast<std::size_t>(problem::element_count(inputs.problem)));
  out.dgamma.resize(static_cast<std::size_t>(inputs.problem.c));
  out.dbeta.resize(out.dgamma.size());
  switch (kernel.declared.accumulate) {
    case ABN_F16:
      return run_backward<simulated::Narrow<ABN_F16>>(inputs, saved, kernel, out);
    case ABN_BF16:
      return run_backward<simulated::Narrow<ABN_BF16>>(inputs, saved, kernel, out);
    case ABN_TF32:
      return run_backward<simulated::Narrow<ABN_TF32>>(inputs, saved, kernel, out);
    case ABN_F32:
      return run_backward<float>(inputs, saved, kernel, out);
    default:
      return run_backward<double>(inputs, saved, kernel, out);
  }
}

void add_forward(const problem::Inputs& inputs, const SimulatedKernel& kernel, KernelOutputs& out) {
  out.saved.z.resize(static_cast<std::size_t>(problem::element_count(inputs.problem)));
  out.saved.xhat.resize(out.saved.z.size());
  out.saved.mean.resize(static_cast<std::size_t>(inputs.problem.c));
  out.saved.variance.resize(out.saved.mean.size());
  if (inputs.problem.mode == ABN_TRAINING && !inputs.running_mean.empty()) {
    out.running_mean.resize(out.saved.mean.size());
    out.running_var.resize(out.saved.mean.size());
  }
  switch (kernel.declared.accumulate) {
    case ABN_F16:
      return run_forward<simulated::Narrow<ABN_F16>>(inputs, kernel, out);
    case ABN_BF16:
      return run_forward<simulated::Narrow<ABN_BF16>>(inputs, kernel, out);
    case ABN_TF32:
      return run_forward<simulated::Narrow<ABN_TF32>>(inputs, kernel, out);
    case ABN_F32:
      return run_forward<float>(inputs, kernel, out);
    default:
      return run_forward<double>(inputs, kernel, out);
  }
}

}  // namespace

KernelOutputs simulate_forward(const problem::Inputs& inputs, const SimulatedKernel& kernel) {
  KernelOutputs out;
  add_forward(inputs, kernel, out);
  return out;
}

KernelOutputs simulate(const problem::Inputs& inputs, const SimulatedKernel& kernel) {
  KernelOutputs out = simulate_forward(inputs, kernel);
  if (inputs.problem.mode != ABN_INFERENCE) add_backward(inputs, out.saved, kernel, out);
  return out;
}

KernelOutputs simulate_backward(const problem::Inputs& inputs, const problem::Saved& saved,
                                const SimulatedKernel& kernel) {
  KernelOutputs out;
  add_backward(inputs, saved, kernel, out);
  return out;
}

}  // namespace abn::verify::study
