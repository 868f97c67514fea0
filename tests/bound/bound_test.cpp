// The bounds hold for every correct kernel, stay sharp, and are exceeded by planted bugs.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "tests/bound/data.hpp"
#include "verify/compare/compare.hpp"
#include "verify/expect/expect.hpp"
#include "verify/study/simulate.hpp"

namespace abn::tests {
namespace {

using study::Bug;
using study::KernelOutputs;
using study::SimulatedKernel;

/// Largest ratio of each output over the cases of a cell; "dx true" is judged end to end.
struct Cell {
  std::map<std::string, double> ratio;
  std::map<std::string, std::size_t> judged;  ///< elements with a finite bound
  std::map<std::string, std::string> failure;

  void judge(const std::vector<compare::Expectation>& expectations, const KernelOutputs& got,
             const std::string& suffix) {
    for (const compare::Expectation& e : expectations) {
      compare::Tally tally;
      const std::string name = compare::output_name(e.output) + suffix;
      for (std::size_t i = 0; i < e.points.size(); ++i) {
        const double stored = got.of(e.output)[i];
        // An overflow, and what becomes of it, where the bound reaches beyond the range of the
        // type.
        if (!std::isfinite(stored) &&
            std::fabs(e.points[i].hi) + e.points[i].bound > problem::format_of(e.dtype).largest)
          continue;
        judged[name] += std::isfinite(e.points[i].bound) ? 1 : 0;
        tally.add(static_cast<std::int64_t>(i), e.points[i], stored,
                  compare::compare(e.points[i], stored, problem::format_of(e.dtype)));
      }
      ratio[name] = std::max(ratio[name], tally.max_ratio);
      if (tally.failed == 0) continue;
      const compare::Point& point = e.points[static_cast<std::size_t>(tally.worst)];
      char text[400];
      std::snprintf(text, sizeof text, "%s[%ld] expected %a got %a bound %g ratio %g: %s",
                    name.c_str(), static_cast<long>(tally.worst), point.hi,
                    got.of(e.output)[static_cast<std::size_t>(tally.worst)], point.bound,
                    tally.max_ratio, tally.worst_comparison.reason);
      failure.emplace(name, text);
    }
  }

