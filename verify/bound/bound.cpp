// The rounding counts of verify/bound/bound.hpp as code: claims to numbers, the statistics, the
// root, and bounds from terms.
#include "verify/bound/bound.hpp"

#include <algorithm>
#include <cstdint>

#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::bound {
namespace {

// Roundings beside the additions; the derivations are in the header.
constexpr double mean_roundings = 2;
constexpr double two_pass_roundings = 5;
constexpr double welford_roundings = 9;
constexpr double welford_additions = 2;  // a merge of M2 adds twice
constexpr double welford_mean_roundings = 3;
constexpr double one_pass_roundings = 4;
constexpr double one_pass_square_roundings = 2;
// half of fl(v + eps), 2 ulp of a hardware reciprocal root
constexpr double root_roundings = 4.5;
constexpr double largest_variance_error = 0.5;  // where first order ends
constexpr double running_roundings = 3;

// The tree that `fit` recommends: lanes that each add up m/256 samples, then 8 levels.
constexpr double recommended_lanes = 256;
constexpr double recommended_levels = 8;
// the CUDA programming guide lists at most 2 for expf, expm1f and log1pf, glibc 1 to 2
constexpr double recommended_function_ulp = 4;

// The oracle's exp, expm1, log1p and erfc: glibc documents at most 5 ulp for double and long double
// on x86, reference/exponential50.hpp 16 and reference/erfc50.hpp 32 for 50 digits.
constexpr double oracle_function_ulp = 16, oracle_function_ulp_of_50_digits = 32;
constexpr int precision_of_50_digits = 168;

Rounding narrowing(const problem::Format& from, const problem::Format& to) {
  return {to.unit_roundoff > from.unit_roundoff ? to.unit_roundoff : 0,
          to.smallest_subnormal > from.smallest_subnormal ? to.smallest_subnormal : 0, infinity};
}

Rounding intermediate(const problem::Format& from, const problem::Format& to) {
  Rounding rounding = narrowing(from, to);
  if (to.largest < from.largest) rounding.largest = to.largest;
  return rounding;
}

// Does `count` need more than `precision` bits?
bool rounds(std::int64_t count, int precision) {
  while (count != 0 && count % 2 == 0) count /= 2;
  return static_cast<double>(count) >= std::ldexp(1.0, precision);
}

double capped_depth(std::int64_t depth, std::int64_t m) {
  return static_cast<double>(std::clamp<std::int64_t>(depth, 1, std::max<std::int64_t>(m, 1)));
}

}  // namespace

Arithmetic arithmetic_of(const abn_problem& problem, const abn_claims& claims) {
  const problem::Format& accumulate = problem::format_of(claims.accumulate);
  const problem::Format& storage = problem::format_of(problem.dtype);
  const problem::Format& parameter = problem::format_of(problem.param_dtype);
  const problem::Format& out = problem::format_of(problem::out_type_of(problem));
  // eps, momentum and the slope come in f32 where gamma and beta have 16 bits
  const problem::Format& scalar = problem::format_of(problem::scalar_type_of(problem));
  const std::int64_t m = problem::sample_count(problem);
  const auto materialised = [&](std::uint32_t flag) {
    constexpr std::uint32_t behind =
        ABN_MATERIALISES_Y | ABN_MATERIALISES_DY | ABN_MATERIALISES_ACTIVATION;
    return (claims.materialises & flag) != 0
               ? intermediate(accumulate, (flag & behind) != 0 ? out : storage)
               : Rounding{};
  };
  Arithmetic a;
  a.u = accumulate.unit_roundoff;
  // Half of eta is what an underflow costs. Half of the smallest double is no double, nor is the
  // tail of an exact value that is itself subnormal; f64 is therefore given a whole step.
  a.eta =
      std::fmax(accumulate.smallest_subnormal, 2 * problem::format_of(ABN_F64).smallest_subnormal);
  a.largest = accumulate.largest;
  a.load = narrowing(storage, accumulate);
  a.load_out = narrowing(out, accumulate);
  a.load_parameter = narrowing(scalar, accumulate);
  a.store = narrowing(accumulate, storage);
  a.store_out = narrowing(accumulate, out);
  a.store_parameter = narrowing(accumulate, parameter);
  a.kept = intermediate(accumulate, claims.scheme == ABN_CHECKPOINT_XHAT ? storage : out);
  a.y = materialised(ABN_MATERIALISES_Y | ABN_MATERIALISES_ACTIVATION);
  a.xhat = materialised(ABN_MATERIALISES_XHAT);
  a.dy = materialised(ABN_MATERIALISES_DY);
  a.statistics = materialised(ABN_MATERIALISES_STATISTICS);
  a.activation = materialised(ABN_MATERIALISES_ACTIVATION);
  a.function = 2 * a.u * std::fmax(claims.function_ulp, 0);  // an ulp is at most 2u of the value
  a.scheme = claims.scheme;
  a.statistics_class = claims.statistics;
  a.apart = claims.normalise == ABN_FOLDED_APART;
  a.folded = claims.normalise == ABN_FOLDED || a.apart;
  a.biased_running = claims.running_variance == ABN_RUNNING_BIASED;
  a.saves_invstd = (claims.saves & ABN_SAVES_INVSTD) != 0;
  a.derivative_from_y = (claims.materialises & ABN_MATERIALISES_Y) != 0;
  a.depth_statistics = capped_depth(claims.depth_statistics, m);
  a.depth_backward = capped_depth(claims.depth_backward, m);
  a.count_roundings = rounds(m, accumulate.precision) ? 1 : 0;
  return a;
}

