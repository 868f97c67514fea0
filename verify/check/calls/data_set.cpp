// The first calls, their expectations, and the comparison of another call with both.
#include "verify/check/calls/data_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "verify/call/evaluator.hpp"
#include "verify/expect/expect.hpp"
#include "verify/judge/judge.hpp"
#include "verify/judge/kink.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::calls {
namespace {

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

void add(std::vector<compare::Stored>& all, compare::Output output, std::vector<double> values) {
  if (!values.empty()) all.push_back({output, std::move(values)});
}

}  // namespace

DataSet::DataSet(const call::Subject& subject, problem::Inputs inputs, const abn_claims& claims,
                 std::uint64_t seed)
    : subject_(subject),
      inputs_(judge::for_oracle(std::move(inputs))),
      claims_(claims),
      seed_(seed) {
  try {
    first_forward();
    if (has_backward()) first_backward();
    complete_ = true;
  } catch (const call::CallFailed& failed) {
    fault_ = failed.what();
    return;
  }
  for (const Direction direction : directions())
    for (const compare::Stored& one : first(direction))
      if (fault_.empty() && tally(one.output, one.values).failed > 0)
        fault_ = fmt::format("{} is not within its bound", compare::output_name(one.output));
}

void DataSet::first_forward() {
  const call::Evaluator evaluator(subject_, claims_, seed_);
  call::ForwardNumbers numbers = evaluator.forward(inputs_);
  saved_ = evaluator.saved(inputs_.problem, numbers);
  add(forward_, compare::Output::mean, std::move(numbers.mean));
  add(forward_, compare::Output::variance, std::move(numbers.variance));
  add(forward_, compare::Output::invstd, std::move(numbers.invstd));
  add(forward_, compare::Output::running_mean, std::move(numbers.running_mean));
  add(forward_, compare::Output::running_var, std::move(numbers.running_var));
  add(forward_, compare::Output::z, std::move(numbers.z));
  add(forward_, compare::Output::xhat, std::move(numbers.xhat));
  expected_ = expect::expect_forward(inputs_, claims_);
}

void DataSet::first_backward() {
  call::BackwardNumbers numbers =
      call::Evaluator(subject_, claims_, seed_).backward(inputs_, saved_);
  const abn_claims claims = judge::with_kink(inputs_, saved_, claims_, numbers);
  for (compare::Expectation& one : expect::expect_backward(inputs_, saved_, claims))
    expected_.push_back(std::move(one));
  add(backward_, compare::Output::dx, std::move(numbers.dx));
  add(backward_, compare::Output::dgamma, std::move(numbers.dgamma));
  add(backward_, compare::Output::dbeta, std::move(numbers.dbeta));
}

std::vector<Direction> DataSet::directions() const {
  return has_backward() ? std::vector{Direction::forward, Direction::backward}
                        : std::vector{Direction::forward};
}

std::string DataSet::obstacle() const {
  return claims_.deterministic == 1 && is_complete() ? std::string() : fault_;
}

call::CallSettings DataSet::settings() const {
  const call::Draws draws = call::draw(inputs_, claims_, seed_);
  return {call::Poison::nan, draws.poison[0], draws.schedule[0], false, {}};
}

call::Call DataSet::call(Direction direction, const call::CallSettings& settings) const {
  const call::Caller caller(subject_, inputs_, claims_, seed_);
  return direction == Direction::forward ? caller.forward(settings)
                                         : caller.backward(settings, saved_);
}

const compare::Expectation* DataSet::expected(compare::Output output) const {
  return compare::find_output(expected_, output);
}

compare::Tally DataSet::tally(compare::Output output, const std::vector<double>& values) const {
  const compare::Expectation* const bounds = expected(output);
  return bounds == nullptr ? compare::Tally{} : compare::compare_all(*bounds, values);
}

bool DataSet::keeps_bounds(const call::Call& call) const {
  return std::all_of(call.outputs.begin(), call.outputs.end(), [&](const auto& one) {
    return tally(one.first, call.arena->values(one.second)).failed == 0;
  });
}

std::optional<call::Contract> DataSet::wrong_in(const char* check, Direction direction,
                                                const call::Call& call, bool bits,
                                                const std::string& what) const {
  const abn_problem& p = inputs_.problem;
  const char* const op = direction == Direction::forward ? "forward" : "backward";
  if (!call.trouble.empty())
    return call::broken(check, call.touched.empty() ? op : call.touched,
                        fmt::format("{}, {} {}", what, op, call.trouble));
  for (call::Contract contract :
       {call::guards_contract({&call}, false, p), call::inputs_contract({&call}, p)})
    if (!contract.reason.empty())
      return call::broken(check, contract.where, fmt::format("{}, {}", what, contract.reason));
  for (const auto& one : call.outputs) {
    const auto output = one.first;  // clang 14 lets no lambda capture a binding
    const auto buffer = one.second;
    const std::vector<double> got = call.arena->values(buffer);
    const compare::Stored* const before = compare::find_output(first(direction), output);
    const auto broken_at = [&](std::size_t element, double wanted, const std::string& how) {
      call::Contract contract = call::broken(
          check,
          problem::place_of(p, compare::output_name(output), compare::is_tensor(output),
                            static_cast<std::int64_t>(element)),
          fmt::format("{}, {} {}", what, compare::output_name(output), how));
      contract.compares = true, contract.expected = wanted, contract.got = got[element];
      const problem::Format& format = call.arena->format(buffer);
      contract.got_bits =
          fmt::format("{:#0{}x}", problem::bits_of(format, got[element]), 2 + 2 * format.bytes);
      return contract;
    };
    if (bits && claims_.deterministic == 1 && before != nullptr) {
      for (std::size_t i = 0; i < got.size(); ++i)
        if (!same(got[i], before->values[i]))
          return broken_at(i, before->values[i], "has other bits than in the first call");
      continue;
    }
    const compare::Tally wrong = tally(output, got);
    if (wrong.failed == 0) continue;
    const auto worst = static_cast<std::size_t>(wrong.worst);
    return broken_at(
        worst, expected(output)->points[worst].hi,
        fmt::format("is above its bound in {} of {} elements", wrong.failed, wrong.elements));
  }
  return std::nullopt;
}

bool has_equal_results(const DataSet& a, const DataSet& b) {
  for (const Direction direction : a.directions()) {
    const auto &of_a = a.first(direction), &of_b = b.first(direction);
    const auto equal = [](const compare::Stored& one, const compare::Stored& other) {
      return std::equal(one.values.begin(), one.values.end(), other.values.begin(),
                        other.values.end(), same);
    };
    for (const compare::Output output : {compare::Output::z, compare::Output::dx}) {
      const auto *const one = compare::find_output(of_a, output), *const other =
                                                                      compare::find_output(of_b,
                                                                                           output);
      if (one != nullptr && other != nullptr && one->values.size() > 1 && equal(*one, *other))
        return true;
    }
  }
  return false;
}

}  // namespace abn::verify::check::calls
