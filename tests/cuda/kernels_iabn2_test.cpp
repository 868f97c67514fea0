// InPlace-ABN II: what its wide sums are for, and that plain ones would not do.
#include "cuda/device/sweep_launches.cuh"
#include "tests/cuda/kernel_harness.hpp"

namespace {

using namespace abn::tests;
using namespace abn::device;

// |beta| 2^12 times |g| and as many samples as plain sums need to lose digits: Sy and beta*S0 are
// thousands of times what is left of them.
Case far_from_the_origin(int dtype) {
  abn_problem p = problem_of(4, 3, 3000, ABN_NCHW, dtype);
  activate(p, ABN_IDENTITY, 0);
  Case c = case_of(p, 11);
  for (std::size_t k = 0; k < c.channels(); ++k)
    c.gamma[k] = 0x1p-8 * (k == 1 ? -1 : 1), c.beta[k] = 16 - static_cast<double>(k);
  return c;
}

// dgamma of the stored z, exactly enough, and the sum of its terms' sizes.
struct Sum {
  double value = 0, size = 0;
};
Sum dgamma_of(const Case& c, const std::vector<double>& z, std::size_t channel) {
  long double value = 0, size = 0;
  for (std::size_t i = 0; i < c.samples(); ++i) {
    const auto at = c.at(channel, i);
    const long double term = static_cast<long double>(c.dz[at]) *
                             (static_cast<long double>(z[at]) - c.beta[channel]) / c.gamma[channel];
    value += term, size += std::fabs(term);
  }
  return {static_cast<double>(value), static_cast<double>(size)};
}

// The worst error of dgamma over the channels, in units of the unit roundoff of the parameters
// times the sum of sizes.
double worst_dgamma(const Case& c, const abn_variant& variant) {
  const Both both = run(variant, c);
  const auto z = both.f.z.values(), dgamma = both.b.dgamma.values();
  double worst = 0;
  for (std::size_t k = 0; k < c.channels(); ++k) {
    const Sum exact = dgamma_of(c, z, k);
    worst = std::fmax(worst, std::fabs(dgamma[k] - exact.value) /
                                 (unit_roundoff(c.problem.param_dtype) * exact.size));
  }
  return worst;
}

// II as it would be with sums of the accumulate type.
template <class A>
struct Narrow : SchemeTwo<A> {
  using Value = A;
  static A term(A, A y, A dy) { return dy * y; }
  static Sums<A> finished(const Affine<A>& affine, const Sums<A>& sums) {
    return {sums.s0, (sums.s1 - affine.beta * sums.s0) / affine.g};
  }
};
abn_variant with_narrow_sums() {
  abn_variant variant = variant_named("iabn2");
  variant.backward = [](const abn_problem* p, const abn_backward_args* args) {
    return with_kind(*p, ABN_NCHW, [&](auto kind) {
      return sweeps::run_backward<decltype(kind),
                                  Narrow<Accumulate<typename decltype(kind)::Storage>>>(
          partition_of(*p), *p, *args);
    });
  };
  return variant;
}

TEST(KernelsIabn2, WideSumsLoseNothing) {
  for (const int dtype : {ABN_F32, ABN_F64}) {
    const Case c = far_from_the_origin(dtype);
    EXPECT_LE(worst_dgamma(c, variant_named("iabn2")), 2) << "dtype " << dtype;
    EXPECT_GE(worst_dgamma(c, with_narrow_sums()), 100)
        << "dtype " << dtype << ": the data does not need wide sums";
  }
}

// Pairs of doubles carry twice the digits: 1 + 2^-80, summed 2^10 times, and its cancellation.
TEST(KernelsIabn2, PairsOfDoublesKeepWhatADoubleLoses) {
  DoubleDouble sum;
  for (int i = 0; i < 1024; ++i) {
    sum += DoubleDouble(1, 0x1p-80);
    sum += wide_product(-0x1.8p0, 0x1.5555555555555p-1);
  }
  // 1.5 times that fraction is 1 - 2^-54.
  EXPECT_EQ(static_cast<double>(sum), 1024 * (0x1p-54 + 0x1p-80));
  EXPECT_EQ(over_scale(DoubleDouble(3, 0x1p-60), 1.0, DoubleDouble(3, -0x1p-60), 0x1p-10), 0x1p-49);
}

}  // namespace
