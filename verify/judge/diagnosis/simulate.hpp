// Forward and backward of one channel with one mistake, in plain arithmetic: the prediction of a
// hypothesis.
//
// The formulas are those of cuda/kernel.h. They are written out once more here, and not taken from
// reference/, because every line of them has to be changeable; without a change they give the
// reference's values, which a test holds them to. Real is double, or long double for f64 tensors;
// sums are always long double: a prediction has to be closer to the kernel than the kernel's own
// roundings, which are all that the simulated kernel of verify/study is about.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "verify/judge/diagnosis/mistake.hpp"
#include "verify/judge/diagnosis/simulate_curve.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::judge::diagnosis {

/// What one channel is given, read as the setting under trial reads it.
template <class Real>
struct Given {
  const abn_problem* problem = nullptr;
  int scheme = ABN_STANDARD;
  bool affine = true;
  bool unit_scale = false;  ///< there is no gamma, and beta alone
  std::vector<double> x, dz, z, xhat;
  Real gamma = 1, beta = 0, running_mean = 0, running_var = 0, kept_mean = 0, kept_variance = 0;
  Real neighbour_mean = 0, neighbour_variance = 0, neighbour_s0 = 0;  ///< of the channel before
  // What the kernel itself wrote, for changes that are followed from their marks
  Real own_mean = 0, own_variance = 0, own_s0 = 0, own_dgamma = 0;
  std::vector<double> own_z;
};

template <class Real>
struct ForwardPrediction {
  std::vector<Real> z, xhat;
  Real mean = 0, variance = 0, running_mean = 0, running_var = 0;
};

template <class Real>
struct BackwardPrediction {
  std::vector<Real> dx;
  Real dgamma = 0, dbeta = 0;
};

/// `value` with `bits` significant bits, ties to even.
template <class Real>
Real with_bits(Real value, int bits) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int step = std::ilogb(value) - bits + 1;
  return std::ldexp(std::nearbyint(std::ldexp(value, -step)), step);
}

template <class Real>
class Simulation {
 public:
  Simulation(const Given<Real>& given, const MistakeAt& setting)
      : in(given),
        p(*given.problem),
        phi(problem::phi_of(p)),
        mistake(setting.mistake),
        set(setting),
        storage(problem::format_of(p.dtype)),
        m(p.n * p.s) {}

  /// False where the change has left no trace here.
  bool forward(ForwardPrediction<Real>& out) const {
    Real mean = 0, variance = 0;
    batch_statistics(mean, variance);
    if (p.mode == ABN_TRAINING && !follow_marks(mean, variance)) return false;
    out.mean = mean, out.variance = variance;
    if (is(Mistake::variance_unbiased) && set.way == 1)
      variance = out.variance = unbiased(variance);
    if (is(Mistake::statistics_in_storage)) {
      mean = stored(mean), variance = stored(variance);
      if (set.way == 0) out.mean = mean, out.variance = variance;
    }
    running(out.mean, out.variance, out);
    save(variance, out);
    if (p.mode == ABN_TRAINING ? is(Mistake::running_statistics_in_training)
                               : !is(Mistake::batch_statistics_in_inference))
      mean = in.running_mean, variance = in.running_var;
    if (is(Mistake::running_read_after_update)) mean = out.running_mean, variance = out.running_var;
    if (is(Mistake::statistics_of_neighbour))
      mean = in.neighbour_mean, variance = in.neighbour_variance;
    if (is(Mistake::mean_not_subtracted)) mean = 0;
    Real r = reciprocal(variance);
    if (is(Mistake::rstd_inaccurate) && !fit_root(mean, r)) return false;
    fill(mean, r, out);
    return true;
  }

