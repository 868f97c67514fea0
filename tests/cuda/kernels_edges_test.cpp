// The numerical edges of cuda/kernel.h, one by one, for every variant, all types and both layouts.
#include <functional>

#include "tests/cuda/kernel_plain.hpp"

namespace {

using namespace abn::tests;

void for_each_kind(const std::function<void(const abn_variant&, int layout, int dtype)>& test) {
  for (const std::string& name : in_place_variants())
    for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
      for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64}) {
        SCOPED_TRACE(std::string(name) + " layout " + std::to_string(layout) + " dtype " +
                     std::to_string(dtype));
        test(variant_named(name), layout, dtype);
        if (testing::Test::HasFailure()) return;
      }
}

void for_each_saturating(
    const std::function<void(const abn_variant&, int layout, int dtype, int activation)>& test) {
  for (const int activation : {ABN_ELU, ABN_CELU})
    for_each_kind([&](const abn_variant& variant, int layout, int dtype) {
      SCOPED_TRACE(activation == ABN_ELU ? "ELU" : "CELU");
      test(variant, layout, dtype, activation);
    });
}

// Inference with mean 0, variance 1, eps 0, gamma 1, beta 0: z = phi(x).
std::vector<double> activated(const abn_variant& variant, int layout, int dtype, int activation,
                              double parameter, const std::vector<double>& x) {
  Case c;
  c.problem = problem_of(static_cast<std::int64_t>(x.size()), 1, 1, layout, dtype);
  c.problem.mode = ABN_INFERENCE;
  c.problem.eps = 0;
  activate(c.problem, activation, parameter);
  c.x = x;
  c.gamma = {1}, c.beta = {0};
  c.running_mean = {0}, c.running_var = {1};
  return forward(variant, c).z.values();
}

double smallest(int dtype) {
  return dtype == ABN_F16    ? 0x1p-24
         : dtype == ABN_BF16 ? 0x1p-133
         : dtype == ABN_F32  ? 0x1p-149
                             : 0x1p-1074;
}

TEST(KernelsEdges, LeakyKeepsTheSignOfWhatUnderflows) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    const double tiny = smallest(dtype);
    // beta = -0 is the only way to get y = -0 out of g*xhat + beta with xhat = -0
    Case c;
    c.problem = problem_of(4, 1, 1, layout, dtype);
    c.problem.mode = ABN_INFERENCE;
    c.problem.eps = 0;
    c.x = {0.0, -0.0, -tiny, tiny};
    c.gamma = {1}, c.beta = {-0.0}, c.running_mean = {0}, c.running_var = {1};
    const auto z = forward(variant, c).z.values();
    EXPECT_TRUE(z[0] == 0 && !std::signbit(z[0]));
    EXPECT_TRUE(z[1] == 0 && !std::signbit(z[1])) << "y = -0 must give +0";
    EXPECT_TRUE(z[2] == 0 && std::signbit(z[2])) << "slope*y underflows to -0";
    EXPECT_EQ(z[3], tiny);
  });
}

TEST(KernelsEdges, AroundZero) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    for (const int activation : {ABN_IDENTITY, ABN_ELU, ABN_CELU}) {
      const auto z = activated(variant, layout, dtype, activation, 1, {0.0, 1.0, -1.0});
      EXPECT_EQ(z[0], 0);
      EXPECT_EQ(z[1], 1);
      EXPECT_NEAR(z[2], activation == ABN_IDENTITY ? -1.0 : std::expm1(-1.0), 0x1p-8);
    }
  });
}

