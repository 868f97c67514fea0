// The data recipes: portable bits, values of their types, and each recipe's own promise.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include "verify/data/random.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

using namespace abn::verify;
using namespace abn::verify::data;

namespace {

/// Samples of one channel in order, whatever the layout.
std::vector<double> channel(const problem::Inputs& inputs, const std::vector<double>& tensor,
                            std::int64_t c) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < problem::sample_count(inputs.problem); ++i)
    out.push_back(tensor[static_cast<std::size_t>(problem::sample_offset(inputs.problem, c, i))]);
  return out;
}

struct Moments {
  double mean, sigma;
};
Moments moments(const std::vector<double>& values) {
  double mean = 0, square = 0;
  for (const double value : values) mean += value;
  mean /= static_cast<double>(values.size());
  for (const double value : values) square += (value - mean) * (value - mean);
  return {mean, std::sqrt(square / static_cast<double>(values.size()))};
}

std::uint64_t hash_of(const std::vector<double>& values) {
  std::uint64_t hash = 0;
  for (const double value : values)
    hash = mix(hash ^ std::bit_cast<std::uint64_t>(value)) + golden_gamma;
  return hash;
}

problem::Inputs make(const std::string& problem, const std::string& recipe, std::uint64_t seed) {
  return make_inputs(problem::parse_problem(problem), recipe, seed);
}

}  // namespace

TEST(RandomStream, IsAFunctionOfKeyAndIndexAlone) {
  // The numbers of splitmix64's finaliser; other bits would make every recorded reproduce line mean
  // other data.
  EXPECT_EQ(mix(1), 0x5692161d100b05e5u);
  EXPECT_EQ(mix(golden_gamma), 0xe220a8397b1dcdafu);  // the first output of splitmix64 with seed 0
  EXPECT_TRUE(rc::check("uniform, normal and powers of two keep their ranges",
                        [](std::uint64_t key, std::uint64_t index) {
                          const Stream stream(key);
                          RC_ASSERT(stream.bits(index) == Stream(key).bits(index));
                          RC_ASSERT(stream.uniform(index) > 0 && stream.uniform(index) < 1);
                          RC_ASSERT(std::abs(stream.normal(index)) < std::sqrt(12.0));
                          const double power = stream.power_of_two(-3, 5, index);
                          RC_ASSERT(power >= 0.125 && power < 32);
                          RC_ASSERT(stream.fork(1).bits(index) != stream.fork(2).bits(index));
                        }));
  const Stream stream(7);
  std::vector<double> normal;
  for (std::uint64_t i = 0; i < 20000; ++i) normal.push_back(stream.normal(i));
  const auto [mean, sigma] = moments(normal);
  EXPECT_NEAR(mean, 0, 0.03);  // four standard errors
  EXPECT_NEAR(sigma, 1, 0.02);
}

TEST(DataRecipes, GiveTheBitsThatTheyGaveWhenTheyWereWritten) {
  const problem::Inputs inputs = make("n3c5s7,bf16,leaky_relu", "standard", 17);
  // Recorded from g++ 12 on x86-64: reproduce lines in old reports stand on these bits.
  EXPECT_EQ(hash_of(inputs.x), 12640480126388175060u);
  EXPECT_EQ(hash_of(inputs.dz), 7552357978537351641u);
  EXPECT_EQ(hash_of(inputs.gamma), 6888958009993773221u);
}

TEST(DataRecipes, AreTheSameInBothLayoutsAndDifferBySeed) {
  for (const Recipe& recipe : recipes()) {
    const problem::Inputs nchw = make("n3c5s7,nchw,leaky_relu", recipe.name, 4),
                          nhwc = make("n3c5s7,nhwc,leaky_relu", recipe.name, 4),
                          other = make("n3c5s7,nchw,leaky_relu", recipe.name, 5);
    for (std::int64_t c = 0; c < 5; ++c) {
      EXPECT_EQ(hash_of(channel(nchw, nchw.x, c)), hash_of(channel(nhwc, nhwc.x, c)))
          << recipe.name;
      EXPECT_EQ(hash_of(channel(nchw, nchw.dz, c)), hash_of(channel(nhwc, nhwc.dz, c)))
          << recipe.name;
    }
    EXPECT_NE(hash_of(nchw.x), hash_of(other.x)) << recipe.name;
    EXPECT_NE(hash_of(nchw.dz), hash_of(other.dz)) << recipe.name;
  }
}

