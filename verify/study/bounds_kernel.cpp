// One template in the accumulate type: f32 and f64 are the machine's own, f16 and bf16 are rounded
// after every operation.
#include "verify/study/bounds_kernel.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <type_traits>

#include "verify/problem/activation.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::study {
namespace {

constexpr std::size_t lane_count = 32;
constexpr int lane_levels = 5;  // log2 of it
// what glibc lists for expf, expm1f, log1pf and their double forms is 1 to 2 ulp
constexpr double claimed_ulp = 2;
constexpr double hardware_root_ulp = 1.5;

/// A number of a narrow format. Every operation is done in double and rounded, which is what
/// rounding once would give (53 >= 2*11 + 2).
template <int Dtype>
struct Narrow {
  double value = 0;
  Narrow() = default;
  explicit Narrow(double exact) : value(problem::round_to(problem::format_of(Dtype), exact)) {}
  explicit operator double() const { return value; }
  friend Narrow operator+(Narrow a, Narrow b) { return Narrow(a.value + b.value); }
  friend Narrow operator-(Narrow a, Narrow b) { return Narrow(a.value - b.value); }
  friend Narrow operator*(Narrow a, Narrow b) { return Narrow(a.value * b.value); }
  friend Narrow operator/(Narrow a, Narrow b) { return Narrow(a.value / b.value); }
  friend Narrow operator-(Narrow a) { return Narrow(-a.value); }
  friend bool operator<(Narrow a, Narrow b) { return a.value < b.value; }
  friend Narrow sqrt(Narrow a) { return Narrow(std::sqrt(a.value)); }
  friend Narrow exp(Narrow a) { return Narrow(std::exp(a.value)); }
  friend Narrow expm1(Narrow a) { return Narrow(std::expm1(a.value)); }
  friend Narrow log1p(Narrow a) { return Narrow(std::log1p(a.value)); }
  friend Narrow fma(Narrow a, Narrow b, Narrow c) {
    return Narrow(std::fma(a.value, b.value, c.value));
  }
};

template <class A>
class Kernel {
 public:
  Kernel(const problem::Inputs& inputs, const KernelClass& declared, const Liberties& liberties)
      : in_(inputs),
        p_(inputs.problem),
        phi_(problem::phi_of(p_)),
        class_(declared),
        free_(liberties),
        storage_(problem::format_of(p_.dtype)),
        parameter_(problem::format_of(p_.param_dtype)),
        m_(static_cast<std::size_t>(problem::sample_count(p_))),
        count_(static_cast<double>(m_)) {}

  KernelOutputs run() {
    const auto channels = static_cast<std::size_t>(p_.c), size = channels * m_;
    out_.saved.z.resize(size);
    out_.saved.xhat.resize(size);
    out_.dx.resize(size);
    for (auto* const vector : {&out_.saved.mean, &out_.saved.variance, &out_.dgamma, &out_.dbeta})
      vector->resize(channels);
    for (auto* const vector : {&x_, &y_, &xhat_, &dy_}) vector->resize(m_);
    for (c_ = 0; c_ < channels; ++c_) {
      g_ = A(in_.gamma[c_]);
      if (p_.scale == ABN_SCALE_ABS_EPS) g_ = A(std::fabs(in_.gamma[c_])) + A(p_.eps);
      beta_ = A(in_.beta[c_]);
      forward();
      backward();
    }
    return std::move(out_);
  }

 private:
  struct Partial {
    double count = 0;
    A mean{}, m2{};
  };

  A divide(A a, A b) const { return free_.reciprocals ? a * (A(1) / b) : a / b; }
  std::size_t at(std::size_t i) const { return c_ * m_ + i; }
  double stored(A value) const { return problem::round_to(storage_, static_cast<double>(value)); }
  double parameter(A value) const {
    return problem::round_to(parameter_, static_cast<double>(value));
  }

