// The two or three calls of each operation, and what follows from comparing them.
#include "verify/call/invocation.hpp"

#include "verify/problem/problem.hpp"

namespace abn::verify::call {
namespace {

std::vector<compare::Stored> stored(const Call& call) {
  std::vector<compare::Stored> all;
  for (const auto& [output, buffer] : call.outputs)
    all.push_back({output, call.arena->values(buffer)});
  return all;
}

const char* difference_means(const Subject& subject) {
  return subject.emulated
             ? "another schedule of threads and blocks, or other bytes in memory that nobody "
               "wrote, gave other bits"
             : "the same call again, with other bytes in memory that nobody wrote, gave other bits";
}

/// The two or three calls of one operation. `call` makes one.
template <class MakeCall>
Operation call_twice(const Subject& subject, const abn_problem& problem, const abn_claims& claims,
                     const Draws& draws, bool may_alias, MakeCall&& call) {
  Operation operation;
  operation.called = true;
  const bool empty = problem::element_count(problem) == 0;
  // With offsets of their own, x and z together may take another path through a kernel than one
  // buffer alone, and round differently.
  const bool in_place = may_alias && draws.placement != Placement::mixed;
  const Call first = call(CallSettings{Poison::nan, draws.poison[0], draws.schedule[0], false, {}});
  const Call second =
      call(CallSettings{Poison::finite, draws.poison[1], draws.schedule[1], in_place, {}});
  std::vector<const Call*> calls{&first, &second};

  Contract status = held("status");
  for (const Call* one : calls)
    if (status.reason.empty() && !(one->trouble.empty() && one->beside.empty())) {
      status.reason = one->trouble.empty() ? one->beside : one->trouble;
      status.where = one->in_place ? "the in-place call" : "the call";
    } else if (status.reason.empty() && !one->arena->settled()) {
      status.reason = "a thread of it wrote into the buffers after the call had returned";
      status.where = one->in_place ? "the in-place call" : "the call";
    }
  operation.usable = first.trouble.empty();
  const bool both = operation.usable && second.trouble.empty();

  Call third;
  if (both && !empty) {
    const bool equal = equal_bits("", first, second, problem, "", nullptr).where.empty();
    if (in_place && (!equal || any_poison(first))) {
      third = call(CallSettings{Poison::finite, draws.poison[1], draws.schedule[1], false, {}});
      calls.push_back(&third);
    }
    const bool has_third = third.arena != nullptr && third.trouble.empty();
    // out of place, like the first
    const Call* const again = has_third ? &third : in_place ? nullptr : &second;
    const auto marks = again != nullptr ? unwritten_in(first, *again) : Marks{};
    operation.contracts.push_back(unwritten_contract(first, marks, problem));
    if (claims.deterministic == 1) {
      const char* const check = repetition_check(subject);
      operation.contracts.push_back(
          again == nullptr
              ? held(check)
              : equal_bits(check, first, *again, problem, difference_means(subject), &marks));
      if (in_place) {
        const char* const means = "in place gave other bits than out of place";
        operation.contracts.push_back(
            has_third ? equal_bits("alias", third, second, problem, means, &marks) : held("alias"));
      }
    } else {
      (in_place ? operation.aliased : operation.repeated) = stored(second);
    }
  }
  operation.contracts.push_back(status);
  operation.contracts.push_back(guards_contract(calls, empty, problem));
  operation.contracts.push_back(inputs_contract(calls, problem));
  if (operation.usable && !empty) operation.outputs = stored(first);
  return operation;
}

std::vector<double> values_of(const std::vector<compare::Stored>& outputs, compare::Output which) {
  const compare::Stored* const found = compare::find_output(outputs, which);
  return found != nullptr ? found->values : std::vector<double>{};
}

}  // namespace

const char* repetition_check(const Subject& subject) {
  return subject.emulated ? "schedule" : "repeat";
}

Invocation invoke(const Subject& subject, const problem::Inputs& inputs, const abn_claims& claims,
                  std::uint64_t seed, bool with_backward) {
  const Caller caller(subject, inputs, claims, seed);
  const abn_problem& problem = inputs.problem;
  Invocation invocation;
  invocation.forward =
      call_twice(subject, problem, claims, caller.draws(), claims.z_may_alias_x == 1,
                 [&](const CallSettings& settings) { return caller.forward(settings); });
  const bool possible = problem.mode != ABN_INFERENCE && inputs.dz.size() == inputs.x.size() &&
                        invocation.forward.usable;
  if (!with_backward || !possible) return invocation;

  const auto kept = [&](std::uint32_t flag) { return (claims.saves & flag) != 0; };
  if (kept(ABN_SAVES_Z))
    invocation.saved.z = values_of(invocation.forward.outputs, compare::Output::z);
  if (kept(ABN_SAVES_XHAT))
    invocation.saved.xhat = values_of(invocation.forward.outputs, compare::Output::xhat);
  if (problem.mode == ABN_TRAINING) {
    // An empty problem leaves nothing behind; its backward is given zeros, which it must not look
    // at either.
    const bool empty = problem::element_count(problem) == 0;
    const auto statistic = [&](compare::Output which) {
      return empty ? std::vector<double>(static_cast<std::size_t>(problem.c), 0.0)
                   : values_of(invocation.forward.outputs, which);
    };
    if (kept(ABN_SAVES_MEAN)) invocation.saved.mean = statistic(compare::Output::mean);
    if (kept(ABN_SAVES_INVSTD))
      invocation.saved.invstd = statistic(compare::Output::invstd);
    else if (kept(ABN_SAVES_VAR))
      invocation.saved.variance = statistic(compare::Output::variance);
  }
  invocation.backward = call_twice(
      subject, problem, claims, caller.draws(), claims.dx_may_alias_dz == 1,
      [&](const CallSettings& settings) { return caller.backward(settings, invocation.saved); });
  return invocation;
}

}  // namespace abn::verify::call