TEST(DataRecipes, HoldValuesOfTheirTypesWhoseSquaresAnF32SumCanHold) {
  for (const Recipe& recipe : recipes())
    for (const char* dtype : {"f16", "bf16", "f32", "f64"})
      for (const char* sizes : {"n2c3s5,leaky_relu", "n1c1s1,leaky_relu", "n0c3s4,leaky_relu",
                                "n4c7s200,leaky_relu", "n2c0s3,leaky_relu"})
        for (std::uint64_t seed = 0; seed < 4; ++seed) {
          const abn_problem problem =
              problem::parse_problem(std::string(sizes) + "," + dtype + ",inference");
          const problem::Inputs inputs = make_inputs(problem, recipe.name, seed);
          const auto all_of_type = [&](const std::vector<double>& values, int type) {
            return std::all_of(values.begin(), values.end(), [&](double v) {
              return std::isnan(v) || problem::round_to(problem::format_of(type), v) == v;
            });
          };
          EXPECT_TRUE(all_of_type(inputs.x, problem.dtype) && all_of_type(inputs.dz, problem.dtype))
              << recipe.name << " " << dtype;
          for (const auto* values :
               {&inputs.gamma, &inputs.beta, &inputs.running_mean, &inputs.running_var}) {
            EXPECT_TRUE(all_of_type(*values, problem.param_dtype)) << recipe.name;
            EXPECT_EQ(values->size(), inputs.affine || values == &inputs.running_mean ||
                                              values == &inputs.running_var
                                          ? static_cast<std::size_t>(problem.c)
                                          : 0u);
          }
          EXPECT_TRUE(std::all_of(inputs.running_var.begin(), inputs.running_var.end(),
                                  [](double v) { return !(v <= 0); }))
              << recipe.name;
          EXPECT_EQ(inputs.x.size(), static_cast<std::size_t>(problem::element_count(problem)));
          EXPECT_EQ(inputs.dz.size(), inputs.x.size());
          double squares = 0;
          for (const double x : inputs.x) squares += std::isfinite(x) ? x * x : 0;
          EXPECT_LT(squares, 1e38) << recipe.name;
        }
}

TEST(DataRecipes, DzIsOfBothSignsAndItsSumsAreNotSmall) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const problem::Inputs inputs = make("n8c6s32,leaky_relu", "standard", seed);
    for (std::int64_t c = 0; c < 6; ++c) {
      const auto x = channel(inputs, inputs.x, c), dz = channel(inputs, inputs.dz, c);
      const auto [mean, sigma] = moments(x);
      double s0 = 0, s1 = 0, size = 0;
      bool negative = false, positive = false;
      for (std::size_t i = 0; i < x.size(); ++i) {
        s0 += dz[i], s1 += dz[i] * (x[i] - mean) / sigma, size += std::abs(dz[i]);
        negative |= dz[i]<0, positive |= dz[i]> 0;
      }
      EXPECT_TRUE(negative && positive);
      EXPECT_GT(std::abs(s0), 0.1 * size);
      EXPECT_GT(std::abs(s1), 0.1 * size);
    }
  }
}

TEST(DataRecipes, DzComesInRealisticScales) {
  std::set<int> exponents;
  for (std::uint64_t seed = 0; seed < 40; ++seed)
    exponents.insert(std::ilogb(moments(make("n8c6s32,leaky_relu", "standard", seed).dz).sigma));
  EXPECT_LT(*exponents.begin(), -12);  // 1/(64*256) = 2^-14
  EXPECT_GE(*exponents.rbegin(), -1);
}