  /// Reduces m samples in the declared order. `start` makes a partial result of sample i, `absorb`
  /// adds sample i to one, `merge` adds two.
  template <class T, class Start, class Absorb, class Merge>
  T reduced(const Start& start, const Absorb& absorb, const Merge& merge) const {
    if (class_.summation == Summation::pairwise) return halved<T>(0, m_, start, merge);
    const std::size_t lanes =
        std::min(class_.summation == Summation::lanes ? lane_count : std::size_t{1}, m_);
    T part[lane_count]{};
    for (std::size_t i = 0; i < m_; ++i) {
      if (i < lanes)
        part[i] = start(i);
      else
        absorb(part[i % lanes], i);
    }
    for (std::size_t width = lanes; width > 1; width = (width + 1) / 2)
      for (std::size_t i = 0; i + (width + 1) / 2 < width; ++i)
        part[i] = merge(part[i], part[i + (width + 1) / 2]);
    return part[0];
  }
  template <class T, class Start, class Merge>
  T halved(std::size_t first, std::size_t last, const Start& start, const Merge& merge) const {
    if (last - first == 1) return start(first);
    const std::size_t middle = first + (last - first + 1) / 2;
    return merge(halved<T>(first, middle, start, merge), halved<T>(middle, last, start, merge));
  }
  template <class Term>
  A sum(const Term& term) const {
    return reduced<A>(
        term, [&](A& lane, std::size_t i) { lane = lane + term(i); },
        [](A a, A b) { return a + b; });
  }

  Partial welford() const {
    const auto start = [&](std::size_t i) { return Partial{1, x_[i], A(0)}; };
    const auto absorb = [&](Partial& lane, std::size_t i) {
      const A delta = x_[i] - lane.mean;
      lane.mean = lane.mean + divide(delta, A(++lane.count));
      lane.m2 = lane.m2 + delta * (x_[i] - lane.mean);
    };
    const auto merge = [](const Partial& a, const Partial& b) {
      const double count = a.count + b.count;
      const A delta = b.mean - a.mean, part = A(b.count) / A(count);
      return Partial{count, a.mean + delta * part,
                     a.m2 + b.m2 + delta * delta * (A(a.count) * part)};
    };
    return reduced<Partial>(start, absorb, merge);
  }

  A reciprocal_root(A variance) const {
    using std::sqrt;
    const A radicand = variance + A(p_.eps);
    if constexpr (std::is_same_v<A, float>) {
      if (free_.root != 0) {
        const double exact = 1 / std::sqrt(static_cast<double>(radicand));
        return static_cast<float>(exact + free_.root * hardware_root_ulp *
                                              problem::ulp_of(problem::format_of(ABN_F32), exact));
      }
    }
    return A(1) / sqrt(radicand);
  }

  A normalised(A x, A mean, A r) const { return class_.folded ? x * r - mean * r : (x - mean) * r; }
  A affine(A x, A mean, A r) const {
    using std::fma;
    if (class_.folded) {
      const A a = g_ * r, b = beta_ - a * mean;
      return free_.order == 2 ? fma(a, x, b) : a * x + b;
    }
    if (free_.order == 0) return g_ * ((x - mean) * r) + beta_;
    return free_.order == 1 ? (x - mean) * (g_ * r) + beta_ : fma(x - mean, g_ * r, beta_);
  }
  A activated(A y) const {
    using std::expm1;
    if (phi_.linear()) return y;
    if (!(y < A(0))) return y + A(0);
    return A(phi_.parameter) * (phi_.scaled     ? expm1(y / A(phi_.width))
                                : phi_.curved() ? expm1(y)
                                                : y);
  }

  void find_statistics() {
    const A count(count_);
    if (class_.statistics == ABN_WELFORD) {
      const Partial all = welford();
      mean_ = all.mean;
      variance_ = divide(all.m2, count);
      return;
    }
    mean_ = divide(sum([&](std::size_t i) { return x_[i]; }), count);
    if (class_.statistics == ABN_ONE_PASS) {
      variance_ = divide(sum([&](std::size_t i) { return x_[i] * x_[i]; }), count) - mean_ * mean_;
      if (variance_ < A(0)) variance_ = A(0);
      return;
    }
    variance_ = divide(sum([&](std::size_t i) {
                         const A distance = x_[i] - mean_;
                         return distance * distance;
                       }),
                       count);
  }

