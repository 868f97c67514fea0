// What should come out of a kernel, in plain double loops over one problem, and by how much a
// kernel may miss it.
#pragma once

#include <cmath>
#include <vector>

#include "tests/cuda/kernel_harness.hpp"

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

// Plain double loops over one problem; backward from the kernel's own z and var.
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
      const double m = static_cast<double>(c_.samples());
      double mean = 0, var = 0, size = 0;
      for (std::size_t i = 0; i < c_.samples(); ++i)
        mean += c_.x[c_.at(c, i)] / m, size += std::fabs(c_.x[c_.at(c, i)]) / m;
      for (std::size_t i = 0; i < c_.samples(); ++i)
        var += std::pow(c_.x[c_.at(c, i)] - mean, 2) / m;
      const double mean_error = u_ * size, var_error = u_ * var + 2 * std::sqrt(var) * mean_error;
      out.mean.push_back({mean, mean_error + parameter_ * std::fabs(mean)});
      out.var.push_back({var, var_error + parameter_ * var});
      const double rm = c_.running_mean[c], rv = c_.running_var[c], unbiased = var * m / (m - 1),
                   q = p_.momentum;
      out.running_mean.push_back(
          {(1 - q) * rm + q * mean,
           q * mean_error + (u_ + parameter_) * (std::fabs(rm) + std::fabs(mean))});
      out.running_var.push_back(
          {(1 - q) * rv + q * unbiased, q * 2 * var_error + (u_ + parameter_) * (rv + unbiased)});
      const bool training = p_.mode == ABN_TRAINING;
      if (!training) mean = rm, var = rv;
      const double r = 1 / std::sqrt(var + p_.eps), g = scale(c),
                   beta = c_.gamma.empty() ? 0 : c_.beta[c];
      for (std::size_t i = 0; i < c_.samples(); ++i) {
        const std::size_t at = c_.at(c, i);
        const double xhat = (c_.x[at] - mean) * r, y = g * xhat + beta;
        double error = u_ * (std::fabs(g * xhat) + std::fabs(y));
        if (training) error += std::fabs(g) * r * (mean_error + std::fabs(xhat) * r * var_error);
        const double z = phi(y);
        error *= std::fmax(1, p_.activation_parameter);
        out.z[at] = {z, error + stored_ * (std::fabs(z) + error) + subnormal_};
      }
    }
    return out;
  }

  Expected backward(const std::vector<double>& stored, const std::vector<double>& var) const {
    Expected out;
    out.dx.resize(c_.elements());
    const double m = static_cast<double>(c_.samples());
    for (std::size_t c = 0; c < c_.channels(); ++c) {
      const double g = scale(c), beta = c_.gamma.empty() ? 0 : c_.beta[c],
                   r = 1 / std::sqrt(var[c] + p_.eps);
      std::vector<double> dy(c_.samples()), xhat(c_.samples()), xhat_error(c_.samples());
      double s0 = 0, s1 = 0, s0_error = 0, s1_error = 0;
      for (std::size_t i = 0; i < c_.samples(); ++i) {
        const std::size_t at = c_.at(c, i);
        const double z = unsaturated(stored[at]), y = inverse(z);
        dy[i] = c_.dz[at] * slope(z);
        xhat[i] = g == 0 ? 0 : (y - beta) / g;
        // log1p near -1 magnifies the rounding of z/alpha
        const double magnified =
            saturates() && std::signbit(z)
                ? scale_of_y() * p_.activation_parameter / (z + p_.activation_parameter)
                : 0;
        xhat_error[i] = g == 0 ? 0
                               : u_ * (std::fabs(xhat[i]) +
                                       (std::fabs(y) + magnified / roundings * 4) / std::fabs(g));
        s0 += dy[i], s0_error += u_ * std::fabs(dy[i]);
        s1 += dy[i] * xhat[i],
            s1_error += u_ * std::fabs(dy[i] * xhat[i]) + std::fabs(dy[i]) * xhat_error[i];
      }
      const double sign =
          p_.scale == ABN_SCALE_ABS_EPS && !c_.gamma.empty() && c_.gamma[c] < 0 ? -1 : 1;
      out.dbeta.push_back({s0, s0_error + parameter_ * std::fabs(s0)});
      out.dgamma.push_back({sign * s1, s1_error + parameter_ * std::fabs(s1)});
      const bool training = p_.mode == ABN_TRAINING;
      for (std::size_t i = 0; i < c_.samples(); ++i) {
        const double bracket = training ? dy[i] - s0 / m - xhat[i] * s1 / m : dy[i],
                     dx = g * r * bracket;
        double error = u_ * std::fabs(dy[i]);
        if (training)
          error += (s0_error + u_ * std::fabs(s0) +
                    std::fabs(xhat[i]) * (s1_error + u_ * std::fabs(s1)) +
                    xhat_error[i] * std::fabs(s1)) /
                   m;
        error = std::fabs(g) * r * error + u_ * std::fabs(dx);
        out.dx[c_.at(c, i)] = {dx, error + stored_ * (std::fabs(dx) + error) + subnormal_};
      }
    }
    return out;
  }

 private:
  double scale(std::size_t c) const {
    if (c_.gamma.empty()) return 1;
    return p_.scale == ABN_SCALE_ABS_EPS ? std::fabs(c_.gamma[c]) + p_.eps : c_.gamma[c];
  }
  bool saturates() const { return p_.activation == ABN_ELU || p_.activation == ABN_CELU; }
  double scale_of_y() const { return p_.activation == ABN_CELU ? p_.activation_parameter : 1; }
  double phi(double y) const {
    if (p_.activation == ABN_IDENTITY) return y;
    if (!(y < 0)) return y + 0.0;
    return p_.activation_parameter * (saturates() ? std::expm1(y / scale_of_y()) : y);
  }
  double unsaturated(double z) const {
    return saturates() && z <= -p_.activation_parameter
               ? next_above(p_.dtype, -p_.activation_parameter)
               : z;
  }
  double inverse(double z) const {
    if (p_.activation == ABN_IDENTITY || !std::signbit(z)) return z;
    const double quotient = z / p_.activation_parameter;
    return saturates() ? scale_of_y() * std::log1p(quotient) : quotient;
  }
  double slope(double z) const {
    if (p_.activation == ABN_IDENTITY || !std::signbit(z)) return 1;
    return saturates() ? (z + p_.activation_parameter) / scale_of_y() : p_.activation_parameter;
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