// The smallest values of the type come through, whatever y/alpha underflows to.
TEST(KernelsEdges, CeluIsStraightCloseToZero) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    const double tiny = smallest(dtype);
    for (const double alpha : {0.5, 1.0, 100.0}) {
      const std::vector<double> x{0.0, -tiny, -3 * tiny, 5 * tiny, -37 * tiny};
      const auto z = activated(variant, layout, dtype, ABN_CELU, alpha, x);
      EXPECT_EQ(z, x) << "alpha " << alpha;
      EXPECT_FALSE(std::signbit(z[0]));
      Case c;
      c.problem = problem_of(1, static_cast<std::int64_t>(z.size()), 1, layout, dtype);
      c.problem.mode = ABN_FROZEN;
      c.problem.eps = 0;
      activate(c.problem, ABN_CELU, alpha);
      c.dz.assign(z.size(), 1.0);
      c.gamma.assign(z.size(), 1.0), c.beta.assign(z.size(), 0.0);
      Backward call = backward(variant, c, z, std::vector<double>(z.size(), 1.0));
      EXPECT_EQ(call.dx.values(), c.dz) << "alpha " << alpha;  // phi' is 1 from both sides
      const auto y = call.dgamma.values();
      for (std::size_t j = 0; j < x.size(); ++j) {
        const double expected = rounded(c.problem.param_dtype, x[j]);
        EXPECT_NEAR(y[j], expected, 0x1p-18 * std::fabs(expected) + tiny) << "alpha " << alpha;
      }
    }
  });
}

TEST(KernelsEdges, CeluWithAlphaOneIsElu) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    abn_problem p = problem_of(3, 5, 37, layout, dtype);
    activate(p, ABN_ELU, 1);
    Case c = case_of(p, 11);
    const Both elu = run(variant, c, {});
    c.problem.activation = ABN_CELU;
    const Both celu = run(variant, c, {});
    EXPECT_EQ(celu.f.result().bits(), elu.f.result().bits());
    EXPECT_EQ(celu.b.result().bits(), elu.b.result().bits());
    EXPECT_EQ(celu.b.dgamma.bits(), elu.b.dgamma.bits());
  });
}

// dz of a frozen problem with g = r = 1 is multiplied by phi' alone.
std::vector<double> upstream(const abn_variant& variant, int layout, int dtype, int activation,
                             double parameter, const std::vector<double>& z,
                             Backward* all = nullptr) {
  Case c;
  c.problem = problem_of(static_cast<std::int64_t>(z.size()), 1, 1, layout, dtype);
  c.problem.mode = ABN_FROZEN;
  c.problem.eps = 0;
  activate(c.problem, activation, parameter);
  c.dz.assign(z.size(), 1.0);
  c.gamma = {1}, c.beta = {0};
  Backward call = backward(variant, c, z, {1.0});
  const auto dx = call.dx.values();
  if (all != nullptr) *all = std::move(call);
  return dx;
}

TEST(KernelsEdges, LeakyBranchesOnTheSignBit) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    const auto dx = upstream(variant, layout, dtype, ABN_LEAKY_RELU, 0.25, {0.0, -0.0, 1.0, -1.0});
    EXPECT_EQ(dx, (std::vector<double>{1, 0.25, 1, 0.25}));
  });
}

TEST(KernelsEdges, SaturationIsLifted) {
  for_each_saturating([](const abn_variant& variant, int layout, int dtype, int activation) {
    for (const double wanted : {1.0, 0.5, 1.7, 0.1, 3.0, 1e-6}) {
      abn_problem p = problem_of(1, 1, 1, layout, dtype);
      activate(p, activation, wanted);
      const double alpha = p.activation_parameter;
      const double lowest = next_above(dtype, -alpha), below = at_or_below(dtype, -alpha);
      Backward all;
      const auto dx =
          upstream(variant, layout, dtype, activation, wanted, {below, lowest, 2 * below}, &all);
      const double of_y = activation == ABN_CELU ? alpha : 1, slope = (lowest + alpha) / of_y;
      for (const double value : dx)
        EXPECT_NEAR(value, slope, 2 * unit_roundoff(dtype) * slope + smallest(dtype))
            << "alpha " << alpha;
      const double dgamma = all.dgamma.values()[0], y = of_y * std::log1p(lowest / alpha);
      ASSERT_TRUE(std::isfinite(dgamma)) << "alpha " << alpha;
      // log1p near -1 magnifies the rounding of the quotient
      const double u = dtype == ABN_F64 ? 0x1p-53 : 0x1p-24;
      EXPECT_NEAR(dgamma, 3 * slope * y,
                  3 * slope * (8 * u * std::fabs(y) + 8 * u * alpha / slope) + u * std::fabs(y))
          << "alpha " << alpha;
    }
  });
}

