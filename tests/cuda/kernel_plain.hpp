// What should come out of a kernel, and by how much it may miss that: reference/ in double, and
// tolerances without the judge.
#pragma once

#include <cmath>
#include <vector>

#include "reference/backward.hpp"
#include "tests/cuda/kernel_harness.hpp"
#include "verify/oracle/activation.hpp"

namespace abn::tests {

// One value and by how much a kernel may miss it.
struct Allowed {
  double value = 0, error = 0;
};
inline bool agrees(double got, const Allowed& expected) {
  if (std::isfinite(expected.value)) return std::fabs(got - expected.value) <= expected.error;
  return std::isnan(expected.value) ? std::isnan(got) : got == expected.value;
}

struct Expected {
  std::vector<Allowed> z, dx;  // in the order of the tensor
  std::vector<Allowed> mean, var, running_mean, running_var, dgamma, dbeta;
};

// The tolerance of sums and of element-wise arithmetic, in units of the type that the kernels
// compute in: far above what they need (the judge knows the true bound), far below what a mistake
// makes.
inline constexpr double roundings = 64;

// One problem in double, by the formulas of reference/; backward from the kernel's own z and var.
class Plain {
 public:
  explicit Plain(const Case& c) : c_(c), p_(c.problem) {
    u_ = roundings * (p_.dtype == ABN_F64 ? 0x1p-53 : 0x1p-24);
    stored_ = 1.01 * unit_roundoff(p_.dtype);
    parameter_ = unit_roundoff(p_.param_dtype);
    subnormal_ = p_.dtype == ABN_F16 ? 0x1p-24 : 0x1p-133;
  }

  Expected forward() const {
    Expected out;
    out.z.resize(c_.elements());
    for (std::size_t c = 0; c < c_.channels(); ++c) {
      const Vector x = samples_of(c_.x, c);
      const reference::Statistics<double> batch = reference::statistics(x);
      const double mean = batch.mean, var = batch.variance();
      const double mean_error = u_ * x.abs().mean(),
                   var_error = u_ * var + 2 * std::sqrt(var) * mean_error;
      out.mean.push_back({mean, mean_error + parameter_ * std::fabs(mean)});
      out.var.push_back({var, var_error + parameter_ * var});
      add_running(c, batch, mean_error, var_error, out);
      const bool training = p_.mode == ABN_TRAINING;
      const reference::Forward<double> f = reference::forward_inference(
          x, training ? mean : c_.running_mean[c], training ? var : c_.running_var[c], channel(c));
      for (std::size_t i = 0; i < c_.samples(); ++i) {
        const auto k = static_cast<Eigen::Index>(i);
        double error = u_ * (std::fabs(f.g * f.xhat[k]) + std::fabs(f.y[k]));
        if (training)
          error += std::fabs(f.g) * f.r * (mean_error + std::fabs(f.xhat[k]) * f.r * var_error);
        error *= std::fmax(1, p_.activation_parameter);
        out.z[c_.at(c, i)] = stored(f.z[k], error);
      }
    }
    return out;
  }