  void forward() {
    for (std::size_t i = 0; i < m_; ++i) x_[i] = A(in_.x[at(i)]);
    if (p_.mode == ABN_TRAINING) {
      find_statistics();
      out_.saved.mean[c_] = parameter(mean_);
      out_.saved.variance[c_] = parameter(variance_);
    } else {
      mean_ = A(in_.running_mean[c_]);
      variance_ = A(in_.running_var[c_]);
    }
    const A r = reciprocal_root(variance_);
    for (std::size_t i = 0; i < m_; ++i) {
      out_.saved.xhat[at(i)] = stored(normalised(x_[i], mean_, r));
      out_.saved.z[at(i)] = stored(activated(affine(x_[i], mean_, r)));
    }
  }

  /// phi' on a curved branch, from z or from y.
  A slope_at(A z, A y, bool from_output) const {
    using std::exp;
    const A alpha(phi_.parameter);
    if (!phi_.scaled) return from_output ? z + alpha : alpha * exp(y);
    return from_output ? divide(z + alpha, alpha) : exp(y / alpha);
  }

  /// y, xhat and dy from what the scheme keeps.
  void recover(A mean, A r) {
    using std::log1p;
    const bool in_place = class_.scheme == ABN_IN_PLACE_1 || class_.scheme == ABN_IN_PLACE_2;
    const bool curved = phi_.curved();
    const A alpha(phi_.parameter), width(phi_.width), inverse = A(1) / g_;
    for (std::size_t i = 0; i < m_; ++i) {
      double kept = out_.saved.z[at(i)];
      if (in_place) kept = problem::lifted(p_, kept);
      bool negative = std::signbit(kept) && !phi_.linear();
      if (in_place) {
        // divided by alpha: times a rounded 1/alpha it may reach -1, of which there is no logarithm
        const A z(kept);
        y_[i] = !negative     ? z
                : !curved     ? divide(z, alpha)
                : phi_.scaled ? width * log1p(z / alpha)
                              : log1p(z / alpha);
        xhat_[i] = class_.folded ? y_[i] * inverse - beta_ * inverse : divide(y_[i] - beta_, g_);
      } else if (class_.scheme == ABN_CHECKPOINT_XHAT) {
        xhat_[i] = A(out_.saved.xhat[at(i)]);
        y_[i] = g_ * xhat_[i] + beta_;
      } else {
        xhat_[i] = normalised(x_[i], mean, r);
        y_[i] = affine(x_[i], mean, r);
      }
      const bool from_output = in_place || class_.scheme == ABN_STANDARD;
      if (!from_output) negative = y_[i] < A(0) && !phi_.linear();
      const A dz(in_.dz[at(i)]);
      dy_[i] = !negative ? dz : !curved ? alpha * dz : slope_at(A(kept), y_[i], from_output) * dz;
    }
  }

  void backward() {
    using std::fma;
    const bool training = p_.mode == ABN_TRAINING, two = class_.scheme == ABN_IN_PLACE_2;
    const A mean(training ? out_.saved.mean[c_] : in_.running_mean[c_]),
        variance(training ? out_.saved.variance[c_] : in_.running_var[c_]);
    const A r = reciprocal_root(variance), count(count_);
    recover(mean, r);
    const A s0 = sum([&](std::size_t i) { return dy_[i]; });
    A s1 = sum([&](std::size_t i) { return dy_[i] * (two ? y_[i] : xhat_[i]); });
    if (two) s1 = divide(s1 - beta_ * s0, g_);
    const double sign = p_.scale == ABN_SCALE_ABS_EPS && in_.gamma[c_] < 0 ? -1 : 1;
    out_.dgamma[c_] = sign * parameter(s1);
    out_.dbeta[c_] = parameter(s0);
    const A gr = g_ * r, mean0 = divide(s0, count), mean1 = divide(s1, count);
    for (std::size_t i = 0; i < m_; ++i) {
      A dx;
      if (!training)
        dx = free_.order == 0 ? g_ * (r * dy_[i]) : gr * dy_[i];
      else if (two)
        dx = r * (g_ * dy_[i] - mean1 * y_[i] - divide(g_ * s0 - beta_ * s1, count));
      else if (free_.order == 0)
        dx = gr * (dy_[i] - mean0 - xhat_[i] * mean1);
      else if (free_.order == 1)
        dx = divide(gr, count) * (count * dy_[i] - s0 - xhat_[i] * s1);
      else
        dx = fma(gr, dy_[i], fma(-(gr * mean1), xhat_[i], -(gr * mean0)));
      out_.dx[at(i)] = stored(dx);
    }
  }

