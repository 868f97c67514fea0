// The full Jacobian of kernels: that it passes for right ones on every branch, with the evaluations
// that colouring promises, and fails for wrong ones.
#include <gtest/gtest.h>

#include "tests/check/gradient/planted.hpp"
#include "verify/check/gradient/jacobian.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::check;
using namespace abn::verify::check::gradient;

template <Planted bug>
results::Verdict verdict(const char* check, const char* problem = "n2c3s64,f64,leaky_relu") {
  return grad(planted_variant<bug>(), problem, std::string("*") + check).at(check).verdict;
}

}  // namespace

TEST(KernelJacobian, PassesOnEveryBranch) {
  for (const char* options : {"identity", "leaky_relu", "elu", "leaky_relu,frozen", "elu,frozen",
                              "elu,abs_eps", "leaky_relu:0.25,nhwc,abs_eps", "elu,param:f32"})
    for (const char* data : {"standard", "mixed_gamma", "large_beta", "spikes"}) {
      const auto records = grad(planted_variant<Planted::none>(),
                                std::string("n2c3s9,f64,") + options, "*jacobian*", data);
      ASSERT_EQ(records.size(), 3U);
      for (const auto& [check, record] : records) {
        EXPECT_EQ(record.verdict, results::Verdict::pass)
            << options << " " << data << " " << check << ": " << record.reason;
        EXPECT_EQ(record.discriminating_cases, 1U);
      }
    }
}

TEST(KernelJacobian, LooksAtEveryInputWithTwoEvaluationsEach) {
  const auto records =
      grad(planted_variant<Planted::none>(), "n2c5s8,f64,leaky_relu", "*jacobian*");
  constexpr std::uint64_t m = 16, channels = 5;
  EXPECT_EQ(records.at("jacobian_dx").tally.elements, m * m * channels);
  EXPECT_EQ(records.at("jacobian_dgamma").tally.elements, m * channels);
  EXPECT_EQ(records.at("jacobian_dbeta").tally.elements, m * channels);
  // One unperturbed, two for each sample, for gamma and for beta; one backward for each sample.
  EXPECT_EQ(records.at("jacobian_dx").evaluations.forward, 2 * m + 4 + 1);
  EXPECT_EQ(records.at("jacobian_dx").evaluations.backward, m);
}

TEST(KernelJacobian, RefusesWrongBackwards) {
  EXPECT_EQ(verdict<Planted::none>("jacobian_dx"), results::Verdict::pass);
  EXPECT_EQ(verdict<Planted::dx_zero>("jacobian_dx"), results::Verdict::fail);
  EXPECT_EQ(verdict<Planted::missing_rstd>("jacobian_dx"), results::Verdict::fail);
  EXPECT_EQ(verdict<Planted::missing_mean>("jacobian_dx"), results::Verdict::fail);
  EXPECT_EQ(verdict<Planted::missing_xhat>("jacobian_dx"), results::Verdict::fail);
  EXPECT_EQ(verdict<Planted::sum_of_dz>("jacobian_dx"), results::Verdict::fail);
  EXPECT_EQ(verdict<Planted::dgamma_negated>("jacobian_dgamma"), results::Verdict::fail);
  EXPECT_EQ(verdict<Planted::dbeta_halved>("jacobian_dbeta"), results::Verdict::fail);
  EXPECT_EQ(verdict<Planted::dgamma_negated>("jacobian_dbeta"), results::Verdict::pass);
}

TEST(KernelJacobian, RefusesABackwardOfAnotherForward) {
  // A forward with another slope than the backward believes in.
  static const abn_variant steeper = [] {
    abn_variant variant = planted_variant<Planted::none>();
    variant.forward = [](const abn_problem* p, const abn_forward_args* a) {
      abn_problem other = *p;
      other.activation_parameter *= 1.001;
      return right_kernel(*p).forward(&other, a);
    };
    return variant;
  }();
  EXPECT_EQ(
      grad(steeper, "n2c3s9,f64,leaky_relu:0.25", "*jacobian_dbeta").at("jacobian_dbeta").verdict,
      results::Verdict::fail);
}

TEST(KernelJacobian, SkipsWhatIsTooLargeOrNotFinite) {
  const auto large =
      grad(planted_variant<Planted::none>(), "n2c1s1000,f64,leaky_relu", "*jacobian_dx");
  EXPECT_EQ(large.at("jacobian_dx").verdict, results::Verdict::skip);
  EXPECT_NE(large.at("jacobian_dx").reason.find("too large"), std::string::npos);
  const auto special =
      grad(planted_variant<Planted::none>(), "n2c4s8,f64,leaky_relu", "*jacobian_dx", "special");
  EXPECT_EQ(special.at("jacobian_dx").verdict, results::Verdict::skip);
  const auto tiny =
      // no sample can be moved off the kink
      grad(planted_variant<Planted::none>(), "n2c4s8,f64,leaky_relu", "*jacobian_dx", "saturating");
  EXPECT_EQ(tiny.at("jacobian_dx").verdict, results::Verdict::skip);
}
