// The variants that keep x or xhat: claims and refusals, the same z from all of them, and gradients
// with activations that no variant in place has.
#include <algorithm>

#include "tests/cuda/kernel_harness.hpp"

namespace {

using namespace abn::tests;

constexpr const char* kept_variants[] = {"standard", "checkpoint_x", "checkpoint_xhat"};

abn_claims claims_of(const std::string& name, const abn_problem& p) {
  abn_claims claims{};
  claims.struct_size = sizeof claims;
  EXPECT_EQ(variant_named(name).claims(&p, &claims), ABN_OK) << name;
  return claims;
}

struct Result {
  std::vector<double> z, xhat, dx, dgamma, dbeta;
};

/// Forward and backward with plain buffers; what the scheme does not keep is null.
Result run(const std::string& name, const Case& c) {
  const abn_variant& variant = variant_named(name);
  const abn_problem& p = c.problem;
  const abn_claims claims = claims_of(name, p);
  Buffer x(p.dtype, c.x, 1), dz(p.dtype, c.dz, 2), gamma(p.param_dtype, c.gamma, 1),
      beta(p.param_dtype, c.beta, 2), running_mean(p.param_dtype, c.running_mean, 3),
      running_var(p.param_dtype, c.running_var, 1);
  Buffer z(p.dtype, c.elements(), 3), xhat(p.dtype, c.elements(), 1), dx(p.dtype, c.elements(), 2),
      mean(p.param_dtype, c.channels(), 1), var(p.param_dtype, c.channels(), 2),
      dgamma(p.param_dtype, c.channels(), 3), dbeta(p.param_dtype, c.channels(), 1);
  const bool keeps_xhat = (claims.saves & ABN_SAVES_XHAT) != 0;
  Workspace forward_space(variant, p, ABN_FORWARD), backward_space(variant, p, ABN_BACKWARD);
  abn_forward_args f{};
  f.struct_size = sizeof f;
  f.x = x.data(), f.z = z.data(), f.xhat = keeps_xhat ? xhat.data() : nullptr;
  f.gamma = gamma.data(), f.beta = beta.data();
  f.running_mean = running_mean.data(), f.running_var = running_var.data();
  f.mean = mean.data(), f.var = var.data();
  f.workspace = forward_space.data(), f.workspace_bytes = forward_space.bytes();
  EXPECT_EQ(variant.forward(&p, &f), ABN_OK) << name;
  Result out;
  out.z = z.values();
  if (keeps_xhat) out.xhat = xhat.values();
  if (p.mode == ABN_INFERENCE) return out;
  const bool training = p.mode == ABN_TRAINING;
  abn_backward_args b{};
  b.struct_size = sizeof b;
  b.dz = dz.data(), b.dx = dx.data();
  b.x = (claims.saves & ABN_SAVES_X) != 0 ? x.data() : nullptr;
  b.z = (claims.saves & ABN_SAVES_Z) != 0 ? z.data() : nullptr;
  b.xhat = keeps_xhat ? xhat.data() : nullptr;
  b.gamma = gamma.data(), b.beta = beta.data();
  b.mean = training && !keeps_xhat ? mean.data() : training ? nullptr : running_mean.data();
  b.var = training ? var.data() : running_var.data();
  b.dgamma = dgamma.data(), b.dbeta = dbeta.data();
  b.workspace = backward_space.data(), b.workspace_bytes = backward_space.bytes();
  EXPECT_EQ(variant.backward(&p, &b), ABN_OK) << name;
  out.dx = dx.values(), out.dgamma = dgamma.values(), out.dbeta = dbeta.values();
  for (const Buffer* const one : {&z, &dx, &mean, &var, &dgamma, &dbeta})
    EXPECT_TRUE(one->guards_intact()) << name;
  EXPECT_TRUE(x.unwritten() && dz.unwritten()) << name;
  return out;
}

TEST(KernelsKept, ClaimWhatTheyKeep) {
  const abn_problem p = problem_of(4, 5, 6, ABN_NHWC, ABN_BF16);
  EXPECT_EQ(claims_of("standard", p).scheme, ABN_STANDARD);
  EXPECT_EQ(claims_of("checkpoint_x", p).scheme, ABN_CHECKPOINT_X);
  EXPECT_EQ(claims_of("checkpoint_xhat", p).scheme, ABN_CHECKPOINT_XHAT);
  for (const char* const name : kept_variants) {
    const abn_claims claims = claims_of(name, p);
    EXPECT_EQ(claims.accumulate, ABN_F32);
    EXPECT_EQ(claims.materialises, 0u);
    EXPECT_TRUE(claims.dx_may_alias_dz && claims.deterministic);
    // z takes the place of x where backward does not need x
    EXPECT_EQ(claims.z_may_alias_x, (claims.saves & ABN_SAVES_X) == 0);
  }
}

TEST(KernelsKept, DoEveryActivationAndKernelsInPlaceOnlyThoseWithAnInverse) {
  for (int activation = ABN_IDENTITY; activation <= ABN_HARDSWISH + 1; ++activation) {
    abn_problem p = problem_of(4, 5, 6, ABN_NCHW, ABN_F32);
    p.activation = activation;
    if (activation > ABN_CELU) p.activation_parameter = 0;
    const auto does = [&](const std::string& name) {
      abn_claims claims{};
      claims.struct_size = sizeof claims;
      return variant_named(name).claims(&p, &claims) == ABN_OK;
    };
    for (const char* const name : kept_variants) EXPECT_EQ(does(name), activation <= ABN_HARDSWISH);
    for (const std::string& name : in_place_variants())
      EXPECT_EQ(does(name), activation <= ABN_CELU) << name;
  }
}

/// phi and phi' once more, in double.
double phi(int activation, double y) {
  const double root = std::sqrt(2 / std::acos(-1.0)), s = 1 / (1 + std::exp(-y));
  switch (activation) {
    case ABN_RELU:
      return std::fmax(y, 0);
    case ABN_RELU6:
      return std::fmin(std::fmax(y, 0), 6);
    case ABN_SILU:
      return y * s;
    case ABN_GELU:
      return y * std::erfc(-y / std::sqrt(2.0)) / 2;
    case ABN_GELU_TANH:
      return y * (1 + std::tanh(root * (y + 0.044715 * y * y * y))) / 2;
    case ABN_SIGMOID:
      return s;
    case ABN_TANH:
      return std::tanh(y);
    default:
      return y * std::fmin(std::fmax(y + 3, 0), 6) / 6;
  }
}

TEST(KernelsKept, GradientsAreDifferenceQuotientsOfTheLoss) {
  for (int activation = ABN_RELU; activation <= ABN_HARDSWISH; ++activation)
    for (const int layout : {ABN_NCHW, ABN_NHWC})
      for (const int mode : {ABN_TRAINING, ABN_FROZEN}) {
        abn_problem p = problem_of(3, 4, 11, layout, ABN_F64);
        p.activation = activation, p.activation_parameter = 0, p.mode = mode;
        Case c = case_of(p, 7);
        for (double& gamma : c.gamma) gamma *= 3;
        const auto loss = [&](const Case& at, std::size_t channel) {
          double mean = at.running_mean[channel], variance = at.running_var[channel];
          const std::size_t m = at.samples();
          if (mode == ABN_TRAINING) {
            mean = variance = 0;
            for (std::size_t i = 0; i < m; ++i) mean += at.x[at.at(channel, i)];
            mean /= static_cast<double>(m);
            for (std::size_t i = 0; i < m; ++i)
              variance += std::pow(at.x[at.at(channel, i)] - mean, 2);
            variance /= static_cast<double>(m);
          }
          double sum = 0;
          for (std::size_t i = 0; i < m; ++i) {
            const double xhat = (at.x[at.at(channel, i)] - mean) / std::sqrt(variance + p.eps);
            sum += at.dz[at.at(channel, i)] *
                   phi(activation, at.gamma[channel] * xhat + at.beta[channel]);
          }
          return sum;
        };
        constexpr double step = 1e-6, enough = 2e-7;
        for (const char* const name : kept_variants) {
          const Result got = run(name, c);
          for (std::size_t channel = 0; channel < c.channels(); ++channel) {
            const auto quotient = [&](double& input) {
              const double before = input;
              input = before + step;
              const double up = loss(c, channel);
              input = before - step;
              const double down = loss(c, channel);
              input = before;
              return (up - down) / (2 * step);
            };
            const std::size_t at = c.at(channel, channel % c.samples());
            EXPECT_NEAR(got.dx[at], quotient(c.x[at]), enough) << name << " " << activation;
            EXPECT_NEAR(got.dgamma[channel], quotient(c.gamma[channel]), enough) << name;
            EXPECT_NEAR(got.dbeta[channel], quotient(c.beta[channel]), enough) << name;
          }
        }
      }
}

/// One formula and one order of sums: what they keep changes nothing of z.
TEST(KernelsKept, WriteTheSameZ) {
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64})
    for (const int activation : {ABN_LEAKY_RELU, ABN_SILU, ABN_GELU_TANH})
      for (const int mode : {ABN_TRAINING, ABN_INFERENCE}) {
        abn_problem p = problem_of(2, 9, 37, ABN_NCHW, dtype);
        p.activation = activation, p.mode = mode;
        if (activation > ABN_CELU) p.activation_parameter = 0;
        const Case c = case_of(p, 3);
        const Result first = run(kept_variants[0], c);
        for (const char* const name : kept_variants) EXPECT_EQ(run(name, c).z, first.z) << name;
      }
}

