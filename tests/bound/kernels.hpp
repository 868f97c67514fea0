// Host kernels for testing the bounds: correct ones of every declared class and order of
// operations, and some with planted bugs.
//
// A kernel computes one channel at a time in the accumulate type A: float, double, or Soft<dtype>,
// which rounds after every operation. Its `Style` picks among the liberties that the bounds grant
// (verify/bound/bound.hpp); `Bug` takes one that they do not.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/bound/data.hpp"
#include "verify/compare/expectation.hpp"
#include "verify/expect/expect.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/inputs.hpp"
#include "verify/problem/problem.hpp"

namespace abn::tests {

using namespace abn::verify;

/// A number of a narrow format: every operation is done in double and rounded (innocuous double
/// rounding: 53 >= 2*11 + 2).
template <int Dtype>
struct Soft {
  double value = 0;
  Soft() = default;
  explicit Soft(double v) : value(problem::round_to(problem::format_of(Dtype), v)) {}
  explicit operator double() const { return value; }
  friend Soft operator+(Soft a, Soft b) { return Soft(a.value + b.value); }
  friend Soft operator-(Soft a, Soft b) { return Soft(a.value - b.value); }
  friend Soft operator*(Soft a, Soft b) { return Soft(a.value * b.value); }
  friend Soft operator/(Soft a, Soft b) { return Soft(a.value / b.value); }
  friend Soft operator-(Soft a) { return Soft(-a.value); }
  friend bool operator<(Soft a, Soft b) { return a.value < b.value; }
  friend Soft sqrt(Soft a) { return Soft(std::sqrt(a.value)); }
  friend Soft exp(Soft a) { return Soft(std::exp(a.value)); }
  friend Soft expm1(Soft a) { return Soft(std::expm1(a.value)); }
  friend Soft log1p(Soft a) { return Soft(std::log1p(a.value)); }
  friend Soft tanh(Soft a) { return Soft(std::tanh(a.value)); }
  friend Soft erf(Soft a) { return Soft(std::erf(a.value)); }
  friend Soft fma(Soft a, Soft b, Soft c) { return Soft(std::fma(a.value, b.value, c.value)); }
};

enum class Bug {
  none,
  eps_outside_root,
  unbiased_variance,
  biased_running_variance,
  missing_mean_dy,
  missing_mean_dy_xhat,
  slope_twice,
  branch_by_comparison,  ///< z < 0 instead of the sign bit
  truncated_store,       ///< rounds towards zero
  last_dropped_forward,
  last_dropped_backward,
  last_dropped_dbeta,
  momentum_swapped,
  slope_not_in_inverse,
  xhat_without_beta,
};

struct Style {
  int lanes = 256;  ///< of every sum; 1: sequential
  int statistics = ABN_TWO_PASS;
  bool folded = false;
  int order = 0;             ///< 0 textbook, 1 premultiplied, 2 contracted
  bool reciprocals = false;  ///< multiplies by a rounded 1/x instead of dividing
  /// not 0: r as from a hardware reciprocal root, too large or too small
  int root_ulp = 0;
  std::uint32_t materialises = 0;
  /// ELU under the standard scheme: alpha e^y from forward's y, not z + alpha
  bool derivative_from_y = false;
  /// the same from a y found again from x and the saved statistics
  bool derivative_from_y_again = false;
  Bug bug = Bug::none;
};

inline std::int64_t tree_depth(std::int64_t m, int lanes) {
  if (lanes == 1) return m;
  std::int64_t levels = 0;
  while ((std::int64_t{1} << levels) < std::min<std::int64_t>(lanes, m)) ++levels;
  return std::min<std::int64_t>(m, (m + lanes - 1) / lanes + levels);
}

inline abn_claims claims_of(const abn_problem& problem, const Style& style, int scheme,
                            int accumulate) {
  abn_claims claims{};
  claims.struct_size = sizeof(abn_claims);
  claims.scheme = scheme;
  claims.statistics = style.statistics;
  claims.normalise = style.folded ? ABN_FOLDED : ABN_DIRECT;
  claims.accumulate = accumulate;
  claims.materialises = style.materialises;
  claims.saves = scheme == ABN_STANDARD ? ABN_SAVES_X | ABN_SAVES_Z | ABN_SAVES_MEAN | ABN_SAVES_VAR
                 : scheme == ABN_CHECKPOINT_X    ? ABN_SAVES_X | ABN_SAVES_MEAN | ABN_SAVES_VAR
                 : scheme == ABN_CHECKPOINT_XHAT ? ABN_SAVES_XHAT | ABN_SAVES_VAR
                                                 : ABN_SAVES_Z | ABN_SAVES_VAR;
  claims.depth_statistics = claims.depth_backward =
      tree_depth(problem::sample_count(problem), style.lanes);
  claims.function_ulp = 2;
  return claims;
}

/// Everything that a kernel writes, as stored.
struct Outputs {
  problem::Saved saved;
  std::vector<double> running_mean, running_var, dx, dgamma, dbeta;

