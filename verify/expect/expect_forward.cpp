// Expectations of forward: z, xhat, the batch statistics and the running averages.
#include "verify/expect/expect.hpp"

#include <algorithm>
#include <cmath>

#include "verify/bound/forward.hpp"
#include "verify/expect/shared.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::expect {
namespace {

struct ForwardExpectations {
  compare::Expectation z, xhat, mean, variance, invstd, running_mean, running_var;
};

template <class Error>
struct ForwardStatistics {
  Error mean{}, variance{}, invstd{}, running_mean{}, running_var{};
};

template <class Error>
ForwardStatistics<Error> statistics_errors(const bound::Arithmetic& a,
                                           const bound::ChannelNumbers& c,
                                           const bound::StatisticsError& s,
                                           const oracle::ForwardInput& in) {
  ForwardStatistics<Error> out;
  const double mean = std::fabs(c.mean), p = std::fabs(in.parameters.momentum),
               unbiased =
                   a.biased_running || c.divisor() == 1 ? 1 : c.divisor() / (c.divisor() - 1);
  const bool given = c.shards();  // then nothing was found, and nothing is stored before it is used
  out.mean[compare::Term::mean] += s.mean;
  out.mean[compare::Term::materialised] += s.mean_materialised;
  if (!given) out.mean[compare::Term::storage] += a.store_parameter(mean + out.mean.total());
  out.variance[compare::Term::variance] += s.variance;
  out.variance[compare::Term::materialised] += s.variance_materialised;
  if (!given)
    out.variance[compare::Term::storage] += a.store_parameter(c.variance + out.variance.total());
  const bound::RootError root = bound::root_error(a, c, s);
  out.invstd[compare::Term::variance] += bound::times(root.variance, c.r);
  out.invstd[compare::Term::materialised] += bound::times(root.materialised, c.r);
  out.invstd[compare::Term::arithmetic] += bound::times(root.arithmetic, c.r);
  out.invstd[compare::Term::storage] += a.store_parameter(c.r + out.invstd.total());
  const auto running = [&](Error& e, compare::Term term, double old, double value, double factor,
                           const Error& batch, double roundings) {
    // with its storage: the stored statistic may be the one that is averaged
    e.add(p * factor, batch);
    e[term] += roundings * a.u * p * std::fabs(value);
    e[compare::Term::arithmetic] += bound::running_error(a, in.parameters.momentum, old, value, 0);
    e[compare::Term::storage] += a.store_parameter(
        std::fabs((1 - in.parameters.momentum) * old + in.parameters.momentum * value) + e.total());
  };
  running(out.running_mean, compare::Term::mean, in.running_mean, c.mean, 1, out.mean, 0);
  running(out.running_var, compare::Term::variance, in.running_var, c.variance * unbiased, unbiased,
          out.variance, a.biased_running ? 0 : bound::unbiased_roundings + a.count_roundings);
  return out;
}

struct ForwardScratch {
  oracle::ForwardInput in;
  oracle::ForwardValues values;
};

// Everything of channel c; writes to that channel's points only.
template <class Error, class Known>
void forward_channel(const problem::Inputs& inputs, const EvaluationPlan& judges, std::int64_t c,
                     ForwardScratch& scratch, ForwardExpectations& out) {
  const abn_problem& p = inputs.problem;
  const auto channel = static_cast<std::size_t>(c);
  const bool training = p.mode == ABN_TRAINING;
  oracle::ForwardInput& in = scratch.in;
  oracle::ForwardValues& v = scratch.values;
  in.parameters = parameters_of(inputs, channel);
  const bool averages = !inputs.running_mean.empty();
  in.running_mean = averages ? inputs.running_mean[channel] : 0;
  in.running_var = averages ? inputs.running_var[channel] : 0;
  const problem::WholeBatch& whole = inputs.whole;
  const bool sharded = training && whole.samples > 0;
  in.samples = sharded ? whole.samples : 0;
  in.biased_running = judges.declared.biased_running;
  in.statistics = sharded
                      ? oracle::GivenStatistics{true, whole.mean[channel], whole.variance[channel]}
                      : oracle::GivenStatistics{!training, in.running_mean, in.running_var};
  gather(p, inputs.x, c, in.x);
  oracle::forward_values(judges.precision, in, v);

  bound::ChannelNumbers numbers = numbers_of(p, in.parameters, v.mean.hi, v.variance.hi, v.r, v.g);
  if (sharded) numbers.all_samples = whole.samples;
  const bool batch = training && !sharded;
  if (batch) add_moments(numbers, in.x, v.xhat.hi);
  // What a rank goes on with is in the accumulate type; it was rounded to the parameter type when
  // it was written down.
  const auto statistics = [&](const bound::Arithmetic& a) {
    if (batch) return bound::batch_statistics_error(a, numbers);
    bound::StatisticsError e = bound::given_statistics_error(a, numbers, !training);
    if (sharded) {
      e.mean += a.store_parameter(std::fabs(numbers.mean));
      e.variance += a.store_parameter(numbers.variance);
    }
    return e;
  };
  const bound::StatisticsError declared = statistics(judges.declared),
                               recommended = statistics(judges.recommended);
  const bound::ForwardBound<Error, Known> bound(judges.declared, numbers, declared);
  const bound::ForwardBound<bound::Total, Known> fit(judges.recommended, numbers, recommended);

  // Non-finite data spoil a training channel whole; elsewhere each element has its class, also
  // where gamma or beta is not finite.
  const bool spoiled =
      training && !(std::isfinite(v.mean.hi) && std::isfinite(v.variance.hi) && std::isfinite(v.r));
  const bool finite_affine = std::isfinite(v.g) && std::isfinite(numbers.beta);
  const bool by_class = !training || !finite_affine;
  // Finite data whose sums leave every type are no such data; they are an overflow like any other.
  const bool overflown =
      training && declared.overflows &&
      std::all_of(in.x.begin(), in.x.end(), [](double x) { return std::isfinite(x); });
  const compare::Rule unknown = overflown ? compare::Rule::anything : compare::Rule::any_nonfinite,
                      otherwise = by_class ? compare::Rule::same_class : unknown;
  // Sums that overflow, and a variance of nothing but rounding that eps = 0 divides by, leave no
  // promise; with eps > 0 a kernel that makes NaN of a small negative variance is wrong.
  const bool no_promise =
      training &&
      (declared.overflows || (numbers.eps == 0 && bound.root.variance == bound::infinity));
  const auto release = [](compare::Point& point) {
    if (point.rule == compare::Rule::bounded) point.rule = compare::Rule::anything;
  };
  // beyond it z has to be infinite, whatever overflowed first
  const double storage_largest = problem::format_of(problem::out_type_of(p)).largest;
  problem::for_each_sample(p, c, [&](std::size_t i, std::size_t at) {
    const double x = in.x[i], y = v.y[i], xhat = v.xhat.hi[i];
    compare::Point& z = out.z.points[at];
    if (spoiled) {
      set_value(z, element(v.z, i));
      z.rule = unknown;
    } else {
      Error y_error{};
      bound::Total y_fit{};
      // y = -infinity is exact in any arithmetic, and ELU makes it finite again
      if (std::isfinite(y)) {
        y_error = bound.y(x, xhat, y);
        y_fit = fit.y(x, xhat, y);
      }
      Error z_error = bound.z(y_error, y, v.z.hi[i]);
      bound::Total z_fit = fit.z(y_fit, y, v.z.hi[i]);
      z_error[compare::Term::storage] +=
          judges.declared.store_out(std::fabs(v.z.hi[i]) + z_error.total());
      z_fit[compare::Term::storage] +=
          judges.recommended.store_out(std::fabs(v.z.hi[i]) + z_fit.total());
      set_point(out.z, at, element(v.z, i), z_error, z_fit, otherwise);
      // an infinite x, gamma or beta stays one in any arithmetic
      const bool inside =
          std::isfinite(x) && finite_affine && std::fabs(v.z.hi[i]) <= storage_largest;
      if (training ? no_promise : inside && bound.overflows(x, xhat, y)) release(z);
      // g x - g mu of an infinite g is NaN where g (x - mu) is infinite; and so is g times an xhat
      // that may be 0
      const bool doubtful =
          std::isinf(v.g) &&
          (judges.declared.folded ||
           (std::isfinite(xhat) && !(std::fabs(xhat) > bound.xhat(x, xhat).total())));
      if ((no_promise && by_class) || doubtful) z.rule = compare::Rule::anything;
      const problem::Curve* const curve = numbers.phi.curve;
      if (curve != nullptr && curve->weighted && y == -bound::infinity)
        z.rule = compare::Rule::anything;  // 0, or the NaN of infinity times 0
      // The backward reads the sign of z; where y may be on either side of 0 it is anyone's.
      const double doubt = y_error.total();
      if (problem::activation_of(p).shape == problem::BranchShape::straight &&
          z.rule == compare::Rule::bounded && (std::fabs(y) > doubt || doubt == 0))
        z.rule = compare::Rule::signed_bounded;
    }
    if (!out.xhat.points.empty()) {
      compare::Point& point = out.xhat.points[at];
      set_value(point, element(v.xhat, i));
      if (spoiled) {
        point.rule = unknown;
      } else {
        Error error = bound.xhat(x, xhat);
        bound::Total error_fit = fit.xhat(x, xhat);
        error[compare::Term::storage] += judges.declared.store(std::fabs(xhat) + error.total());
        error_fit[compare::Term::storage] +=
            judges.recommended.store(std::fabs(xhat) + error_fit.total());
        set_point(out.xhat, at, element(v.xhat, i), error, error_fit, otherwise);
        if (training ? no_promise : std::isfinite(x) && bound.overflows(x, xhat, y)) release(point);
      }
    }
  });
  compare::ChannelFacts facts;
  facts.kappa = condition_of_variance(numbers.mean, numbers.variance);
  facts.beta_over_g = std::fabs(numbers.beta) / std::fabs(numbers.g);
  for (compare::Expectation* e : {&out.z, &out.xhat, &out.mean, &out.variance, &out.invstd,
                                  &out.running_mean, &out.running_var})
    if (!e->channels.empty()) e->channels[channel] = facts;
  if (!training) return;
  const auto wide = statistics_errors<Error>(judges.declared, numbers, declared, in);
  const auto narrow = statistics_errors<bound::Total>(judges.recommended, numbers, recommended, in);
  const auto set = [&](compare::Expectation& e, const oracle::Wide& value, const Error& error,
                       const bound::Total& fit_error) {
    if (!e.points.empty()) set_point(e, channel, value, error, fit_error, unknown);
  };
  set(out.mean, v.mean, wide.mean, narrow.mean);
  set(out.variance, v.variance, wide.variance, narrow.variance);
  set(out.invstd, v.invstd, wide.invstd, narrow.invstd);
  if (averages) {
    set_point(out.running_mean, channel, v.running_mean, wide.running_mean, narrow.running_mean,
              unknown);
    set_point(out.running_var, channel, v.running_var, wide.running_var, narrow.running_var,
              unknown);
  }
  if (!declared.overflows) return;
  for (compare::Expectation* e :
       {&out.mean, &out.variance, &out.invstd, &out.running_mean, &out.running_var})
    if (!e->points.empty()) release(e->points[channel]);
}

}  // namespace