Arithmetic recommended_arithmetic(const abn_problem& problem, const abn_claims& claims) {
  // f32 for everything but f64, or what the variant has beyond that: no kernel is measured by a
  // narrow type of its own choice.
  abn_claims recommended = claims;
  const int own = problem::wide_type_of(problem.dtype);
  if (problem::format_of(recommended.accumulate).precision < problem::format_of(own).precision)
    recommended.accumulate = own;
  recommended.function_ulp = std::fmin(claims.function_ulp, recommended_function_ulp);
  Arithmetic a = arithmetic_of(problem, recommended);
  const double m = static_cast<double>(problem::sample_count(problem));
  a.y = a.xhat = a.dy = a.statistics = a.activation = {};
  a.statistics_class = ABN_TWO_PASS;
  a.folded = a.apart = a.derivative_from_y = false;
  a.depth_statistics = a.depth_backward =
      std::fmax(1, std::fmin(std::ceil(m / recommended_lanes) + recommended_levels, m));
  return a;
}

Arithmetic oracle_arithmetic(const abn_problem& problem, const abn_claims& claims, int precision) {
  Arithmetic a;
  a.u = std::ldexp(1.0, -precision);
  a.function = 2 * a.u *
               (precision >= precision_of_50_digits ? oracle_function_ulp_of_50_digits
                                                    : oracle_function_ulp);
  // Scheme II is the same function of z as scheme I, which is the better conditioned of the two.
  a.scheme = claims.scheme == ABN_IN_PLACE_2 ? static_cast<int>(ABN_IN_PLACE_1) : claims.scheme;
  a.depth_statistics = a.depth_backward =
      std::fmax(1, static_cast<double>(problem::sample_count(problem)));
  return a;
}

double oracle_share(const Arithmetic& own, const Arithmetic& judged) {
  const auto share = [&](double own_depth, double judged_depth, double k) {
    const double most = gamma_of(own_depth + k, own.u);
    // 0 where the judged bound is infinite
    return most == infinity ? infinity : most / gamma_of(judged_depth + k, judged.u);
  };
  const double functions = (own.function + own.u) / (judged.function + judged.u);
  return std::max({own.u / judged.u, functions,
                   share(own.depth_statistics, judged.depth_statistics, mean_roundings),
                   share(own.depth_backward, judged.depth_backward, 0)});
}