  const std::vector<double>& of(compare::Output output) const {
    switch (output) {
      case compare::Output::mean:
        return saved.mean;
      case compare::Output::variance:
        return saved.variance;
      case compare::Output::running_mean:
        return running_mean;
      case compare::Output::running_var:
        return running_var;
      case compare::Output::z:
        return saved.z;
      case compare::Output::xhat:
        return saved.xhat;
      case compare::Output::dx:
        return dx;
      case compare::Output::dgamma:
        return dgamma;
      default:
        return dbeta;
    }
  }
};

template <class A>
class Kernel {
 public:
  Kernel(const problem::Inputs& given, const Style& how, int scheme_of_kernel)
      : in(given), p(given.problem), style(how), scheme(scheme_of_kernel) {}

  Outputs run() {
    const auto size = static_cast<std::size_t>(problem::element_count(p)),
               channels = static_cast<std::size_t>(p.c);
    out.saved.z.resize(size);
    out.saved.xhat.resize(size);
    out.dx.resize(size);
    for (std::vector<double>* vector : {&out.saved.mean, &out.saved.variance, &out.running_mean,
                                        &out.running_var, &out.dgamma, &out.dbeta})
      vector->resize(channels);
    for (std::int64_t c = 0; c < p.c; ++c) {
      forward(c);
      if (p.mode != ABN_INFERENCE) backward(c);
    }
    return out;
  }

 private:
  struct Merged {
    A count{}, mean{}, m2{};
  };

  static A number(double value) { return A(value); }
  A divide(A a, A b) const { return style.reciprocals ? a * (number(1) / b) : a / b; }
  double store(A value) const {
    const problem::Format& format = problem::format_of(p.dtype);
    if (style.bug != Bug::truncated_store)
      return problem::round_to(format, static_cast<double>(value));
    const double v = static_cast<double>(value), nearest = problem::round_to(format, v);
    return std::fabs(nearest) > std::fabs(v)
               ? nearest - std::copysign(problem::ulp_of(format, v), v)
               : nearest;
  }
  double store_parameter(A value) const {
    return problem::round_to(problem::format_of(p.param_dtype), static_cast<double>(value));
  }
  A through_storage(std::uint32_t flag, A value) const {
    return (style.materialises & flag) != 0
               ? number(problem::round_to(problem::format_of(p.dtype), static_cast<double>(value)))
               : value;
  }

  template <class F>
  A sum(std::int64_t count, F&& term) const {
    const auto lanes = static_cast<std::int64_t>(style.lanes);
    std::vector<A> part(static_cast<std::size_t>(std::min(lanes, count)), number(0));
    for (std::int64_t i = 0; i < count; ++i) {
      A& lane = part[static_cast<std::size_t>(i % lanes)];
      lane = i < lanes ? term(i) : lane + term(i);
    }
    for (std::size_t width = part.size(); width > 1; width = (width + 1) / 2)
      for (std::size_t i = 0; i + (width + 1) / 2 < width; ++i)
        part[i] = part[i] + part[i + (width + 1) / 2];
    return part.empty() ? number(0) : part[0];
  }

  static Merged merge(const Merged& a, const Merged& b) {
    const A count = a.count + b.count, delta = b.mean - a.mean;
    return {count, a.mean + delta * (b.count / count),
            a.m2 + b.m2 + delta * delta * (a.count * (b.count / count))};
  }

