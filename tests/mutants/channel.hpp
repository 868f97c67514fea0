// One channel of a kernel with at most one bug: reading and writing, parameters, sums, the root,
// the activation. Both directions use it.
//
// The simulated kernel of verify/study takes formats, places and activations from the judge, and so
// would share a mistake with it. These kernels go through the ABI and share nothing: not even
// rounding (tests/mutants/arithmetic.hpp), where many of their bugs bite.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/mutants/arithmetic.hpp"
#include "tests/mutants/curve.hpp"
#include "tests/mutants/plan.hpp"
#include "tests/mutants/values.hpp"

namespace abn::mutants {

enum class Pass : std::uint8_t { forward, backward };
enum class Tensor : std::uint8_t { x, kept, dz };

/// for the bug that lets the order of sums change from call to call
inline thread_local std::int64_t forward_calls = 0;

/// A is the type that everything is computed in.
template <class A>
struct Channel {
  const Plan& plan;
  const abn_problem& p;
  std::int64_t c;
  Pass pass;
  std::int64_t m = p.n * p.s;
  A eps = taken(Number::eps, static_cast<A>(p.eps)),
    parameter = static_cast<A>(p.activation_parameter);

  A taken(Number which, A value) const {
    return mutants::taken(plan.bug, which, value, backward());
  }
  bool has(Bug bug) const { return plan.bug == bug; }
  bool forward() const { return pass == Pass::forward; }
  bool backward() const { return pass == Pass::backward; }
  bool training() const { return p.mode == ABN_TRAINING; }

  // Where the bugs of a path bite that only some sizes take.
  static constexpr std::int64_t longest_row = 40960, first_power = 8192, first_wide = 256,
                                rows_of_tile = 32;
  bool power_of_two() const { return m >= first_power && (m & (m - 1)) == 0; }
  /// NHWC in vectors of eight: channels from the second block of 256 on, samples from the second
  /// tile of 32 on.
  bool in_wide_tile(std::int64_t i) const {
    return p.layout == ABN_NHWC && p.c % 8 == 0 && c >= first_wide && i >= rows_of_tile;
  }

  /// a*b + c
  A multiply_add(A a, A b, A d) const {
    return plan.design.contracted ? std::fma(a, b, d) : a * b + d;
  }

  static std::int64_t position(const abn_problem& p, int layout, std::int64_t c, std::int64_t i) {
    return layout == ABN_NCHW ? (i / p.s * p.c + c) * p.s + i % p.s : i * p.c + c;
  }
  std::int64_t at(std::int64_t i) const { return position(p, p.layout, c, i); }

  std::int64_t at_for_reading(Tensor tensor, std::int64_t i) const {
    int layout = p.layout;
    if (has(Bug::layout_confused) && tensor == Tensor::x) layout = 1 - layout;
    if (has(Bug::layout_of_dz_confused) && tensor == Tensor::dz) layout = 1 - layout;
    if (has(Bug::images_modulo_32)) i = i / p.s % 32 * p.s + i % p.s;
    if (has(Bug::samples_of_16_bits)) i &= 0xffff;
    if (has(Bug::nhwc_wide_rows_shifted) && tensor == Tensor::x && in_wide_tile(i)) --i;
    if (has(Bug::row_tail_shifted) && p.s > 4 && i % p.s >= p.s / 4 * 4) --i;
    const std::int64_t at = position(p, layout, c, i);
    return has(Bug::elements_of_18_bits) ? at & 0x3ffff : at;
  }

  std::vector<A> read(const void* tensor, Tensor which) const {
    // vector accesses ignore the lowest four bits of an address
    if (has(Bug::misaligned_base) && which != Tensor::kept) {
      const auto low = static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(tensor) % 16);
      tensor = static_cast<const std::byte*>(tensor) - low;
    }
    std::vector<A> values(static_cast<std::size_t>(m));
    for (std::int64_t i = 0; i < m; ++i) {
      double value = load(p.dtype, tensor, at_for_reading(which, i));
      if (has(Bug::subnormals_flushed) && p.dtype != ABN_F64 &&
          std::fabs(value) < std::ldexp(1.0, narrow_format(p.dtype).emin))
        value = 0;
      values[static_cast<std::size_t>(i)] =
          which == Tensor::kept
              ? static_cast<A>(value)
              : taken(which == Tensor::x ? Number::x : Number::dz, static_cast<A>(value));
    }
    return values;
  }

  /// Where a bug or the design keeps it in the storage type.
  A materialised(std::uint32_t flag, Bug bug, A value) const {
    return has(bug) || (plan.design.materialises & flag) != 0 ? in_storage(value) : value;
  }
  bool folded() const { return plan.design.normalise != ABN_DIRECT || has(Bug::folded_unclaimed); }
  /// The b of a x + b.
  A offset(A mean, A g, A r, A beta) const {
    return plan.design.normalise == ABN_FOLDED_APART ? multiply_add(-(mean * g), r, beta)
                                                     : multiply_add(-mean, g * r, beta);
  }