TEST(DataRecipes, LargeMeanIsWhatItsTypeCanResolve) {
  for (const auto& [dtype, least] :
       {std::pair{"f16", 60.0}, {"bf16", 6.0}, {"f32", 900.0}, {"f64", 900.0}})
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const problem::Inputs inputs =
          make(std::string("n16c8s16,leaky_relu,") + dtype, "large_mean", seed);
      for (std::int64_t c = 0; c < 8; ++c) {
        const auto [mean, sigma] = moments(channel(inputs, inputs.x, c));
        EXPECT_GT(std::abs(mean) / sigma, least) << dtype;
        EXPECT_GT(sigma, 0) << dtype;
        EXPECT_LT(std::abs(mean - inputs.running_mean[static_cast<std::size_t>(c)]),
                  2 * sigma + 0.01 * std::abs(mean))
            << "the running mean is near, or y would be huge";
      }
    }
}

TEST(DataRecipes, KeepTheirOwnPromises) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const auto gammas = make("n4c8s16,leaky_relu", "mixed_gamma", seed).gamma;
    EXPECT_EQ(std::count(gammas.begin(), gammas.end(), 0.0), 1);
    EXPECT_TRUE(std::any_of(gammas.begin(), gammas.end(), [](double g) { return g < 0; }) &&
                std::any_of(gammas.begin(), gammas.end(), [](double g) { return g > 0; }));

    for (const double gamma : make("n4c8s16,leaky_relu", "tiny_gamma", seed).gamma)
      EXPECT_TRUE(gamma != 0 && std::abs(gamma) < 0x1p-7);

    const problem::Inputs large_beta = make("n4c8s16,leaky_relu", "large_beta", seed);
    for (std::size_t c = 0; c < 8; ++c)
      EXPECT_GE(std::abs(large_beta.beta[c] / large_beta.gamma[c]), 15.9);

    const problem::Inputs constant = make("n4c8s16,f16,leaky_relu", "constant", seed);
    int still = 0;
    for (std::int64_t c = 0; c < 8; ++c)
      still += moments(channel(constant, constant.x, c)).sigma == 0;
    EXPECT_EQ(still, 4);

    const problem::Inputs zeros = make("n4c8s17,f32,leaky_relu", "zeros", seed);
    EXPECT_TRUE(std::count(zeros.x.begin(), zeros.x.end(), 0.0) > 8 &&
                std::count(zeros.dz.begin(), zeros.dz.end(), 0.0) > 8);
    for (std::int64_t c = 0; c < 8; ++c) {
      double sum = 0;
      for (const double x : channel(zeros, zeros.x, c)) sum += x;
      EXPECT_EQ(sum, 0);
    }
    EXPECT_EQ(std::count(zeros.beta.begin(), zeros.beta.end(), 0.0), 4);

    const problem::Inputs spikes = make("n4c8s64,leaky_relu", "spikes", seed);
    int last_is_larger = 0;
    for (std::int64_t c = 0; c < 8; ++c) {
      auto x = channel(spikes, spikes.x, c);
      for (double& value : x) value = std::abs(value);
      std::sort(x.begin(), x.end());
      EXPECT_GT(x.back(), 5 * x[x.size() / 2]);
      const std::size_t last =
          static_cast<std::size_t>(problem::sample_offset(spikes.problem, c, 4 * 64 - 1));
      last_is_larger += std::abs(spikes.x[last]) > 5 * x[x.size() / 2];
    }
    EXPECT_GE(last_is_larger, 6);  // t times at least 32, so a small t may be small yet

    for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64}) {
      const problem::Format& format = problem::format_of(dtype);
      const problem::Inputs subnormals =
          make(std::string("n4c8s16,leaky_relu,") + problem::dtype_name(dtype), "subnormals", seed);
      const double smallest_normal = std::ldexp(1.0, format.emin);
      const auto is_subnormal = [&](double v) { return v != 0 && std::abs(v) < smallest_normal; };
      EXPECT_GT(std::count_if(subnormals.x.begin(), subnormals.x.end(), is_subnormal), 100);
      EXPECT_GT(std::count_if(subnormals.dz.begin(), subnormals.dz.end(), is_subnormal), 100);
    }

    const problem::Inputs special = make("n4c6s16,leaky_relu", "special", seed);
    int with_nan = 0, with_infinity = 0, clean = 0, in_dz = 0;
    for (std::int64_t c = 0; c < 6; ++c) {
      const auto x = channel(special, special.x, c), dz = channel(special, special.dz, c);
      with_nan += std::any_of(x.begin(), x.end(), [](double v) { return std::isnan(v); });
      with_infinity += std::any_of(x.begin(), x.end(), [](double v) { return std::isinf(v); });
      const bool dz_is_clean =
          std::all_of(dz.begin(), dz.end(), [](double v) { return std::isfinite(v); });
      in_dz += !dz_is_clean;
      clean +=
          dz_is_clean && std::all_of(x.begin(), x.end(), [](double v) { return std::isfinite(v); });
    }
    EXPECT_EQ(with_nan, 1);
    EXPECT_EQ(with_infinity, 2);
    EXPECT_EQ(in_dz, 2);
    EXPECT_EQ(clean, 1);

    const problem::Inputs plain = make("n4c6s16,leaky_relu", "no_affine", seed);
    EXPECT_FALSE(plain.affine);
  }
}

