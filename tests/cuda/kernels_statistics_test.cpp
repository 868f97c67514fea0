// Mean and variance where they are hard: a mean far from zero, outliers, long channels; and what
// the claims say of the depth.
#include "tests/cuda/kernel_harness.hpp"

namespace {

using namespace abn::tests;

struct Exact {
  double mean = 0, var = 0;
};
Exact exact(const Case& c, std::size_t channel) {
  long double sum = 0, squares = 0;
  const auto m = static_cast<long double>(c.samples());
  for (std::size_t i = 0; i < c.samples(); ++i) sum += c.x[c.at(channel, i)];
  for (std::size_t i = 0; i < c.samples(); ++i)
    squares += std::pow(static_cast<long double>(c.x[c.at(channel, i)]) - sum / m, 2.0L);
  return {static_cast<double>(sum / m), static_cast<double>(squares / m)};
}

// The worst relative error of the variance over the channels, in units of 2^-24.
double worst_variance_error(const std::string& name, const Case& c) {
  const auto var = forward(variant_named(name), c).var.values();
  double worst = 0;
  for (std::size_t k = 0; k < c.channels(); ++k) {
    const Exact e = exact(c, k);
    worst = std::fmax(worst, std::fabs(var[k] - e.var) / e.var * 0x1p24);
  }
  return worst;
}

// E[x^2] - mu^2 would lose everything at mean/sigma = 2^12; a plain Welford or Chan merge of float
// means some thousands of units.
TEST(KernelsStatistics, LargeMeanOverSigma) {
  for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
    for (const std::int64_t s : {24, 400, 5000}) {
      Case c = case_of(problem_of(2, 4, s, layout, ABN_F32), 1);
      for (std::size_t k = 0; k < c.channels(); ++k)
        for (std::size_t i = 0; i < c.samples(); ++i)
          c.x[c.at(k, i)] = rounded(ABN_F32, 4096 * (k % 2 == 0 ? 1 : -1) + noise(20 + k, i));
      for (const std::string& name : in_place_variants())
        EXPECT_LE(worst_variance_error(name, c), name == "naive" ? 64 : 8)
            << name << "layout " << layout << " s " << s;
    }
}

// An outlier, first or anywhere, must not serve as the shift of the others.
TEST(KernelsStatistics, Outliers) {
  for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
    for (const std::size_t where : {0u, 1u, 7u, 999u}) {
      Case c = case_of(problem_of(1, 3, 1000, layout, ABN_F32), 2);
      for (std::size_t k = 0; k < c.channels(); ++k) c.x[c.at(k, where)] = 3000;
      for (const std::string& name : in_place_variants())
        EXPECT_LE(worst_variance_error(name, c), name == "naive" ? 32 : 8)
            << name << "at " << where;
    }
}

TEST(KernelsStatistics, SmallVarianceAfterALargeOne) {
  // Images of very different spread: merges of unequal M2.
  for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout) {
    Case c = case_of(problem_of(8, 3, 500, layout, ABN_F32), 3);
    for (std::size_t k = 0; k < c.channels(); ++k)
      for (std::size_t i = 0; i < c.samples(); ++i)
        c.x[c.at(k, i)] =
            rounded(ABN_F32, std::ldexp(noise(30 + k, i), -2 * static_cast<int>(i / 500)));
    for (const char* name : {"two_sweep", "resident"})
      EXPECT_LE(worst_variance_error(name, c), 16) << name;
  }
}