  bool backward(BackwardPrediction<Real>& out) const {
    Real mean = 0, variance = 0;
    used_statistics(mean, variance);
    const Real r = reciprocal(variance), g = scale();
    const std::size_t size = in.dz.size();
    std::vector<Real> dy(size), xhat(size), y(size);
    for (std::size_t i = 0; i < size; ++i) recover(i, mean, r, g, y[i], xhat[i], dy[i]);
    long double sum = 0, sum_xhat = 0, sum_y = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const bool lost = left_out(i);
      const long double term = is(Mistake::sums_of_dz) ? static_cast<long double>(in.dz[i])
                                                       : static_cast<long double>(dy[i]);
      if (!lost || set.way == 2) sum += term;
      if (!lost) sum_xhat += term * xhat[i], sum_y += term * y[i];
    }
    Real s0 = static_cast<Real>(sum), s1 = static_cast<Real>(sum_xhat);
    const bool negated = p.scale == ABN_SCALE_ABS_EPS && in.affine && in.gamma < 0;
    const Real sign = negated && !is(Mistake::dgamma_sign_lost) ? -1 : 1;
    if (leaves_marks(mistake)) {
      if (!has_few_bits(in.own_s0) || !has_few_bits(in.own_dgamma)) return false;
      s0 = in.own_s0, s1 = sign * in.own_dgamma;
    }
    Real dgamma = s1;
    replace_dgamma(s0, static_cast<Real>(sum_y), r, g, dgamma, s1);
    if (is(Mistake::dgamma_sign_lost) && set.way == 1 && negated) s1 = -s1;
    out.dgamma = sign * dgamma, out.dbeta = s0;
    if (is(Mistake::dgamma_zero) || (is(Mistake::dgamma_sign_of_zero) && in.gamma == 0))
      out.dgamma = 0;
    if (is(Mistake::dbeta_of_dz)) out.dbeta = static_cast<Real>(total(in.dz));
    if (is(Mistake::dgamma_dbeta_swapped)) std::swap(out.dgamma, out.dbeta);
    if (is(Mistake::gradients_in_storage))
      out.dgamma = stored(out.dgamma), out.dbeta = stored(out.dbeta);
    if (is(Mistake::sums_of_neighbour)) s0 = in.neighbour_s0;
    fill_dx(r, g, s0, s1, dy, xhat, out);
    return true;
  }

  /// The batch's mean and variance as this change finds them.
  void batch_statistics(Real& mean, Real& variance) const {
    const std::int64_t seen = is(Mistake::first_image_only) ? p.s : m;
    const Real count = is(Mistake::first_image_only) ? static_cast<Real>(seen) : divisor();
    const long double centre = weighted_sum(0, seen, [](long double x) { return x; }) / count;
    mean = static_cast<Real>(centre);
    const std::int64_t first = set.count;
    if (is(Mistake::shards_unweighted)) mean = (mean_of(0, first) + mean_of(first, m)) / 2;
    if (is(Mistake::shards_without_spread)) {
      const long double a = mean_of(0, first), b = mean_of(first, m);
      variance = static_cast<Real>(
          (weighted_sum(0, first, [a](long double x) { return (x - a) * (x - a); }) +
           weighted_sum(first, m, [b](long double x) { return (x - b) * (x - b); })) /
          count);
      return;
    }
    const long double around =
        is(Mistake::variance_around_zero) ? 0.0L : static_cast<long double>(mean);
    const bool narrow = is(Mistake::products_in_tf32);
    constexpr int tf32_bits = 11;
    variance =
        static_cast<Real>(weighted_sum(0, seen,
                                       [around, narrow](long double x) {
                                         const long double d =
                                             narrow ? with_bits(x - around, tf32_bits) : x - around;
                                         return d * d;
                                       }) /
                          count);
  }

  /// sum(dy) without any mistake, for the channel behind.
  Real plain_sum() const {
    Real mean = 0, variance = 0, y = 0, xhat = 0, dy = 0;
    used_statistics(mean, variance);
    long double sum = 0;
    for (std::size_t i = 0; i < in.dz.size(); ++i)
      recover(i, mean, reciprocal(variance), scale(), y, xhat, dy), sum += dy;
    return static_cast<Real>(sum);
  }

 private:
  static constexpr Real not_a_number = std::numeric_limits<Real>::quiet_NaN();

  bool is(Mistake one) const { return mistake == one; }
  Real stored(Real value) const { return problem::round_to(storage, static_cast<double>(value)); }
  Real eps() const { return static_cast<Real>(p.eps); }
  Real unbiased(Real variance) const {
    return variance * static_cast<Real>(m) / static_cast<Real>(m - 1);
  }

  // ---- sums -------------------------------------------------------------------------------------

  bool left_out(std::size_t i) const {
    if (!is(Mistake::tail_skipped)) return false;
    const auto at = static_cast<std::int64_t>(i);
    return set.way == 1 ? at % p.s >= p.s - set.count : at >= m - set.count;
  }
  template <class Term>
  long double weighted_sum(std::int64_t first, std::int64_t last, Term term) const {
    long double sum = 0;
    for (std::int64_t k = first; k < last; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const bool lost = is(Mistake::nan_skipped) && std::isnan(in.x[i]);
      if (left_out(i) || (lost && set.way == 0)) continue;
      const long double value = term(lost ? 0.0L : static_cast<long double>(in.x[i]));
      sum += value;
      if (is(Mistake::samples_counted_twice) && k % set.count == 0) sum += value;
    }
    return sum;
  }
  Real mean_of(std::int64_t first, std::int64_t last) const {
    return static_cast<Real>(weighted_sum(first, last, [](long double x) { return x; }) /
                             static_cast<long double>(last - first));
  }
  static long double total(const std::vector<double>& values) {
    long double sum = 0;
    for (const double value : values) sum += value;
    return sum;
  }
  Real divisor() const {
    const double count =
        is(Mistake::count_m_minus_one)     ? static_cast<double>(m - 1)
        : is(Mistake::count_without_space) ? static_cast<double>(p.n)
        : is(Mistake::count_without_batch) ? static_cast<double>(p.s)
        : is(Mistake::count_in_f16)
            ? problem::round_to(problem::format_of(ABN_F16), static_cast<double>(m))
            : static_cast<double>(m);
    return static_cast<Real>(count);
  }

  // ---- marks ------------------------------------------------------------------------------------

  int mark_bits() const {
    return problem::format_of(is(Mistake::accumulate_f16)    ? ABN_F16
                              : is(Mistake::accumulate_bf16) ? ABN_BF16
                                                             : ABN_F32)
        .precision;
  }
  /// Is the sum a number of the narrow type, as far as what is left of it tells?
  bool has_few_bits(Real sum) const {
    if (is(Mistake::variance_one_pass)) return true;
    // of the sum after it was divided and stored
    const Real resolution = 8 * static_cast<Real>(problem::format_of(p.param_dtype).unit_roundoff);
    return std::fabs(sum - with_bits(sum, mark_bits())) <= resolution * std::fabs(sum);
  }
  /// Statistics of the kernel itself where their digits show what it did. An E[x^2] - mean^2 is off
  /// by roundings of mean^2, not of the variance.
  bool follow_marks(Real& mean, Real& variance) const {
    if (is(Mistake::variance_negative)) {
      if (in.own_variance < 0) variance = in.own_variance;
      return true;
    }
    if (!leaves_marks(mistake)) return true;
    const Real count = static_cast<Real>(m);
    if (is(Mistake::variance_one_pass)) {
      const Real u = static_cast<Real>(problem::format_of(p.param_dtype).unit_roundoff),
                 square = variance + mean * mean;
      if (!(std::fabs(in.own_variance - variance) <= (count + 4) * u * square)) return false;
      variance = in.own_variance;
      return true;
    }
    if (!has_few_bits(in.own_mean * count) || !has_few_bits(in.own_variance * count)) return false;
    mean = in.own_mean, variance = in.own_variance;
    return true;
  }
  /// r by least squares from the samples whose y can be read off z.
  bool fit_root(Real mean, Real& r) const {
    constexpr Real most = 0.05;  // beyond, it is no inaccuracy
    long double products = 0, squares = 0;
    for (std::size_t i = 0; i < in.x.size(); ++i) {
      const Real z = static_cast<Real>(in.own_z[i]), distance = static_cast<Real>(in.x[i]) - mean;
      if (!phi.has_inverse() || (phi.curved() && !(z > 0)) || !std::isfinite(z) ||
          !std::isfinite(distance))
        continue;
      const Real y = !phi.linear() && z < 0 ? z / parameter() : z;
      products += (y - beta()) * distance, squares += scale() * distance * distance;
    }
    const Real found = static_cast<Real>(products / squares);
    const Real off = std::fabs(found / r - 1),
               least = 32 * static_cast<Real>(problem::format_of(p.param_dtype).unit_roundoff);
    if (!(off > least && off < most)) return false;
    r = found;
    return true;
  }

  // ---- parameters -------------------------------------------------------------------------------

  Real reciprocal(Real variance) const {
    const Real e = eps();
    if (is(Mistake::variance_unbiased) && set.way == 0) variance = unbiased(variance);
    if (is(Mistake::eps_outside_root)) return 1 / (std::sqrt(variance) + e);
    if (is(Mistake::variance_without_root)) return 1 / (variance + e);
    if (is(Mistake::rstd_of_rstd)) variance = 1 / std::sqrt(variance + e);
    const Real radicand = is(Mistake::eps_missing)   ? variance
                          : is(Mistake::eps_max)     ? std::max(variance, e)
                          : is(Mistake::eps_squared) ? variance + e * e
                          : is(Mistake::eps_twice)   ? variance + 2 * e
                                                     : variance + e;
    return 1 / std::sqrt(radicand);
  }
  Real parameter_as_read(Real value) const {
    return is(Mistake::parameters_in_storage) ? stored(value) : value;
  }
  Real scale() const {
    const bool abs_eps = p.scale == ABN_SCALE_ABS_EPS;
    if (!in.affine || in.unit_scale) return is(Mistake::no_affine_with_eps) ? 1 + eps() : 1;
    if (is(Mistake::gamma_missing)) return 1;
    const Real gamma = parameter_as_read(in.gamma), size = std::fabs(gamma);
    Real g = abs_eps ? size + eps() : gamma;
    if (abs_eps ? is(Mistake::abs_eps_without_eps) : is(Mistake::gamma_sign_lost)) g = size;
    if (is(Mistake::gamma_signed)) g = gamma;
    if (is(Mistake::abs_eps_under_signed)) g = size + eps();
    return is(Mistake::gamma_squared) ? g * g : g;
  }
  Real beta() const {
    return is(Mistake::beta_missing) || !in.affine ? 0 : parameter_as_read(in.beta);
  }
  Real parameter() const {
    constexpr double usual_slope = 0.01;
    if (is(Mistake::elu_alpha_one)) return 1;
    if (is(Mistake::slope_default))
      return problem::round_to(problem::format_of(p.param_dtype), usual_slope);
    return static_cast<Real>(p.activation_parameter);
  }

  Real width() const { return phi.scaled && !is(Mistake::width_forgotten) ? parameter() : Real(1); }

  // ---- forward ----------------------------------------------------------------------------------

  void running(Real mean, Real variance, ForwardPrediction<Real>& out) const {
    Real batch = m > 1 ? unbiased(variance) : variance;
    if (is(Mistake::running_variance_biased)) batch = variance;
    if (is(Mistake::running_variance_with_eps)) batch += eps();
    if (is(Mistake::running_variance_is_deviation)) batch = std::sqrt(batch);
    if (is(Mistake::running_swapped)) std::swap(mean, batch);
    const Real momentum = static_cast<Real>(p.momentum),
               weight = is(Mistake::momentum_swapped) ? 1 - momentum : momentum;
    const Real kept = is(Mistake::running_without_decay) ? 1 : 1 - weight;
    out.running_mean = in.running_mean, out.running_var = in.running_var;
    for (int times = is(Mistake::running_not_updated)     ? 0
                     : is(Mistake::running_updated_twice) ? 2
                                                          : 1;
         times > 0; --times) {
      out.running_mean = kept * out.running_mean + weight * mean;
      out.running_var = kept * out.running_var + weight * batch;
    }
  }
  void save(Real variance, ForwardPrediction<Real>& out) const {
    if (is(Mistake::saved_variance_unbiased)) out.variance = unbiased(variance);
    if (is(Mistake::saved_variance_with_eps)) out.variance = variance + eps();
    if (is(Mistake::saved_variance_is_rstd)) out.variance = 1 / std::sqrt(variance + eps());
  }
  void fill(Real mean, Real r, ForwardPrediction<Real>& out) const {
    const Real g = scale(), shift = beta();
    out.z.resize(in.x.size()), out.xhat.resize(in.x.size());
    for (std::size_t i = 0; i < in.x.size(); ++i) {
      Real xhat = (static_cast<Real>(in.x[i]) - mean) * r;
      out.xhat[i] = xhat;
      if (is(Mistake::xhat_in_storage)) xhat = stored(xhat);
      Real y = g * xhat + shift;
      if (is(Mistake::y_in_storage)) y = stored(y);
      out.z[i] = finished(is(Mistake::activation_before_affine) ? g * value(xhat, xhat) + shift
                                                                : value(y, xhat));
      if (is(Mistake::z_in_type_of_x)) out.z[i] = stored(out.z[i]);
    }
  }
  /// What a store makes of it, where that is what is changed.
  Real finished(Real value) const {
    if (is(Mistake::nan_lost) && std::isnan(value)) return 0;
    if (is(Mistake::saturating_store) && std::fabs(value) > storage.largest)
      return std::copysign(static_cast<Real>(storage.largest), value);
    if (!is(Mistake::truncated_store) || value == 0 || !std::isfinite(value)) return value;
    const int step = std::max(std::ilogb(value), storage.emin) - storage.precision + 1;
    return std::ldexp(std::trunc(std::ldexp(value, -step)), step);
  }
  Real value(Real y, Real xhat) const {
    if (phi.linear()) return y;
    if (!phi.has_inverse())
      return is(Mistake::slope_missing)                  ? y
             : is(Mistake::hardswish_unlimited)          ? y * (y + 3) / 6
             : is(Mistake::hardswish_limits) && !(y > 0) ? 0
             : is(Mistake::exponent_sign)                ? value_of_minus_y(p.activation, y)
                                                         : curve_value(simulated_activation(), y);
    if (y == 0 && is(Mistake::zero_sign)) return -Real(0);
    if (!branch(is(Mistake::branch_of_xhat) ? xhat < 0 : y < 0) || is(Mistake::slope_missing))
      return y + Real(0);
    if (is(Mistake::slope_zero)) return 0;
    if (!phi.curved())
      return (is(Mistake::slope_twice) ? parameter() * parameter() : parameter()) * y;
    if (is(Mistake::elu_alpha_inside)) return std::expm1(parameter() * y);
    if (is(Mistake::elu_clamped)) y = std::max(y, static_cast<Real>(set.value));
    y /= width();
    return parameter() * (is(Mistake::elu_derivative_of_y) ? std::exp(y) : std::expm1(y));
  }
  bool branch(bool negative) const { return negative != is(Mistake::wrong_branch); }

  // ---- backward ---------------------------------------------------------------------------------

  void used_statistics(Real& mean, Real& variance) const {
    mean = in.running_mean, variance = in.running_var;
    if (p.mode == ABN_TRAINING) mean = in.kept_mean, variance = in.kept_variance;
    if (is(Mistake::mean_not_subtracted)) mean = 0;
  }
  int simulated_activation() const {
    return is(Mistake::activation_confused) ? set.way : p.activation;
  }
  Real derivative_of_curve(Real z, Real y) const {
    if (is(Mistake::slope_missing)) return 1;
    if (is(Mistake::hardswish_unlimited)) return y / 3 + Real(0.5);
    if (is(Mistake::hardswish_limits) && !(y > 0)) return 0;
    if (is(Mistake::exponent_sign)) return derivative_of_minus_y(p.activation, y);
    if (is(Mistake::derivative_cut)) return cut_derivative(p.activation, y);
    const Real slope =
        curve_derivative(simulated_activation(), is(Mistake::derivative_of_output) ? z : y);
    return is(Mistake::slope_twice) ? slope * slope : slope;
  }
  Real derivative(Real z, Real y) const {
    if (is(Mistake::slope_missing)) return 1;
    if (is(Mistake::slope_zero)) return 0;
    const Real a = parameter();
    Real slope = a;
    if (!phi.curved()) {
      if (is(Mistake::slope_divided)) slope = 1 / a;
    } else {
      slope = z + a;
      if (is(Mistake::elu_derivative_of_y)) slope = set.way == 0 ? z : a * std::exp(z / width());
      if (is(Mistake::elu_derivative_without_alpha)) slope = z + 1;
      if (is(Mistake::elu_derivative_of_inverse)) slope = y + a;
      slope /= width();
    }
    return is(Mistake::slope_twice) ? slope * slope : slope;
  }
  Real inverse(Real z, bool negative) const {
    if (!negative || is(Mistake::slope_not_inverted)) return z;
    if (!phi.curved())
      return is(Mistake::slope_multiplied_in_inverse) ? z * parameter() : z / parameter();
    return width() * std::log1p(z / parameter());
  }
  /// The stored z, moved back above -alpha where ELU saturated.
  Real kept_z(std::size_t i) const {
    return is(Mistake::saturated_unguarded) ? in.z[i] : problem::lifted(p, in.z[i]);
  }
  void recover(std::size_t i, Real mean, Real r, Real g, Real& y, Real& xhat, Real& dy) const {
    const bool in_place = in.scheme == ABN_IN_PLACE_1 || in.scheme == ABN_IN_PLACE_2;
    const Real shift = beta(), given = static_cast<Real>(in.dz[i]),
               dz = is(Mistake::dz_in_type_of_x) ? stored(given) : given;
    Real z = 0;
    bool negative = false;
    if (in_place) {
      z = kept_z(i);
      negative = chosen(std::signbit(z), z < 0, (z - shift) / g, dz);
      y = inverse(z, negative);
      const Real floor = static_cast<Real>(set.value),
                 divisor_of_inversion = is(Mistake::gamma_floored) && std::fabs(g) < floor
                                            ? std::copysign(floor, g)
                                            : g;
      xhat = g == 0 && !is(Mistake::gamma_zero_unguarded)
                 ? 0
                 : (is(Mistake::beta_not_subtracted) ? y : y - shift) / divisor_of_inversion;
    } else {
      xhat = in.scheme == ABN_CHECKPOINT_XHAT ? static_cast<Real>(in.xhat[i])
                                              : (static_cast<Real>(in.x[i]) - mean) * r;
      y = g * xhat + shift;
      z = in.scheme == ABN_STANDARD ? kept_z(i) : value(y, xhat);
      negative = chosen(in.scheme == ABN_STANDARD ? std::signbit(z) : y < 0, z < 0, xhat, dz);
    }
    if (is(Mistake::xhat_in_storage)) xhat = stored(xhat);
    if (is(Mistake::xhat_clipped))
      xhat = std::clamp(xhat, -static_cast<Real>(set.value), static_cast<Real>(set.value));
    if (is(Mistake::y_in_storage)) y = stored(y);
    dy = !phi.has_inverse() ? dz * derivative_of_curve(z, y)
         : negative         ? dz * derivative(z, y)
                            : dz;
    if (is(Mistake::dy_in_storage)) dy = stored(dy);
  }
  bool chosen(bool by_sign, bool by_comparison, Real xhat, Real dz) const {
    if (phi.linear() || !phi.has_inverse()) return false;
    if (is(Mistake::branch_of_xhat)) return xhat < 0;
    if (is(Mistake::branch_of_dz)) return dz < 0;
    return branch(is(Mistake::branch_by_comparison) ? by_comparison : by_sign);
  }
  void replace_dgamma(Real s0, Real sum_y, Real r, Real g, Real& dgamma, Real& s1) const {
    Real other = dgamma;
    if (is(Mistake::dgamma_of_y)) other = sum_y;
    if (is(Mistake::dgamma_of_deviation)) other = dgamma / r;
    if (is(Mistake::dgamma_without_beta)) other = sum_y / g;
    if (is(Mistake::dgamma_not_divided)) other = sum_y - beta() * s0;
    if (is(Mistake::dgamma_mean)) other = dgamma / static_cast<Real>(m);
    dgamma = other;
    if (set.way == 1 || is(Mistake::dgamma_without_beta) || is(Mistake::dgamma_not_divided))
      if (!is(Mistake::tail_skipped) && !is(Mistake::sums_of_dz)) s1 = other;
  }
  void fill_dx(Real r, Real g, Real s0, Real s1, const std::vector<Real>& dy,
               const std::vector<Real>& xhat, BackwardPrediction<Real>& out) const {
    const bool in_place = in.scheme == ABN_IN_PLACE_1 || in.scheme == ABN_IN_PLACE_2;
    const bool training =
        p.mode == ABN_TRAINING ? !is(Mistake::dx_frozen_formula) : is(Mistake::dx_training_formula);
    const Real count = divisor(), root = is(Mistake::dx_missing_rstd) ? 1
                                         : is(Mistake::dx_rstd_twice) ? r * r
                                                                      : r;
    const Real front = root * (is(Mistake::dx_missing_gamma) ? 1
                               : is(Mistake::dx_gamma_twice) ? g * g
                                                             : g);
    const Real mean_dy = is(Mistake::dx_missing_mean_dy) ? 0 : s0 / count;
    const Real mean_product = is(Mistake::dx_missing_xhat_term)
                                  ? 0
                                  : (is(Mistake::dx_xhat_term_negated) ? -s1 : s1) / count;
    const bool nothing = in_place && g == 0 && !is(Mistake::gamma_zero_unguarded);
    out.dx.resize(dy.size());
    for (std::size_t i = 0; i < dy.size(); ++i) {
      const Real dx = training ? front * (dy[i] - mean_dy - xhat[i] * mean_product) : front * dy[i];
      out.dx[i] = is(Mistake::dx_zero) || nothing ? 0
                  : is(Mistake::dx_is_dz)         ? static_cast<Real>(in.dz[i])
                                                  : finished(dx);
    }
  }

  const Given<Real>& in;
  const abn_problem& p;
  const problem::Phi phi;
  const Mistake mistake;
  const MistakeAt& set;
  const problem::Format& storage;
  const std::int64_t m;
};

}  // namespace abn::verify::judge::diagnosis