// The lowest z above -alpha, divided by alpha, must not round to -1: times 1/alpha it does for some
// alpha.
TEST(KernelsEdges, TheLowestValueOfEveryAlphaIsInverted) {
  for_each_saturating([](const abn_variant& variant, int layout, int dtype, int activation) {
    for (std::uint64_t k = 0; k < 40; ++k) {
      const double wanted = 1.5 + 0.5 * noise(1, k),
                   alpha = rounded(dtype == ABN_F64 ? ABN_F64 : ABN_F32, wanted);
      Backward all;
      upstream(variant, layout, dtype, activation, wanted, {next_above(dtype, -alpha), -1}, &all);
      ASSERT_TRUE(std::isfinite(all.dgamma.values()[0])) << "alpha " << alpha;
    }
  });
}

TEST(KernelsEdges, SaturationDoesNotSpoilTheChannel) {
  for_each_saturating([](const abn_variant& variant, int layout, int dtype, int activation) {
    abn_problem p = problem_of(3, 4, 9, layout, dtype);
    activate(p, activation, 1);
    Case c = case_of(p, 5);
    for (double& beta : c.beta) beta = -60;
    c.beta[1] = 2;
    const Both both = run(variant, c);
    for (const double value : both.f.z.values()) ASSERT_TRUE(std::isfinite(value));
    for (const double value : both.b.dx.values()) ASSERT_TRUE(std::isfinite(value));
    for (const double value : both.b.dgamma.values()) ASSERT_TRUE(std::isfinite(value));
  });
}

TEST(KernelsEdges, ZeroScale) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    for (const int mode : {ABN_TRAINING, ABN_FROZEN}) {
      abn_problem p = problem_of(3, 9, 7, layout, dtype);
      p.mode = mode;
      Case c = case_of(p, 6);
      c.gamma[2] = 0, c.gamma[5] = -0.0, c.beta[5] = 0;
      const Both both = run(variant, c);
      const auto z = both.f.z.values(), dx = both.b.dx.values();
      const Expected expected =
          Plain(c).backward(z, mode == ABN_TRAINING ? both.f.var.values() : c.running_var);
      for (const std::size_t channel : {2u, 5u}) {
        for (std::size_t i = 0; i < c.samples(); ++i) ASSERT_EQ(dx[c.at(channel, i)], 0);
        EXPECT_EQ(both.b.dgamma.values()[channel], 0);
        EXPECT_TRUE(agrees(both.b.dbeta.values()[channel], expected.dbeta[channel]));
      }
      expect_all("dx", dx, expected.dx);
    }
  });
}

// Even a NaN leaves dgamma finite where g = 0.
TEST(KernelsEdges, ZeroScaleOfASpoiledChannel) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    for (const bool in_dz : {false, true}) {
      abn_problem p = problem_of(3, 9, 7, layout, dtype);
      p.mode = ABN_FROZEN;
      Case c = case_of(p, 6);
      c.gamma[2] = 0;
      (in_dz ? c.dz : c.x)[c.at(2, 4)] = not_a_number;
      EXPECT_TRUE(std::isfinite(run(variant, c).b.dgamma.values()[2]));
    }
  });
}

