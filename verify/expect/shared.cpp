// The shared parts of verify/expect/shared.hpp.
#include "verify/expect/shared.hpp"

#include <algorithm>
#include <stdexcept>

#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::expect {

EvaluationPlan evaluation_plan(const abn_problem& problem, const abn_claims& claims) {
  EvaluationPlan judges{oracle::Precision::real50, bound::arithmetic_of(problem, claims),
                        bound::recommended_arithmetic(problem, claims)};
  // 64 bits are too short for the value itself where the output has 53
  if (problem.dtype == ABN_F64) return judges;
  for (const oracle::Precision precision :
       {oracle::Precision::long_double, oracle::Precision::binary64}) {
    const bound::Arithmetic own =
        bound::oracle_arithmetic(problem, claims, static_cast<int>(precision));
    if (std::fmax(bound::oracle_share(own, judges.declared),
                  bound::oracle_share(own, judges.recommended)) > largest_oracle_share)
      break;
    judges.precision = precision;
  }
  return judges;
}

oracle::ChannelParameters parameters_of(const problem::Inputs& inputs, std::size_t c) {
  const abn_problem& p = inputs.problem;
  oracle::ChannelParameters out{p.activation, p.activation_parameter, 1, 0, p.eps, p.momentum,
                                false};
  if (!inputs.affine) return out;
  out.gamma = inputs.gamma[c];
  out.beta = inputs.beta[c];
  out.abs_eps = p.scale == ABN_SCALE_ABS_EPS && !inputs.unit_scale;
  return out;
}

void gather(const abn_problem& p, const std::vector<double>& tensor, std::int64_t c,
            std::vector<double>& out) {
  out.resize(static_cast<std::size_t>(problem::sample_count(p)));
  problem::for_each_sample(
      p, c,
      [from = tensor.data(), to = out.data()](std::size_t i, std::size_t at) { to[i] = from[at]; });
}

void require_size(std::size_t size, std::size_t expected, const char* what) {
  if (size != expected)
    throw std::invalid_argument(std::string("The oracle was given ") + std::to_string(size) +
                                " values of " + what + " instead of " + std::to_string(expected) +
                                "; pass every tensor with N*C*S and every vector with C elements.");
}

void check_inputs(const problem::Inputs& inputs, bool needs_x) {
  const auto channels = static_cast<std::size_t>(inputs.problem.c);
  if (needs_x || !inputs.x.empty())
    require_size(inputs.x.size(), static_cast<std::size_t>(problem::element_count(inputs.problem)),
                 "x");
  if (inputs.affine) {
    require_size(inputs.gamma.size(), channels, "gamma");
    require_size(inputs.beta.size(), channels, "beta");
  }
  // A training step may be judged without running averages.
  if (inputs.whole.samples > 0) {
    require_size(inputs.whole.mean.size(), channels, "the mean of all ranks");
    require_size(inputs.whole.variance.size(), channels, "the variance of all ranks");
  }
  const bool skipped = inputs.problem.mode == ABN_TRAINING && inputs.running_mean.empty() &&
                       inputs.running_var.empty();
  if (skipped) return;
  require_size(inputs.running_mean.size(), channels, "running_mean");
  require_size(inputs.running_var.size(), channels, "running_var");
}

bound::ChannelNumbers numbers_of(const abn_problem& p, const oracle::ChannelParameters& parameters,
                                 double mean, double variance, double r, double g) {
  bound::ChannelNumbers out;
  out.m = static_cast<double>(problem::sample_count(p));
  out.mean = mean;
  out.variance = variance;
  out.g = g;
  out.beta = parameters.beta;
  out.eps = parameters.eps;
  out.r = r;
  out.phi = problem::phi_of(parameters.activation, parameters.parameter);
  out.abs_eps = parameters.abs_eps;
  return out;
}

void add_moments(bound::ChannelNumbers& c, const std::vector<double>& x,
                 const std::vector<double>& xhat) {
  double sum = 0, deviations = 0;
  for (const double value : x) sum += std::fabs(value);
  for (const double value : xhat) deviations += std::fabs(value);
  // 0 stands for zeros only
  c.mean_abs =
      bound::larger(sum / c.m, std::fmin(sum, problem::format_of(ABN_F64).smallest_subnormal));
  c.mean_abs_deviation = c.r < bound::infinity ? deviations / (c.m * c.r) : 0;
}

compare::Expectation blank_expectation(compare::Output output, const abn_problem& p,
                                       Detail detail) {
  compare::Expectation out;
  out.output = output;
  out.dtype = !compare::is_tensor(output)    ? p.param_dtype
              : output == compare::Output::z ? problem::out_type_of(p)
                                             : p.dtype;
  out.points.resize(
      static_cast<std::size_t>(compare::is_tensor(output) ? problem::element_count(p) : p.c));
  if (detail == Detail::shares) out.shares.resize(out.points.size());
  out.channels.resize(static_cast<std::size_t>(p.c));
  return out;
}

}  // namespace abn::verify::expect
