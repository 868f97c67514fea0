// The device's own functions, as nvcc compiled them: how far they are from the exact value, in ulp,
// held against function_ulp, which the in-tree variants claim.
//
//   ./ptx-tests --gtest_filter='PtxFunctions.*'                   a thousandth of the arguments
//   ABN_TIER=full ./ptx-tests --gtest_filter='PtxFunctions.*'     all of them, and a table
//
// Where a function is made of approximate instructions, it is tried at both ends of their bounds:
// hardware lies between. The exact value is that of double precision, whose own error, less than
// one ulp of a double, is 2^-29 of what is measured.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "cuda/ptx/forms/approximation.hpp"
#include "tests/command/process.hpp"
#include "tests/ptx/support.hpp"

namespace {

using namespace abn::ptx;
using namespace abn::ptx::test;

struct Function {
  const char* name;  ///< of its file in fixtures/ptx/functions
  double (*exact)(double);
  /// The bits of the first and the last argument, ascending: between them lies what the kernels
  /// ask for. Arguments further out give what the ends give.
  std::uint32_t first, last;
  /// Where the ends of an instruction's bound leave more than the function's documentation does:
  /// expf ends in ex2.approx, whose bound in the ISA is 2.5 ulp by itself. A claim that is taken
  /// from the documentation of expf, 2 ulp, trusts that hardware is better than that.
  double at_ends = 0;
};

constexpr std::uint32_t minus_zero = 0x80000000U;
constexpr std::uint32_t bits(float value) { return __builtin_bit_cast(std::uint32_t, value); }

const Function functions[] = {
    {"expm1f", [](double x) { return std::expm1(x); }, minus_zero, bits(-104.0F)},
    {"log1pf", [](double x) { return std::log1p(x); }, minus_zero, bits(-1.0F)},
    {"expf", [](double x) { return std::exp(x); }, minus_zero, bits(-104.0F), 5},
    {"expf", [](double x) { return std::exp(x); }, 0, bits(89.0F), 5},
    {"tanhf", [](double x) { return std::tanh(x); }, 0, bits(12.0F)},
    {"erff", [](double x) { return std::erf(x); }, 0, bits(5.0F)},
};

constexpr std::uint32_t per_launch = 1 << 20, per_block = 256;

std::string text_of_function(const std::string& name) {
  return abn::tests::contents("fixtures/ptx/functions/" + name + ".ptx");
}

/// function_ulp of a variant with ELU.
double claimed_ulp() {
  const abn::tests::Folder folder("functions");
  const std::string file = folder.file("results");
  const auto ended = abn::tests::in_shell(
      "timeout 100 ./abn-verify run naive/forward/f32/nchw/z --problem n1c1s4,f32,nchw,elu:1 "
      "--device emulator --quiet --out " +
      file);
  EXPECT_EQ(ended.code, 0) << ended.output;
  const auto results = nlohmann::json::parse(abn::tests::contents(file));
  for (const auto& variant : results.at("variants"))
    if (variant.at("name") == "naive")
      return std::stod(variant.at("claims").at("function_ulp").get<std::string>());
  return 0;
}

/// Of an exact value that f32 rounds to a finite number: the distance of its neighbours in f32.
double ulp_of(double exact) {
  const int least = -126;
  return std::ldexp(1.0, std::max(exact == 0 ? least : std::ilogb(exact), least) - 23);
}

/// 0 for the rounded value; infinity for another class, and for another zero.
double error_in_ulp(float got, double exact) {
  const auto rounded = static_cast<float>(exact);
  if (std::isnan(rounded)) return std::isnan(got) ? 0 : INFINITY;
  if (std::isinf(rounded) || std::isinf(got) || std::isnan(got))
    // The largest finite number is next to infinity.
    return got == rounded                                                    ? 0
           : std::isinf(rounded) && std::nextafterf(got, rounded) == rounded ? 1
                                                                             : INFINITY;
  return std::fabs(got - exact) / ulp_of(exact);
}

struct Worst {
  double ulp = 0;
  float at = 0;
  std::uint64_t count = 0;
};

constexpr Approximation choices[] = {Approximation::nearest, Approximation::low,
                                     Approximation::high};
using WorstOfEach = std::array<Worst, std::size(choices)>;

/// Every `step`th argument.
WorstOfEach worst_of(const Function& function, const std::string& text, std::uint32_t step) {
  WorstOfEach all;
  std::vector<double> exact(per_launch);
  std::vector<Buffer> buffers{{"in", std::vector<std::uint32_t>(per_launch)},
                              {"out", std::vector<std::uint32_t>(per_launch)}};
  How how;
  how.grid = {per_launch / per_block, 1, 1}, how.block = {per_block, 1, 1};
  for (std::uint64_t next = function.first; next <= function.last;) {
    for (std::size_t i = 0; i < per_launch; ++i, next += step) {
      buffers[0].words[i] =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(next, function.last));
      exact[i] = function.exact(__builtin_bit_cast(float, buffers[0].words[i]));
    }
    for (std::size_t choice = 0; choice < std::size(choices); ++choice) {
      set_approximation(choices[choice]);
      const Outcome outcome = run(text, buffers, how);
      set_approximation(Approximation::nearest);
      EXPECT_EQ(finding_of(outcome), "");
      if (!outcome.findings.empty()) return all;
      Worst& worst = all[choice];
      for (std::size_t i = 0; i < per_launch; ++i) {
        const double error = error_in_ulp(__builtin_bit_cast(float, buffers[1].words[i]), exact[i]);
        if (!(error <= worst.ulp))
          worst.ulp = error, worst.at = __builtin_bit_cast(float, buffers[0].words[i]);
      }
      worst.count += per_launch;
    }
  }
  return all;
}

std::uint32_t step_of_tier() {
  const char* const tier = std::getenv("ABN_TIER");
  return tier != nullptr && std::string(tier) == "full" ? 1 : 1021;
}

TEST(PtxFunctions, AreWithinWhatTheVariantsClaim) {
  const double claimed = claimed_ulp();
  std::printf("function       from         to   arguments  error in ulp, and where: %s\n",
              "approximations nearest, low, high");
  for (const Function& function : functions) {
    const std::string text = text_of_function(function.name);
    ASSERT_FALSE(text.empty());
    std::printf("%-8s %10.4g %10.4g ", function.name, __builtin_bit_cast(float, function.first),
                __builtin_bit_cast(float, function.last));
    const WorstOfEach all = worst_of(function, text, step_of_tier());
    std::printf("%11llu", static_cast<unsigned long long>(all[0].count));
    for (const Worst& worst : all) {
      const bool is_rounded = &worst == &all[0];
      EXPECT_LE(worst.ulp, is_rounded ? claimed : std::max(claimed, function.at_ends))
          << function.name << " of " << worst.at;
      EXPECT_GT(worst.ulp, 0.45) << "a rounded value is half an ulp away";
      std::printf("  %.3f %12.5g", worst.ulp, worst.at);
    }
    std::printf("\n");
  }
}

// Without the reduction of its argument expf is x*log2(e), rounded, and then 2 to that.
TEST(PtxFunctions, FastMathIsNot) {
  const Function fast{"expf_fast", [](double x) { return std::exp(x); }, 0, bits(89.0F)};
  const WorstOfEach all = worst_of(fast, text_of_function(fast.name), 1021);
  EXPECT_GT(all[0].ulp, 10 * claimed_ulp());
}

}  // namespace