std::vector<compare::Expectation> expect_forward(const problem::Inputs& inputs,
                                                 const abn_claims& claims, Detail detail) {
  const abn_problem& p = inputs.problem;
  if (problem::element_count(p) == 0) return {};
  check_inputs(inputs, true);
  const EvaluationPlan judges = evaluation_plan(p, claims);
  ForwardExpectations out;
  std::vector<compare::Expectation*> asked;
  const auto ask = [&](compare::Expectation& e, compare::Output output) {
    e = blank_expectation(output, p, detail);
    asked.push_back(&e);
  };
  ask(out.z, compare::Output::z);
  if (claims.scheme == ABN_CHECKPOINT_XHAT || (claims.saves & ABN_SAVES_XHAT) != 0)
    ask(out.xhat, compare::Output::xhat);
  if (p.mode == ABN_TRAINING) {
    // those of all ranks were handed over, and nobody here can say what they should be
    if (inputs.whole.samples == 0) {
      ask(out.mean, compare::Output::mean);
      if ((claims.saves & ABN_SAVES_INVSTD) != 0)
        ask(out.invstd, compare::Output::invstd);
      else
        ask(out.variance, compare::Output::variance);
    }
    if (!inputs.running_mean.empty()) {
      ask(out.running_mean, compare::Output::running_mean);
      ask(out.running_var, compare::Output::running_var);
    }
  }
  ForwardScratch scratch;
  const bool plain = bound::is_plain(judges.declared) && bound::is_plain(judges.recommended);
  const auto channel = detail == Detail::shares
                           ? forward_channel<bound::Terms, bound::AnyArithmetic>
                       : plain ? forward_channel<bound::Total, bound::PlainArithmetic>
                               : forward_channel<bound::Total, bound::AnyArithmetic>;
  for (std::int64_t c = 0; c < p.c; ++c) channel(inputs, judges, c, scratch, out);
  std::vector<compare::Expectation> all;
  for (compare::Expectation* e : asked) all.push_back(std::move(*e));
  return all;
}

}  // namespace abn::verify::expect
