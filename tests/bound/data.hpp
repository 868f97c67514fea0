// Problems and data of chosen hardness for testing the oracle and its bounds.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>

#include "verify/problem/format.hpp"
#include "verify/problem/inputs.hpp"
#include "verify/problem/problem.hpp"
#include "verify/study/simulated_kernel.hpp"

namespace abn::tests {

using namespace abn::verify;

/// How hard a case is.
struct Recipe {
  double kappa = 1;  ///< |mean|/sigma of x
  double sigma = 1;
  double gamma = 1;  ///< magnitude; signs are mixed
  double beta = 0.5;
  double dz = 1;
  bool spikes = false;  ///< some samples of x and dz a thousand times larger
  /// x ascending within each image and channel (nchw), so that running means drift
  bool sorted = false;
};

inline problem::Inputs make_inputs(const abn_problem& problem, const Recipe& recipe,
                                   std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  const problem::Format& storage = problem::format_of(problem.dtype);
  const problem::Format& parameter = problem::format_of(problem.param_dtype);
  problem::Inputs in;
  in.problem = problem;
  // x^2 and the spikes stay within the range of f16.
  const double sigma =
      problem.dtype == ABN_F16
          ? std::min(recipe.sigma, (recipe.spikes ? 10 : 1e4) / std::max(1.0, recipe.kappa))
          : recipe.sigma;
  const double upstream =
      problem.dtype == ABN_F16 && recipe.spikes ? std::min(recipe.dz, 10.0) : recipe.dz;
  const auto size = static_cast<std::size_t>(problem::element_count(problem)),
             channels = static_cast<std::size_t>(problem.c);
  in.x.resize(size);
  in.dz.resize(size);
  for (std::size_t c = 0; c < channels; ++c) {
    const double sign = random() % 2 == 0 ? -1 : 1;
    in.gamma.push_back(problem::round_to(parameter, (random() % 2 == 0 ? -1 : 1) * recipe.gamma *
                                                        (0.5 + 0.5 * std::fabs(normal(random)))));
    in.beta.push_back(problem::round_to(parameter, recipe.beta * normal(random)));
    const double mean = sign * recipe.kappa * sigma;
    in.running_mean.push_back(problem::round_to(parameter, mean + sigma * normal(random)));
    in.running_var.push_back(
        problem::round_to(parameter, sigma * sigma * std::exp(0.5 * normal(random))));
    const double drift = upstream * 0.3 * normal(random);
    for (std::int64_t i = 0; i < problem::sample_count(problem); ++i) {
      const auto at = static_cast<std::size_t>(
          problem::sample_offset(problem, static_cast<std::int64_t>(c), i));
      const double spike = recipe.spikes && random() % 17 == 0 ? 1000 : 1;
      in.x[at] = problem::round_to(storage, mean + spike * sigma * normal(random));
      in.dz[at] =
          problem::round_to(storage, drift + (recipe.spikes && random() % 17 == 0 ? 1000 : 1) *
                                                 upstream * normal(random));
    }
  }
  if (recipe.sorted && problem.layout == ABN_NCHW)
    for (std::int64_t k = 0; k < problem.n * problem.c; ++k)
      std::sort(in.x.begin() + k * problem.s, in.x.begin() + (k + 1) * problem.s);
  return in;
}

inline abn_problem make_problem(std::int64_t n, std::int64_t c, std::int64_t s, int dtype,
                                int activation, double parameter) {
  abn_problem p{};
  p.struct_size = sizeof(abn_problem);
  p.layout = ABN_NCHW;
  p.n = n;
  p.c = c;
  p.s = s;
  p.dtype = dtype;
  p.param_dtype = dtype == ABN_F64 ? ABN_F64 : ABN_F32;
  p.activation = activation;
  p.mode = ABN_TRAINING;
  const problem::Format& format = problem::format_of(p.param_dtype);
  p.activation_parameter = activation == ABN_IDENTITY ? 0 : problem::round_to(format, parameter);
  p.eps = problem::round_to(format, 1e-5);
  p.momentum = problem::round_to(format, 0.1);
  return p;
}

/// `lanes` of them, 1 for a sequential sum, but no more than a tree over the samples of the problem
/// needs: more would only make the claimed depth generous.
inline void set_lanes(study::KernelClass& declared, int lanes, const abn_problem& problem) {
  declared.summation = lanes == 1 ? study::Summation::sequential : study::Summation::lanes;
  const auto samples = static_cast<unsigned>(problem::sample_count(problem));
  declared.lanes = std::min(lanes, static_cast<int>(std::bit_ceil(samples)));
}

/// Claims of a two_pass, direct variant.
inline abn_claims plain_claims(int scheme, int accumulate, std::int64_t depth) {
  abn_claims claims{};
  claims.struct_size = sizeof(abn_claims);
  claims.scheme = scheme;
  claims.accumulate = accumulate;
  claims.depth_statistics = claims.depth_backward = depth;
  claims.function_ulp = 1;
  return claims;
}

}  // namespace abn::tests