  /// A kernel that claims what it is.
  void run(const problem::Inputs& inputs, const SimulatedKernel& kernel) {
    run(inputs, kernel, study::claims_of(kernel.declared, inputs.problem));
  }
  void run(const problem::Inputs& inputs, const SimulatedKernel& kernel, const abn_claims& claims) {
    const KernelOutputs got = study::simulate(inputs, kernel);
    judge(expect::expect_forward(inputs, claims), got, "");
    if (inputs.problem.mode == ABN_INFERENCE) return;
    judge(expect::expect_backward(inputs, got.saved, claims), got, "");
    judge(expect::expect_gradient(inputs, claims), got, " true");
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
  problem::Inputs inputs;
  SimulatedKernel kernel;
  std::string text;
};

/// A correct kernel and its data, anything that the bounds claim to cover.
Case random_case(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Case out;
  const int dtype =
      one_of(random, std::array{ABN_F32, ABN_F32, ABN_F16, ABN_BF16, ABN_F16, ABN_BF16, ABN_F64});
  const int activation =
      one_of(random, std::array{ABN_IDENTITY, ABN_LEAKY_RELU, ABN_LEAKY_RELU, ABN_ELU, ABN_CELU});
  const bool exponential = activation == ABN_ELU || activation == ABN_CELU;
  const double parameter = exponential
                               ? one_of(random, std::array{1.0, 1.0, 0.3, 1.7, 0.01})
                               : one_of(random, std::array{0.01, 0.01, 0.25, 0.2, 3.0, 1e-4});
  const bool large = dtype != ABN_F64 && random() % 20 == 0;
  const std::int64_t s =
      large ? 500 : 1 + static_cast<std::int64_t>(random() % (dtype == ABN_F64 ? 20 : 60));
  abn_problem p = make_problem(large    ? 4
                               : s == 1 ? 2 + static_cast<std::int64_t>(random() % 5)
                                        : 1 + static_cast<std::int64_t>(random() % 5),
                               3, s, dtype, activation, parameter);
  p.layout = static_cast<int>(random() % 2);
  p.mode = one_of(random,
                  std::array{ABN_TRAINING, ABN_TRAINING, ABN_TRAINING, ABN_FROZEN, ABN_INFERENCE});
  p.scale = static_cast<int>(random() % 2);
  const problem::Format& format = problem::format_of(p.param_dtype);
  p.eps = problem::round_to(format, one_of(random, std::array{1e-5, 1e-3, 1e-12}));
  p.momentum = problem::round_to(format, one_of(random, std::array{0.1, 0.01, 0.9, 1.0}));
  study::KernelClass& declared = out.kernel.declared;
  study::Liberties& free = out.kernel.free;
  declared.scheme =
      one_of(random, std::array{ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT, ABN_IN_PLACE_1,
                                ABN_IN_PLACE_1, ABN_IN_PLACE_1, ABN_IN_PLACE_2});
  declared.accumulate = dtype == ABN_F64
                            ? static_cast<int>(ABN_F64)
                            : one_of(random, std::array{ABN_F32, ABN_F32, ABN_F32, ABN_F32, ABN_F32,
                                                        ABN_F64, ABN_BF16});
  // A z that is rounded to bf16 on the way in may reach -alpha again, which is that kernel's own
  // business.
  if (exponential && declared.accumulate == ABN_BF16 && dtype != ABN_BF16)
    declared.accumulate = ABN_F32;
  set_lanes(declared, one_of(random, std::array{1, 8, 256}), p);
  declared.statistics = one_of(random, std::array{ABN_TWO_PASS, ABN_WELFORD, ABN_ONE_PASS});
  declared.folded = random() % 3 == 0;
  free.order = static_cast<int>(random() % 3);
  free.reciprocals = free.reciprocal_width = random() % 2 == 0;
  free.root = std::clamp(static_cast<int>(random() % 5) - 2, -1, 1);
  if (random() % 4 == 0) declared.materialises = static_cast<std::uint32_t>(random() % 16);
  free.derivative_from_y =
      declared.scheme == ABN_STANDARD &&
      ((declared.materialises & ABN_MATERIALISES_Y) != 0 || dtype == declared.accumulate) &&
      random() % 2 == 0;
  Recipe recipe;
  recipe.kappa = one_of(random, std::array{0.0, 1.0, 10.0, 1e2, 1e3, 1e4, 1e6});
  recipe.sigma = one_of(random, std::array{1.0, 1.0, 1e-3, 30.0});
  recipe.gamma = one_of(random, std::array{1.0, 1.0, 0.1, 1e-3, 1e-5, 30.0});
  recipe.beta = one_of(random, std::array{0.0, 1.0, 1.0, 10.0, 300.0});
  recipe.dz = one_of(random, std::array{1.0, 1e-2, 1e-4, 1e-7, 50.0});
  recipe.spikes = random() % 5 == 0;
  recipe.sorted = random() % 4 == 0;
  if (declared.statistics == ABN_ONE_PASS && recipe.kappa > 1e4) recipe.kappa = 100;
  out.inputs = make_inputs(p, recipe, seed);
  char text[400];
  std::snprintf(text, sizeof text,
                "seed %lu %s accumulate %d scheme %d lanes %d statistics %d folded %d order %d "
                "reciprocals %d root %d materialises %u "
                "kappa %g gamma %g beta %g dz %g spikes %d",
                static_cast<unsigned long>(seed), problem::to_string(p).c_str(),
                declared.accumulate, declared.scheme, declared.lanes, declared.statistics,
                declared.folded, free.order, free.reciprocals, free.root, declared.materialises,
                recipe.kappa, recipe.gamma, recipe.beta, recipe.dz, recipe.spikes);
  out.text = text;
  return out;
}

std::uint64_t cases_asked(std::uint64_t otherwise) {
  const char* text = std::getenv("ABN_BOUND_CASES");
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(verify_bound, holds_for_correct_kernels) {
  const std::uint64_t cases = cases_asked(5000);
  const char* first = std::getenv("ABN_BOUND_SEED");
  std::map<std::string, double> worst;
  for (std::uint64_t seed = first == nullptr ? 1 : std::strtoull(first, nullptr, 10),
                     end = seed + cases;
       seed < end; ++seed) {
    const Case one = random_case(seed);
    Cell cell;
    cell.run(one.inputs, one.kernel);
    for (const auto& [output, text] : cell.failure) ADD_FAILURE() << one.text << ":" << text;
    for (const auto& [output, ratio] : cell.ratio) worst[output] = std::max(worst[output], ratio);
    if (::testing::Test::HasFailure() && std::getenv("ABN_BOUND_ALL") == nullptr) break;
  }
  Cell all;
  all.ratio = worst;
  all.print("all");
}

/// The same with an activation without an inverse, in the schemes that keep x or xhat.
Case random_curve_case(std::uint64_t seed) {
  std::mt19937_64 random(seed ^ 0x637572766573U);  // "curves"
  Case out = random_case(seed);
  abn_problem& p = out.inputs.problem;
  study::KernelClass& declared = out.kernel.declared;
  problem::set_activation(
      p,
      problem::invertible_count +
          static_cast<int>(random() % (problem::activation_count - problem::invertible_count)),
      0);
  if (declared.scheme >= ABN_IN_PLACE_1)
    declared.scheme =
        one_of(random, std::array{ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT});
  const bool from_y = out.kernel.free.derivative_from_y = random() % 2 == 0;
  out.text += std::string(" as ") + problem::activation_name(p.activation) + " scheme " +
              std::to_string(declared.scheme) + (from_y ? " from y" : " from z");
  return out;
}

TEST(verify_bound, holds_for_correct_kernels_without_an_inverse) {
  const std::uint64_t cases = cases_asked(5000);
  const char* first = std::getenv("ABN_BOUND_SEED");
  std::map<std::string, double> worst;
  for (std::uint64_t seed = first == nullptr ? 1 : std::strtoull(first, nullptr, 10),
                     end = seed + cases;
       seed < end; ++seed) {
    const Case one = random_curve_case(seed);
    Cell cell;
    cell.run(one.inputs, one.kernel);
    for (const auto& [output, text] : cell.failure) ADD_FAILURE() << one.text << ":" << text;
    for (const auto& [output, ratio] : cell.ratio) worst[output] = std::max(worst[output], ratio);
    if (::testing::Test::HasFailure() && std::getenv("ABN_BOUND_ALL") == nullptr) break;
  }
  Cell all;
  all.ratio = worst;
  all.print("all without an inverse");
}

/// f64 tensors with f32 parameters: nothing is rounded where y is materialised, and yet a y found
/// again from the saved statistics is another than forward's.
TEST(verify_bound, grants_a_derivative_of_a_y_found_again_where_storage_is_wide) {
  for (const int activation : {ABN_ELU, ABN_CELU})
    for (const int parameter_type : {ABN_F32, ABN_F64})
      for (const bool claimed : {true, false}) {
        abn_problem p = make_problem(3, 4, 30, ABN_F64, activation, 0.5);
        p.param_dtype = parameter_type;
        p.eps = problem::round_to(problem::format_of(parameter_type), 1e-5);
        p.momentum = problem::round_to(problem::format_of(parameter_type), 0.1);
        SimulatedKernel kernel;
        kernel.declared.dtype = kernel.declared.accumulate = ABN_F64;
        kernel.free.derivative_from_y = true;
        kernel.declared.materialises = claimed ? ABN_MATERIALISES_Y : 0;
        Recipe recipe;
        recipe.kappa = 3;
        problem::Inputs inputs = make_inputs(p, recipe, 11);
        for (auto* values :
             {&inputs.gamma, &inputs.beta, &inputs.running_mean, &inputs.running_var})
          for (double& value : *values)
            value = problem::round_to(problem::format_of(parameter_type), value);
        Cell cell;
        cell.run(inputs, kernel);
        const bool accused =
            std::any_of(cell.failure.begin(), cell.failure.end(),
                        [](const auto& one) { return one.first.starts_with("dx"); });
        EXPECT_EQ(accused, !claimed && parameter_type == ABN_F32)
            << problem::to_string(p) << " claimed " << claimed;
      }
}

// ---- sharpness ----------------------------------------------------------------------------------

/// The largest ratio that correct kernels reach must not be below these: a looser bound could hide
/// a bug.
constexpr double sharp_element = 1e-2, sharp_reduction = 1e-3;

void expect_sharp(const std::string& name, const Cell& cell, bool narrow) {
  cell.print(name);
  for (const auto& [output, text] : cell.failure) ADD_FAILURE() << name << ": " << text;
  for (const auto& [output, ratio] : cell.ratio) {
    const bool element =
        output.starts_with("z") || output.starts_with("xhat") || output.starts_with("dx");
    if (cell.judged.at(output) == 0) continue;       // first order ended everywhere
    if (narrow && !element && ratio == 0) continue;  // a sum of so few bits is exact
    EXPECT_GE(ratio, element ? sharp_element : sharp_reduction) << name << " " << output;
  }
}

TEST(verify_bound, is_sharp_in_every_class_of_statistics) {
  for (const int dtype : {ABN_F32, ABN_BF16})
    for (const int statistics : {ABN_TWO_PASS, ABN_WELFORD, ABN_ONE_PASS})
      for (const bool folded : {false, true})
        for (const int lanes : {1, 256})
          for (const double kappa : {3.0, 30.0, 1e3, 1e5}) {
            if (dtype == ABN_BF16 && kappa > 100) continue;  // 8 bits hold nothing but the mean
            Cell cell;
            for (int order = 0; order < 3; ++order) {
              const abn_problem p =
                  make_problem(4, 8, lanes == 1 ? 40 : 300, dtype, ABN_LEAKY_RELU, 0.01);
              SimulatedKernel kernel;
              kernel.declared.statistics = statistics;
              kernel.declared.folded = folded;
              set_lanes(kernel.declared, lanes, p);
              kernel.free.order = order;
              kernel.free.root = order - 1;
              cell.run(make_inputs(p, Recipe{kappa, 1, 1, 0.5, 1, false},
                                   100 + static_cast<std::uint64_t>(order)),
                       kernel);
            }
            char name[100];
            std::snprintf(name, sizeof name, "%s %s %s lanes %d kappa %g",
                          problem::dtype_name(dtype), problem::statistics_name(statistics),
                          problem::normalise_name(folded), lanes, kappa);
            expect_sharp(name, cell, dtype == ABN_F16 || dtype == ABN_BF16);
          }
}

TEST(verify_bound, is_sharp_in_every_scheme) {
  for (const int dtype : {ABN_F32, ABN_F16, ABN_BF16, ABN_F64})
    for (const int activation : {ABN_IDENTITY, ABN_LEAKY_RELU, ABN_ELU, ABN_CELU})
      for (const int scheme :
           {ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT, ABN_IN_PLACE_1, ABN_IN_PLACE_2})
        for (const int mode : {ABN_TRAINING, ABN_FROZEN})
          for (const double gamma : {1.0, 1e-2}) {
            Cell cell;
            for (int order = 0; order < 3; ++order) {
              SimulatedKernel kernel;
              kernel.free.order = order;
              kernel.free.reciprocals = kernel.free.reciprocal_width = order == 1;
              kernel.free.root = 1 - order;
              abn_problem p = make_problem(3, 4, dtype == ABN_F64 ? 20 : 60, dtype, activation,
                                           activation == ABN_ELU    ? 1
                                           : activation == ABN_CELU ? 0.5
                                                                    : 0.01);
              p.mode = mode;
              set_lanes(kernel.declared, 16, p);
              kernel.declared.scheme = scheme;
              kernel.declared.accumulate = problem::wide_type_of(dtype);
              cell.run(make_inputs(p, Recipe{2, 1, gamma, 1, 1e-3, false},
                                   200 + static_cast<std::uint64_t>(order)),
                       kernel);
            }
            char name[100];
            std::snprintf(name, sizeof name, "%s %s %s %s gamma %g", problem::dtype_name(dtype),
                          problem::activation_name(activation), problem::scheme_name(scheme),
                          problem::mode_name(mode), gamma);
            expect_sharp(name, cell, dtype == ABN_F16 || dtype == ABN_BF16);
          }
}

TEST(verify_bound, is_sharp_without_an_inverse) {
  for (const int dtype : {ABN_F32, ABN_F16, ABN_BF16, ABN_F64})
    for (int activation = problem::invertible_count; activation < problem::activation_count;
         ++activation)
      for (const int scheme : {ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT})
        for (const int mode : {ABN_TRAINING, ABN_FROZEN}) {
          Cell cell;
          for (int order = 0; order < 3; ++order) {
            SimulatedKernel kernel;
            kernel.free.order = order;
            kernel.free.reciprocals = order == 1;
            kernel.free.root = 1 - order;
            abn_problem p = make_problem(3, 4, dtype == ABN_F64 ? 20 : 60, dtype, activation, 0);
            p.mode = mode;
            set_lanes(kernel.declared, 16, p);
            kernel.declared.scheme = scheme;
            kernel.declared.accumulate = problem::wide_type_of(dtype);
            cell.run(make_inputs(p, Recipe{2, 1, 2, 1, 1e-3, false},
                                 300 + static_cast<std::uint64_t>(order)),
                     kernel);
          }
          char name[100];
          std::snprintf(name, sizeof name, "%s %s %s %s", problem::dtype_name(dtype),
                        problem::activation_name(activation), problem::scheme_name(scheme),
                        problem::mode_name(mode));
          expect_sharp(name, cell, dtype == ABN_F16 || dtype == ABN_BF16);
        }
}

// ---- every term is needed -----------------------------------------------------------------------

/// Without `term`, by how many times would a correct kernel exceed what is left of the bound?
double ratio_without(compare::Term term, const std::vector<compare::Expectation>& expectations,
                     const KernelOutputs& got) {
  double worst = 0;
  for (const compare::Expectation& e : expectations)
    for (std::size_t i = 0; i < e.points.size(); ++i) {
      const compare::Point& point = e.points[i];
      const double left =
          point.bound * (1 - static_cast<double>(e.shares[i][static_cast<std::size_t>(term)]));
      const double error = std::fabs((got.of(e.output)[i] - point.hi) - point.lo);
      if (std::isfinite(point.bound) && error > 0) worst = std::max(worst, error / left);
    }
  return worst;
}

struct TermCase {
  compare::Term term;
  Recipe recipe;
  int dtype, activation, scheme, statistics, lanes;
  std::uint32_t materialises;
  bool end_to_end;
};

TEST(verify_bound, needs_each_of_its_terms) {
  const std::array<TermCase, 10> cases = {
      TermCase{compare::Term::storage, Recipe{}, ABN_BF16, ABN_IDENTITY, ABN_STANDARD, ABN_TWO_PASS,
               256, 0, false},
      TermCase{compare::Term::mean, Recipe{3e3, 1, 1, 0, 1, false}, ABN_F32, ABN_IDENTITY,
               ABN_STANDARD, ABN_TWO_PASS, 4, 0, false},
      TermCase{compare::Term::variance, Recipe{1e3, 1, 1, 0, 1, false}, ABN_F32, ABN_IDENTITY,
               ABN_STANDARD, ABN_ONE_PASS, 256, 0, false},
      TermCase{compare::Term::arithmetic, Recipe{1, 1, 1, 1, 1, false}, ABN_F32, ABN_IDENTITY,
               ABN_STANDARD, ABN_TWO_PASS, 256, 0, false},
      TermCase{compare::Term::activation, Recipe{1, 1, 1e-5, 6, 1, false}, ABN_F32, ABN_ELU,
               ABN_IN_PLACE_1, ABN_TWO_PASS, 256, 0, false},
      TermCase{compare::Term::inversion, Recipe{1, 1, 1e-3, 1, 1, false}, ABN_BF16, ABN_IDENTITY,
               ABN_IN_PLACE_1, ABN_TWO_PASS, 256, 0, true},
      TermCase{compare::Term::inversion, Recipe{1, 1, 1e-3, 1, 1, false}, ABN_F32, ABN_LEAKY_RELU,
               ABN_IN_PLACE_1, ABN_TWO_PASS, 256, 0, false},
      TermCase{compare::Term::sum_dy, Recipe{1, 1, 1, 1, 1, false}, ABN_F32, ABN_IDENTITY,
               ABN_STANDARD, ABN_TWO_PASS, 1, 0, false},
      TermCase{compare::Term::sum_dy_xhat, Recipe{1, 1, 1, 1, 1, false}, ABN_F32, ABN_IDENTITY,
               ABN_CHECKPOINT_XHAT, ABN_TWO_PASS, 1, 0, false},
      TermCase{compare::Term::materialised, Recipe{1, 1, 1, 1, 1, false}, ABN_BF16, ABN_LEAKY_RELU,
               ABN_STANDARD, ABN_TWO_PASS, 256, ABN_MATERIALISES_Y | ABN_MATERIALISES_DY, false},
  };
  for (const TermCase& one : cases) {
    double worst = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const abn_problem p =
          make_problem(2, 4, 50, one.dtype, one.activation, one.activation == ABN_ELU ? 1 : 0.01);
      const problem::Inputs inputs = make_inputs(p, one.recipe, seed);
      SimulatedKernel kernel;
      kernel.declared.statistics = one.statistics;
      kernel.declared.scheme = one.scheme;
      kernel.declared.materialises = one.materialises;
      set_lanes(kernel.declared, one.lanes, p);
      kernel.free.root = 1;
      const abn_claims claims = study::claims_of(kernel.declared, p);
      const KernelOutputs got = study::simulate(inputs, kernel);
      if (!one.end_to_end)
        worst = std::max(
            worst,
            ratio_without(one.term, expect::expect_forward(inputs, claims, expect::Detail::shares),
                          got));
      worst = std::max(
          worst, ratio_without(one.term,
                               one.end_to_end
                                   ? expect::expect_gradient(inputs, claims, expect::Detail::shares)
                                   : expect::expect_backward(inputs, got.saved, claims,
                                                             expect::Detail::shares),
                               got));
    }
    if (std::getenv("ABN_BOUND_TABLE") != nullptr)
      std::printf("without %s: ratio %.3g\n", compare::term_name(one.term), worst);
    EXPECT_GT(worst, 1) << "no correct kernel needs the term " << compare::term_name(one.term);
  }
}

// ---- planted bugs -------------------------------------------------------------------------------

struct Planted {
  const char* name;
  Bug bug;
  Recipe recipe;
  int dtype, activation, scheme;
  compare::Output caught_by;
  int accumulate = ABN_F32;       ///< what the kernel really uses; it claims f32
  int statistics = ABN_TWO_PASS;  ///< likewise; it claims two_pass
};

TEST(verify_bound, is_exceeded_by_planted_bugs) {
  const Recipe easy{1, 1, 1, 0.5, 1e-3, false};
  const Recipe far{1e3, 1, 1, 0.5, 1, false};
  const std::vector<Planted> planted = {
      {"eps outside the root", Bug::eps_outside_root, Recipe{1, 0.01, 1, 0.5, 1, false}, ABN_F32,
       ABN_LEAKY_RELU, ABN_IN_PLACE_1, compare::Output::z},
      {"unbiased variance", Bug::unbiased_variance, easy, ABN_F32, ABN_LEAKY_RELU, ABN_IN_PLACE_1,
       compare::Output::variance},
      {"unbiased variance", Bug::unbiased_variance, easy, ABN_BF16, ABN_LEAKY_RELU, ABN_IN_PLACE_1,
       compare::Output::z},
      {"biased running variance", Bug::biased_running_variance, easy, ABN_F32, ABN_IDENTITY,
       ABN_STANDARD, compare::Output::running_var},
      {"momentum swapped", Bug::momentum_swapped, easy, ABN_F32, ABN_IDENTITY, ABN_STANDARD,
       compare::Output::running_mean},
      {"mean(dy) missing", Bug::missing_mean, easy, ABN_BF16, ABN_LEAKY_RELU, ABN_IN_PLACE_1,
       compare::Output::dx},
      {"mean(dy*xhat) missing", Bug::missing_xhat, easy, ABN_F16, ABN_LEAKY_RELU, ABN_IN_PLACE_1,
       compare::Output::dx},
      {"mean(dy*xhat) missing", Bug::missing_xhat, easy, ABN_BF16, ABN_ELU, ABN_IN_PLACE_2,
       compare::Output::dx},
      {"slope twice", Bug::slope_twice, easy, ABN_BF16, ABN_LEAKY_RELU, ABN_IN_PLACE_1,
       compare::Output::dx},
      {"slope missing in the inverse", Bug::slope_not_in_inverse, easy, ABN_F32, ABN_LEAKY_RELU,
       ABN_IN_PLACE_1, compare::Output::dgamma},
      {"beta missing in the inversion", Bug::xhat_without_beta, easy, ABN_F32, ABN_IDENTITY,
       ABN_IN_PLACE_1, compare::Output::dx},
      {"branch by z < 0", Bug::branch_by_comparison, Recipe{1, 1, 1e-6, 0, 1, false}, ABN_F16,
       ABN_LEAKY_RELU, ABN_IN_PLACE_1, compare::Output::dx},
      {"stores truncated", Bug::truncated_store, easy, ABN_BF16, ABN_LEAKY_RELU, ABN_IN_PLACE_1,
       compare::Output::z},
      {"stores truncated", Bug::truncated_store, easy, ABN_F16, ABN_IDENTITY, ABN_STANDARD,
       compare::Output::dx},
      {"last sample not in the statistics", Bug::last_dropped_forward, easy, ABN_F32,
       ABN_LEAKY_RELU, ABN_IN_PLACE_1, compare::Output::mean},
      {"last sample not in the sums", Bug::last_dropped_backward, easy, ABN_F32, ABN_LEAKY_RELU,
       ABN_IN_PLACE_1, compare::Output::dx},
      {"last sample not in dbeta", Bug::last_dropped_dbeta, easy, ABN_F32, ABN_LEAKY_RELU,
       ABN_IN_PLACE_1, compare::Output::dbeta},
      {"one pass claimed as two", Bug::none, far, ABN_F32, ABN_LEAKY_RELU, ABN_IN_PLACE_1,
       compare::Output::variance, ABN_F32, ABN_ONE_PASS},
      {"one pass claimed as two", Bug::none, far, ABN_F32, ABN_LEAKY_RELU, ABN_IN_PLACE_1,
       compare::Output::z, ABN_F32, ABN_ONE_PASS},
      {"bf16 accumulators claimed as f32", Bug::none, easy, ABN_BF16, ABN_LEAKY_RELU,
       ABN_IN_PLACE_1, compare::Output::z, ABN_BF16},
      {"bf16 accumulators claimed as f32", Bug::none, easy, ABN_BF16, ABN_LEAKY_RELU,
       ABN_IN_PLACE_1, compare::Output::dbeta, ABN_BF16},
      {"bf16 accumulators claimed as f32", Bug::none, easy, ABN_BF16, ABN_LEAKY_RELU,
       ABN_IN_PLACE_1, compare::Output::dx, ABN_BF16},
      {"f16 accumulators claimed as f32", Bug::none, easy, ABN_F16, ABN_IDENTITY, ABN_STANDARD,
       compare::Output::dgamma, ABN_F16},
  };
  for (const Planted& one : planted) {
    const abn_problem p =
        make_problem(3, 4, 33, one.dtype, one.activation, one.activation == ABN_ELU ? 1 : 0.01);
    const problem::Inputs inputs = make_inputs(p, one.recipe, 3);
    SimulatedKernel kernel;
    set_lanes(kernel.declared, 8, p);
    kernel.declared.scheme = one.scheme;
    const abn_claims claims = study::claims_of(kernel.declared, p);
    kernel.declared.statistics = one.statistics;
    kernel.declared.accumulate = one.accumulate;
    kernel.bug = one.bug;
    Cell cell;
    cell.run(inputs, kernel, claims);
    const std::string output = compare::output_name(one.caught_by);
    if (std::getenv("ABN_BOUND_TABLE") != nullptr)
      std::printf("%-36s %-12s ratio %.3g\n", one.name, output.c_str(), cell.ratio[output]);
    EXPECT_TRUE(cell.failure.contains(output))
        << one.name << " stays within the bound of " << output << ", ratio " << cell.ratio[output];
    // The same kernel without the bug, and honest, passes on the same data.
    kernel.bug = Bug::none;
    Cell clean;
    clean.run(inputs, kernel);
    for (const auto& [what, text] : clean.failure)
      ADD_FAILURE() << one.name << ", repaired: " << text;
  }
}

}  // namespace
}  // namespace abn::tests