  Merged welford(const std::vector<A>& x) const {
    const auto lanes = static_cast<std::size_t>(style.lanes);
    std::vector<Merged> part(std::min(lanes, x.size()), Merged{number(0), number(0), number(0)});
    for (std::size_t i = 0; i < x.size(); ++i) {
      Merged& lane = part[i % lanes];
      lane.count = lane.count + number(1);
      const A delta = x[i] - lane.mean;
      lane.mean = lane.mean + divide(delta, lane.count);
      lane.m2 = lane.m2 + delta * (x[i] - lane.mean);
    }
    for (std::size_t width = part.size(); width > 1; width = (width + 1) / 2)
      for (std::size_t i = 0; i + (width + 1) / 2 < width; ++i)
        part[i] = merge(part[i], part[i + (width + 1) / 2]);
    return part[0];
  }

  void read(const std::vector<double>& tensor, std::int64_t c, std::vector<A>& to) const {
    to.resize(static_cast<std::size_t>(m));
    for (std::int64_t i = 0; i < m; ++i) to[static_cast<std::size_t>(i)] = number(tensor[at(c, i)]);
  }
  std::size_t at(std::int64_t c, std::int64_t i) const {
    return static_cast<std::size_t>(problem::sample_offset(p, c, i));
  }

  A root(A variance) const {
    const A eps = number(p.eps);
    if (style.bug == Bug::eps_outside_root) return number(1) / (sqrt_of(variance) + eps);
    if constexpr (std::is_same_v<A, float>) {
      // a hardware reciprocal root: within 2 ulp, here 1.5 away and then rounded
      if (style.root_ulp != 0 && std::isfinite(variance)) {
        const double exact = 1 / std::sqrt(static_cast<double>(variance + eps));
        return static_cast<float>(exact + std::copysign(1.5, style.root_ulp) *
                                              problem::ulp_of(problem::format_of(ABN_F32), exact));
      }
    }
    return number(1) / sqrt_of(variance + eps);
  }
  static A sqrt_of(A v) {
    using std::sqrt;
    return sqrt(v);
  }

  A affine(A x, A mean, A r, A& xhat) const {
    using std::fma;
    xhat = style.folded ? x * r - mean * r : (x - mean) * r;
    if (style.folded) {
      const A a = g * r, b = beta - a * mean;
      return style.order == 2 ? fma(a, x, b) : a * x + b;
    }
    if ((style.materialises & ABN_MATERIALISES_XHAT) != 0) {
      xhat = through_storage(ABN_MATERIALISES_XHAT, xhat);
      return g * xhat + beta;
    }
    if (style.order == 0) return g * xhat + beta;
    return style.order == 1 ? (x - mean) * (g * r) + beta : fma(x - mean, g * r, beta);
  }

