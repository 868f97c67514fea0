// The problems, a plan for each channel, then its samples.
#include "verify/study/judges_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "verify/data/random.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::study {
namespace {

/// Small, so that every kernel can run them all; together they have every mode, activation, layout
/// and convention, more than 96 channels, more than 32 images, tails of rows and of channels, one
/// image, one sample a row, two problems of one size, and more samples than f16 can count.
constexpr const char* problems[] = {
    "n4c6s33,nchw,leaky_relu:0.01",          "n2c5s64,nhwc,leaky_relu:0.2,abs_eps",
    "n3c4s50,nchw,elu:1.5,eps:0.001",        "n33c3s9,nhwc,identity,abs_eps",
    "n2c98s6,nchw,leaky_relu:0.1",           "n1c3s200,nhwc,elu:1",
    "n3c8s33,nchw,leaky_relu:0.01,abs_eps",  "n4c5s1,nchw,leaky_relu:0.05,momentum:0.3",
    "n1c1s2501,nchw,leaky_relu:0.01",
    "n2c4s20,nchw,leaky_relu:0.01,abs_eps",  // without gamma and beta
    "n2c6s40,nchw,leaky_relu:0.1,inference", "n2c5s30,nhwc,elu:0.7,abs_eps,frozen",
    "n4c3s25,nchw,leaky_relu:0.01,frozen",
};
constexpr std::size_t problem_without_affine = 9;

enum Label : std::uint64_t { plan_label, x_label, dz_label };

struct Plan {
  double mean = 0, sigma = 1, gamma = 1, beta = 0, dz_scale = 1, running_mean = 0, running_var = 1;
};

/// 2^-20, the size of the gradients of a mean over a batch of a million terms.
constexpr double realistic_gradient = 0x1p-20;
/// Where the storage type ends first, three bits are left to the samples' spread.
double largest_mean_over_sigma(int dtype) {
  return std::min(1000.0, std::ldexp(1.0, problem::format_of(dtype).precision - 3));
}

Plan plan_of(Grade grade, int dtype, const data::Stream& draw, std::int64_t c) {
  Plan plan;
  if (grade == Grade::easy) return plan;
  plan.mean = 0.5 * draw.normal(0);
  plan.sigma = draw.power_of_two(-1, 1, 1);
  plan.beta = 0.3 * draw.normal(2);
  if (grade == Grade::realistic) {
    plan.gamma = (draw.below(4, 3) == 0 ? -1 : 1) * draw.uniform(0.1, 1, 4);
    plan.dz_scale = realistic_gradient;
  } else if (c % 3 == 0) {
    plan.mean = draw.sign(3) * largest_mean_over_sigma(dtype) * plan.sigma;
    plan.gamma = draw.sign(4) * draw.uniform(0.5, 2, 5);
  } else if (c % 3 == 1) {
    plan.gamma = draw.sign(3) * draw.power_of_two(-10, -6, 4);
    plan.beta = plan.gamma * draw.normal(5);
  } else {
    plan.gamma = draw.sign(3) * draw.uniform(0.125, 1, 4);
    plan.beta = draw.sign(5) * draw.power_of_two(4, 8, 6) * std::fabs(plan.gamma);
  }
  plan.running_mean = plan.mean + 0.1 * plan.sigma * draw.normal(7);
  plan.running_var = plan.sigma * plan.sigma * draw.uniform(0.8, 1.25, 8);
  return plan;
}

}  // namespace

const char* grade_name(Grade grade) {
  return grade == Grade::easy        ? "easy"
         : grade == Grade::realistic ? "realistic"
                                     : "ill-conditioned";
}

std::vector<problem::Inputs> graded_cases(Grade grade, int dtype, std::uint64_t seed) {
  std::vector<problem::Inputs> cases;
  const problem::Format& storage = problem::format_of(dtype);
  for (std::size_t k = 0; k < std::size(problems); ++k) {
    problem::Inputs inputs;
    inputs.problem =
        problem::parse_problem(fmt::format("{},{}", problems[k], problem::dtype_name(dtype)));
    inputs.affine = k != problem_without_affine;
    const problem::Format& parameter = problem::format_of(inputs.problem.param_dtype);
    const data::Stream root = data::Stream(seed).fork(static_cast<std::uint64_t>(grade)).fork(k);
    const auto elements = static_cast<std::size_t>(problem::element_count(inputs.problem));
    inputs.x.resize(elements), inputs.dz.resize(elements);
    for (std::int64_t c = 0; c < inputs.problem.c; ++c) {
      const auto label = static_cast<std::uint64_t>(c);
      const Plan plan = plan_of(grade, dtype, root.fork(plan_label).fork(label), c);
      const data::Stream x = root.fork(x_label).fork(label), dz = root.fork(dz_label).fork(label);
      inputs.running_mean.push_back(problem::round_to(parameter, plan.running_mean));
      inputs.running_var.push_back(problem::round_to(parameter, plan.running_var));
      if (inputs.affine) {
        inputs.gamma.push_back(problem::round_to(parameter, plan.gamma));
        inputs.beta.push_back(problem::round_to(parameter, plan.beta));
      }
      for (std::int64_t i = 0; i < problem::sample_count(inputs.problem); ++i) {
        const auto at = static_cast<std::size_t>(problem::sample_offset(inputs.problem, c, i));
        const auto index = static_cast<std::uint64_t>(i);
        inputs.x[at] = problem::round_to(storage, plan.mean + plan.sigma * x.normal(index));
        inputs.dz[at] = problem::round_to(storage, plan.dz_scale * dz.normal(index));
      }
    }
    cases.push_back(std::move(inputs));
  }
  return cases;
}

}  // namespace abn::verify::study