// Equal samples have no variance, whatever their number and value; it is never negative.
TEST(KernelsStatistics, ConstantChannelsHaveNoVariance) {
  for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
    for (const std::int64_t s : {2, 3, 7, 13, 29, 3000, 9999}) {
      Case c = case_of(problem_of(1, 24, s, layout, ABN_F32), 4);
      // In the second half u*x is about 2^-76, whose square underflows while the square of a sum of
      // some of them does not.
      const auto value = [](std::size_t channel) {
        // three of these give -2^-148 before it is clamped
        if (channel == 23) return 0x1.fe32a2p-52;
        return rounded(ABN_F32, channel < 12 ? 0.1 + static_cast<double>(channel) / 7
                                             : (0.9 + 0.1 * noise(40, channel)) * 0x1p-52);
      };
      for (std::size_t k = 0; k < c.channels(); ++k)
        for (std::size_t i = 0; i < c.samples(); ++i) c.x[c.at(k, i)] = value(k);
      for (const char* name : {"two_sweep", "resident"}) {
        const Forward f = forward(variant_named(name), c);
        for (std::size_t k = 0; k < c.channels(); ++k) {
          EXPECT_GE(f.var.values()[k], 0);
          EXPECT_LE(f.var.values()[k], 0x1p-46 * value(k) * value(k) + 0x1p-149);  // (2u x)^2
          EXPECT_NEAR(f.mean.values()[k], value(k), 0x1p-23 * value(k));
        }
      }
    }
}

TEST(KernelsStatistics, UnbiasedRunningVarianceOfTwoSamples) {
  for (const std::string& name : in_place_variants()) {
    Case c = case_of(problem_of(2, 1, 1, ABN_NCHW, ABN_F32), 5);
    c.problem.momentum = 0.25;
    c.x = {1, 4};
    c.running_mean = {8}, c.running_var = {16};
    const Forward f = forward(variant_named(name), c);
    EXPECT_EQ(f.mean.values()[0], 2.5);
    EXPECT_EQ(f.var.values()[0], 2.25);
    EXPECT_EQ(f.running_mean.values()[0], 0.75 * 8 + 0.25 * 2.5);
    EXPECT_EQ(f.running_var.values()[0], 0.75 * 16 + 0.25 * 4.5);
  }
}

abn_claims claims_of(const std::string& name, const abn_problem& problem) {
  abn_claims claims{};
  claims.struct_size = sizeof claims;
  EXPECT_EQ(variant_named(name).claims(&problem, &claims), ABN_OK);
  return claims;
}

// The claimed depth bounds the error of sums of equal terms, which is the worst case of a sum:
// every addition rounds the same way.
TEST(KernelsStatistics, ClaimedDepthsCoverTheSums) {
  for (const std::string& name : in_place_variants())
    for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
      for (const std::int64_t s : {2, 100, 4099, 30000}) {
        Case c = case_of(problem_of(2, 1 + layout, s, layout, ABN_F32), 6);
        activate(c.problem, ABN_IDENTITY, 0);
        c.problem.mode = ABN_FROZEN;
        for (double& dz : c.dz) dz = rounded(ABN_F32, 0.1);
        const std::vector<double> z(c.elements(), 1.0), var(c.channels(), 1.0);
        const abn_claims claims = claims_of(name, c.problem);
        const auto m = static_cast<std::int64_t>(c.samples());
        EXPECT_GE(claims.depth_statistics, 1);
        EXPECT_LE(claims.depth_statistics, m);
        EXPECT_LE(claims.depth_backward, m);
        const double got = backward(variant_named(name), c, z, var).dbeta.values()[0],
                     expected = rounded(ABN_F32, 0.1) * static_cast<double>(m);
        EXPECT_LE(std::fabs(got - expected),
                  static_cast<double>(claims.depth_backward) * 0x1p-24 * expected)
            << name << " s " << s;
      }
}

// Sums stay short even for the longest channels: at most 512 terms a thread, then trees.
TEST(KernelsStatistics, DepthOfLongChannels) {
  for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
    for (const int dtype : {ABN_F16, ABN_F32, ABN_F64}) {
      for (const char* name : {"two_sweep", "resident"}) {
        const abn_claims claims = claims_of(name, problem_of(256, 64, 112 * 112, layout, dtype));
        EXPECT_LE(claims.depth_backward, 640) << name;
        EXPECT_LE(claims.depth_statistics, 320) << name;
      }
    }
}

}  // namespace
