// The sweep: inputs, calls, and the ratio of every candidate at every channel.
#include "verify/study/conventions_sweep.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <utility>

#include "verify/call/evaluator.hpp"
#include "verify/compare/compare.hpp"
#include "verify/data/random.hpp"
#include "verify/expect/expect.hpp"
#include "verify/expect/shared.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::study::conventions {
namespace {

// v = 1e-6 eps and less would be lost in f16's subnormal numbers
constexpr double smallest_f16_eps = 1e-3;
constexpr std::array<double, 4> gammas{1, -0.75, 0.5, -1.5};
constexpr double momentum = 0.1;

std::optional<abn_problem> first_supported(const abn_variant& variant, const char* scale) {
  for (const char* dtype : {"f32", "f64", "bf16", "f16"})
    for (const char* activation : {"identity", "leaky_relu:0.01", "elu:1"}) {
      abn_problem problem = problem::parse_problem(
          fmt::format("n1c1s{},{},{},{}", sample_counts.back(), dtype, activation, scale));
      const problem::Claimed claimed = problem::claims_of(variant, problem);
      if (claimed.status == ABN_OK && claimed.nonsense.empty()) return problem;
    }
  return std::nullopt;
}

/// One call's worth of channels: v/eps from one end to the other.
struct SweepPoint {
  problem::Inputs inputs;
  std::vector<Real> variance;  ///< exact, biased, of the stored x
};

SweepPoint point_of(abn_problem problem, double eps, std::int64_t m, std::uint64_t seed) {
  const problem::Format& storage = problem::format_of(problem.dtype);
  const problem::Format& parameter = problem::format_of(problem.param_dtype);
  problem.s = m;
  problem.c = highest_exponent - lowest_exponent + 1;
  problem.eps = problem::round_to(parameter, eps);
  problem.momentum = problem::round_to(parameter, momentum);
  SweepPoint point;
  problem::Inputs& in = point.inputs;
  in.problem = problem;
  const auto elements = static_cast<std::size_t>(problem::element_count(problem));
  in.x.resize(elements);
  in.dz.resize(elements);
  const data::Stream root(seed);
  for (std::int64_t c = 0; c < problem.c; ++c) {
    const data::Stream draw =
        root.fork(static_cast<std::uint64_t>(c)).fork(static_cast<std::uint64_t>(m));
    const double sigma =
        std::sqrt(problem.eps * std::pow(10.0, static_cast<double>(lowest_exponent + c)));
    Real sum = 0, squares = 0;
    for (std::int64_t i = 0; i < m; ++i) {
      const auto index = static_cast<std::uint64_t>(i);
      const auto at = static_cast<std::size_t>(problem::sample_offset(problem, c, i));
      // On both sides of the mean, so that two samples are never nearly equal.
      in.x[at] = problem::round_to(storage,
                                   sigma * (i % 2 == 0 ? 1 : -1) * draw.uniform(0.75, 1.25, index));
      in.dz[at] = problem::round_to(storage, draw.fork(1).uniform(-1, 1, index) + 0.25);
      sum += in.x[at];
    }
    const Real mean = sum / static_cast<Real>(m);
    for (std::int64_t i = 0; i < m; ++i) {
      const Real difference =
          in.x[static_cast<std::size_t>(problem::sample_offset(problem, c, i))] - mean;
      squares += difference * difference;
    }
    point.variance.push_back(squares / static_cast<Real>(m));
    in.gamma.push_back(gammas[static_cast<std::size_t>(c) % gammas.size()]);
    in.beta.push_back(0);
    in.running_mean.push_back(0);
    in.running_var.push_back(
        // of v's own size, so that both weights show
        problem::round_to(parameter, 3 * static_cast<double>(point.variance.back())));
  }
  return point;
}

/// Channel c as a problem of its own.
problem::Inputs one_channel(const problem::Inputs& all, std::int64_t c) {
  const auto at = static_cast<std::size_t>(c);
  problem::Inputs one;
  one.problem = all.problem;
  one.problem.c = 1;
  expect::gather(all.problem, all.x, c, one.x);
  expect::gather(all.problem, all.dz, c, one.dz);
  one.gamma = {all.gamma[at]}, one.beta = {all.beta[at]};
  one.running_mean = {all.running_mean[at]}, one.running_var = {all.running_var[at]};
  return one;
}

problem::Saved one_channel(const abn_problem& problem, const problem::Saved& all, std::int64_t c) {
  const auto at = static_cast<std::size_t>(c);
  problem::Saved one;
  if (!all.z.empty()) expect::gather(problem, all.z, c, one.z);
  if (!all.xhat.empty()) expect::gather(problem, all.xhat, c, one.xhat);
  if (!all.mean.empty()) one.mean = {all.mean[at]};
  if (!all.variance.empty()) one.variance = {all.variance[at]};
  if (!all.invstd.empty()) one.invstd = {all.invstd[at]};
  return one;
}

double bound_of(const std::vector<compare::Expectation>& expectations, compare::Output output) {
  const compare::Expectation* const found = compare::find_output(expectations, output);
  if (found == nullptr) return bound::infinity;
  return found->points.front().bound;
}

/// |got - value| over what an error of v and the roundings of a few operations explain.
double ratio_to(double got, Real value, double bound) {
  const double error = std::fabs(static_cast<double>(got - value));
  return error <= bound ? error / bound : std::isnan(error) ? bound::infinity : error / bound;
}
// of v + eps, v m/(m-1), a root or a quotient, and of the value that is stored
constexpr double roundings = 4;

void look_at_channel(Evidence& evidence, const problem::Inputs& all, Real v, std::int64_t c,
                     const call::ForwardNumbers& numbers, const problem::Saved& saved,
                     const call::BackwardNumbers& gradients, const abn_claims& claims) {
  const abn_problem& p = all.problem;
  const auto at = static_cast<std::size_t>(c);
  const Real m = static_cast<Real>(p.s), eps = p.eps;
  const problem::Inputs inputs = one_channel(all, c);
  std::vector<double> z;
  expect::gather(p, numbers.z, c, z);
  // Candidates that come to the same q and g are one: |gamma| of a positive gamma, say.
  std::map<std::pair<double, double>, double> known;
  const auto ratio_of_forward = [&](double eps_of_q, double g) {
    const auto [found, is_new] = known.try_emplace({eps_of_q, g}, 0);
    if (!is_new) return found->second;
    problem::Inputs as = inputs;
    as.problem.scale = ABN_SCALE_SIGNED;
    as.problem.eps = eps_of_q;
    as.gamma = {g};
    return found->second = ratio_of(expect::expect_forward(as, claims), compare::Output::z, z);
  };
  for (std::size_t root = 0; root < roots.size(); ++root)
    for (std::size_t divisor = 0; divisor < divisors.size(); ++divisor)
      for (std::size_t scale = 0; scale < scales.size(); ++scale)
        raise(evidence.forward[root][divisor][scale],
              ratio_of_forward(
                  static_cast<double>(
                      roots[root].under(with_divisor(v, m, divisors[divisor].unbiased), eps) - v),
                  static_cast<double>(scales[scale].g(inputs.gamma[0], eps))));

  // A candidate is told its variance, whatever the kernel keeps.
  abn_claims of_variance = claims;
  of_variance.saves &= ~static_cast<std::uint32_t>(ABN_SAVES_INVSTD);
  // The textbook's bound of v; what is made of v inherits it.
  problem::Inputs textbook = inputs;
  textbook.problem.scale = ABN_SCALE_SIGNED;
  const double off =
      bound_of(expect::expect_forward(textbook, of_variance), compare::Output::variance);
  const double u = std::max(problem::format_of(claims.accumulate).unit_roundoff,
                            problem::format_of(p.param_dtype).unit_roundoff);
  const Real low = std::max<Real>(v - off, 0), high = v + off;
  const std::vector<double>& statistic =
      numbers.variance.empty() ? numbers.invstd : numbers.variance;
  if (!statistic.empty()) {
    evidence.has_saved = true;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const Real value = kept[i].value(v, eps, m);
      const Real spread = std::max(std::fabs(kept[i].value(low, eps, m) - value),
                                   std::fabs(kept[i].value(high, eps, m) - value));
      raise(evidence.saved[i],
            ratio_to(statistic[at], value,
                     static_cast<double>(spread + roundings * u * std::fabs(value))));
    }
  }
  if (!numbers.running_var.empty())
    for (std::size_t i = 0; i < running.size(); ++i) {
      const Real weight = running[i].swapped ? 1 - static_cast<Real>(p.momentum) : p.momentum,
                 before = inputs.running_var[0];
      const Real entered = with_divisor(v, m, running[i].unbiased) + (running[i].baked ? eps : 0);
      const Real value = (1 - weight) * before + weight * entered;
      const double bound =
          static_cast<double>(weight * with_divisor(off, m, running[i].unbiased)) +
          roundings * u * static_cast<double>((1 - weight) * before + weight * entered);
      raise(evidence.averaged[i], ratio_to(numbers.running_var[at], value, bound));
    }

