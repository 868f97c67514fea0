// Cotangents whose sums are exact.
#include "verify/check/property/rearrange.hpp"

#include <algorithm>

#include "verify/check/property/bounded_calls.hpp"
#include "verify/problem/format.hpp"

namespace abn::verify::check::property {
namespace {

double random_integer(const data::Stream& stream, std::size_t i) {
  constexpr std::uint64_t largest = 16;
  return stream.sign(2 * i) * static_cast<double>(1 + stream.below(largest, 2 * i + 1));
}

}  // namespace

Grid grid_of(const abn_problem& problem, const std::vector<double>& tensor, std::int64_t c) {
  double largest = 0;
  for (std::int64_t i = 0; i < problem::sample_count(problem); ++i) {
    const double size =
        std::abs(tensor[static_cast<std::size_t>(problem::sample_offset(problem, c, i))]);
    if (!std::isfinite(size)) return {};
    largest = std::max(largest, size);
  }
  if (largest == 0) return {};
  const problem::Format& format = problem::format_of(problem.dtype);
  constexpr int steps = 5;     // 32 on either side of 0
  constexpr double room = 16;  // for sums of a few, and for what the kernel makes of them
  const double step = std::ldexp(1.0, std::ilogb(largest) + 1 - steps);
  return step >= format.smallest_subnormal * room && largest <= format.largest / (room * room)
             ? Grid{step}
             : Grid{};
}

std::vector<double> gridded_dz(const problem::Inputs& inputs, std::uint64_t seed) {
  const data::Stream stream = data::Stream(seed).fork(1);
  std::vector<double> out(inputs.dz.size());
  std::vector<Grid> grids;
  for (std::int64_t c = 0; c < inputs.problem.c; ++c)
    grids.push_back(grid_of(inputs.problem, inputs.dz, c));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double step =
        grids[static_cast<std::size_t>(channel_of(inputs.problem, static_cast<std::int64_t>(i)))]
            .step;
    out[i] = step > 0 ? std::nearbyint(inputs.dz[i] / step) * step : random_integer(stream, i);
  }
  return out;
}

std::vector<double> another_dz(const problem::Inputs& inputs, std::uint64_t seed) {
  const data::Stream stream = data::Stream(seed).fork(2);
  std::vector<double> out(inputs.dz.size());
  std::vector<Grid> grids;
  for (std::int64_t c = 0; c < inputs.problem.c; ++c)
    grids.push_back(grid_of(inputs.problem, inputs.dz, c));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double step =
        grids[static_cast<std::size_t>(channel_of(inputs.problem, static_cast<std::int64_t>(i)))]
            .step;
    out[i] = random_integer(stream, i) * (step > 0 ? step : 1);
  }
  return out;
}

}  // namespace abn::verify::check::property
