// One channel of a kernel's inputs in double: where its samples lie, what they are normalised to,
// and how to keep them off the kink.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "verify/judge/judge.hpp"
#include "verify/oracle/channel.hpp"
#include "verify/problem/activation.hpp"

namespace abn::verify::check::gradient {

struct KernelChannel {
  oracle::ChannelParameters parameters;
  problem::Phi phi;
  double mean = 0, variance = 0, r = 1, g = 1, beta = 0;
  std::vector<double> x, xhat, y;

  /// Finite numbers, and a variance to normalise by.
  bool usable() const;
  double largest_xhat() const;
};
KernelChannel kernel_channel(const problem::Inputs& inputs, std::int64_t c);

/// Moves the samples of channel c whose |y| is below their margin away from the kink, further in
/// the direction that they have from it, to multiples of `grid` (0: any number of the storage
/// type). Returns how many samples are too near still.
std::int64_t leave_the_kink(problem::Inputs& inputs, std::int64_t c, double grid,
                            const std::function<double(const KernelChannel&, std::size_t)>& margin);

/// Compares one more number of a record. Where it is the worst so far, returns its witness, for
/// `where` to be filled in; else null.
results::Witness* add_point(results::Record& record, const judge::Origin& origin,
                            const compare::Point& point, double got, int dtype);

}  // namespace abn::verify::check::gradient