  const problem::Inputs& in_;
  const abn_problem& p_;
  const problem::Phi phi_;
  const KernelClass& class_;
  const Liberties& free_;
  const problem::Format &storage_, &parameter_;
  std::size_t m_, c_ = 0;
  double count_;
  KernelOutputs out_;
  std::vector<A> x_, y_, xhat_, dy_;
  A g_{}, beta_{}, mean_{}, variance_{};
};

}  // namespace

const char* summation_name(Summation summation) {
  switch (summation) {
    case Summation::sequential:
      return "sequential";
    case Summation::pairwise:
      return "pairwise";
    default:
      return "lanes";
  }
}

std::int64_t depth_of(Summation summation, std::int64_t m) {
  if (summation == Summation::sequential) return m;
  const auto lanes = static_cast<std::int64_t>(lane_count);
  if (summation == Summation::lanes) return std::min(m, (m + lanes - 1) / lanes + lane_levels);
  std::int64_t levels = 0;
  while ((std::int64_t{1} << levels) < m) ++levels;
  return std::max<std::int64_t>(levels, 1);
}

abn_claims claims_of(const KernelClass& declared, const abn_problem& problem) {
  abn_claims claims{};
  claims.struct_size = sizeof claims;
  claims.scheme = declared.scheme;
  claims.statistics = declared.statistics;
  claims.normalise = declared.folded ? ABN_FOLDED : ABN_DIRECT;
  claims.accumulate = declared.accumulate;
  switch (declared.scheme) {
    case ABN_STANDARD:
      claims.saves = ABN_SAVES_X | ABN_SAVES_Z | ABN_SAVES_MEAN | ABN_SAVES_VAR;
      break;
    case ABN_CHECKPOINT_X:
      claims.saves = ABN_SAVES_X | ABN_SAVES_MEAN | ABN_SAVES_VAR;
      break;
    case ABN_CHECKPOINT_XHAT:
      claims.saves = ABN_SAVES_XHAT | ABN_SAVES_VAR;
      break;
    default:
      claims.saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  }
  claims.depth_statistics = claims.depth_backward =
      depth_of(declared.summation, problem::sample_count(problem));
  claims.function_ulp = claimed_ulp;
  return claims;
}

const std::vector<double>& KernelOutputs::of(compare::Output output) const {
  switch (output) {
    case compare::Output::mean:
      return saved.mean;
    case compare::Output::variance:
      return saved.variance;
    case compare::Output::z:
      return saved.z;
    case compare::Output::xhat:
      return saved.xhat;
    case compare::Output::dx:
      return dx;
    case compare::Output::dgamma:
      return dgamma;
    case compare::Output::dbeta:
      return dbeta;
    default:
      throw std::invalid_argument("the simulated kernels keep no running averages");
  }
}

KernelOutputs simulate(const problem::Inputs& inputs, const KernelClass& declared,
                       const Liberties& liberties) {
  switch (declared.accumulate) {
    case ABN_F16:
      return Kernel<Narrow<ABN_F16>>(inputs, declared, liberties).run();
    case ABN_BF16:
      return Kernel<Narrow<ABN_BF16>>(inputs, declared, liberties).run();
    case ABN_F32:
      return Kernel<float>(inputs, declared, liberties).run();
    default:
      return Kernel<double>(inputs, declared, liberties).run();
  }
}

}  // namespace abn::verify::study