StatisticsError batch_statistics_error(const Arithmetic& a, const ChannelNumbers& c) {
  if (c.mean_abs == 0) return {};  // zeros are exact in every class
  const double h = a.depth_statistics;
  const double count_roundings = a.count_roundings;
  const bool welford = a.statistics_class == ABN_WELFORD;
  const double square = c.variance + c.mean * c.mean;
  StatisticsError e;
  e.mean = times(gamma_of(h + mean_roundings + count_roundings, a.u), c.mean_abs) +
           a.load.u * c.mean_abs + a.load.eta / 2 + a.eta;
  if (welford)
    e.mean += times(gamma_of(welford_mean_roundings * std::fmin(h, 2 * std::log2(c.m) + 2), a.u),
                    c.mean_abs_deviation) +
              h * a.eta / 2;
  e.mean_materialised = a.statistics(std::fabs(c.mean) + e.mean);
  const double off = e.mean + e.mean_materialised;  // the second pass may subtract the rounded mean
  if (welford) {
    e.variance = times(gamma_of(welford_additions * h + welford_roundings + count_roundings, a.u),
                       c.variance) +
                 2 * std::sqrt(c.variance) * off + off * off;
  } else if (a.statistics_class == ABN_ONE_PASS) {
    e.variance = times(gamma_of(h + one_pass_roundings + count_roundings, a.u), square) +
                 2 * std::fabs(c.mean) * off + off * off +
                 one_pass_square_roundings * a.u * c.mean * c.mean;
  } else {
    e.variance =
        times(gamma_of(h + two_pass_roundings + count_roundings, a.u), c.variance + off * off) +
        off * off;
  }
  // Reading x into a narrower type moves each sample by load.u |x|, or by half of its eta where it
  // is subnormal there.
  const double moved = a.load.u * std::sqrt(square) + a.load.eta / 2;
  e.variance += moved * (2 * std::sqrt(c.variance) + moved);
  e.variance += (welford ? larger(2, h / 2) : 2) * a.eta;
  e.variance_materialised = a.statistics(c.variance + e.variance);
  const double grown = c.m * (1 + gamma_of(h, a.u));  // a sum of roundings up
  if (!(grown * c.mean_abs <= a.largest)) e.mean = e.variance = infinity, e.overflows = true;
  if (!(grown * (a.statistics_class == ABN_ONE_PASS ? square : c.variance) <= a.largest))
    e.variance = infinity, e.overflows = true;
  if (!(larger(std::fabs(c.mean) + e.mean, c.variance + e.variance) <= a.statistics.largest))
    e.overflows = true;
  return e;
}

StatisticsError given_statistics_error(const Arithmetic& a, const ChannelNumbers& c,
                                       bool materialised) {
  StatisticsError e;
  e.mean = a.load_parameter(std::fabs(c.mean));
  e.variance = a.load_parameter(c.variance);
  if (materialised) {
    e.mean_materialised = a.statistics(std::fabs(c.mean));
    e.variance_materialised = a.statistics(c.variance);
  }
  return e;
}

RootError root_error(const Arithmetic& a, const ChannelNumbers& c,
                     const StatisticsError& statistics) {
  if (statistics.has_root) {
    const double read = a.load_parameter.u;
    return {0, 0, read, 1 + read};
  }
  const double radicand = c.variance + c.eps;
  const double own = (statistics.variance + a.load_parameter(c.eps)) / radicand;
  const double materialised = statistics.variance_materialised / radicand;
  const double dv = own + materialised;
  if (!(dv < largest_variance_error)) return {infinity, 0, 0, infinity};
  const double error = 1 / std::sqrt(1 - dv) - 1;
  RootError root;
  root.variance = dv > 0 ? error * own / dv : 0;
  root.materialised = dv > 0 ? error * materialised / dv : 0;
  root.arithmetic = root_roundings * a.u * (1 + error);
  root.growth = 1 + error + root.arithmetic;
  return root;
}

double running_error(const Arithmetic& a, double momentum, double old, double value,
                     double value_error) {
  const double kept = std::fabs((1 - momentum) * old), added = std::fabs(momentum * value);
  const double textbook = running_roundings * a.u * (kept + added);
  const double incremental = a.u * (2 * std::fabs(momentum * (value - old)) + kept + added);
  const double load = a.load_parameter.u * (std::fabs(old) + 2 * added);
  return std::fmax(textbook, incremental) + load + std::fabs(momentum) * value_error + 2 * a.eta;
}

compare::Shares shares_of(const Terms& terms) {
  compare::Shares shares{};
  const double total = terms.total();
  if (total == 0) return shares;
  float infinite = 0;
  for (std::size_t i = 0; i < compare::term_count; ++i)
    infinite += !(terms.part[i] < infinity) ? 1.0F : 0.0F;
  for (std::size_t i = 0; i < compare::term_count; ++i)
    shares[i] = infinite == 0                 ? static_cast<float>(terms.part[i] / total)
                : !(terms.part[i] < infinity) ? 1 / infinite
                                              : 0;
  return shares;
}

}  // namespace abn::verify::bound