  // Activations without an inverse, as cuda/kernel.h has them.
  A logistic(A v) const {
    using std::exp;
    return divide(number(1), number(1) + exp(-v));
  }
  A normal(A v) const {
    using std::erf;
    return number(0.5) * (number(1) + erf(v * number(std::sqrt(0.5))));
  }
  A tanh_of(A v) const {
    using std::tanh;
    return tanh(number(std::sqrt(2 / std::acos(-1.0))) * (v + number(0.044715) * v * v * v));
  }
  A curve_value(A y) const {
    using std::tanh;
    const A zero = number(0);
    switch (phi.curve->kind) {
      case problem::CurveKind::relu:
        return zero < y ? y : zero;
      case problem::CurveKind::relu6:
        return zero < y ? (y < number(6) ? y : number(6)) : zero;
      case problem::CurveKind::silu:
        return style.order == 1 ? divide(y, number(1) + exp_of(-y)) : y * logistic(y);
      case problem::CurveKind::gelu:
        return y * normal(y);
      case problem::CurveKind::gelu_tanh:
        return style.order == 1 ? y * logistic(number(2 * std::sqrt(2 / std::acos(-1.0))) *
                                               (y + number(0.044715) * y * y * y))
                                : number(0.5) * y * (number(1) + tanh_of(y));
      case problem::CurveKind::sigmoid:
        return logistic(y);
      case problem::CurveKind::tanh:
        return tanh(y);
      case problem::CurveKind::hardswish:
        if (y < number(-3)) return zero;
        return number(3) < y ? y : divide(y * (y + number(3)), number(6));
    }
    return y;
  }
  A curve_derivative(A y) const {
    using std::exp;
    const A zero = number(0), one = number(1);
    switch (phi.curve->kind) {
      case problem::CurveKind::relu:
        return zero < y ? one : zero;
      case problem::CurveKind::relu6:
        return zero < y && y < number(6) ? one : zero;
      case problem::CurveKind::silu: {
        const A s = logistic(y);
        return style.order == 1 ? s + y * s * (one - s) : s * (one + y * (one - s));
      }
      case problem::CurveKind::gelu:
        return normal(y) +
               y * (exp(number(-0.5) * y * y) * number(std::sqrt(0.5 / std::acos(-1.0))));
      case problem::CurveKind::gelu_tanh: {
        const A t = tanh_of(y),
                slope = number(std::sqrt(2 / std::acos(-1.0))) * (one + number(0.134145) * y * y);
        const A bell = one - t * t;
        if (!(zero < bell)) return number(0.5) * (one + t);
        return number(0.5) * (one + t) + number(0.5) * y * bell * slope;
      }
      case problem::CurveKind::sigmoid: {
        const A s = logistic(y);
        return s * (one - s);
      }
      case problem::CurveKind::tanh: {
        const A t = curve_value(y);
        return one - t * t;
      }
      case problem::CurveKind::hardswish:
        if (y < number(-3)) return zero;
        return number(3) < y ? one : divide(y, number(3)) + number(0.5);
    }
    return one;
  }
  /// phi' as a standard kernel may read it off z.
  A curve_derivative_of_output(A z) const {
    const A zero = number(0), one = number(1);
    if (phi.curve->kind == problem::CurveKind::sigmoid) return z * (one - z);
    if (phi.curve->kind == problem::CurveKind::tanh) return one - z * z;
    const bool capped = phi.curve->kind == problem::CurveKind::relu6 && !(z < number(6));
    return zero < z && !capped ? one : zero;
  }
  static A exp_of(A v) {
    using std::exp;
    return exp(v);
  }

  A activate(A y) const {
    using std::expm1;
    if (phi.linear()) return y;
    if (!phi.has_inverse()) return curve_value(y);
    if (!(y < number(0))) return y + number(0);
    const A parameter = number(p.activation_parameter);
    if (!phi.curved()) return parameter * y;
    return parameter * expm1(phi.scaled ? divide(y, parameter) : y);
  }

  void forward(std::int64_t c) {
    const auto channel = static_cast<std::size_t>(c);
    m = problem::sample_count(p);
    const double gamma = in.affine ? in.gamma[channel] : 1;
    beta = number(in.affine ? in.beta[channel] : 0);
    g = number(gamma);
    if (in.affine && p.scale == ABN_SCALE_ABS_EPS) g = number(std::fabs(gamma)) + number(p.eps);
    std::vector<A> x;
    read(in.x, c, x);
    A mean = number(in.running_mean[channel]), variance = number(in.running_var[channel]);
    if (p.mode == ABN_TRAINING) {
      const std::int64_t seen = style.bug == Bug::last_dropped_forward ? m - 1 : m;
      const A count = number(static_cast<double>(m));
      if (style.statistics == ABN_WELFORD) {
        const Merged all = welford(x);
        mean = all.mean;
        variance = divide(all.m2, count);
      } else {
        mean = divide(sum(seen, [&](std::int64_t i) { return x[static_cast<std::size_t>(i)]; }),
                      count);
        if (style.statistics == ABN_ONE_PASS) {
          const A square =
              divide(sum(seen,
                         [&](std::int64_t i) {
                           return x[static_cast<std::size_t>(i)] * x[static_cast<std::size_t>(i)];
                         }),
                     count);
          variance = square - mean * mean;
          if (variance < number(0)) variance = number(0);
        } else {
          const A divisor =
              style.bug == Bug::unbiased_variance ? number(static_cast<double>(m - 1)) : count;
          variance = divide(sum(seen,
                                [&](std::int64_t i) {
                                  const A d = x[static_cast<std::size_t>(i)] - mean;
                                  return d * d;
                                }),
                            divisor);
        }
      }
      mean = through_storage(ABN_MATERIALISES_STATISTICS, mean);
      variance = through_storage(ABN_MATERIALISES_STATISTICS, variance);
      const A momentum = number(style.bug == Bug::momentum_swapped ? 1 - p.momentum : p.momentum),
              old_mean = number(in.running_mean[channel]),
              old_var = number(in.running_var[channel]);
      const A unbiased = style.bug == Bug::biased_running_variance
                             ? variance
                             : variance * divide(count, number(static_cast<double>(m - 1)));
      out.saved.mean[channel] = store_parameter(mean);
      out.saved.variance[channel] = store_parameter(variance);
      const auto averaged = [&](A old, A value) {
        return store_parameter(style.order == 1 ? old + momentum * (value - old)
                                                : (number(1) - momentum) * old + momentum * value);
      };
      out.running_mean[channel] = averaged(old_mean, mean);
      out.running_var[channel] = averaged(old_var, unbiased);
    } else {
      mean = through_storage(ABN_MATERIALISES_STATISTICS, mean);
      variance = through_storage(ABN_MATERIALISES_STATISTICS, variance);
    }
    const A r = root(variance);
    kept_y.resize(static_cast<std::size_t>(m));
    for (std::int64_t i = 0; i < m; ++i) {
      A xhat;
      const A y = through_storage(ABN_MATERIALISES_Y,
                                  affine(x[static_cast<std::size_t>(i)], mean, r, xhat));
      out.saved.xhat[at(c, i)] = store(xhat);
      out.saved.z[at(c, i)] = store(activate(y));
      kept_y[static_cast<std::size_t>(i)] = y;
    }
  }