TEST(DataRecipes, KinksAreMetExactlyAndTheEndsAreFarOut) {
  std::set<double> met;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const problem::Inputs inputs = make("n8c8s32,relu6,f32", "kinks", seed);
    int exact = 0, far = 0;
    for (std::int64_t c = 0; c < 8; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const auto x = channel(inputs, inputs.x, c);
      const auto [mean, sigma] = moments(x);
      for (const double value : x) {
        const double y = inputs.gamma[at] * (value - mean) / sigma + inputs.beta[at];
        if (mean == 0 && value == 0 && y == inputs.beta[at]) ++exact, met.insert(y);
        far += std::fabs(y) > 40;
      }
    }
    EXPECT_GT(exact, 100) << seed;
    EXPECT_GT(far, 20) << seed;
  }
  EXPECT_EQ(met, (std::set<double>{-3, 0, 3, 6}));
}

TEST(DataRecipes, SaturatingReachesBothEnds) {
  for (const char* dtype : {"f16", "bf16", "f32"}) {
    const problem::Inputs inputs = make(std::string("n8c8s32,elu:1,") + dtype, "saturating", 3);
    const problem::Format& format = problem::format_of(inputs.problem.dtype);
    int saturated = 0, underflown = 0;
    for (std::int64_t c = 0; c < 8; ++c) {
      const auto x = channel(inputs, inputs.x, c);
      const auto [mean, sigma] = moments(x);
      for (const double value : x) {
        const double y = inputs.gamma[static_cast<std::size_t>(c)] * (value - mean) / sigma +
                         inputs.beta[static_cast<std::size_t>(c)];
        saturated += y < 0 && problem::round_to(format, std::expm1(y)) == -1;
        underflown += y < 0 && problem::round_to(format, 0.01 * y) == 0;
      }
    }
    EXPECT_GT(saturated, 20) << dtype;
    // f32 has 23 bits of subnormals below its smallest normal number
    EXPECT_GT(underflown, format.dtype == ABN_F32 ? -1 : 5) << dtype;
  }
}

TEST(DataRecipes, AnUnknownOneIsRefusedAndTheNearestNamed) {
  try {
    make("n1c1s2,leaky_relu", "spike", 1);
    FAIL();
  } catch (const problem::UsageError& refused) {
    EXPECT_NE(std::string(refused.what()).find("spikes"), std::string::npos) << refused.what();
  }
  EXPECT_TRUE(is_recipe("zeros"));
  EXPECT_FALSE(is_recipe("zero"));
}