// beta/g overflows, yet y - beta is 0 everywhere: what lies beside a ragged vector must not be
// counted as y = 0.
TEST(KernelsEdges, BetaBeyondTheRangeOfScale) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    abn_problem p = problem_of(3, 5, 9, layout, dtype);
    activate(p, ABN_IDENTITY, 0);
    Case c = case_of(p, 6);
    c.gamma.assign(5, p.param_dtype == ABN_F64 ? 0x1p-1020 : 0x1p-120);
    c.beta.assign(5, 1024);
    const Backward b =
        backward(variant, c, std::vector<double>(c.elements(), 1024), std::vector<double>(5, 1));
    for (const double value : b.dgamma.values()) EXPECT_EQ(value, 0);
    for (const double value : b.dx.values()) ASSERT_TRUE(std::isfinite(value));
  });
}

// gamma = 2^-130 is subnormal in f32: 1/gamma would be infinite, and gamma*xhat can be stored in
// bf16, f32 and f64.
TEST(KernelsEdges, SubnormalScale) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    if (dtype == ABN_F16) return;
    abn_problem p = problem_of(4, 3, 11, layout, dtype);
    activate(p, ABN_IDENTITY, 0);
    p.mode = ABN_FROZEN;
    Case c = case_of(p, 7);
    const double g = dtype == ABN_F64 && p.param_dtype == ABN_F64 ? 0x1p-1040 : 0x1p-130;
    std::vector<double> z(c.elements());
    for (std::size_t k = 0; k < 3; ++k) {
      c.gamma[k] = k == 1 ? -g : g, c.beta[k] = 0, c.running_var[k] = 1;
      for (std::size_t i = 0; i < c.samples(); ++i)
        z[c.at(k, i)] = static_cast<double>(static_cast<int>(i % 5) - 2) * g;
    }
    const Backward b = backward(variant, c, z, c.running_var);
    const Expected expected = Plain(c).backward(z, c.running_var);
    expect_all("dgamma", b.dgamma.values(), expected.dgamma);
    expect_all("dbeta", b.dbeta.values(), expected.dbeta);
  });
}

TEST(KernelsEdges, LargeScale) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    abn_problem p = problem_of(2, 3, 10, layout, dtype);
    p.mode = ABN_FROZEN;
    Case c = case_of(p, 8);
    for (double& gamma : c.gamma) gamma *= dtype == ABN_F16 ? 1024 : 0x1p100;
    const Both both = run(variant, c);
    const auto z = both.f.z.values();
    expect_all("z", z, Plain(c).forward().z);
    const Expected expected = Plain(c).backward(z, c.running_var);
    expect_all("dgamma", both.b.dgamma.values(), expected.dgamma);
    expect_all("dx", both.b.dx.values(), expected.dx);
  });
}

TEST(KernelsEdges, ScaleByAbsoluteValueAndEps) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    abn_problem p = problem_of(5, 6, 6, layout, dtype);
    p.scale = ABN_SCALE_ABS_EPS;
    p.eps = rounded(p.param_dtype, 0.125);
    Case c = case_of(p, 9);
    c.gamma = {1, -1, 0, -0.0, 0.5, -0.5};
    const Both both = run(variant, c);
    const auto z = both.f.z.values();
    expect_all("z", z, Plain(c).forward().z);
    expect_all("dgamma", both.b.dgamma.values(), Plain(c).backward(z, both.f.var.values()).dgamma);
    // sign(0) = +1: the same as for a small positive gamma
    Case positive = c;
    positive.gamma[2] = positive.gamma[3] = 0x1p-60;
    const auto expected = backward(variant, positive, z, both.f.var.values()).dgamma.values(),
               got = both.b.dgamma.values();
    EXPECT_EQ(got[2], expected[2]);
    EXPECT_EQ(got[3], expected[3]);
    EXPECT_NE(got[2], 0);
  });
}

