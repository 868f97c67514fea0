// One call an operation, with what came out of it by name.
#include "verify/call/evaluator.hpp"

namespace abn::verify::call {
namespace {

/// Each schedule has its own buffers, too: the seed of its draws.
std::uint64_t seed_of(std::uint64_t seed, std::uint64_t schedule) {
  return seed + 0x9e3779b97f4a7c15u * schedule;
}

CallSettings settings_of(const Draws& draws, bool in_place) {
  return {Poison::nan, draws.poison[0], draws.schedule[0], in_place, {}};
}

void require_success(const Call& call) {
  if (!call.trouble.empty()) throw CallFailed(call.trouble);
}

}  // namespace

ForwardNumbers Evaluator::forward(const problem::Inputs& inputs, bool in_place,
                                  std::uint64_t schedule) const {
  const Caller caller(subject_, inputs, claims_, seed_of(seed_, schedule));
  ++evaluations_.forward;
  const Call call = caller.forward(settings_of(caller.draws(), in_place));
  require_success(call);
  ForwardNumbers numbers;
  if (inputs.x.empty()) return numbers;
  for (const auto& [output, buffer] : call.outputs) {
    std::vector<double> values = call.arena->values(buffer);
    if (output == compare::Output::z)
      numbers.z = std::move(values);
    else if (output == compare::Output::xhat)
      numbers.xhat = std::move(values);
    else if (output == compare::Output::mean)
      numbers.mean = std::move(values);
    else if (output == compare::Output::variance)
      numbers.variance = std::move(values);
    else if (output == compare::Output::invstd)
      numbers.invstd = std::move(values);
    else if (output == compare::Output::running_mean)
      numbers.running_mean = std::move(values);
    else if (output == compare::Output::running_var)
      numbers.running_var = std::move(values);
  }
  return numbers;
}

BackwardNumbers Evaluator::backward(const problem::Inputs& inputs, const problem::Saved& saved,
                                    bool in_place, std::uint64_t schedule) const {
  const Caller caller(subject_, inputs, claims_, seed_of(seed_, schedule));
  ++evaluations_.backward;
  const Call call = caller.backward(settings_of(caller.draws(), in_place), saved);
  require_success(call);
  BackwardNumbers numbers;
  if (inputs.x.empty()) return numbers;
  for (const auto& [output, buffer] : call.outputs) {
    std::vector<double> values = call.arena->values(buffer);
    if (output == compare::Output::dx)
      numbers.dx = std::move(values);
    else if (output == compare::Output::dgamma)
      numbers.dgamma = std::move(values);
    else if (output == compare::Output::dbeta)
      numbers.dbeta = std::move(values);
  }
  return numbers;
}

problem::Saved Evaluator::saved(const abn_problem& problem, const ForwardNumbers& forward) const {
  const auto kept = [&](std::uint32_t flag) { return (claims_.saves & flag) != 0; };
  problem::Saved saved;
  if (kept(ABN_SAVES_Z)) saved.z = forward.z;
  if (kept(ABN_SAVES_XHAT)) saved.xhat = forward.xhat;
  if (problem.mode != ABN_TRAINING) return saved;
  // an empty problem leaves nothing behind; its backward is given zeros
  const bool empty = forward.mean.empty();
  const std::vector<double> zeros(empty ? static_cast<std::size_t>(problem.c) : 0, 0.0);
  if (kept(ABN_SAVES_MEAN)) saved.mean = empty ? zeros : forward.mean;
  if (kept(ABN_SAVES_INVSTD))
    saved.invstd = empty ? zeros : forward.invstd;
  else if (kept(ABN_SAVES_VAR))
    saved.variance = empty ? zeros : forward.variance;
  return saved;
}

}  // namespace abn::verify::call
