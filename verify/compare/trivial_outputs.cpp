// The null outputs, and the search for one element that each of them gets wrong.
#include "verify/compare/trivial_outputs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "verify/compare/compare.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::compare {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// z from the running statistics, roughly: nobody asks a null output for its last bits.
double inference_output(const problem::Inputs& in, std::size_t element) {
  const abn_problem& p = in.problem;
  const auto c =
      static_cast<std::size_t>(problem::channel_of(p, static_cast<std::int64_t>(element)));
  double g = 1, beta = 0;
  if (in.affine)
    g = p.scale == ABN_SCALE_ABS_EPS ? std::fabs(in.gamma[c]) + p.eps : in.gamma[c],
    beta = in.beta[c];
  const double y =
      g * (in.x[element] - in.running_mean[c]) / std::sqrt(in.running_var[c] + p.eps) + beta;
  return problem::round_to(problem::format_of(problem::out_type_of(p)),
                           problem::phi_of(p).value(y));
}

}  // namespace

bool discriminates(const Expectation& expectation, std::span<const TrivialOutput> trivial) {
  const problem::Format& format = problem::format_of(expectation.dtype);
  const auto caught = [&](auto&& output_at) {
    for (std::size_t i = 0; i < expectation.points.size(); ++i)
      if (!compare(expectation.points[i], output_at(i), format).passed) return true;
    return false;
  };
  if (expectation.points.empty()) return false;
  if (!caught([](std::size_t) { return 0.0; })) return false;
  // A single element is a constant by nature; only more of them can tell a constant kernel. The
  // constant to try is the middle of what all bounds have in common: if the format has any value in
  // there, then the one nearest to the middle.
  if (expectation.points.size() > 1) {
    double low = -infinity, high = infinity;
    for (const Point& point : expectation.points)
      if (point.rule == Rule::bounded || point.rule == Rule::signed_bounded)
        low = std::max(low, point.hi - point.bound), high = std::min(high, point.hi + point.bound);
    const double middle = low / 2 + high / 2;
    const double constant = std::isfinite(middle) ? problem::round_to(format, middle) : 0.0;
    if (!caught([&](std::size_t) { return constant; })) return false;
  }
  return std::all_of(trivial.begin(), trivial.end(), caught);
}

std::vector<TrivialOutput> nulls_of(const problem::Inputs& inputs, const Expectation& expectation) {
  std::vector<TrivialOutput> trivial;
  const std::vector<double>* const copied = expectation.output == Output::z    ? &inputs.x
                                            : expectation.output == Output::dx ? &inputs.dz
                                                                               : nullptr;
  if (copied != nullptr && copied->size() == expectation.points.size())
    trivial.emplace_back([copied](std::size_t i) { return (*copied)[i]; });
  const std::size_t size = expectation.points.size();
  if (size > 1)  // of an earlier call on other data: the right values, but of the next element
    trivial.emplace_back([&expectation, size](std::size_t i) {
      return problem::round_to(problem::format_of(expectation.dtype),
                               expectation.points[(i + 1) % size].hi);
    });
  const bool has_running = !inputs.running_mean.empty() && !inputs.running_var.empty();
  if (expectation.output == Output::z && inputs.problem.mode == ABN_TRAINING && has_running)
    trivial.emplace_back([&inputs](std::size_t i) { return inference_output(inputs, i); });
  return trivial;
}

}  // namespace abn::verify::compare