  Expected backward(const std::vector<double>& z, const std::vector<double>& var) const {
    Expected out;
    out.dx.resize(c_.elements());
    const double m = static_cast<double>(c_.samples());
    for (std::size_t c = 0; c < c_.channels(); ++c) {
      const reference::Channel<double> one = channel(c);
      const double g = reference::effective_scale(one),
                   r = reference::reciprocal_deviation(var[c], one.eps);
      const Vector kept =
          samples_of(z, c).unaryExpr([&](double value) { return unsaturated(value); });
      const auto found = reference::recover_in_place(kept, one, samples_of(c_.dz, c));
      const auto sums = reference::sums(found);
      const double flips = reference::dgamma_factor(one);
      const bool training = p_.mode == ABN_TRAINING;
      const auto exact = training ? reference::gradients_training(found, sums, g, r, flips)
                                  : reference::gradients_frozen(found, sums, g, r, flips);
      const Vector xhat_error = error_of_xhat(kept, found, g);
      const double s0 = std::fabs(sums.s0), s1 = std::fabs(sums.s1),
                   s0_error = u_ * found.dy.abs().sum(),
                   s1_error = u_ * (found.dy * found.xhat).abs().sum() +
                              (found.dy.abs() * xhat_error).sum();
      out.dbeta.push_back({exact.dbeta, s0_error + parameter_ * s0});
      out.dgamma.push_back({exact.dgamma, s1_error + parameter_ * s1});
      for (std::size_t i = 0; i < c_.samples(); ++i) {
        const auto k = static_cast<Eigen::Index>(i);
        double error = u_ * std::fabs(found.dy[k]);
        if (training)
          error += (s0_error + u_ * s0 + std::fabs(found.xhat[k]) * (s1_error + u_ * s1) +
                    xhat_error[k] * s1) /
                   m;
        error = std::fabs(g) * r * error + u_ * std::fabs(exact.dx[k]);
        out.dx[c_.at(c, i)] = stored(exact.dx[k], error);
      }
    }
    return out;
  }

 private:
  using Vector = reference::Vector<double>;

  Vector samples_of(const std::vector<double>& tensor, std::size_t c) const {
    Vector out(static_cast<Eigen::Index>(c_.samples()));
    for (std::size_t i = 0; i < c_.samples(); ++i)
      out[static_cast<Eigen::Index>(i)] = tensor[c_.at(c, i)];
    return out;
  }
  reference::Channel<double> channel(std::size_t c) const {
    reference::Channel<double> one;
    one.eps = p_.eps;
    one.activation = {verify::oracle::reference_kind(p_.activation), p_.activation_parameter};
    if (c_.gamma.empty()) return one;
    one.gamma = c_.gamma[c], one.beta = c_.beta[c];
    if (p_.scale == ABN_SCALE_ABS_EPS) one.scale = reference::ScaleConvention::abs_eps;
    return one;
  }
  Allowed stored(double value, double error) const {
    return {value, error + stored_ * (std::fabs(value) + error) + subnormal_};
  }
  void add_running(std::size_t c, const reference::Statistics<double>& batch, double mean_error,
                   double var_error, Expected& out) const {
    const double rm = c_.running_mean[c], rv = c_.running_var[c], q = p_.momentum, m = batch.count,
                 mean = batch.mean, var = batch.variance();
    if (m < 2) return;
    out.running_mean.push_back(
        {reference::running_mean(rm, mean, q),
         q * mean_error + (u_ + parameter_) * (std::fabs(rm) + std::fabs(mean))});
    out.running_var.push_back({reference::running_variance(rv, var, m, q),
                               q * 2 * var_error + (u_ + parameter_) * (rv + var * m / (m - 1))});
  }
  bool saturates() const { return p_.activation == ABN_ELU || p_.activation == ABN_CELU; }
  double unsaturated(double z) const {
    return saturates() && z <= -p_.activation_parameter
               ? next_above(p_.dtype, -p_.activation_parameter)
               : z;
  }
  Vector error_of_xhat(const Vector& z, const reference::Recovered<double>& found, double g) const {
    if (g == 0) return Vector::Zero(z.size());
    const double alpha = p_.activation_parameter, width = p_.activation == ABN_CELU ? alpha : 1;
    // log1p near -1 magnifies the rounding of z/alpha
    const Vector magnified = z.unaryExpr([&](double kept) {
      return saturates() && std::signbit(kept) ? width * alpha / (kept + alpha) : 0;
    });
    return u_ * (found.xhat.abs() + (found.y.abs() + magnified / roundings * 4) / std::fabs(g));
  }

  const Case& c_;
  const abn_problem& p_;
  double u_, stored_, parameter_, subnormal_;
};

// The number of values that are off, with the first of them in the message.
inline void expect_all(const char* what, const std::vector<double>& got,
                       const std::vector<Allowed>& expected) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_TRUE(agrees(got[i], expected[i]))
        << what << "[" << i << "] = " << got[i] << ", expected " << expected[i].value << " +- "
        << expected[i].error;
}

}  // namespace abn::tests
