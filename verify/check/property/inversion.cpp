// What an in-place kernel recovers from its stored z: back to the same z, and to the xhat that it
// came from.
//
// With frozen statistics and a cotangent that is 1 at one sample of every channel and 0 elsewhere,
// backward gives dbeta = phi'(y) and dgamma = phi'(y) xhat of just that sample, so xhat =
// dgamma/dbeta. Every case asks for the first and the last sample and two between them.
#include <algorithm>

#include "verify/check/property/bounded_calls.hpp"
#include "verify/check/property/rearrange.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"

namespace abn::verify::check::property {
namespace {

std::vector<std::int64_t> probed(std::int64_t m, std::uint64_t seed) {
  const data::Stream stream = data::Stream(seed).fork(4);
  const auto drawn = [&](std::uint64_t i) {
    return static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(m), i));
  };
  std::vector<std::int64_t> out{0, m - 1, drawn(0), drawn(1)};
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

/// What every element that is looked at was given: a cotangent of 1, and the affine of the frozen
/// case.
void show_probe(Examination& out, const problem::Inputs& frozen) {
  show_problem(out, "dz", 1);
  show_channels(out, "gamma", frozen.gamma), show_channels(out, "beta", frozen.beta);
}

problem::Inputs probe(const problem::Inputs& frozen, std::int64_t sample) {
  problem::Inputs out = frozen;
  std::fill(out.dz.begin(), out.dz.end(), 0.0);
  for (std::int64_t c = 0; c < out.problem.c; ++c)
    out.dz[static_cast<std::size_t>(problem::sample_offset(out.problem, c, sample))] = 1;
  return out;
}

/// Frozen, and with an affine, for dgamma: gamma = 1 and beta = 0 are the same as none.
problem::Inputs frozen_case(problem::Inputs inputs) {
  inputs.problem.mode = ABN_FROZEN;
  if (inputs.affine) return inputs;
  inputs.affine = true;
  inputs.problem.scale = ABN_SCALE_SIGNED;
  inputs.gamma.assign(static_cast<std::size_t>(inputs.problem.c), 1.0);
  inputs.beta.assign(static_cast<std::size_t>(inputs.problem.c), 0.0);
  return inputs;
}

Examination round_trip(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const problem::Inputs frozen = frozen_case(inputs);
  const abn_problem& p = frozen.problem;
  const problem::Saved saved = calls.forward(frozen, Bounds::none).saved;
  Examination out;
  show_probe(out, frozen);
  Finding& finding =
      finding_of(out, compare::Output::z, "phi(g*xhat + beta) of the recovered xhat", false);
  for (const std::int64_t sample : probed(problem::sample_count(p), calls.seed())) {
    const Outputs gradients = calls.backward(probe(frozen, sample), saved);
    const Result &dgamma = gradients[compare::Output::dgamma],
                 &dbeta = gradients[compare::Output::dbeta];
    for (std::int64_t c = 0; c < p.c; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const std::int64_t element = problem::sample_offset(p, c, sample);
      const compare::Point &of_product = dgamma.expected.points[at],
                           &of_slope = dbeta.expected.points[at];
      double z = saved.z[static_cast<std::size_t>(element)];
      const long double g = scale_of(frozen, c), beta = beta_of(frozen, c);
      if (!is_ordinary(of_product, p.param_dtype) || !is_ordinary(of_slope, p.param_dtype) ||
          g == 0 || !std::isfinite(z) || !(std::abs(of_slope.hi) > 2 * of_slope.bound)) {
        ++out.left_out;
        continue;
      }
      // A saturated z stands for the next one that can be inverted.
      z = problem::lifted(p, z);
      const long double product = dgamma.got[at], slope = dbeta.got[at],
                        xhat = dgamma_sign(frozen, c) * product / slope;
      const long double error =
          (of_product.bound + std::abs(xhat) * of_slope.bound) / (std::abs(slope) - of_slope.bound);
      const auto forward = [&](long double value) { return activate(p, g * value + beta); };
      const long double back = forward(xhat),
                        own = own_rounding * lipschitz(p) * (std::abs(g * xhat) + std::abs(beta));
      const long double bound =
          std::max(std::abs(forward(xhat + error) - back), std::abs(forward(xhat - error) - back)) +
          own;
      if (std::isfinite(back) && std::isfinite(static_cast<double>(bound)))
        expect_near(out, finding, element, z, static_cast<double>(bound),
                    static_cast<double>(back));
      else if (std::isfinite(product) && std::isfinite(slope))
        ++out.left_out;
      else
        // no number where one is expected
        expect_near(out, finding, element, z, 0, static_cast<double>(product / slope));
    }
  }
  return out;
}

Examination recovery(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const problem::Inputs frozen = frozen_case(inputs);
  const abn_problem& p = frozen.problem;
  const problem::Saved saved = calls.forward(frozen, Bounds::none).saved;
  Examination out;
  show_probe(out, frozen);
  Finding& finding = finding_of(out, compare::Output::dgamma, "phi'*xhat", false);
  for (const std::int64_t sample : probed(problem::sample_count(p), calls.seed())) {
    const Outputs gradients = calls.backward(probe(frozen, sample), saved, Bounds::truth);
    const Result &dgamma = gradients[compare::Output::dgamma],
                 &dbeta = gradients[compare::Output::dbeta];
    for (std::int64_t c = 0; c < p.c; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const compare::Point &of_product = dgamma.expected.points[at],
                           &of_slope = dbeta.expected.points[at];
      const std::int64_t element = problem::sample_offset(p, c, sample);
      const long double x = frozen.x[static_cast<std::size_t>(element)],
                        mean = frozen.running_mean[at];
      const long double r = 1 / std::sqrt(static_cast<long double>(frozen.running_var[at]) + p.eps);
      if (!is_ordinary(of_product, p.param_dtype) || !is_ordinary(of_slope, p.param_dtype) ||
          !std::isfinite(r)) {
        ++out.left_out;
        continue;
      }
      // dgamma = dbeta xhat, with the xhat of x and the kernel's own dbeta.
      const long double xhat = (x - mean) * r * dgamma_sign(frozen, c), slope = dbeta.got[at];
      const long double own = own_rounding * std::abs(slope) * (std::abs(x) + std::abs(mean)) * r;
      expect_near(out, finding, element, slope * xhat,
                  of_product.bound + of_slope.bound * static_cast<double>(std::abs(xhat)) +
                      static_cast<double>(own),
                  dgamma.got[at]);
    }
  }
  return out;
}

bool in_place(const abn_problem&, const abn_claims& claims) { return problem::is_in_place(claims); }

constexpr Property table[] = {
    {"round_trip",
     "The xhat that backward recovers from the stored z gives that z again; a saturated z counts "
     "as the next one that has an inverse. Only in place, where g is not 0.",
     "the xhat that backward recovers from the stored z does not lead back to that z", in_place,
     round_trip},
    {"recovery",
     "The xhat that backward recovers from the kernel's own stored z is that of x, up to what "
     "storing z costs. Only in place.",
     "the xhat that backward recovers from the stored z is not that of x", in_place, recovery},
};

}  // namespace

std::span<const Property> inversion_properties() { return table; }

}  // namespace abn::verify::check::property
