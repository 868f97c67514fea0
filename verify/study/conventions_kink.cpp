#include "verify/study/conventions_kink.hpp"

#include <fmt/format.h>

#include <cmath>

#include "verify/call/evaluator.hpp"
#include "verify/data/random.hpp"
#include "verify/expect/expect.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"
#include "verify/study/conventions_sweep.hpp"

namespace abn::verify::study::conventions {
namespace {

constexpr std::int64_t samples = 8;
// the powers of two that the channels are filled with
constexpr std::array<double, 4> levels{2, -1, 0, 0.5};

problem::Inputs constant_channels(const abn_problem& problem, std::uint64_t seed) {
  problem::Inputs in;
  in.problem = problem;
  in.problem.s = samples;
  in.problem.c = static_cast<std::int64_t>(levels.size());
  const auto elements = static_cast<std::size_t>(problem::element_count(in.problem));
  in.x.resize(elements);
  in.dz.resize(elements);
  const data::Stream draw(seed);
  for (std::int64_t c = 0; c < in.problem.c; ++c) {
    for (std::int64_t i = 0; i < samples; ++i) {
      const auto at = static_cast<std::size_t>(problem::sample_offset(in.problem, c, i));
      in.x[at] = levels[static_cast<std::size_t>(c)];
      // of one sign, so that the sum stays, and of few digits, so that every operation is exact
      in.dz[at] = std::round(draw.uniform(8, 24, at)) / 16;
    }
    in.gamma.push_back(1);
    in.beta.push_back(0);
    in.running_mean.push_back(0);
    in.running_var.push_back(1);
  }
  return in;
}

std::optional<std::pair<abn_problem, abn_claims>> supported(const abn_variant& variant,
                                                            const char* activation) {
  for (const char* scale : {"signed", "abs_eps"})
    for (const char* dtype : {"f32", "f64", "bf16", "f16"}) {
      const abn_problem problem = problem::parse_problem(
          fmt::format("n1c{}s{},{},{},{}", levels.size(), samples, dtype, activation, scale));
      const problem::Claimed claimed = problem::claims_of(variant, problem);
      if (claimed.status == ABN_OK && claimed.nonsense.empty())
        return std::pair(problem, claimed.claims);
    }
  return std::nullopt;
}

}  // namespace

std::optional<std::array<double, sides.size()>> kink_ratios(const call::Subject& subject,
                                                            const Kinked& asked,
                                                            std::uint64_t seed) {
  const auto found = supported(*subject.variant, asked.activation);
  if (!found) return std::nullopt;
  const problem::Inputs inputs = constant_channels(found->first, seed);
  const call::Evaluator evaluator(subject, found->second, seed);
  const problem::Saved saved = evaluator.saved(inputs.problem, evaluator.forward(inputs));
  const call::BackwardNumbers got = evaluator.backward(inputs, saved);
  std::array<double, sides.size()> ratios{};
  for (std::size_t i = 0; i < sides.size(); ++i) {
    problem::Inputs as = inputs;
    as.problem.activation = ABN_IDENTITY;
    as.problem.activation_parameter = 0;
    for (double& dz : as.dz) dz *= sides[i].derivative(inputs.problem.activation_parameter);
    const auto expected = expect::expect_backward(as, saved, evaluator.claims());
    raise(ratios[i], ratio_of(expected, compare::Output::dx, got.dx));
    if (!got.dbeta.empty()) raise(ratios[i], ratio_of(expected, compare::Output::dbeta, got.dbeta));
  }
  return ratios;
}

}  // namespace abn::verify::study::conventions
