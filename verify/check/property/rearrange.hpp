// The same case in another order: what permutations, layouts and shards are made with.
#pragma once

#include <cmath>
#include <vector>

#include "verify/data/random.hpp"
#include "verify/problem/inputs.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::property {

/// for each place of the new order its place in the old one
using Places = std::vector<std::int64_t>;

inline std::vector<double> rearranged(const std::vector<double>& values, const Places& from) {
  std::vector<double> out;
  if (values.empty()) return out;
  out.reserve(from.size());
  for (const std::int64_t place : from) out.push_back(values[static_cast<std::size_t>(place)]);
  return out;
}

/// Element (n, c, s) of `to` is element `where(n, c, s, from)` of `from`, an offset.
template <class Where>
Places places(const abn_problem& to, Where where) {
  Places out(static_cast<std::size_t>(problem::element_count(to)));
  for (std::int64_t n = 0; n < to.n; ++n)
    for (std::int64_t c = 0; c < to.c; ++c)
      for (std::int64_t s = 0; s < to.s; ++s)
        out[static_cast<std::size_t>(problem::element_offset(to, n, c, s))] = where(n, c, s);
  return out;
}

inline problem::Inputs rearranged(const problem::Inputs& inputs, const abn_problem& problem,
                                  const Places& elements, const Places& channels) {
  problem::Inputs out;
  out.problem = problem;
  out.affine = inputs.affine;
  out.x = rearranged(inputs.x, elements), out.dz = rearranged(inputs.dz, elements);
  out.gamma = rearranged(inputs.gamma, channels), out.beta = rearranged(inputs.beta, channels);
  out.running_mean = rearranged(inputs.running_mean, channels),
  out.running_var = rearranged(inputs.running_var, channels);
  return out;
}

inline problem::Saved rearranged(const problem::Saved& saved, const Places& elements,
                                 const Places& channels) {
  return {rearranged(saved.z, elements), rearranged(saved.xhat, elements),
          rearranged(saved.mean, channels), rearranged(saved.variance, channels)};
}

inline Places same_channels(const abn_problem& problem) {
  Places out;
  for (std::int64_t c = 0; c < problem.c; ++c) out.push_back(c);
  return out;
}

/// A channel's values on a grid of 2^-5 of their largest power of two: integers of up to 32 steps,
/// so that sums of a few of them stay exact in every type. `step` is 0 where the channel has no
/// such grid (it is 0, not finite, or near the ends of the type).
struct Grid {
  double step = 0;
};
Grid grid_of(const abn_problem& problem, const std::vector<double>& tensor, std::int64_t c);

/// dz on its channel's grid; where there is none, random integers of up to 16.
std::vector<double> gridded_dz(const problem::Inputs& inputs, std::uint64_t seed);
/// Random integers of up to 16 grid steps of dz, none of them 0.
std::vector<double> another_dz(const problem::Inputs& inputs, std::uint64_t seed);

}  // namespace abn::verify::check::property
