// The bounds hold for every correct kernel, stay sharp, and are exceeded by planted bugs.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "tests/verify_bound_kernels.hpp"
#include "verify/compare.hpp"

namespace abn::tests {
namespace {

/// Largest ratio of each output over the cases of a cell; "dx true" is judged end to end.
struct Cell {
  std::map<std::string, double> ratio;
  std::map<std::string, std::string> failure;

  void judge(const std::vector<Expectation>& expectations, const Outputs& got, const std::string& suffix, const std::string& where) {
    for (const Expectation& e : expectations) {
      Tally tally;
      for (std::size_t i = 0; i < e.points.size(); ++i) {
        const double stored = got.of(e.output)[i];
        // An overflow, and what becomes of it, where the bound reaches beyond the range of the type.
        if (!std::isfinite(stored) && std::fabs(e.points[i].hi) + e.points[i].bound > format_of(e.dtype).largest) continue;
        tally.add(static_cast<std::int64_t>(i), e.points[i], stored, compare(e.points[i], stored, format_of(e.dtype)));
      }
      const std::string name = output_name(e.output) + suffix;
      ratio[name] = std::max(ratio[name], tally.max_ratio);
      if (tally.failed == 0) continue;
      const Point& point = e.points[static_cast<std::size_t>(tally.worst)];
      char text[400];
      std::snprintf(text, sizeof text, "%s %s[%ld] expected %a got %a bound %g ratio %g: %s", where.c_str(), name.c_str(), static_cast<long>(tally.worst), point.hi,
                    got.of(e.output)[static_cast<std::size_t>(tally.worst)], point.bound, tally.max_ratio, tally.worst_comparison.reason);
      failure.emplace(name, text);
    }
  }

  void run(const Inputs& inputs, const Style& style, int scheme, int accumulate, const std::string& where = "", int claimed_accumulate = -1, int claimed_statistics = -1) {
    abn_claims claims = claims_of(inputs.problem, style, scheme, claimed_accumulate < 0 ? accumulate : claimed_accumulate);
    if (claimed_statistics >= 0) claims.statistics = claimed_statistics;
    const Outputs got = run_kernel(inputs, style, scheme, accumulate);
    judge(expect_forward(inputs, claims), got, "", where);
    if (inputs.problem.mode == ABN_INFERENCE) return;
    judge(expect_backward(inputs, got.saved, claims), got, "", where);
    judge(expect_gradient(inputs, claims), got, " true", where);
  }

