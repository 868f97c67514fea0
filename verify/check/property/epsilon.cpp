// What eps does to a channel: the variance that it leaves, its limits, and where it must not be.
//
// With v the batch variance, xhat = (x-mean)/sqrt(v+eps) has the variance v/(v+eps), tends to
// (x-mean)/sqrt(v) as eps vanishes, relatively by 1 - 1/sqrt(1+eps/v) <= eps/(2v), and to
// (x-mean)/sqrt(eps) as eps dominates, relatively by at most v/(2 eps).
#include <algorithm>
#include <limits>

#include "verify/check/property/bounded_calls.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::property {
namespace {

problem::Inputs without_affine(problem::Inputs inputs) {
  inputs.affine = false;
  inputs.gamma.clear(), inputs.beta.clear();
  return inputs;
}

Examination variance_of_xhat(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  const Outputs forward = calls.forward(without_affine(inputs));
  const Result& z = forward[compare::Output::z];
  const auto m = static_cast<long double>(problem::sample_count(p));
  Examination out;
  show_no_affine(out);
  Finding& finding = finding_of(out, compare::Output::z, "variance of xhat", true);
  for (std::int64_t c = 0; c < p.c; ++c) {
    const ChannelStatistics statistics = statistics_of(forward, c);
    long double sum = 0, squares = 0, bounds = 0;
    bool usable = statistics.usable;
    for (std::int64_t i = 0; i < problem::sample_count(p) && usable; ++i) {
      const auto at = static_cast<std::size_t>(problem::sample_offset(p, c, i));
      usable = is_ordinary(z.expected.points[at], p.dtype);
      sum += z.got[at];
      bounds += static_cast<long double>(z.expected.points[at].bound) * z.expected.points[at].bound;
    }
    if (!usable) {
      ++out.left_out;
      continue;
    }
    for (std::int64_t i = 0; i < problem::sample_count(p); ++i) {
      const long double d =
          z.got[static_cast<std::size_t>(problem::sample_offset(p, c, i))] - sum / m;
      squares += d * d;
    }
    // Centring does not lengthen a vector, so the two standard deviations differ by the root mean
    // square of the errors at most.
    const long double exact = statistics.variance * statistics.r * statistics.r,
                      error = std::sqrt(bounds / m);
    expect_near(out, finding, c, exact,
                static_cast<double>(2 * std::sqrt(exact) * error + error * error +
                                    exact * own_rounding * m),
                static_cast<double>(squares / m));
  }
  return out;
}

/// eps that is a power of two, at least the type's smallest normal number.
double power_near(double value, int dtype) {
  const problem::Format& format = problem::format_of(dtype);
  return value > 0 ? std::ldexp(1.0, std::clamp(std::ilogb(value), format.emin, -format.emin))
                   : std::ldexp(1.0, format.emin);
}

/// The variances of the channels that vary at all: smallest and largest, 0 if there is none.
struct Spread {
  double smallest = 0, largest = 0;
};
Spread spread_of(const Outputs& forward) {
  Spread out;
  for (std::int64_t c = 0; c < forward.problem.c; ++c) {
    const ChannelStatistics statistics = statistics_of(forward, c);
    const auto v = static_cast<double>(statistics.variance);
    if (!statistics.usable || !(v > 0)) continue;
    out.smallest = out.smallest > 0 ? std::min(out.smallest, v) : v;
    out.largest = std::max(out.largest, v);
  }
  return out;
}

Examination vanishing(const BoundedCalls& calls, const problem::Inputs& inputs) {
  problem::Inputs none = inputs, little = inputs;
  none.problem.eps = 0;
  const Outputs b = calls.forward(none);
  constexpr int below = 16;  // powers of two between the smallest variance and eps
  const Spread spread = spread_of(b);
  Examination out;
  if (!(spread.smallest > 0)) {
    out.left_out = b[compare::Output::z].got.size();
    return out;
  }
  little.problem.eps = power_near(std::ldexp(spread.smallest, -below), inputs.problem.param_dtype);
  show_problem(out, "eps(vanishing)", little.problem.eps);
  const Outputs a = calls.forward(little);
  relate(out, a[compare::Output::z], b[compare::Output::z], same_place, 1, [&](std::int64_t i) {
    const std::int64_t c = channel_of(inputs.problem, i);
    const ChannelStatistics statistics = statistics_of(b, c);
    if (!statistics.usable) return std::numeric_limits<double>::infinity();
    const long double xhat =
        (inputs.x[static_cast<std::size_t>(i)] - statistics.mean) * statistics.r;
    const long double relative = little.problem.eps / (2 * statistics.variance);
    return static_cast<double>(lipschitz(inputs.problem) * std::abs(scale_of(inputs, c) * xhat) *
                               relative * (1 + own_rounding));
  });
  return out;
}

Examination dominating(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  problem::Inputs much = inputs;
  constexpr int above = 12;
  const Spread spread = spread_of(calls.forward(inputs));
  Examination out;
  much.problem.eps = power_near(std::ldexp(spread.largest, above), p.param_dtype);
  show_problem(out, "eps(dominating)", much.problem.eps);
  const Outputs forward = calls.forward(much);
  const Result& z = forward[compare::Output::z];
  Finding& finding = finding_of(out, compare::Output::z, p.dtype);
  for (std::size_t i = 0; i < z.got.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    const std::int64_t c = channel_of(p, index);
    const ChannelStatistics statistics = statistics_of(forward, c);
    const compare::Point& point = z.expected.points[i];
    if (!statistics.usable || !is_ordinary(point, p.dtype) || !(spread.largest > 0)) {
      ++out.left_out;
      continue;
    }
    const long double eps = much.problem.eps,
                      scaled = scale_of(much, c) * (inputs.x[i] - statistics.mean) / std::sqrt(eps);
    const long double distance = lipschitz(p) * std::abs(scaled) * statistics.variance / (2 * eps);
    const long double beta = beta_of(much, c),
                      own = own_rounding * lipschitz(p) *
                            (std::abs(scaled) + std::abs(beta) +
                             std::abs(scale_of(much, c) * statistics.mean) / std::sqrt(eps));
    expect_near(out, finding, index, activate(p, scaled + beta),
                point.bound + static_cast<double>(distance + own), z.got[i]);
  }
  return out;
}

Examination constant_channel(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  problem::Inputs flat = inputs;
  for (std::int64_t c = 0; c < p.c; ++c)
    for (std::int64_t i = 0; i < problem::sample_count(p); ++i)
      flat.x[static_cast<std::size_t>(problem::sample_offset(p, c, i))] =
          inputs.x[static_cast<std::size_t>(problem::sample_offset(p, c, 0))];
  const Outputs forward = calls.forward(flat);
  const Result& z = forward[compare::Output::z];
  Examination out;
  show_elements(out, "x", flat.x);
  Finding& finding = finding_of(out, compare::Output::z, p.dtype);
  for (std::size_t i = 0; i < z.got.size(); ++i) {
    if (!is_ordinary(z.expected.points[i], p.dtype)) {
      ++out.left_out;
      continue;
    }
    const auto index = static_cast<std::int64_t>(i);
    const long double exact = activate(p, beta_of(flat, channel_of(p, index)));
    expect_near(out, finding, index, exact,
                z.expected.points[i].bound + static_cast<double>(own_rounding * std::abs(exact)),
                z.got[i]);
  }
  return out;
}

Examination monotone(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const problem::Inputs plain = without_affine(inputs);
  problem::Inputs more = plain;
  constexpr double factor = 4;
  const double least = spread_of(calls.forward(plain)).smallest;
  more.problem.eps =
      power_near(std::max(inputs.problem.eps, least) * factor, inputs.problem.param_dtype);
  const Outputs a = calls.forward(more), b = calls.forward(plain);
  const Result &large = a[compare::Output::z], &small = b[compare::Output::z];
  const int dtype = inputs.problem.dtype;
  Examination out;
  show_no_affine(out);
  show_problem(out, "eps(larger)", more.problem.eps), show_problem(out, "eps", plain.problem.eps);
  Finding& finding = finding_of(out, compare::Output::z, "|xhat|", false);
  for (std::size_t i = 0; i < large.got.size(); ++i) {
    const compare::Point &of_large = large.expected.points[i], &of_small = small.expected.points[i];
    if (!is_ordinary(of_large, dtype) || !is_ordinary(of_small, dtype) ||
        !(more.problem.eps > inputs.problem.eps)) {
      ++out.left_out;
      continue;
    }
    // Smaller is as expected; what is larger is held to the smaller eps's value.
    const double got = std::abs(large.got[i]), limit = std::abs(small.got[i]);
    expect_near(out, finding, static_cast<std::int64_t>(i), got <= limit ? got : limit,
                of_large.bound + of_small.bound, got);
  }
  return out;
}

Examination of_scale(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  problem::Inputs official = inputs, plain = inputs;
  official.problem.scale = ABN_SCALE_ABS_EPS, plain.problem.scale = ABN_SCALE_SIGNED;
  // |gamma| a multiple of eps with few enough bits makes |gamma| + eps exact.
  const double eps = power_near(p.eps, p.param_dtype);
  official.problem.eps = plain.problem.eps = eps;
  constexpr double most_steps = 0x1p20;
  for (std::size_t c = 0; c < inputs.gamma.size(); ++c) {
    const double steps = std::nearbyint(std::abs(inputs.gamma[c]) / eps);
    const double size = steps <= most_steps ? steps * eps : most_steps * eps;
    official.gamma[c] = std::copysign(size, inputs.gamma[c]);
    plain.gamma[c] = size + eps;
  }
  Examination out;
  if (!inputs.affine) {
    out.left_out = inputs.x.size();
    return out;
  }
  show_channels(out, "gamma(abs_eps)", official.gamma),
      show_channels(out, "gamma(signed)", plain.gamma);
  show_problem(out, "eps", eps);
  const Outputs a = calls.forward(official), b = calls.forward(plain);
  const auto equal = [&](const Outputs& one, const Outputs& other) {
    for (const Result& result : one.results) {
      if (result.output != compare::Output::dgamma) {
        relate(out, result, other[result.output], same_place);
        continue;
      }
      const Result& reference = other[compare::Output::dgamma];
      Finding& finding = finding_of(out, compare::Output::dgamma, p.param_dtype);
      for (std::size_t c = 0; c < result.got.size(); ++c) {
        const compare::Point &of_a = result.expected.points[c],
                             &of_b = reference.expected.points[c];
        if (!is_ordinary(of_a, p.param_dtype) || !is_ordinary(of_b, p.param_dtype))
          ++out.left_out;
        else
          expect_near(
              out, finding, static_cast<std::int64_t>(c),
              static_cast<long double>(dgamma_sign(official, static_cast<std::int64_t>(c))) *
                  reference.got[c],
              of_a.bound + of_b.bound, result.got[c]);
      }
    }
  };
  equal(a, b);
  if (p.mode != ABN_INFERENCE)
    equal(calls.backward(official, a.saved), calls.backward(plain, a.saved));
  return out;
}

bool is_training(const abn_problem& p, const abn_claims&) { return p.mode == ABN_TRAINING; }

constexpr Property table[] = {
    {"epsilon_variance",
     "In training the variance of xhat is v/(v+eps). It is read from z without activation and "
     "affine.",
     "the variance of xhat is not v/(v+eps)",
     [](const abn_problem& p, const abn_claims&) {
       return p.mode == ABN_TRAINING && p.activation == ABN_IDENTITY;
     },
     variance_of_xhat},
    {"epsilon_vanishing",
     "In training z tends to that of eps = 0 as eps vanishes; the relative difference is at most "
     "eps/(2v). Only where the channel varies, with the signed scale.",
     "z with an eps far below the variance is not that with eps = 0",
     [](const abn_problem& p, const abn_claims&) {
       return p.mode == ABN_TRAINING && p.scale == ABN_SCALE_SIGNED;
     },
     vanishing},
    {"epsilon_dominating",
     "In training xhat tends to (x-mean)/sqrt(eps) as eps dominates; the relative difference is at "
     "most v/(2 eps).",
     "z with an eps far above the variance is not that of xhat = (x-mean)/sqrt(eps)", is_training,
     dominating},
    {"epsilon_monotone",
     "In training |xhat| does not grow with eps. It is read from z without activation and affine.",
     "|xhat| grows with eps",
     [](const abn_problem& p, const abn_claims&) {
       return p.mode == ABN_TRAINING && p.activation == ABN_IDENTITY;
     },
     monotone},
    {"constant_channel",
     "In training a channel of equal samples has z = phi(beta). Only for eps > 0.",
     "z of a channel of equal samples is not phi(beta)",
     [](const abn_problem& p, const abn_claims&) { return p.mode == ABN_TRAINING && p.eps > 0; },
     constant_channel},
    {"epsilon_of_scale",
     "The scale |gamma| + eps gives the results of a signed gamma of that value, with dgamma times "
     "sign(gamma). Only where the sum is exact.",
     "the scale |gamma| + eps does not give what a signed gamma of that value gives",
     [](const abn_problem&, const abn_claims&) { return true; }, of_scale},
};

}  // namespace

std::span<const Property> epsilon_properties() { return table; }

}  // namespace abn::verify::check::property