/// g = 0 divides nothing here: dx is 0 and dgamma is what it is.
TEST(KernelsKept, GammaOfZeroLeavesDgammaAsItIs) {
  for (const char* const name : kept_variants) {
    abn_problem p = problem_of(3, 4, 11, ABN_NCHW, ABN_F32);
    p.activation = ABN_SILU, p.activation_parameter = 0;
    Case c = case_of(p, 5);
    c.gamma[1] = 0;
    const Result got = run(name, c);
    for (std::size_t i = 0; i < c.samples(); ++i) EXPECT_EQ(got.dx[c.at(1, i)], 0) << name;
    EXPECT_TRUE(std::isfinite(got.dgamma[1]) && got.dgamma[1] != 0) << name;
  }
}

TEST(KernelsKept, RefuseWhatBackwardCannotDoWithout) {
  for (const char* const name : kept_variants) {
    const abn_problem p = problem_of(3, 4, 11, ABN_NCHW, ABN_F32);
    const abn_variant& variant = variant_named(name);
    abn_backward_args b{};
    b.struct_size = sizeof b;
    EXPECT_EQ(variant.backward(&p, &b), ABN_ERROR_ARGUMENT) << name;
    abn_forward_args f{};
    f.struct_size = sizeof f;
    EXPECT_EQ(variant.forward(&p, &f), ABN_ERROR_ARGUMENT) << name;
  }
}

}  // namespace
