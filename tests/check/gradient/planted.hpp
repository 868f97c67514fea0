// A right in-place kernel for every storage type, and the same with one wrong backward after the
// other: what gradient checks have to refuse.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "verify/call/device.hpp"
#include "verify/check/gradient/kernel_gradients.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/results/results.hpp"
#include "verify/run/runner.hpp"

namespace abn::verify::check::gradient {

enum class Planted {
  none,
  dx_zero,       ///< writes zeros
  missing_rstd,  ///< dx without r
  missing_mean,  ///< without sum(dy)/m
  missing_xhat,  ///< without xhat sum(dy xhat)/m
  sum_of_dz,     ///< sum(dz) for sum(dy): no longer self-adjoint
  narrow_sums,   ///< both sums rounded to the storage type after every addition
  dgamma_negated,
  dbeta_halved,
};

/// The forward, and what is kept, is the reference's; f64 in f64 and the others in f32.
inline const abn_variant& right_kernel(const abn_problem& p) {
  return expect::reference_variant(
      p.dtype == ABN_F64 ? expect::ReferenceArithmetic::f64 : expect::ReferenceArithmetic::f32,
      ABN_IN_PLACE_1);
}

inline std::vector<double> read(int dtype, const void* from, std::int64_t count) {
  std::vector<double> values(static_cast<std::size_t>(count));
  problem::unpack(problem::format_of(dtype), static_cast<const std::byte*>(from), values);
  return values;
}
inline void write(int dtype, std::vector<double> values, void* to) {
  if (to == nullptr) return;
  for (double& value : values) value = problem::round_to(problem::format_of(dtype), value);
  problem::pack(problem::format_of(dtype), values, static_cast<std::byte*>(to));
}

/// In-place I in double, rounded once where it is stored: every other error is the bug's.
template <Planted bug>
int planted_backward(const abn_problem* problem, const abn_backward_args* a) {
  const abn_problem& p = *problem;
  const std::int64_t m = problem::sample_count(p);
  const problem::Format& storage = problem::format_of(p.dtype);
  const problem::Phi phi = problem::phi_of(p);
  const std::vector<double> z = read(p.dtype, a->z, problem::element_count(p)),
                            dz = read(p.dtype, a->dz, problem::element_count(p));
  const std::vector<double> gamma = read(p.param_dtype, a->gamma, p.c),
                            beta = read(p.param_dtype, a->beta, p.c),
                            variance = read(p.param_dtype, a->var, p.c);
  std::vector<double> dx(z.size()), dgamma(gamma.size()), dbeta(gamma.size());
  for (std::int64_t c = 0; c < p.c; ++c) {
    const auto channel = static_cast<std::size_t>(c);
    const double g = p.scale == ABN_SCALE_ABS_EPS ? std::fabs(gamma[channel]) + p.eps
                                                  : gamma[channel],
                 r = 1 / std::sqrt(variance[channel] + p.eps);
    std::vector<double> dy(static_cast<std::size_t>(m)), xhat(dy.size());
    double sum = 0, sum_xhat = 0;
    for (std::size_t i = 0; i < dy.size(); ++i) {
      const auto at =
          static_cast<std::size_t>(problem::sample_offset(p, c, static_cast<std::int64_t>(i)));
      const double kept = problem::lifted(p, z[at]);
      const bool left = std::signbit(kept);
      const double y = phi.inverse(kept, left), slope = phi.derivative_from_output(kept, left);
      // g = 0 leaves nothing of x
      dy[i] = dz[at] * slope, xhat[i] = g == 0 ? 0 : (y - beta[channel]) / g;
      sum += bug == Planted::sum_of_dz ? dz[at] : dy[i];
      sum_xhat += dy[i] * xhat[i];
      if (bug == Planted::narrow_sums)
        sum = problem::round_to(storage, sum), sum_xhat = problem::round_to(storage, sum_xhat);
    }
    const double count = static_cast<double>(m);
    for (std::size_t i = 0; i < dy.size(); ++i) {
      double bracket = dy[i];
      if (p.mode == ABN_TRAINING && bug != Planted::missing_mean) bracket -= sum / count;
      if (p.mode == ABN_TRAINING && bug != Planted::missing_xhat)
        bracket -= xhat[i] * sum_xhat / count;
      const double gradient = bug == Planted::dx_zero        ? 0
                              : bug == Planted::missing_rstd ? g * bracket
                                                             : g * r * bracket;
      dx[static_cast<std::size_t>(problem::sample_offset(p, c, static_cast<std::int64_t>(i)))] =
          gradient;
    }
    const bool negative = p.scale == ABN_SCALE_ABS_EPS && gamma[channel] < 0;
    dgamma[channel] = negative != (bug == Planted::dgamma_negated) ? -sum_xhat : sum_xhat;
    dbeta[channel] = bug == Planted::dbeta_halved ? sum / 2 : sum;
  }
  write(p.dtype, dx, a->dx);
  write(p.param_dtype, dgamma, a->dgamma);
  write(p.param_dtype, dbeta, a->dbeta);
  return ABN_OK;
}

template <Planted bug>
const abn_variant& planted_variant() {
  static const abn_variant variant = {
      ABN_ABI_VERSION,
      sizeof(abn_variant),
      "planted",
      "in place, with one bug",
      ABN_MEMORY_HOST,
      0,
      [](const abn_problem* p, abn_claims* out) { return right_kernel(*p).claims(p, out); },
      [](const abn_problem* p, int direction) {
        return right_kernel(*p).workspace_bytes(p, direction);
      },
      [](const abn_problem* p, const abn_forward_args* a) {
        return right_kernel(*p).forward(p, a);
      },
      planted_backward<bug>};
  return variant;
}

/// Records of one variant on one problem, by the last part of their ids.
inline std::map<std::string, results::Record> grad(const abn_variant& variant,
                                                   const std::string& problem,
                                                   const std::string& pattern = "*",
                                                   const std::string& data = "standard",
                                                   std::uint64_t seed = 3) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  const std::vector<call::Subject> subjects{subject};
  const std::vector<data::Case> cases{data::replay(problem, data, seed)};
  RunOptions options;
  options.threads = 1;
  options.pattern = pattern;
  std::map<std::string, results::Record> by_check;
  for (results::Record& record : run::run(gradient_checks, subjects, cases, options))
    by_check[record.check] = std::move(record);
  return by_check;
}

}  // namespace abn::verify::check::gradient