  void print(const std::string& name) const {
    if (std::getenv("ABN_BOUND_TABLE") == nullptr) return;
    std::printf("%-64s", name.c_str());
    for (const auto& [output, worst] : ratio) std::printf(" %s %.3g", output.c_str(), worst);
    std::printf("\n");
  }
};

/// Draws uniformly from a list.
template <class T, std::size_t N>
T one_of(std::mt19937_64& random, const std::array<T, N>& choices) {
  return choices[random() % N];
}

struct Case {
  Inputs inputs;
  Style style;
  int scheme = ABN_STANDARD, accumulate = ABN_F32;
  std::string text;
};

/// A correct kernel and its data, anything that the bounds claim to cover.
Case random_case(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Case out;
  const int dtype = one_of(random, std::array{ABN_F32, ABN_F32, ABN_F16, ABN_BF16, ABN_F16, ABN_BF16, ABN_F64});
  const int activation = one_of(random, std::array{ABN_IDENTITY, ABN_LEAKY_RELU, ABN_LEAKY_RELU, ABN_ELU});
  const double parameter = activation == ABN_ELU ? one_of(random, std::array{1.0, 1.0, 0.3, 1.7, 0.01}) : one_of(random, std::array{0.01, 0.01, 0.25, 0.2, 3.0, 1e-4});
  const bool large = dtype != ABN_F64 && random() % 20 == 0;
  const std::int64_t s = large ? 500 : 1 + static_cast<std::int64_t>(random() % (dtype == ABN_F64 ? 20 : 60));
  abn_problem p = make_problem(large ? 4 : s == 1 ? 2 + static_cast<std::int64_t>(random() % 5) : 1 + static_cast<std::int64_t>(random() % 5), 3, s, dtype, activation, parameter);
  p.layout = static_cast<int>(random() % 2);
  p.mode = one_of(random, std::array{ABN_TRAINING, ABN_TRAINING, ABN_TRAINING, ABN_FROZEN, ABN_INFERENCE});
  p.scale = static_cast<int>(random() % 2);
  const Format& format = format_of(p.param_dtype);
  p.eps = round_to(format, one_of(random, std::array{1e-5, 1e-3, 1e-12}));
  p.momentum = round_to(format, one_of(random, std::array{0.1, 0.01, 0.9, 1.0}));
  out.scheme = one_of(random, std::array{ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT, ABN_IN_PLACE_1, ABN_IN_PLACE_1, ABN_IN_PLACE_1, ABN_IN_PLACE_2});
  out.accumulate = dtype == ABN_F64 ? static_cast<int>(ABN_F64) : one_of(random, std::array{ABN_F32, ABN_F32, ABN_F32, ABN_F32, ABN_F32, ABN_F64, ABN_BF16});
  // A z that is rounded to bf16 on the way in may reach -alpha again, which is that kernel's own business.
  if (activation == ABN_ELU && out.accumulate == ABN_BF16 && dtype != ABN_BF16) out.accumulate = ABN_F32;
  Style& style = out.style;
  style.lanes = one_of(random, std::array{1, 8, 256});
  style.statistics = one_of(random, std::array{ABN_TWO_PASS, ABN_WELFORD, ABN_ONE_PASS});
  style.folded = random() % 3 == 0;
  style.order = static_cast<int>(random() % 3);
  style.reciprocals = random() % 2 == 0;
  style.root_ulp = static_cast<int>(random() % 5) - 2;
  if (random() % 4 == 0) style.materialises = static_cast<std::uint32_t>(random() % 16);
  Recipe recipe;
  recipe.kappa = one_of(random, std::array{0.0, 1.0, 10.0, 1e2, 1e3, 1e4, 1e6});
  recipe.sigma = one_of(random, std::array{1.0, 1.0, 1e-3, 30.0});
  recipe.gamma = one_of(random, std::array{1.0, 1.0, 0.1, 1e-3, 1e-5, 30.0});
  recipe.beta = one_of(random, std::array{0.0, 1.0, 1.0, 10.0, 300.0});
  recipe.dz = one_of(random, std::array{1.0, 1e-2, 1e-4, 1e-7, 50.0});
  recipe.spikes = random() % 5 == 0;
  if (style.statistics == ABN_ONE_PASS && recipe.kappa > 1e4) recipe.kappa = 100;
  out.inputs = make_inputs(p, recipe, seed);
  char text[400];
  std::snprintf(text, sizeof text, "seed %lu %s accumulate %d scheme %d lanes %d statistics %d folded %d order %d reciprocals %d root %d materialises %u kappa %g gamma %g beta %g dz %g spikes %d",
                static_cast<unsigned long>(seed), to_string(p).c_str(), out.accumulate, out.scheme, style.lanes, style.statistics, style.folded, style.order,
                style.reciprocals, style.root_ulp, style.materialises, recipe.kappa, recipe.gamma, recipe.beta, recipe.dz, recipe.spikes);
  out.text = text;
  return out;
}

std::uint64_t cases_asked(std::uint64_t otherwise) {
  const char* text = std::getenv("ABN_BOUND_CASES");
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(verify_bound, holds_for_correct_kernels) {
  const std::uint64_t cases = cases_asked(3000);
  const char* first = std::getenv("ABN_BOUND_SEED");
  std::map<std::string, double> worst;
  for (std::uint64_t seed = first == nullptr ? 1 : std::strtoull(first, nullptr, 10), end = seed + cases; seed < end; ++seed) {
    const Case one = random_case(seed);
    Cell cell;
    cell.run(one.inputs, one.style, one.scheme, one.accumulate);
    for (const auto& [output, text] : cell.failure) ADD_FAILURE() << one.text << ":" << text;
    for (const auto& [output, ratio] : cell.ratio) worst[output] = std::max(worst[output], ratio);
    if (::testing::Test::HasFailure() && std::getenv("ABN_BOUND_ALL") == nullptr) break;
  }
  Cell all;
  all.ratio = worst;
  all.print("all");
}

}  // namespace
}  // namespace abn::tests
