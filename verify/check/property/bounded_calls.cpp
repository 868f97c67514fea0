// Calls with their expectations, and the small parts that properties are made of.
#include "verify/check/property/bounded_calls.hpp"

#include <fmt/format.h>

#include "verify/expect/expect.hpp"
#include "verify/judge/kink.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::property {
namespace {

void add(Outputs& outputs, compare::Output output, std::vector<double> got,
         std::vector<compare::Expectation>& expected, bool bounded) {
  if (got.empty()) return;
  Result result{output, std::move(got), {}};
  result.expected.output = output;
  if (auto* const found = compare::find_output(expected, output))
    result.expected = std::move(*found);
  if (bounded && result.expected.points.size() != result.got.size())
    throw std::logic_error(fmt::format("{} has {} expectations and {} values",
                                       compare::output_name(output), result.expected.points.size(),
                                       result.got.size()));
  outputs.results.push_back(std::move(result));
}

}  // namespace

const Result& Outputs::operator[](compare::Output output) const {
  if (const Result* const found = compare::find_output(results, output)) return *found;
  throw std::logic_error(fmt::format("there is no {}", compare::output_name(output)));
}

bool Outputs::has(compare::Output output) const {
  return compare::find_output(results, output) != nullptr;
}

abn_claims BoundedCalls::claims(const abn_problem& problem) const {
  const problem::Claimed claimed = problem::claims_of(*subject_.variant, problem);
  if (claimed.status != ABN_OK)
    throw NotSupported(
        fmt::format("{} does not support {}", subject_.variant->name, problem::to_string(problem)));
  if (!claimed.nonsense.empty()) throw std::runtime_error(claimed.nonsense);
  return claimed.claims;
}

Outputs BoundedCalls::forward(const problem::Inputs& inputs, Bounds bounds, bool in_place,
                              std::uint64_t schedule) const {
  const abn_claims claimed = claims(inputs.problem);
  const call::Evaluator evaluator(subject_, claimed, seed_);
  call::ForwardNumbers numbers = evaluator.forward(inputs, in_place, schedule);
  std::vector<compare::Expectation> expected;
  if (bounds != Bounds::none) expected = expect::expect_forward(inputs, claimed);
  Outputs out;
  out.problem = inputs.problem;
  out.saved = evaluator.saved(inputs.problem, numbers);
  const bool bounded = bounds != Bounds::none;
  add(out, compare::Output::z, std::move(numbers.z), expected, bounded);
  add(out, compare::Output::xhat, std::move(numbers.xhat), expected, bounded);
  add(out, compare::Output::mean, std::move(numbers.mean), expected, bounded);
  add(out, compare::Output::variance, std::move(numbers.variance), expected, bounded);
  add(out, compare::Output::running_mean, std::move(numbers.running_mean), expected, bounded);
  add(out, compare::Output::running_var, std::move(numbers.running_var), expected, bounded);
  return out;
}

Outputs BoundedCalls::backward(const problem::Inputs& inputs, const problem::Saved& saved,
                               Bounds bounds, bool in_place, std::uint64_t schedule) const {
  const abn_claims claimed = claims(inputs.problem);
  call::BackwardNumbers numbers =
      call::Evaluator(subject_, claimed, seed_).backward(inputs, saved, in_place, schedule);
  std::vector<compare::Expectation> expected;
  if (bounds == Bounds::stored)
    expected =
        expect::expect_backward(inputs, saved, judge::with_kink(inputs, saved, claimed, numbers));
  if (bounds == Bounds::truth) expected = expect::expect_gradient(inputs, claimed);
  Outputs out;
  out.problem = inputs.problem;
  const bool bounded = bounds != Bounds::none;
  add(out, compare::Output::dx, std::move(numbers.dx), expected, bounded);
  add(out, compare::Output::dgamma, std::move(numbers.dgamma), expected, bounded);
  add(out, compare::Output::dbeta, std::move(numbers.dbeta), expected, bounded);
  return out;
}

bool is_ordinary(const compare::Point& point, int dtype) {
  constexpr double headroom = 4;  // a relation may double a value and its error
  return (point.rule == compare::Rule::bounded || point.rule == compare::Rule::signed_bounded) &&
         std::isfinite(point.hi) && std::isfinite(point.bound) &&
         std::abs(point.hi) + point.bound < problem::format_of(dtype).largest / headroom;
}

