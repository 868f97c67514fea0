// Expectations: the oracle's values, channel by channel, with the bounds of what a variant declares and of what is recommended.
//
// Which precision a problem needs is decided before it is evaluated: the oracle's own error obeys the same formulas as the
// bounds it judges by, with its own u and sequential sums, so their ratio is known from the coefficients (oracle_share). For
// float and narrower accumulators it is 2^-40 m/h; for double accumulators 2^-11 m/h in long double, which is why most of
// those go to 50 digits (2^-115 m/h). No m makes 100 digits necessary.
#include "verify/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "verify/bound_backward.hpp"
#include "verify/format.hpp"
#include "verify/oracle_channel.hpp"
#include "verify/problem.hpp"

namespace abn::verify {
namespace {

constexpr double largest_oracle_share = 0.01;

struct Judges {
  Tier tier = Tier::long_double;
  Arithmetic declared, recommended;
};

Judges judges_of(const abn_problem& problem, const abn_claims& claims) {
  Judges judges{Tier::long_double, arithmetic_of(problem, claims), recommended_arithmetic(problem, claims)};
  const Arithmetic own = oracle_arithmetic(problem, claims, static_cast<int>(Tier::long_double));
  // A 64-bit mantissa also is too short for the value itself where the output has 53 bits.
  const bool enough = std::fmax(oracle_share(own, judges.declared), oracle_share(own, judges.recommended)) <= largest_oracle_share;
  if (problem.dtype == ABN_F64 || !enough) judges.tier = Tier::real50;
  return judges;
}

ChannelParameters parameters_of(const Inputs& inputs, std::size_t c) {
  const abn_problem& p = inputs.problem;
  ChannelParameters out{p.activation, p.activation_parameter, 1, 0, p.eps, p.momentum, false};
  if (!inputs.affine) return out;
  out.gamma = inputs.gamma[c];
  out.beta = inputs.beta[c];
  out.abs_eps = p.scale == ABN_SCALE_ABS_EPS;
  return out;
}

void gather(const abn_problem& p, const std::vector<double>& tensor, std::int64_t c, std::vector<double>& out) {
  const std::int64_t m = p.n * p.s;
  out.resize(static_cast<std::size_t>(m));
  if (p.layout == ABN_NHWC) {
    const double* from = tensor.data() + c;
    for (double& value : out) value = *from, from += p.c;
    return;
  }
  double* to = out.data();
  for (std::int64_t n = 0; n < p.n; ++n, to += p.s) {
    const double* from = tensor.data() + (n * p.c + c) * p.s;
    std::copy(from, from + p.s, to);
  }
}

void require(std::size_t size, std::size_t expected, const char* what) {
  if (size != expected)
    throw std::invalid_argument(std::string("The oracle was given ") + std::to_string(size) + " values of " + what + " instead of " + std::to_string(expected) +
                                "; pass every tensor with N*C*S and every vector with C elements.");
}

void check_inputs(const Inputs& inputs, bool needs_x) {
  const auto channels = static_cast<std::size_t>(inputs.problem.c);
  if (needs_x || !inputs.x.empty()) require(inputs.x.size(), static_cast<std::size_t>(element_count(inputs.problem)), "x");
  if (inputs.affine) {
    require(inputs.gamma.size(), channels, "gamma");
    require(inputs.beta.size(), channels, "beta");
  }
  // A training step may be judged without running averages.
  const bool skipped = inputs.problem.mode == ABN_TRAINING && inputs.running_mean.empty() && inputs.running_var.empty();
  if (skipped) return;
  require(inputs.running_mean.size(), channels, "running_mean");
  require(inputs.running_var.size(), channels, "running_var");
}

ChannelNumbers numbers_of(const abn_problem& p, const ChannelParameters& parameters, double mean, double variance, double r, double g) {
  ChannelNumbers out;
  out.m = static_cast<double>(sample_count(p));
  out.mean = mean;
  out.variance = variance;
  out.g = g;
  out.beta = parameters.beta;
  out.eps = parameters.eps;
  out.r = r;
  out.activation = parameters.activation;
  out.parameter = parameters.parameter;
  out.abs_eps = parameters.abs_eps;
  return out;
}

// A and D of the batch statistics.
void add_moments(ChannelNumbers& c, const std::vector<double>& x, const std::vector<double>& xhat) {
  double sum = 0, deviations = 0;
  for (const double value : x) sum += std::fabs(value);
  for (const double value : xhat) deviations += std::fabs(value);
  c.mean_abs = sum / c.m;
  c.mean_abs_deviation = c.r < infinity ? deviations / (c.m * c.r) : 0;
}

double condition_of_variance(double mean, double variance) { return std::sqrt(1 + mean * mean / variance); }

Expectation blank(Output output, const abn_problem& p) {
  Expectation out;
  out.output = output;
  out.dtype = is_tensor(output) ? p.dtype : p.param_dtype;
  out.points.resize(static_cast<std::size_t>(is_tensor(output) ? element_count(p) : p.c));
  out.channels.resize(static_cast<std::size_t>(p.c));
  return out;
}

void set_value(Point& point, const Wide& value) {
  point.hi = value.hi;
  point.lo = value.lo;
}

// A finite expectation with its bounds, or `rule_if_not` where the exact value is NaN or infinite.
void set_point(Point& point, const Wide& value, const Terms& declared, const Total& recommended, Rule rule_if_not) {
  set_value(point, value);
  if (!std::isfinite(value.hi)) {
    point.rule = rule_if_not;
    return;
  }
  set_bound(point, declared);
  point.fit_bound = fit_bound_of(recommended);
}

Wide element(const WideVector& values, std::size_t i) { return {values.hi[i], values.lo[i]}; }

// ---- forward ------------------------------------------------------------------------------------

struct ForwardExpectations {
  Expectation z, xhat, mean, variance, running_mean, running_var;
};

template <class Error>
struct ForwardStatistics {
  Error mean{}, variance{}, running_mean{}, running_var{};
};

template <class Error>
ForwardStatistics<Error> statistics_errors(const Arithmetic& a, const ChannelNumbers& c, const StatisticsError& s, const ForwardInput& in) {
  ForwardStatistics<Error> out;
  const double mean = std::fabs(c.mean), p = std::fabs(in.parameters.momentum), unbiased = c.m / (c.m - 1);
  out.mean[Term::mean] += s.mean;
  out.mean[Term::materialised] += s.mean_materialised;
  out.mean[Term::storage] += a.store_parameter(mean + out.mean.total());
  out.variance[Term::variance] += s.variance;
  out.variance[Term::materialised] += s.variance_materialised;
  out.variance[Term::storage] += a.store_parameter(c.variance + out.variance.total());
  const auto running = [&](Error& e, Term term, double old, double value, double factor, const Error& batch, double roundings) {
    e.add(p * factor, batch);  // with its storage: the stored statistic may be the one that is averaged
    e[term] += roundings * a.u * p * std::fabs(value);
    e[Term::arithmetic] += running_error(a, in.parameters.momentum, old, value, 0);
    e[Term::storage] += a.store_parameter(std::fabs((1 - in.parameters.momentum) * old + in.parameters.momentum * value) + e.total());
  };
  running(out.running_mean, Term::mean, in.running_mean, c.mean, 1, out.mean, 0);
  running(out.running_var, Term::variance, in.running_var, c.variance * unbiased, unbiased, out.variance, unbiased_roundings + a.count_roundings);
  return out;
}

struct ForwardScratch {
  ForwardInput in;
  ForwardValues values;
};

// Everything of channel c; writes to that channel's points only.
void forward_channel(const Inputs& inputs, const Judges& judges, std::int64_t c, ForwardScratch& scratch, ForwardExpectations& out) {
  const abn_problem& p = inputs.problem;
  const auto channel = static_cast<std::size_t>(c);
  const bool training = p.mode == ABN_TRAINING;
  ForwardInput& in = scratch.in;
  ForwardValues& v = scratch.values;
  in.parameters = parameters_of(inputs, channel);
  const bool averages = !inputs.running_mean.empty();
  in.running_mean = averages ? inputs.running_mean[channel] : 0;
  in.running_var = averages ? inputs.running_var[channel] : 0;
  in.statistics = {!training, in.running_mean, in.running_var};
  gather(p, inputs.x, c, in.x);
  forward_values(judges.tier, in, v);

  ChannelNumbers numbers = numbers_of(p, in.parameters, v.mean.hi, v.variance.hi, v.r, v.g);
  if (training) add_moments(numbers, in.x, v.xhat.hi);
  const auto statistics = [&](const Arithmetic& a) { return training ? batch_statistics_error(a, numbers) : given_statistics_error(a, numbers, true); };
  const StatisticsError declared = statistics(judges.declared), recommended = statistics(judges.recommended);
  const ForwardBound<Terms> bound(judges.declared, numbers, declared);
  const ForwardBound<Total> fit(judges.recommended, numbers, recommended);

  // Non-finite data spoil a training channel whole; elsewhere each element has its class.
  const bool spoiled = training && !(std::isfinite(v.mean.hi) && std::isfinite(v.variance.hi) && std::isfinite(v.r) && std::isfinite(v.g) && std::isfinite(numbers.beta));
  const Rule otherwise = training ? Rule::any_nonfinite : Rule::same_class;
  for (std::size_t i = 0; i < in.x.size(); ++i) {
    const auto at = static_cast<std::size_t>(sample_offset(p, c, static_cast<std::int64_t>(i)));
    const double x = in.x[i], y = v.y[i], xhat = v.xhat.hi[i];
    Point& z = out.z.points[at];
    if (spoiled) {
      set_value(z, element(v.z, i));
      z.rule = Rule::any_nonfinite;
    } else {
      Terms y_error{};
      Total y_fit{};
      if (std::isfinite(y)) {  // y = -infinity is exact in any arithmetic, and ELU makes it finite again
        y_error = bound.y(x, xhat, y);
        y_fit = fit.y(x, xhat, y);
      }
      Terms z_error = bound.z(y_error, y, v.z.hi[i]);
      Total z_fit = fit.z(y_fit, y, v.z.hi[i]);
      z_error[Term::storage] += judges.declared.store(std::fabs(v.z.hi[i]) + z_error.total());
      z_fit[Term::storage] += judges.recommended.store(std::fabs(v.z.hi[i]) + z_fit.total());
      set_point(z, element(v.z, i), z_error, z_fit, otherwise);
      // The backward reads the sign of z; where y may be on either side of 0 it is anyone's.
      const double doubt = y_error.total();
      if (p.activation == ABN_LEAKY_RELU && z.rule == Rule::bounded && (std::fabs(y) > doubt || doubt == 0)) z.rule = Rule::signed_bounded;
    }
    if (!out.xhat.points.empty()) {
      Point& point = out.xhat.points[at];
      set_value(point, element(v.xhat, i));
      if (spoiled) {
        point.rule = Rule::any_nonfinite;
      } else {
        Terms error = bound.xhat(x, xhat);
        Total error_fit = fit.xhat(x, xhat);
        error[Term::storage] += judges.declared.store(std::fabs(xhat) + error.total());
        error_fit[Term::storage] += judges.recommended.store(std::fabs(xhat) + error_fit.total());
        set_point(point, element(v.xhat, i), error, error_fit, otherwise);
      }
    }
  }
  ChannelFacts facts;
  facts.kappa = condition_of_variance(numbers.mean, numbers.variance);
  facts.beta_over_g = std::fabs(numbers.beta) / std::fabs(numbers.g);
  for (Expectation* e : {&out.z, &out.xhat, &out.mean, &out.variance, &out.running_mean, &out.running_var})
    if (!e->channels.empty()) e->channels[channel] = facts;
  if (!training) return;
  const auto wide = statistics_errors<Terms>(judges.declared, numbers, declared, in);
  const auto narrow = statistics_errors<Total>(judges.recommended, numbers, recommended, in);
  set_point(out.mean.points[channel], v.mean, wide.mean, narrow.mean, Rule::any_nonfinite);
  set_point(out.variance.points[channel], v.variance, wide.variance, narrow.variance, Rule::any_nonfinite);
  if (!averages) return;
  set_point(out.running_mean.points[channel], v.running_mean, wide.running_mean, narrow.running_mean, Rule::any_nonfinite);
  set_point(out.running_var.points[channel], v.running_var, wide.running_var, narrow.running_var, Rule::any_nonfinite);
}

// ---- backward -----------------------------------------------------------------------------------

struct BackwardScratch {
  BackwardInput in;
  BackwardValues values;
  std::vector<double> x;
};

struct BackwardExpectations {
  Expectation dx, dgamma, dbeta;
};

bool in_place(const abn_claims& claims) { return claims.scheme == ABN_IN_PLACE_1 || claims.scheme == ABN_IN_PLACE_2; }

Source source_of(const abn_claims& claims) {
  switch (claims.scheme) {
    case ABN_STANDARD: return Source::x_and_z;
    case ABN_CHECKPOINT_X: return Source::x;
    case ABN_CHECKPOINT_XHAT: return Source::xhat;
    default: return Source::z;
  }
}

// ELU: a stored z that cannot be inverted is the next one that can.
void lift_saturated(std::vector<double>& z, const abn_problem& p) {
  if (p.activation != ABN_ELU) return;
  const double lowest = next_above(format_of(p.dtype), -p.activation_parameter);
  for (double& value : z)
    if (value <= -p.activation_parameter) value = lowest;
}

BackwardPlan plan_of(const Arithmetic& a, const ChannelNumbers& numbers, const abn_problem& p, const abn_claims& claims, bool end_to_end, bool batch) {
  const bool training = p.mode == ABN_TRAINING;
  BackwardPlan plan;
  plan.scheme = claims.scheme;
  plan.end_to_end = end_to_end;
  if (p.activation == ABN_ELU) plan.smallest_gap = next_above(format_of(p.dtype), -p.activation_parameter) + p.activation_parameter;
  if (!training) {
    plan.forward = plan.backward = given_statistics_error(a, numbers, true);
  } else if (end_to_end) {
    plan.forward = plan.backward = batch_statistics_error(a, numbers);
    plan.backward.mean += a.store_parameter(std::fabs(numbers.mean));
    plan.backward.variance += a.store_parameter(numbers.variance);
  } else {
    plan.backward = batch ? batch_statistics_error(a, numbers) : given_statistics_error(a, numbers, false);
  }
  return plan;
}

// Everything of channel c; writes to that channel's points only. `saved` is null for the true gradient.
void backward_channel(const Inputs& inputs, const Saved* saved, const abn_claims& claims, const Judges& judges, std::int64_t c, BackwardScratch& scratch,
                      BackwardExpectations& out) {
  const abn_problem& p = inputs.problem;
  const auto channel = static_cast<std::size_t>(c);
  const bool training = p.mode == ABN_TRAINING;
  BackwardInput& in = scratch.in;
  BackwardValues& v = scratch.values;
  in.parameters = parameters_of(inputs, channel);
  in.source = saved == nullptr ? Source::x : source_of(claims);
  in.frozen = !training;
  gather(p, inputs.dz, c, in.dz);
  const bool reads_x = in.source == Source::x || in.source == Source::x_and_z;
  if (reads_x) gather(p, inputs.x, c, in.x);
  if (in.source == Source::z || in.source == Source::x_and_z) {
    gather(p, saved->z, c, in.z);
    lift_saturated(in.z, p);
  }
  if (in.source == Source::xhat) gather(p, saved->xhat, c, in.xhat);
  bool batch = false;  // the kernel has to find the statistics again
  if (!training) {
    in.statistics = {true, inputs.running_mean[channel], inputs.running_var[channel]};
  } else if (saved == nullptr) {
    in.statistics = {};
  } else {
    batch = reads_x && (saved->mean.empty() || saved->variance.empty());
    in.statistics = batch ? GivenStatistics{} : GivenStatistics{true, saved->mean.empty() ? 0 : saved->mean[channel], saved->variance[channel]};
  }
  backward_values(judges.tier, in, v);

  ChannelNumbers numbers = numbers_of(p, in.parameters, v.mean.hi, v.variance.hi, v.r, v.g);
  if (!in.statistics.given) add_moments(numbers, in.x, v.xhat);
  const BackwardPlan plan = plan_of(judges.declared, numbers, p, claims, saved == nullptr, batch);
  const BackwardPlan fit_plan = plan_of(judges.recommended, numbers, p, claims, saved == nullptr, batch);
  const BackwardErrors<Terms> declared = BackwardBound<Terms>(judges.declared, numbers, plan, in, v).errors();
  const BackwardErrors<Total> recommended = BackwardBound<Total>(judges.recommended, numbers, fit_plan, in, v).errors();

  // One element that is not finite reaches every dx of a training channel through the sums.
  const bool spoiled = training && !(std::isfinite(v.s0) && std::isfinite(v.s1) && std::isfinite(v.r) && std::isfinite(v.g));
  const Rule otherwise = training ? Rule::any_nonfinite : Rule::same_class;
  for (std::size_t i = 0; i < in.dz.size(); ++i) {
    Point& point = out.dx.points[static_cast<std::size_t>(sample_offset(p, c, static_cast<std::int64_t>(i)))];
    set_point(point, element(v.dx, i), declared.dx[i], recommended.dx[i], otherwise);
    if (spoiled) point.rule = Rule::any_nonfinite;
  }
  set_point(out.dbeta.points[channel], v.dbeta, declared.dbeta, recommended.dbeta, Rule::any_nonfinite);
  set_point(out.dgamma.points[channel], v.dgamma, declared.dgamma, recommended.dgamma, Rule::any_nonfinite);
  if (in_place(claims) && v.g == 0) out.dgamma.points[channel].rule = Rule::any_finite;

  ChannelFacts facts;
  double mean = v.mean.hi;
  if (!training) {
    mean = inputs.running_mean[channel];
  } else if (!reads_x && !inputs.x.empty()) {
    gather(p, inputs.x, c, scratch.x);
    mean = 0;
    for (const double x : scratch.x) mean += x / numbers.m;
  }
  facts.kappa = condition_of_variance(mean, numbers.variance);
  facts.beta_over_g = std::fabs(numbers.beta) / std::fabs(numbers.g);
  double sum_abs = 0;
  for (const double dy : v.dy) sum_abs += std::fabs(dy);
  facts.sum_condition = sum_abs == 0 ? 1 : sum_abs / std::fabs(v.s0);
  for (Expectation* e : {&out.dx, &out.dgamma, &out.dbeta}) e->channels[channel] = facts;
}

// Is it the inversion that drowns the signal? True where for more than half of the elements the bound exceeds the largest value
// of their channel, and inversion is its largest term.
void mark_limited_by_method(Expectation& e, const abn_problem& p) {
  const std::int64_t per_channel = is_tensor(e.output) ? sample_count(p) : 1;
  const auto at = [&](std::int64_t c, std::int64_t i) -> const Point& {
    return e.points[static_cast<std::size_t>(is_tensor(e.output) ? sample_offset(p, c, i) : c)];
  };
  std::int64_t drowned = 0;
  for (std::int64_t c = 0; c < p.c; ++c) {
    double largest = 0;
    for (std::int64_t i = 0; i < per_channel; ++i) largest = std::fmax(largest, std::fabs(at(c, i).hi));
    for (std::int64_t i = 0; i < per_channel; ++i) {
      const Point& point = at(c, i);
      if (point.rule != Rule::bounded || !(point.bound > largest)) continue;
      drowned += point.share[static_cast<std::size_t>(Term::inversion)] >= *std::max_element(point.share.begin(), point.share.end());
    }
  }
  e.method_limited = 2 * drowned > p.c * per_channel;
}

std::vector<Expectation> backward(const Inputs& inputs, const Saved* saved, const abn_claims& claims) {
  const abn_problem& p = inputs.problem;
  if (element_count(p) == 0) return {};
  check_inputs(inputs, saved == nullptr || source_of(claims) == Source::x || source_of(claims) == Source::x_and_z);
  require(inputs.dz.size(), static_cast<std::size_t>(element_count(p)), "dz");
  if (p.mode == ABN_INFERENCE) throw std::invalid_argument("Inference has no backward pass; ask for training or frozen mode.");
  const Judges judges = judges_of(p, claims);
  BackwardExpectations out{blank(Output::dx, p), blank(Output::dgamma, p), blank(Output::dbeta, p)};
  BackwardScratch scratch;
  for (std::int64_t c = 0; c < p.c; ++c) backward_channel(inputs, saved, claims, judges, c, scratch, out);
  std::vector<Expectation> all;
  for (Expectation* e : {&out.dx, &out.dgamma, &out.dbeta}) {
    if (in_place(claims)) mark_limited_by_method(*e, p);
    all.push_back(std::move(*e));
  }
  return all;
}

}  // namespace

std::vector<Expectation> expect_forward(const Inputs& inputs, const abn_claims& claims) {
  const abn_problem& p = inputs.problem;
  if (element_count(p) == 0) return {};
  check_inputs(inputs, true);
  const Judges judges = judges_of(p, claims);
  ForwardExpectations out;
  std::vector<Expectation*> asked;
  const auto ask = [&](Expectation& e, Output output) {
    e = blank(output, p);
    asked.push_back(&e);
  };
  ask(out.z, Output::z);
  if (claims.scheme == ABN_CHECKPOINT_XHAT || (claims.saves & ABN_SAVES_XHAT) != 0) ask(out.xhat, Output::xhat);
  if (p.mode == ABN_TRAINING) {
    ask(out.mean, Output::mean);
    ask(out.variance, Output::variance);
    if (!inputs.running_mean.empty()) {
      ask(out.running_mean, Output::running_mean);
      ask(out.running_var, Output::running_var);
    }
  }
  ForwardScratch scratch;
  for (std::int64_t c = 0; c < p.c; ++c) forward_channel(inputs, judges, c, scratch, out);
  std::vector<Expectation> all;
  for (Expectation* e : asked) all.push_back(std::move(*e));
  return all;
}

std::vector<Expectation> expect_backward(const Inputs& inputs, const Saved& saved, const abn_claims& claims) {
  const abn_problem& p = inputs.problem;
  const auto elements = static_cast<std::size_t>(element_count(p)), channels = static_cast<std::size_t>(p.c);
  if (elements == 0) return {};
  const Source source = source_of(claims);
  if (source == Source::z || source == Source::x_and_z) require(saved.z.size(), elements, "the saved z");
  if (source == Source::xhat) require(saved.xhat.size(), elements, "the saved xhat");
  if (p.mode == ABN_TRAINING && (source == Source::z || source == Source::xhat)) require(saved.variance.size(), channels, "the saved variance");
  return backward(inputs, &saved, claims);
}

std::vector<Expectation> expect_gradient(const Inputs& inputs, const abn_claims& claims) { return backward(inputs, nullptr, claims); }

}  // namespace abn::verify