  void backward(std::int64_t c) {
    using std::exp;
    using std::fma;
    using std::log1p;
    const auto channel = static_cast<std::size_t>(c);
    const bool in_place = scheme == ABN_IN_PLACE_1 || scheme == ABN_IN_PLACE_2,
               training = p.mode == ABN_TRAINING;
    const A zero = number(0), slope = number(p.activation_parameter);
    A mean = number(training ? out.saved.mean[channel] : in.running_mean[channel]),
      variance = number(training ? out.saved.variance[channel] : in.running_var[channel]);
    if (!training) {
      mean = through_storage(ABN_MATERIALISES_STATISTICS, mean);
      variance = through_storage(ABN_MATERIALISES_STATISTICS, variance);
    }
    const A r = root(variance);
    std::vector<A> y(static_cast<std::size_t>(m)), xhat(y), dy(y);
    for (std::int64_t i = 0; i < m; ++i) {
      const auto k = static_cast<std::size_t>(i);
      const A dz = number(in.dz[at(c, i)]);
      double stored = out.saved.z[at(c, i)];
      if (in_place) stored = problem::lifted(p, stored);
      const A z = number(stored);
      const bool negative =
          style.bug == Bug::branch_by_comparison ? stored < 0 : std::signbit(stored);
      A derivative = number(1);
      if (in_place) {
        y[k] = z;
        if (phi.shape == problem::BranchShape::straight && negative &&
            style.bug != Bug::slope_not_in_inverse)
          y[k] = divide(z, slope);
        if (phi.curved() && negative) y[k] = log1p(z / slope);
        if (phi.scaled && negative) y[k] = slope * y[k];
        y[k] = through_storage(ABN_MATERIALISES_Y, y[k]);
        if (style.bug == Bug::xhat_without_beta) {
          xhat[k] = divide(y[k], g);
        } else if (style.folded) {
          const A inverse = number(1) / g;
          xhat[k] = y[k] * inverse - beta * inverse;
        } else {
          xhat[k] = divide(y[k] - beta, g);
        }
        if (static_cast<double>(g) == 0) xhat[k] = zero;
        xhat[k] = through_storage(ABN_MATERIALISES_XHAT, xhat[k]);
      } else if (scheme == ABN_CHECKPOINT_XHAT) {
        xhat[k] = number(out.saved.xhat[at(c, i)]);
        y[k] = g * xhat[k] + beta;
      } else {
        y[k] = affine(number(in.x[at(c, i)]), mean, r, xhat[k]);
        xhat[k] = through_storage(ABN_MATERIALISES_XHAT, xhat[k]);
      }
      if (!phi.has_inverse()) y[k] = through_storage(ABN_MATERIALISES_Y, y[k]);
      if (!phi.has_inverse()) {
        const bool from_output = scheme == ABN_STANDARD && !style.derivative_from_y &&
                                 phi.curve->derivative_from_output != nullptr;
        derivative = from_output ? curve_derivative_of_output(z) : curve_derivative(y[k]);
      } else if (!phi.linear()) {
        const bool from_output = in_place || scheme == ABN_STANDARD;
        const auto of_y = [&](A v) { return phi.scaled ? exp(divide(v, slope)) : slope * exp(v); };
        if (scheme == ABN_STANDARD && style.derivative_from_y_again && phi.curved())
          derivative = y[k] < zero ? of_y(y[k]) : number(1);
        else if (scheme == ABN_STANDARD && style.derivative_from_y && phi.curved())
          derivative = kept_y[k] < zero ? of_y(kept_y[k]) : number(1);
        else if (from_output ? negative : y[k] < zero)
          derivative = !phi.curved()  ? slope
                       : !from_output ? of_y(y[k])
                       : phi.scaled   ? divide(z + slope, slope)
                                      : z + slope;
      }
      dy[k] = derivative * dz;
      if (style.bug == Bug::slope_twice && negative) dy[k] = dy[k] * derivative;
      dy[k] = through_storage(ABN_MATERIALISES_DY, dy[k]);
    }
    const std::int64_t seen = style.bug == Bug::last_dropped_backward ? m - 1 : m;
    const A s0 = sum(seen, [&](std::int64_t i) { return dy[static_cast<std::size_t>(i)]; });
    const bool two = scheme == ABN_IN_PLACE_2;
    A s1 = sum(seen, [&](std::int64_t i) {
      const auto k = static_cast<std::size_t>(i);
      return two ? dy[k] * y[k] : dy[k] * xhat[k];
    });
    if (two) s1 = divide(s1 - beta * s0, g);
    const bool lost = in_place && static_cast<double>(g) == 0;
    if (lost) s1 = zero;
    const double sign = in.affine && p.scale == ABN_SCALE_ABS_EPS && in.gamma[channel] < 0 ? -1 : 1;
    out.dgamma[channel] = sign * store_parameter(s1);
    out.dbeta[channel] =
        store_parameter(style.bug == Bug::last_dropped_dbeta ? s0 - dy.back() : s0);
    const A count = number(static_cast<double>(m)), gr = g * r;
    const A mean0 = style.bug == Bug::missing_mean_dy ? zero : divide(s0, count),
            mean1 = style.bug == Bug::missing_mean_dy_xhat ? zero : divide(s1, count);
    for (std::int64_t i = 0; i < m; ++i) {
      const auto k = static_cast<std::size_t>(i);
      A dx;
      if (!training) {
        dx = style.order == 0 ? g * (r * dy[k]) : gr * dy[k];
      } else if (two) {
        dx = r * (g * dy[k] - mean1 * y[k] - divide(g * s0 - beta * s1, count));
      } else if (style.order == 0) {
        dx = gr * (dy[k] - mean0 - xhat[k] * mean1);
      } else if (style.order == 1) {
        dx = divide(gr, count) * (count * dy[k] - count * mean0 - xhat[k] * (count * mean1));
      } else {
        dx = fma(gr, dy[k], fma(-(gr * mean1), xhat[k], -(gr * mean0)));
      }
      out.dx[at(c, i)] = lost ? 0 : store(dx);
    }
  }

  const problem::Inputs& in;
  const abn_problem& p;
  const problem::Phi phi = problem::phi_of(p);
  const Style style;
  const int scheme;
  Outputs out;
  std::int64_t m = 0;
  A g{}, beta{};
  std::vector<A> kept_y;
};

inline Outputs run_kernel(const problem::Inputs& inputs, const Style& style, int scheme,
                          int accumulate) {
  switch (accumulate) {
    case ABN_F16:
      return Kernel<Soft<ABN_F16>>(inputs, style, scheme).run();
    case ABN_BF16:
      return Kernel<Soft<ABN_BF16>>(inputs, style, scheme).run();
    case ABN_F32:
      return Kernel<float>(inputs, style, scheme).run();
    default:
      return Kernel<double>(inputs, style, scheme).run();
  }
}

}  // namespace abn::tests
