// How a kernel is timed fairly: how many sets of buffers take turns, how often, and what the times
// come to. Pure functions.
//
// A kernel whose data wait in the second-level cache looks faster than it is in a network, where
// something else ran in between. So every call of a replay works on buffers of its own, as many as
// have three times the cache's size together, and at least four; tiny tensors stop at 256 of them
// and may stay in the cache, as they would in a network. The buffers are filled again before each
// replay, outside of the timed window. That leaves as many bytes in the cache to be written back as
// the replay itself leaves behind, which cancels out.
#pragma once

#include <vector>

namespace abn::verify::bench {

inline constexpr int least_sets = 4, most_sets = 256;
inline constexpr double sets_in_caches = 3;
inline constexpr int least_rounds = 11, most_rounds = 51;

/// Sets of `footprint` bytes for a GPU with `cache` bytes of second-level cache, where `memory`
/// bytes are free for them; fewer than 4 where no more fit, 0 where not even one does.
int sets_of(double footprint, double cache, double memory);

struct Quantiles {
  double median = 0, p10 = 0, p90 = 0;
};
/// By linear interpolation between the order statistics; all 0 of nothing.
Quantiles quantiles_of(std::vector<double> times);

/// exp(mean(log(ratios))); NaN of nothing.
double geometric_mean(const std::vector<double>& ratios);

}  // namespace abn::verify::bench
