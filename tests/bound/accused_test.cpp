// Right kernels that bounds once refused: each is within them now, and a wrong kernel with the same
// liberty on the same data still is not.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/bound/data.hpp"
#include "verify/compare/compare.hpp"
#include "verify/expect/expect.hpp"
#include "verify/study/simulate.hpp"

namespace abn::tests {
namespace {

using study::Bug;
using study::KernelOutputs;
using study::SimulatedKernel;

/// The largest ratio of a kernel's outputs, infinite where one is of the wrong class.
double worst_ratio(const problem::Inputs& in, const SimulatedKernel& kernel,
                   const abn_claims& claims, bool gradients_only = false) {
  const KernelOutputs got = study::simulate(in, kernel);
  double worst = 0;
  const auto judge = [&](const std::vector<compare::Expectation>& expectations) {
    for (const compare::Expectation& e : expectations) {
      const compare::Tally tally = compare::compare_all(e, got.of(e.output));
      worst = std::max(worst, tally.failed > 0 && tally.max_ratio <= 1
                                  ? std::numeric_limits<double>::infinity()
                                  : tally.max_ratio);
    }
  };
  if (!gradients_only) judge(expect::expect_forward(in, claims));
  if (in.problem.mode != ABN_INFERENCE) judge(expect::expect_backward(in, got.saved, claims));
  return worst;
}
double worst_ratio(const problem::Inputs& in, const SimulatedKernel& kernel) {
  return worst_ratio(in, kernel, study::claims_of(kernel.declared, in.problem));
}

SimulatedKernel kernel_of(int dtype, int accumulate, int scheme, std::uint32_t materialises = 0) {
  SimulatedKernel kernel;
  kernel.declared.dtype = dtype, kernel.declared.accumulate = accumulate;
  kernel.declared.scheme = scheme, kernel.declared.materialises = materialises;
  return kernel;
}

constexpr int all_schemes[] = {ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT, ABN_IN_PLACE_1,
                               ABN_IN_PLACE_2};

/// Reading a number of f64 into f32 costs half of the smallest step of f32 where it is subnormal
/// there: all of it, below 2^-150.
TEST(AccusedKernels, NumbersThatUnderflowWhenTheyAreReadIntoANarrowerType) {
  double worst = 0;
  for (const int scheme : all_schemes)
    for (const int activation : {ABN_IDENTITY, ABN_LEAKY_RELU})
      for (const int mode : {ABN_TRAINING, ABN_FROZEN})
        for (const double dz : {1e-309, 1e-46, 1e-44, 1e-40, 1e-37})
          for (const double sigma : {1.0, 1e-42}) {
            abn_problem p = make_problem(3, 2, 7, ABN_F64, activation, 0.25);
            p.mode = mode;
            Recipe recipe;
            recipe.dz = dz, recipe.sigma = sigma, recipe.kappa = 0.5;
            problem::Inputs in = make_inputs(p, recipe, 17);
            if (sigma < 1) in.running_var = {1, 2};
            const SimulatedKernel kernel = kernel_of(ABN_F64, ABN_F32, scheme);
            const double ratio = worst_ratio(in, kernel);
            EXPECT_LE(ratio, 1) << problem::to_string(p) << " dz " << dz << " sigma " << sigma
                                << " scheme " << scheme;
            worst = std::max(worst, ratio);
          }
  EXPECT_GT(worst, 0.2);  // the half step is all that there is
  for (const double dz : {1e-40, 1e-37}) {
    problem::Inputs in = make_inputs(make_problem(3, 2, 7, ABN_F64, ABN_IDENTITY, 0), Recipe{}, 17);
    for (double& value : in.dz) value *= dz;
    SimulatedKernel wrong = kernel_of(ABN_F64, ABN_F32, ABN_IN_PLACE_1);
    wrong.bug = Bug::dbeta_halved;
    EXPECT_GT(worst_ratio(in, wrong), 1) << dz;
  }
}

/// g r is subnormal and multiplies a bracket of size dz.
TEST(AccusedKernels, SchemeTwoWithDxWrittenInXhatWhereGammaIsTheSmallestNormalNumber) {
  double worst = 0;
  for (const double gamma : {0x1p-126, 0x1p-128, 0x1p-120, 1.0})
    for (const double dz : {1.0, 0x1p20, 0x1p-10})
      for (const double sigma : {1.0, 64.0, 0.01})
        for (int order = 0; order < 3; ++order)
          for (const int mode : {ABN_TRAINING, ABN_FROZEN}) {
            abn_problem p = make_problem(2, 3, 9, ABN_F32, ABN_LEAKY_RELU, 0.01);
            p.mode = mode;
            Recipe recipe;
            recipe.gamma = gamma, recipe.beta = 0, recipe.dz = dz, recipe.sigma = sigma;
            const problem::Inputs in = make_inputs(p, recipe, 5);
            SimulatedKernel kernel = kernel_of(ABN_F32, ABN_F32, ABN_IN_PLACE_2);
            kernel.free.dx_by_xhat = true;
            kernel.free.order = order;
            const double ratio = worst_ratio(in, kernel);
            EXPECT_LE(ratio, 1) << "gamma " << gamma << " dz " << dz << " sigma " << sigma
                                << " order " << order << " " << problem::mode_name(mode);
            worst = std::max(worst, ratio);
            if (order > 0 || mode != ABN_TRAINING || gamma < 0x1p-126 || dz < 1) continue;
            for (const Bug bug : {Bug::missing_mean, Bug::missing_xhat, Bug::missing_rstd}) {
              if (bug == Bug::missing_rstd && sigma == 1) continue;  // r is nearly 1
              kernel.bug = bug;
              EXPECT_GT(worst_ratio(in, kernel), 1)
                  << "gamma " << gamma << " dz " << dz << " sigma " << sigma << " bug "
                  << static_cast<int>(bug);
            }
          }
  EXPECT_GT(worst, 0.2);
}

/// dx is subnormal, and two of three factors multiply to a number that is, too.
TEST(AccusedKernels, TwoProductsThatUnderflowOneAfterTheOther) {
  problem::Inputs in;
  in.problem = make_problem(2, 1, 1, ABN_F32, ABN_ELU, 0.5);
  in.problem.mode = ABN_FROZEN;
  in.problem.eps = static_cast<double>(0.1F);
  in.gamma = {-0x1.628c38p-1}, in.beta = {0x1.2e9c14p+4};
  in.running_mean = {0x1.a74d7p-6}, in.running_var = {0x1.506cd6p-31};
  in.x = {0x1p-1, -0x1p+1};
  const auto r = 1 / std::sqrt(static_cast<float>(in.running_var[0]) + 0.1F),
             g = static_cast<float>(in.gamma[0]);
  float worst = 0;
  for (const int scale : {0, 4, 8, 10, 12})
    for (const double factor : {1.0, 1.3, 1.7}) {
      in.dz.assign(2, problem::round_to(problem::format_of(ABN_F32),
                                        -factor * std::ldexp(0x1.057p-137, -scale)));
      for (const int scheme : {ABN_IN_PLACE_1, ABN_IN_PLACE_2}) {
        study::KernelClass declared;
        declared.scheme = scheme, declared.summation = study::Summation::pairwise;
        const problem::Saved saved{{0x1.2p+4, 0x1.3p+4}, {}, {}, {}};
        const std::vector<compare::Expectation> expected =
            expect::expect_backward(in, saved, study::claims_of(declared, in.problem));
        const compare::Expectation& dx = *compare::find_output(expected, compare::Output::dx);
        const auto dz = static_cast<float>(in.dz[0]);
        // every order of three factors, and those of m dy
        const float half = g * r / 2;
        for (const float got : {g * r * dz, (g * dz) * r, (r * dz) * g, half * (2 * dz),
                                (half * dz) * 2, (2 * dz) * half}) {
          const compare::Comparison one =
              compare::compare(dx.points[0], got, problem::format_of(ABN_F32));
          EXPECT_LE(one.ratio, 1) << scale << " " << factor << " " << got;
          worst = std::max(worst, static_cast<float>(one.ratio));
        }
        const float wrong = dz * g;
        if (scale == 0) {
          EXPECT_FALSE(compare::compare(dx.points[0], wrong, problem::format_of(ABN_F32)).passed);
        }
      }
    }
  EXPECT_GT(worst, 0.1F);
}

/// Rounded to storage wherever they are used; what is saved may be rounded or not.
TEST(AccusedKernels, StatisticsThatAreSavedBeforeTheyAreRounded) {
  for (const int dtype : {ABN_F16, ABN_BF16})
    for (const int scheme : all_schemes)
      for (const bool full : {false, true}) {
        double worst = 0, unclaimed = 0, wrong = 0;
        for (const int activation : {ABN_IDENTITY, ABN_LEAKY_RELU, ABN_ELU})
          for (const double kappa : {0.5, 5.0, 40.0})
            for (std::uint64_t seed = 1; seed < 12; ++seed) {
              const abn_problem p = make_problem(4, 3, 40, dtype, activation, 0.5);
              Recipe recipe;
              recipe.kappa = kappa;
              const problem::Inputs in = make_inputs(p, recipe, seed);
              SimulatedKernel kernel =
                  kernel_of(dtype, ABN_F32, scheme, ABN_MATERIALISES_STATISTICS);
              kernel.free.saves_full_statistics = full;
              const abn_claims claims = study::claims_of(kernel.declared, p);
              const double ratio = worst_ratio(in, kernel);
              EXPECT_LE(ratio, 1) << problem::to_string(p) << " scheme " << scheme << " full "
                                  << full << " kappa " << kappa;
              worst = std::max(worst, ratio);
              abn_claims none = claims;
              none.materialises = 0;
              unclaimed = std::max(unclaimed, worst_ratio(in, kernel, none));
              kernel.bug = Bug::missing_xhat;
              wrong = std::max(wrong, worst_ratio(in, kernel, claims, true));
            }
        EXPECT_GT(worst, 0.1) << scheme;
        EXPECT_GT(unclaimed, 1) << scheme;
        EXPECT_GT(wrong, 1) << scheme;
      }
}

/// silu and gelu as frameworks have them in 16 bits: each operation inside rounds its result.
TEST(AccusedKernels, ActivationsThatRoundOperationByOperation) {
  for (const int dtype : {ABN_F16, ABN_BF16})
    for (int activation = problem::invertible_count; activation < problem::activation_count;
         ++activation) {
      const problem::Curve& curve = *problem::activation_of(activation).curve;
      double worst = 0, unclaimed = 0, wrong = 0;
      for (const int scheme : {ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT})
        for (const double gamma : {1.0, 8.0})
          for (int order = 0; order < 2; ++order)
            for (std::uint64_t seed = 1; seed < 8; ++seed) {
              const abn_problem p = make_problem(4, 3, 20, dtype, activation, 0);
              Recipe recipe;
              recipe.gamma = gamma;
              const problem::Inputs in = make_inputs(p, recipe, seed);
              SimulatedKernel kernel =
                  kernel_of(dtype, ABN_F32, scheme, ABN_MATERIALISES_ACTIVATION);
              kernel.free.order = order;
              const abn_claims claims = study::claims_of(kernel.declared, p);
              const double ratio = worst_ratio(in, kernel);
              EXPECT_LE(ratio, 1) << problem::to_string(p) << " scheme " << scheme << " order "
                                  << order << " gamma " << gamma << " seed " << seed;
              worst = std::max(worst, ratio);
              abn_claims narrow = claims;
              narrow.materialises = ABN_MATERIALISES_Y;
              unclaimed = std::max(unclaimed, worst_ratio(in, kernel, narrow));
              kernel.bug = Bug::missing_xhat;
              wrong = std::max(wrong, worst_ratio(in, kernel, claims, true));
            }
      EXPECT_GT(worst, 0.1) << problem::activation_name(activation);
      EXPECT_GT(wrong, 1) << problem::activation_name(activation);
      const bool has_operations =
          curve.kind != problem::CurveKind::relu && curve.kind != problem::CurveKind::relu6;
      if (has_operations) {
        EXPECT_GT(unclaimed, 1) << problem::activation_name(activation);
      }
    }
}

}  // namespace
}  // namespace abn::tests