  /// Rounded to the storage type.
  A in_storage(A value) const {
    return static_cast<A>(rounded(p.dtype, static_cast<double>(value)));
  }

  void write(void* tensor, std::int64_t i, A value) const {
    if (tensor == nullptr) return;
    const std::int64_t where = at(i);
    if (has(Bug::row_tail_unwritten) && p.s > 4 && i % p.s >= p.s / 4 * 4) return;
    if (has(Bug::last_element_unwritten) && where == p.n * p.c * p.s - 1) return;
    const Rounding rounding = has(Bug::truncated_store)       ? Rounding::to_zero
                              : has(Bug::ties_away_from_zero) ? Rounding::ties_away
                                                              : Rounding::nearest_even;
    double stored = rounded(p.dtype, static_cast<double>(value), rounding);
    if (has(Bug::saturating_store) && std::isinf(stored))
      stored = std::copysign(largest(p.dtype), stored);
    store(p.dtype, stored, tensor, where);
    if (has(Bug::written_behind) && where == p.n * p.c * p.s - 1)
      store(p.dtype, stored, tensor, where + 1);
  }

  A read_vector(const void* vector) const { return static_cast<A>(load(p.param_dtype, vector, c)); }
  void write_vector(void* vector, A value) const {
    if (vector != nullptr)
      store(p.param_dtype, rounded(p.param_dtype, static_cast<double>(value)), vector, c);
  }

  A read_parameter(const void* vector) const {
    std::int64_t from = c;
    if (has(Bug::channel_shifted)) from = (c + 1) % p.c;
    if (has(Bug::channels_modulo_64)) from = c % 64;
    const auto value = static_cast<A>(load(p.param_dtype, vector, from));
    return has(Bug::parameters_in_storage) ? in_storage(value) : value;
  }

  A scale(const void* gamma) const {
    if (gamma == nullptr)
      return has(Bug::no_affine_with_eps) && p.scale == ABN_SCALE_ABS_EPS ? 1 + eps : A(1);
    const A value = taken(Number::gamma, read_parameter(gamma));
    if (has(Bug::gamma_missing)) return 1;
    if (p.scale == ABN_SCALE_SIGNED) return has(Bug::gamma_sign_lost) ? std::fabs(value) : value;
    if (has(Bug::gamma_signed) || (has(Bug::gamma_signed_backward) && backward())) return value;
    const bool without_eps =
        has(Bug::abs_eps_without_eps) || (has(Bug::abs_eps_without_eps_backward) && backward());
    return without_eps ? std::fabs(value) : std::fabs(value) + eps;
  }
  A shift(const void* beta) const {
    return beta == nullptr || (has(Bug::beta_missing) && forward())
               ? A(0)
               : taken(Number::beta, read_parameter(beta));
  }

  /// The sum of term(0), ..., term(samples-1).
  template <class Term>
  A sum(std::int64_t samples, const Term& term) const {
    const bool tail_skipped =
        forward() ? has(Bug::statistics_tail_skipped) : has(Bug::backward_tail_skipped);
    if (tail_skipped && samples > lanes) samples -= samples % lanes;
    const int type =
        has(Bug::accumulate_f16)                                                          ? ABN_F16
        : has(Bug::accumulate_bf16) || (has(Bug::backward_accumulate_bf16) && backward()) ? ABN_BF16
        : has(Bug::accumulate_f32)                                                        ? ABN_F32
                                                                                          : ABN_F64;
    const auto add = [&](A a, A b) {
      return static_cast<A>(rounded(type, static_cast<double>(a + b)));
    };
    const Summation summation = plan.design.summation;
    if (summation == Summation::sequential) {
      A total = 0;
      for (std::int64_t i = 0; i < samples; ++i) total = add(total, term(i));
      return total;
    }
    if (summation == Summation::pairwise) return pairwise_sum<A>(0, samples, term);
    if (summation == Summation::wide && sizeof(A) < sizeof(double)) {
      double total = 0;
      for (std::int64_t i = 0; i < samples; ++i) total += static_cast<double>(term(i));
      return static_cast<A>(total);
    }
    std::array<A, lanes> lane{};
    const std::int64_t first =
        has(Bug::sums_in_order_of_arrival) ? forward_calls % 2 * (samples / 2) : 0;
    for (std::int64_t i = 0; i < samples; ++i) {
      A& own = lane[static_cast<std::size_t>(i % lanes)];
      own = add(own, term((i + first) % samples));
    }
    if (has(Bug::block_counted_twice) && forward()) lane[0] = add(lane[0], lane[0]);
    return tree(lane, add);
  }