TEST(KernelsEdges, NoAffineIsOneAndZeroUnderBothConventions) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    for (const int scale : {ABN_SCALE_SIGNED, ABN_SCALE_ABS_EPS}) {
      abn_problem p = problem_of(4, 5, 6, layout, dtype);
      p.scale = scale;
      p.eps = rounded(p.param_dtype, 0.25);  // |1| + eps would show
      Case none = case_of(p, 10), ones = none;
      none.gamma.clear(), none.beta.clear();
      ones.problem.scale = ABN_SCALE_SIGNED;
      ones.gamma.assign(5, 1), ones.beta.assign(5, 0);
      const Both a = run(variant, none), b = run(variant, ones);
      EXPECT_EQ(a.f.z.bits(), b.f.z.bits());
      EXPECT_EQ(a.b.dx.bits(), b.b.dx.bits());
      EXPECT_EQ(a.b.dgamma.bits(), b.b.dgamma.bits());
    }
  });
}

TEST(KernelsEdges, ConstantChannel) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    abn_problem p = problem_of(3, 4, 7, layout, dtype);
    p.eps = rounded(p.param_dtype, 1e-3);
    Case c = case_of(p, 11);
    for (std::size_t i = 0; i < c.samples(); ++i)
      c.x[c.at(1, i)] = rounded(dtype, 0.7), c.x[c.at(2, i)] = 0;
    const Both both = run(variant, c);
    const auto z = both.f.z.values(), var = both.f.var.values();
    for (const std::size_t channel : {1u, 2u}) {
      EXPECT_LE(var[channel], 1e-12);
      EXPECT_GE(var[channel], 0);
      const double beta = c.beta[channel],
                   expected = beta < 0 ? p.activation_parameter * beta : beta;
      for (std::size_t i = 0; i < c.samples(); ++i)
        ASSERT_NEAR(z[c.at(channel, i)], expected, 1e-5 + unit_roundoff(dtype));
    }
    expect_all("dx", both.b.dx.values(), Plain(c).backward(z, var).dx);
  });
}

// A NaN or an infinity in x, dz, gamma, beta or the statistics of one channel leaves every bit of
// the others alone.
TEST(KernelsEdges, NonFiniteChannelsLeaveTheirNeighboursAlone) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    for (const int mode : {ABN_TRAINING, ABN_FROZEN})
      for (const std::size_t spoiled : {0u, 3u, 10u})
        for (int what = 0; what < 6; ++what) {
          abn_problem p = problem_of(2, 11, 13, layout, dtype);
          p.mode = mode;
          const Case clean = case_of(p, 12);
          Case c = clean;
          const double bad = what % 2 == 0 ? not_a_number : infinity;
          if (what < 2) c.x[c.at(spoiled, 5)] = bad;
          if (what == 2 || what == 3) c.dz[c.at(spoiled, 5)] = bad;
          if (what == 4) c.beta[spoiled] = bad;
          if (what == 5) c.gamma[spoiled] = bad;
          const Both expected = run(variant, clean), got = run(variant, c);
          const auto z0 = expected.f.z.bits(), z1 = got.f.z.bits(), dx0 = expected.b.dx.bits(),
                     dx1 = got.b.dx.bits();
          for (std::size_t k = 0; k < c.channels(); ++k) {
            if (k == spoiled) continue;
            for (std::size_t i = 0; i < c.samples(); ++i) {
              ASSERT_EQ(z0[c.at(k, i)], z1[c.at(k, i)]) << "what " << what << " channel " << k;
              ASSERT_EQ(dx0[c.at(k, i)], dx1[c.at(k, i)]) << "what " << what << " channel " << k;
            }
            EXPECT_EQ(expected.b.dgamma.bits()[k], got.b.dgamma.bits()[k]);
            EXPECT_EQ(expected.b.dbeta.bits()[k], got.b.dbeta.bits()[k]);
          }
          const auto z = got.f.z.values(), dx = got.b.dx.values();
          if (mode == ABN_TRAINING) {
            for (std::size_t i = 0; i < c.samples(); ++i) {
              if (what < 2) {
                ASSERT_FALSE(std::isfinite(z[c.at(spoiled, i)]));
              }
              if (what < 4) {
                ASSERT_FALSE(std::isfinite(dx[c.at(spoiled, i)])) << "what " << what;
              }
            }
          } else if (what < 2) {  // element by element
            for (std::size_t i = 0; i < c.samples(); ++i)
              ASSERT_EQ(std::isfinite(z[c.at(spoiled, i)]), i != 5);
          }
          if (what < 4) {
            EXPECT_FALSE(std::isfinite(got.b.dgamma.values()[spoiled]));
          }
        }
  });
}