  if ((saved.variance.empty() && saved.invstd.empty()) || gradients.dx.empty()) return;
  evidence.has_backward = true;
  std::vector<double> dx;
  expect::gather(p, gradients.dx, c, dx);
  const problem::Saved own = one_channel(p, saved, c);
  const double kept_statistic = own.variance.empty() ? own.invstd[0] : own.variance[0];
  known.clear();
  const auto ratio_of_backward = [&](double q, double g) {
    if (!(q > 0)) return bound::infinity;
    const auto [found, is_new] = known.try_emplace({q, g}, 0);
    if (!is_new) return found->second;
    problem::Inputs as = inputs;
    as.problem.scale = ABN_SCALE_SIGNED;
    as.problem.eps = 0;
    as.gamma = {g};
    problem::Saved kept_as = own;
    kept_as.invstd.clear();
    kept_as.variance = {q};
    return found->second =
               ratio_of(expect::expect_backward(as, kept_as, of_variance), compare::Output::dx, dx);
  };
  for (std::size_t back = 0; back < backs.size(); ++back)
    for (std::size_t scale = 0; scale < scales.size(); ++scale)
      raise(evidence.backward[back][scale],
            ratio_of_backward(static_cast<double>(backs[back].under(kept_statistic, eps, m)),
                              static_cast<double>(scales[scale].g(inputs.gamma[0], eps))));
}

