// The errors of one output channel by channel, for a reader who asks whether a failure is
// everywhere or in a few channels.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "verify/compare/expectation.hpp"

namespace abn::verify::compare {

struct ChannelLine {
  std::int64_t channel = 0;
  std::uint64_t elements = 0, failed = 0;
  double max_ratio = 0, mean_ratio = 0, p99_ratio = 0;  ///< mean over finite ones
  /// signed, over elements with a finite error
  double mean_ulp = 0;
  double kappa = 1;
  /// the term with the largest share of the bound at the channel's worst element
  std::string dominating;
};

/// The shares of the terms in the bound of one element.
using Explain = std::function<Shares(Output, std::int64_t)>;

/// More lines than this nobody reads.
inline constexpr std::size_t most_channel_lines = 16;

/// The worst channels, the worst first: by failed elements, then by the largest ratio.
std::vector<ChannelLine> channel_lines(const abn_problem& problem, const Expectation& expectation,
                                       const std::vector<double>& got, const Explain& explain);

}  // namespace abn::verify::compare