TEST(KernelsEdges, InferenceKeepsTheClassOfEachElement) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    for (const int activation : {ABN_IDENTITY, ABN_LEAKY_RELU, ABN_ELU, ABN_CELU}) {
      const auto z = activated(variant, layout, dtype, activation, 0.5,
                               {not_a_number, infinity, -infinity, 3});
      EXPECT_TRUE(std::isnan(z[0]));
      EXPECT_EQ(z[1], infinity);
      EXPECT_EQ(z[2], activation < ABN_ELU ? -infinity : -0.5);
      EXPECT_EQ(z[3], 3);
    }
  });
}

// Whatever NaN goes in or comes about: backward reads the sign.
TEST(KernelsEdges, NanIsStoredWithoutSign) {
  for_each_kind([](const abn_variant& variant, int layout, int dtype) {
    for (const int activation : {ABN_IDENTITY, ABN_LEAKY_RELU, ABN_ELU, ABN_CELU}) {
      Case c;
      c.problem = problem_of(3, 1, 1, layout, dtype);
      c.problem.mode = ABN_INFERENCE;
      activate(c.problem, activation, 0.5);
      c.x = {std::copysign(not_a_number, -1.0), not_a_number, infinity};
      c.gamma = {1}, c.beta = {-infinity}, c.running_mean = {0}, c.running_var = {1};
      for (const double z : forward(variant, c).z.values())
        EXPECT_TRUE(std::isnan(z) && !std::signbit(z));
    }
  });
}

TEST(KernelsEdges, OverflowOfTheStorageTypeIsInfinity) {
  for (const std::string& name : in_place_variants()) {
    Case c;
    c.problem = problem_of(4, 1, 1, ABN_NHWC, ABN_F16);
    c.problem.mode = ABN_INFERENCE;
    c.problem.eps = 0;
    activate(c.problem, ABN_IDENTITY, 0);
    c.x = {60000, -60000, 100, 32752};
    c.gamma = {2}, c.beta = {0}, c.running_mean = {0}, c.running_var = {1};
    EXPECT_EQ(forward(variant_named(name), c).z.values(),
              (std::vector<double>{infinity, -infinity, 200, 65504}))
        << name;
  }
}

// z is rounded once: the activation sees y in the accumulate type.
TEST(KernelsEdges, RoundsToStorageOnce) {
  for (const std::string& name : in_place_variants()) {
    // y = -(1 + 2^-8) is a tie in bf16 and would become -1; slope*y lies more than half an ulp
    // below slope*-1.
    Case c;
    c.problem = problem_of(2, 1, 1, ABN_NCHW, ABN_BF16);
    c.problem.mode = ABN_INFERENCE;
    c.problem.eps = 0;
    activate(c.problem, ABN_LEAKY_RELU, 1.4921875);  // 191/128
    c.x = {-1, 0};
    c.gamma = {1}, c.beta = {-0x1p-8}, c.running_mean = {0}, c.running_var = {1};
    const double exact = 1.4921875 * -(1 + 0x1p-8);
    ASSERT_NE(rounded(ABN_BF16, exact), rounded(ABN_BF16, -1.4921875));
    EXPECT_EQ(forward(variant_named(name), c).z.values()[0], rounded(ABN_BF16, exact)) << name;
  }
}

}  // namespace