Finding& finding_of(Examination& examination, compare::Output output, int dtype) {
  for (Finding& one : examination.findings)
    if (one.expected.output == output && one.what.empty()) return one;
  Finding made;
  made.expected.output = output;
  made.expected.dtype = dtype;
  made.by_channel = !compare::is_tensor(output);
  examination.findings.push_back(std::move(made));
  return examination.findings.back();
}

Finding& finding_of(Examination& examination, compare::Output output, const char* what,
                    bool by_channel) {
  Finding made;
  made.expected.output = output;
  made.expected.dtype = ABN_F64;
  made.what = what;
  made.by_channel = by_channel;
  examination.findings.push_back(std::move(made));
  return examination.findings.back();
}

void show_elements(Examination& examination, const char* name, const std::vector<double>& values) {
  examination.used.push_back({name, values, Used::Per::element});
}

void show_channels(Examination& examination, const char* name, const std::vector<double>& values) {
  examination.used.push_back({name, values, Used::Per::channel});
}

void show_problem(Examination& examination, const char* name, double value) {
  examination.used.push_back({name, {value}, Used::Per::problem});
}

void show_no_affine(Examination& examination) {
  for (const char* const name : {"gamma", "beta"}) show_channels(examination, name, {});
}

void expect_near(Examination& examination, Finding& finding, std::int64_t index, long double exact,
                 double bound, double got) {
  if (!std::isfinite(bound) || !std::isfinite(exact)) {
    ++examination.left_out;
    return;
  }
  compare::Point point;
  point.hi = static_cast<double>(exact);
  point.lo = static_cast<double>(exact - static_cast<long double>(point.hi));
  point.bound = point.fit_bound = bound + own_underflow;
  finding.expected.points.push_back(point);
  finding.got.push_back(got);
  finding.index.push_back(index);
}

int dtype_of(const abn_problem& problem, compare::Output output) {
  return output == compare::Output::z ? problem::out_type_of(problem)
         : compare::is_tensor(output) ? problem.dtype
                                      : problem.param_dtype;
}

double scale_of(const problem::Inputs& inputs, std::int64_t c) {
  if (!inputs.affine || inputs.unit_scale) return 1;
  const double gamma = inputs.gamma[static_cast<std::size_t>(c)];
  return inputs.problem.scale == ABN_SCALE_ABS_EPS ? std::abs(gamma) + inputs.problem.eps : gamma;
}

double beta_of(const problem::Inputs& inputs, std::int64_t c) {
  return inputs.affine ? inputs.beta[static_cast<std::size_t>(c)] : 0;
}

double dgamma_sign(const problem::Inputs& inputs, std::int64_t c) {
  return inputs.affine && inputs.problem.scale == ABN_SCALE_ABS_EPS &&
                 inputs.gamma[static_cast<std::size_t>(c)] < 0
             ? -1
             : 1;
}

long double activate(const abn_problem& problem, long double y) {
  return problem::phi_of(problem).value(y);
}

double lipschitz(const abn_problem& problem) { return problem::phi_of(problem).stretch(); }

bool statistics_fit(const Outputs& forward, std::int64_t c) {
  return forward.problem.mode != ABN_TRAINING || statistics_of(forward, c).usable;
}

ChannelStatistics statistics_of(const Outputs& forward, std::int64_t c) {
  const auto at = static_cast<std::size_t>(c);
  const compare::Point &mean = forward[compare::Output::mean].expected.points[at],
                       &variance = forward[compare::Output::variance].expected.points[at];
  ChannelStatistics out;
  const int dtype = forward.problem.param_dtype;
  if (!is_ordinary(mean, dtype) || !is_ordinary(variance, dtype)) return out;
  out.mean = static_cast<long double>(mean.hi) + mean.lo;
  out.variance = static_cast<long double>(variance.hi) + variance.lo;
  const long double sum = out.variance + forward.problem.eps;
  out.usable = sum > 0;
  if (out.usable) out.r = 1 / std::sqrt(sum);
  return out;
}

}  // namespace abn::verify::check::property