  /// 1/sqrt(variance + eps)
  A inverse_deviation(A variance) const {
    if (has(Bug::eps_outside_root)) return 1 / (std::sqrt(variance) + eps);
    if (has(Bug::eps_missing) || (has(Bug::eps_missing_backward) && backward()))
      return 1 / std::sqrt(variance);
    if (has(Bug::eps_max)) return 1 / std::sqrt(std::max(variance, eps));
    if (has(Bug::eps_squared)) return 1 / std::sqrt(variance + eps * eps);
    if (has(Bug::eps_twice)) return 1 / std::sqrt(variance + eps + eps);
    if (has(Bug::variance_without_root)) return 1 / (variance + eps);
    if (has(Bug::rstd_of_rstd) && backward())
      return 1 / std::sqrt(1 / std::sqrt(variance + eps) + eps);
    if (has(Bug::rstd_one_newton_step)) return newton(variance + eps, 1);
    if (has(Bug::rstd_two_newton_steps)) return newton(variance + eps, 2);
    A root = taken(Number::root, 1 / std::sqrt(variance + eps));
    for (int step = root > 0 ? std::abs(plan.design.root_steps) : 0; step > 0; --step)
      root = std::nextafter(root,
                            plan.design.root_steps > 0 ? std::numeric_limits<A>::infinity() : A(0));
    return root;
  }

  /// The reciprocal root from the exponent's half and a few steps of Newton's method.
  static A newton(A value, int steps) {
    const auto narrow = static_cast<float>(value);
    if (!(narrow > 0x1p-120F && narrow < 0x1p120F)) return 1 / std::sqrt(value);
    auto root = static_cast<A>(
        std::bit_cast<float>(0x5f375a86U - (std::bit_cast<std::uint32_t>(narrow) >> 1)));
    for (int i = 0; i < steps; ++i) root *= A(1.5) - A(0.5) * value * root * root;
    return root;
  }

  /// The activation's parameter as the code at hand has it.
  A slope() const {
    return has(Bug::slope_default) && p.activation == ABN_LEAKY_RELU
               ? A(0.01F)
               : taken(Number::slope, parameter);
  }
  A alpha() const {
    const bool one = has(Bug::elu_alpha_one) || (has(Bug::elu_alpha_one_backward) && backward()) ||
                     (has(Bug::celu_alpha_one_backward) && p.activation == ABN_CELU && backward());
    return one ? A(1) : taken(Number::alpha, parameter);
  }
  /// What CELU divides y by.
  A width() const {
    const bool forgotten =
        has(Bug::celu_width_forgotten) || (has(Bug::celu_width_forgotten_backward) && backward());
    return p.activation == ABN_CELU && !forgotten ? alpha() : A(1);
  }

  bool has_inverse() const { return p.activation <= ABN_CELU; }
  Curve<A> curve() const { return {plan.bug, p.activation, backward()}; }

  A activate(A y, A xhat) const {
    if (p.activation == ABN_IDENTITY) return y;
    if (!has_inverse()) return curve().value(y);
    // max(y, 0) + slope*min(y, 0) of a library whose max leaves NaN out
    if (has(Bug::nan_lost) && std::isnan(y)) return 0;
    const bool negative = has(Bug::branch_of_xhat_forward)   ? xhat < 0
                          : has(Bug::branch_by_sign_forward) ? std::signbit(y)
                                                             : y < 0;
    if (has(Bug::zero_negative) && y == 0) return -A(0);
    if (!negative) return y + A(0);  // +0 for -0
    if (has(Bug::slope_missing_forward)) return y;
    if (has(Bug::relu)) return 0;
    if (p.activation == ABN_LEAKY_RELU)
      return has(Bug::slope_squared) ? slope() * slope() * y : slope() * y;
    if (has(Bug::elu_alpha_inside)) return std::expm1(alpha() * y);
    if (p.activation == ABN_CELU) y /= width();
    if (has(Bug::elu_exp_minus_one)) return alpha() * (std::exp(y) - 1);
    if (has(Bug::elu_clamped)) return alpha() * std::expm1(std::max(y, A(-8)));
    if (has(Bug::expm1_approximate)) return alpha() * expm1_of_steps(y);
    if (has(Bug::alpha_missing_at_saturation) && y < A(-30)) return -1;
    return alpha() * std::expm1(y);
  }

  /// (1 + y/2^k)^(2^k) - 1, the limit that defines exp, taken too early.
  static A expm1_of_steps(A y) {
    constexpr int halvings = 12;
    A power = 1 + std::ldexp(std::max(y, A(-100)), -halvings);
    for (int i = 0; i < halvings; ++i) power *= power;
    return power - 1;
  }
};

}  // namespace abn::mutants