/// What x - mean was multiplied by, by least squares.
Real factor_of(const problem::Inputs& inputs, std::int64_t c, const std::vector<double>& z_of_all) {
  if (inputs.problem.activation != ABN_IDENTITY) return std::numeric_limits<Real>::quiet_NaN();
  std::vector<double> x, z;
  expect::gather(inputs.problem, inputs.x, c, x);
  expect::gather(inputs.problem, z_of_all, c, z);
  Real mean = 0, product = 0, square = 0;
  for (const double value : x) mean += value;
  mean /= static_cast<Real>(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    product += (x[i] - mean) * z[i], square += (x[i] - mean) * (x[i] - mean);
  return product / square;
}

Asked evidence_of(const call::Subject& subject, const abn_problem& base, std::uint64_t seed) {
  Asked asked{base.scale, {}, {}};
  for (const double eps : epsilons) {
    if (base.dtype == ABN_F16 && eps < smallest_f16_eps) continue;
    for (const std::int64_t m : sample_counts) {
      const SweepPoint point = point_of(base, eps, m, seed);
      const abn_problem& p = point.inputs.problem;
      const problem::Claimed claimed = problem::claims_of(*subject.variant, p);
      if (claimed.status != ABN_OK || !claimed.nonsense.empty()) continue;
      const call::Evaluator evaluator(subject, claimed.claims, seed);
      const call::ForwardNumbers forward = evaluator.forward(point.inputs);
      const problem::Saved saved = evaluator.saved(p, forward);
      const call::BackwardNumbers backward = evaluator.backward(point.inputs, saved);
      for (std::int64_t c = 0; c < p.c; ++c) {
        look_at_channel(asked.evidence, point.inputs, point.variance[static_cast<std::size_t>(c)],
                        c, forward, saved, backward, evaluator.claims());
        asked.places.push_back(
            {point.variance[static_cast<std::size_t>(c)], p.eps, static_cast<Real>(m),
             point.inputs.gamma[static_cast<std::size_t>(c)], lowest_exponent + static_cast<int>(c),
             factor_of(point.inputs, c, forward.z)});
      }
    }
  }
  return asked;
}

}  // namespace

double ratio_of(const std::vector<compare::Expectation>& expectations, compare::Output output,
                const std::vector<double>& got) {
  const compare::Expectation* const found = compare::find_output(expectations, output);
  if (found == nullptr) return bound::infinity;
  const compare::Tally tally = compare::compare_all(*found, got);
  if (tally.failed > 0 && !(tally.max_ratio > 1)) return bound::infinity;  // no number
  return tally.max_ratio;
}

Sweep sweep_of(const call::Subject& subject, std::uint64_t seed) {
  Sweep sweep;
  for (const int scale : problem::scales)
    if (const auto problem = first_supported(*subject.variant, problem::scale_name(scale))) {
      if (sweep.asked.empty())
        sweep.settings = fmt::format("{}, {}", problem::dtype_name(problem->dtype),
                                     problem::activation_name(problem->activation));
      Asked asked = evidence_of(subject, *problem, seed);
      if (!asked.places.empty()) sweep.asked.push_back(std::move(asked));
    }
  return sweep;
}

}  // namespace abn::verify::study::conventions
